//! The tool with which an agent looks at files and changes them.
//!
//! A replacement must match exactly once, so that a model that remembers a file wrongly is told so and does not change
//! some other place. Paths are confined to the workspace, line endings and permissions are kept, and each change is
//! written to a new file that then takes the old one's place, so that no reader sees half of it.

mod nearest;
pub(crate) mod text;
mod view;

use std::io;
use std::path::Path;
use std::sync::Arc;

use entropo_agent::{Tool, ToolError, ToolOutput};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::edit_check::EditCheck;
use crate::files::{self, Change, Encoding, Files, Stored};
use crate::history::History;
use crate::paths::Kind;

/// Views and changes files of a workspace.
#[derive(Debug)]
pub struct Editor {
    files: Files,
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
        let history = History::new();
        history.shows();
        Ok(Self { files: Files::new(root, &history)? })
    }

    /// Keeps its edits in a history that other tools share, so that its `undo` also takes back what they changed, and
    /// none of them changes a file that has become another since it was viewed.
    #[must_use]
    pub fn with_history(mut self, history: &History) -> Self {
        history.shows();
        self.files.history = history.clone();
        self
    }

    /// Has each edit looked at before it is kept.
    #[must_use]
    pub fn with_check(mut self, check: Arc<dyn EditCheck>) -> Self {
        self.files.check = Some(check);
        self
    }

    fn carry_out(&self, arguments: &EditorArgs) -> Result<String, String> {
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

    fn view(&self, path: &str, range: Option<[i64; 2]>) -> Result<String, String> {
        let place = self.files.existing(path).map_err(|error| error.to_string())?;
        if place.kind == Kind::Directory {
            return match range {
                None => view::directory(&place),
                Some(_) => Err(format!("{} is a directory; view_range is for files.", place.shown)),
            };
        }
        let stored = files::read(&place)?;
        let (text, _) = Encoding::decode(&stored.bytes).map_err(|reason| format!("{}: {reason}.", place.shown))?;
        let shown = view::file(&place.shown, &text, range)?;
        self.files.history.saw(&place, &stored);
        Ok(shown)
    }

    fn create(&self, path: &str, content: &str) -> Result<String, String> {
        let place = self.files.locate(path).map_err(|error| error.to_string())?;
        let name = place.shown.clone();
        if place.kind != Kind::Nothing {
            return Err(format!("{name} already exists; use str_replace to change it."));
        }
        let bytes = Encoding::UTF_8.write(content.to_owned()).map_err(|reason| format!("{name}: {reason}."))?;
        self.files.keep(vec![Change { place, before: None, after: Some(Stored::new(bytes)) }])?;
        Ok(format!("Created {name}."))
    }

    fn replace(&self, path: &str, old: &str, new: &str) -> Result<String, String> {
        let name = self.files.edit(path, |name, text| text::replace(name, text, old, new))?;
        Ok(format!("Edited {name}."))
    }

    fn insert(&self, path: &str, line: usize, new: &str) -> Result<String, String> {
        let name = self.files.edit(path, |name, text| text::insert(name, text, line, new))?;
        Ok(format!("Edited {name}."))
    }

    fn undo(&self, path: &str) -> Result<String, String> {
        let place = self.files.locate(path).map_err(|error| error.to_string())?;
        self.files.history.undo(&place)
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
        self.carry_out(&arguments).map(ToolOutput::text).map_err(ToolError::new)
    }
}

fn needed<'a, T>(command: &str, name: &str, value: &'a Option<T>) -> Result<&'a T, String> {
    value.as_ref().ok_or_else(|| format!("{command} needs {name}."))
}
