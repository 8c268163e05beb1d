//! The tool for several replacements in one file, all of them or none.
//!
//! Each text must occur exactly once in what the replacements before it left, for the same reason as in
//! [`Editor`](crate::Editor): a model that remembers a file wrongly is told so and changes no other place.

use std::io;
use std::path::{Path, PathBuf};

use entropo_agent::{Tool, ToolError, ToolOutput};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::editor::text;
use crate::files::{self, Change, Encoding, Stored, commit};
use crate::history::History;
use crate::paths;

/// Edits in one call.
const MAX_EDITS: usize = 100;

/// Makes several replacements in a file.
#[derive(Debug)]
pub struct MultiEdit {
    root: PathBuf,
    history: Option<History>,
}

/// What [`MultiEdit`] is asked to do.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(description = "")]
pub struct MultiEditArgs {
    /// The file, relative to the workspace.
    pub path: String,
    /// The replacements, made one after the other.
    pub edits: Vec<Replacement>,
}

/// One replacement.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(description = "")]
pub struct Replacement {
    /// The text to replace; it must occur exactly once.
    pub old_str: String,
    /// What to put in its place.
    pub new_str: String,
}

impl MultiEdit {
    /// Edits files below `root`.
    ///
    /// # Errors
    ///
    /// Where `root` does not exist.
    pub fn new(root: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self { root: root.as_ref().canonicalize()?, history: None })
    }

    /// Keeps its changes in `history`, so that they can be taken back.
    #[must_use]
    pub fn with_history(mut self, history: &History) -> Self {
        self.history = Some(history.clone());
        self
    }

    fn edit(&self, arguments: &MultiEditArgs) -> Result<String, ToolError> {
        let count = arguments.edits.len();
        if count == 0 || count > MAX_EDITS {
            return Err(ToolError::new(format!("edits must have from 1 to {MAX_EDITS} entries; there are {count}.")));
        }
        let place = paths::locate_existing(&self.root, &arguments.path).map_err(ToolError::new)?;
        let before = files::read(&place).map_err(ToolError::new)?;
        let refused = |reason: &dyn std::fmt::Display| ToolError::new(format!("{}: {reason}.", place.shown));
        let (mut content, encoding) = Encoding::decode(&before.bytes).map_err(|reason| refused(&reason))?;
        for (edit, number) in arguments.edits.iter().zip(1..) {
            content = text::replace(&place.shown, &content, &edit.old_str, &edit.new_str)
                .map_err(|error| ToolError::new(format!("Nothing changed; edit {number}: {error}")))?;
        }
        let bytes = encoding.encode(&content).map_err(|reason| refused(&reason))?;
        let after = Stored { bytes, mode: before.mode };
        let message = match count {
            1 => format!("Edited {}.", place.shown),
            _ => format!("Edited {} in {count} places.", place.shown),
        };
        let change = Change { place, before: Some(before), after: Some(after) };
        commit(std::slice::from_ref(&change)).map_err(ToolError::new)?;
        if let Some(history) = &self.history {
            history.record(change);
        }
        Ok(message)
    }
}

impl Tool for MultiEdit {
    const NAME: &'static str = "multi_edit";
    type Args = MultiEditArgs;

    fn description(&self) -> String {
        "Make several replacements in one file, all or none. Each old_str must occur exactly once in the file as the \
         replacements before it left it."
            .to_owned()
    }

    async fn call(&self, arguments: MultiEditArgs, _cancel: &CancellationToken) -> Result<ToolOutput, ToolError> {
        self.edit(&arguments).map(ToolOutput::text)
    }
}
