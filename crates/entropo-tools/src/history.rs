//! Taking changes of files back.
//!
//! A [`History`] is given to the tools whose changes it shall know, and [`Undo`] takes them back, the last of a file
//! first. A file that was changed underneath is left alone, since taking back an older change would destroy a newer one.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use entropo_agent::{Tool, ToolError, ToolOutput};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::files::{self, Change, Stored, commit};
use crate::paths::{self, Located};

/// Changes of a file that can be taken back.
const KEPT: usize = 10;

/// The last ten changes of each file. Clones share what they know.
#[derive(Clone, Debug, Default)]
pub struct History(Arc<Mutex<HashMap<PathBuf, VecDeque<Change>>>>);

impl History {
    /// One that knows of no change yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Remembers a change that was carried out.
    pub(crate) fn record(&self, change: Change) {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let changes = files.entry(change.place.real.clone()).or_default();
        if changes.len() == KEPT {
            changes.pop_front();
        }
        changes.push_back(change);
    }

    /// As [`record`](Self::record), for text in UTF-8 whose permissions are kept.
    pub(crate) fn record_text(&self, place: Located, before: Option<String>, after: String) {
        // The file was just written, so its permissions are those it had.
        let mode = files::read(&place).ok().and_then(|stored| stored.mode);
        let stored = |text: String| Stored { bytes: text.into_bytes(), mode };
        self.record(Change { place, before: before.map(stored), after: Some(stored(after)) });
    }

    /// Takes back the last change of the file at `place`; answers in words for a model.
    pub(crate) fn undo(&self, place: &Located) -> Result<String, String> {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let changes = files.get_mut(&place.real);
        let Some((changes, last)) = changes.and_then(|changes| changes.pop_back().map(|last| (changes, last))) else {
            return Err(format!("No edit of {} to undo.", place.shown));
        };
        let back = last.reversed();
        if !back.fits() {
            changes.push_back(last);
            return Err(format!("{} has changed since its last edit; nothing undone.", place.shown));
        }
        if let Err(reason) = commit(&[back]) {
            changes.push_back(last);
            return Err(reason);
        }
        Ok(format!("Undid the last edit of {}.", place.shown))
    }
}

/// Takes back the last change of a file.
#[derive(Debug)]
pub struct Undo {
    root: PathBuf,
    history: History,
}

/// What [`Undo`] is asked to do.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(description = "")]
pub struct UndoArgs {
    /// The file, relative to the workspace.
    pub path: String,
}

impl Undo {
    /// Takes back what `history` knows, below `root`.
    ///
    /// # Errors
    ///
    /// Where `root` does not exist.
    pub fn new(root: impl AsRef<Path>, history: &History) -> io::Result<Self> {
        Ok(Self { root: root.as_ref().canonicalize()?, history: history.clone() })
    }
}

impl Tool for Undo {
    const NAME: &'static str = "undo";
    type Args = UndoArgs;

    fn description(&self) -> String {
        "Take back the last change of a file, up to ten. A file that was created is removed, a deleted one comes back."
            .to_owned()
    }

    async fn call(&self, arguments: UndoArgs, _cancel: &CancellationToken) -> Result<ToolOutput, ToolError> {
        let place = paths::locate(&self.root, &arguments.path).map_err(ToolError::new)?;
        self.history.undo(&place).map(ToolOutput::text).map_err(ToolError::new)
    }
}
