//! The tool with which an agent looks at files and changes them.
//!
//! A replacement must match exactly once, so that a model that remembers a file wrongly is told so and does not change
//! some other place. Paths are confined to the workspace, line endings and permissions are kept, and each change is
//! written to a new file that then takes the old one's place, so that no reader sees half of it.

mod change;
mod nearest;
pub(crate) mod text;
mod view;

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use entropo_agent::{Tool, ToolError, ToolOutput};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::files;
use crate::history::History;
use crate::paths::{self, Located};

/// Edits that can be undone, over all files.
const MAX_HISTORY: usize = 100;

/// Views and changes files of a workspace.
#[derive(Debug)]
pub struct Editor {
    root: PathBuf,
    history: Mutex<VecDeque<Edit>>,
    shared: Option<History>,
}

/// One change of one file, for undoing it.
#[derive(Debug)]
struct Edit {
    path: PathBuf,
    before: Option<String>,
    after: String,
}

/// What the [`Editor`] is asked to do.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(description = "")]
pub struct EditorArgs {
    /// What to do.
    pub command: EditorCommand,
    /// The file or directory, relative to the workspace.
    pub path: String,
    /// For create: the content of the new file.
    pub file_text: Option<String>,
    /// For str_replace: the text to replace; it must occur exactly once.
    pub old_str: Option<String>,
    /// For str_replace: what to put in its place; nothing if left out. For insert: the lines to insert.
    pub new_str: Option<String>,
    /// For insert: the number of the line after which to insert; 0 for the beginning.
    pub insert_line: Option<usize>,
    /// For view of a file: the first and the last line to show; -1 for the end.
    pub view_range: Option<[i64; 2]>,
}

/// The commands of the [`Editor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it, and documentation here would lengthen the schema the model reads")]
pub enum EditorCommand {
    View,
    Create,
    StrReplace,
    Insert,
    Undo,
}

impl Editor {
    /// An editor for the files below `root`.
    ///
    /// # Errors
    ///
    /// Where `root` does not exist.
    pub fn new(root: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self { root: root.as_ref().canonicalize()?, history: Mutex::default(), shared: None })
    }

    /// Keeps its edits in a history that other tools share, in place of one of its own.
    ///
    /// Its `undo` then also takes back what they changed; ten changes of each file are kept.
    #[must_use]
    pub fn with_history(mut self, history: &History) -> Self {
        self.shared = Some(history.clone());
        self
    }

    fn carry_out(&self, arguments: &EditorArgs) -> Result<String, ToolError> {
        match arguments.command {
            EditorCommand::View => self.view(&arguments.path, arguments.view_range),
            EditorCommand::Create => self.create(&arguments.path, needed("create", "file_text", &arguments.file_text)?),
            EditorCommand::StrReplace => {
                let old = needed("str_replace", "old_str", &arguments.old_str)?;
                self.replace(&arguments.path, old, arguments.new_str.as_deref().unwrap_or_default())
            }
            EditorCommand::Insert => {
                let line = *needed("insert", "insert_line", &arguments.insert_line)?;
                self.insert(&arguments.path, line, needed("insert", "new_str", &arguments.new_str)?)
            }
            EditorCommand::Undo => self.undo(&arguments.path),
        }
    }

    fn view(&self, path: &str, range: Option<[i64; 2]>) -> Result<String, ToolError> {
        let place = paths::locate_existing(&self.root, path).map_err(ToolError::new)?;
        if place.real.is_dir() {
            match range {
                None => view::directory(&place),
                Some(_) => Err(ToolError::new(format!("{} is a directory; view_range is for files.", place.shown))),
            }
        } else {
            view::file(&place, &read(&place)?, range)
        }
    }

    fn create(&self, path: &str, content: &str) -> Result<String, ToolError> {
        let place = paths::locate(&self.root, path).map_err(ToolError::new)?;
        if place.exists {
            return Err(ToolError::new(format!("{} already exists; use str_replace to change it.", place.shown)));
        }
        change::create(&place.real, content).map_err(|error| failed(&place, &error))?;
        let message = format!("Created {}.", place.shown);
        self.remember(place, None, content.to_owned());
        Ok(message)
    }

    fn replace(&self, path: &str, old: &str, new: &str) -> Result<String, ToolError> {
        let place = paths::locate_existing(&self.root, path).map_err(ToolError::new)?;
        let before = read(&place)?;
        let after = text::replace(&place.shown, &before, old, new)?;
        self.write(place, before, after)
    }

    fn insert(&self, path: &str, line: usize, new: &str) -> Result<String, ToolError> {
        let place = paths::locate_existing(&self.root, path).map_err(ToolError::new)?;
        let before = read(&place)?;
        let after = text::insert(&place.shown, &before, line, new)?;
        self.write(place, before, after)
    }

    fn write(&self, place: Located, before: String, after: String) -> Result<String, ToolError> {
        change::overwrite(&place.real, &after).map_err(|error| failed(&place, &error))?;
        let message = format!("Edited {}.", place.shown);
        self.remember(place, Some(before), after);
        Ok(message)
    }

    fn undo(&self, path: &str) -> Result<String, ToolError> {
        let place = paths::locate(&self.root, path).map_err(ToolError::new)?;
        if let Some(shared) = &self.shared {
            return shared.undo(&place).map_err(ToolError::new);
        }
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(at) = history.iter().rposition(|edit| edit.path == place.real) else {
            return Err(ToolError::new(format!("No edit of {} to undo.", place.shown)));
        };
        let Some(edit) = history.get(at) else { return Ok(String::new()) };
        if !place.exists || read(&place)? != edit.after {
            let reason = format!("{} has changed since its last edit; nothing undone.", place.shown);
            return Err(ToolError::new(reason));
        }
        let undone = match &edit.before {
            Some(before) => change::overwrite(&place.real, before),
            None => std::fs::remove_file(&place.real),
        };
        undone.map_err(|error| failed(&place, &error))?;
        history.remove(at);
        Ok(format!("Undid the last edit of {}.", place.shown))
    }

    fn remember(&self, place: Located, before: Option<String>, after: String) {
        if let Some(shared) = &self.shared {
            return shared.record_text(place, before, after);
        }
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        if history.len() == MAX_HISTORY {
            history.pop_front();
        }
        history.push_back(Edit { path: place.real, before, after });
    }
}

impl Tool for Editor {
    const NAME: &'static str = "editor";
    type Args = EditorArgs;

    fn description(&self) -> String {
        "View, create and change files. view shows a file with line numbers, or a directory; create makes a new file; \
         str_replace replaces text that occurs exactly once; insert adds lines after a line; undo reverts the last \
         edit of a file."
            .to_owned()
    }

    async fn call(&self, arguments: EditorArgs, _cancel: &CancellationToken) -> Result<ToolOutput, ToolError> {
        self.carry_out(&arguments).map(ToolOutput::text)
    }
}

fn needed<'a, T>(command: &str, name: &str, value: &'a Option<T>) -> Result<&'a T, ToolError> {
    value.as_ref().ok_or_else(|| ToolError::new(format!("{command} needs {name}.")))
}

fn read(place: &Located) -> Result<String, ToolError> {
    let stored = files::read(place).map_err(ToolError::new)?;
    String::from_utf8(stored.bytes).map_err(|_| ToolError::new(format!("{} is not UTF-8 text.", place.shown)))
}

fn failed(place: &Located, error: &io::Error) -> ToolError {
    ToolError::new(format!("{}: {}.", place.shown, error.kind()))
}
