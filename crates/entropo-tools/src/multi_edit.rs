//! The tool for several replacements in one file, all of them or none.
//!
//! Each text must occur exactly once in what the replacements before it left, for the same reason as in
//! [`Editor`](crate::Editor): a model that remembers a file wrongly is told so and changes no other place.

use std::io;
use std::path::Path;
use std::sync::Arc;

use entropo_agent::{Tool, ToolError, ToolOutput};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::edit_check::EditCheck;
use crate::editor::text;
use crate::files::Files;
use crate::history::History;

/// Edits in one call.
const MAX_EDITS: usize = 100;

/// Makes several replacements in a file.
#[derive(Debug)]
pub struct MultiEdit {
    files: Files,
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
        Ok(Self { files: Files::new(root, &History::new())? })
    }

    /// Keeps its changes in `history`, so that they can be taken back.
    #[must_use]
    pub fn with_history(mut self, history: &History) -> Self {
        self.files.history = history.clone();
        self
    }

    /// Has each edit looked at before it is kept.
    #[must_use]
    pub fn with_check(mut self, check: Arc<dyn EditCheck>) -> Self {
        self.files.check = Some(check);
        self
    }

    fn edit(&self, arguments: &MultiEditArgs) -> Result<String, String> {
        let count = arguments.edits.len();
        if count == 0 || count > MAX_EDITS {
            return Err(format!("edits must have from 1 to {MAX_EDITS} entries; there are {count}."));
        }
        let name = self.files.edit(&arguments.path, |name, text| {
            let mut content = String::new();
            for (edit, number) in arguments.edits.iter().zip(1..) {
                let before = if number == 1 { text } else { &content };
                content = text::replace(name, before, &edit.old_str, &edit.new_str)
                    .map_err(|reason| format!("Nothing changed; edit {number}: {reason}"))?;
            }
            Ok::<_, String>(content)
        })?;
        Ok(match count {
            1 => format!("Edited {name}."),
            _ => format!("Edited {name} in {count} places."),
        })
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
        self.edit(&arguments).map(ToolOutput::text).map_err(ToolError::new)
    }
}
