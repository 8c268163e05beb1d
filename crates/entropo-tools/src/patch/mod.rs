//! The tool with which an agent applies a patch to several files: to all or to none.
//!
//! It takes the two forms that models were taught: unified diffs, and the form between `*** Begin Patch` and
//! `*** End Patch`. Either is carried out on copies in memory first, and only written once all of it fits.

mod apply;
mod codex;
mod conflict;
mod find;
mod model;
mod name;
mod plan;
mod target;
mod unified;

use std::io;
use std::path::Path;
use std::sync::Arc;

use entropo_agent::{Tool, ToolError, ToolOutput};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::edit_check::EditCheck;
use crate::files::Files;
use crate::history::History;
use plan::Plan;

/// The longest patch, in bytes.
const MAX_PATCH: usize = 1 << 20;

/// Files of one patch.
const MAX_FILES: usize = 200;
/// Reasons given at once.
const MAX_REASONS: usize = 20;

/// Applies patches to the files of a workspace.
#[derive(Debug)]
pub struct ApplyPatch {
    files: Files,
}

/// What [`ApplyPatch`] is asked to do.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(description = "")]
pub struct ApplyPatchArgs {
    /// A unified diff, or a patch from "*** Begin Patch" to "*** End Patch". Paths are relative to the workspace.
    pub patch: String,
}

impl ApplyPatch {
    /// Patches files below `root`.
    ///
    /// # Errors
    ///
    /// Where `root` does not exist.
    pub fn new(root: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self { files: Files::new(root, &History::new())? })
    }

    /// Keeps its changes in `history`, so that they can be taken back file by file.
    #[must_use]
    pub fn with_history(mut self, history: &History) -> Self {
        self.files.history = history.clone();
        self
    }

    /// Has each file looked at before the patch is kept.
    #[must_use]
    pub fn with_check(mut self, check: Arc<dyn EditCheck>) -> Self {
        self.files.check = Some(check);
        self
    }

    fn apply(&self, patch: &str) -> Result<String, String> {
        if patch.len() > MAX_PATCH {
            return Err(format!("The patch has {} bytes of at most {MAX_PATCH}.", patch.len()));
        }
        let files = if codex::is_this(patch) { codex::parse(patch)? } else { unified::parse(patch)? };
        if files.is_empty() {
            return Err("There is no patch: give a unified diff, or one from *** Begin Patch to *** End Patch.".into());
        }
        if files.len() > MAX_FILES {
            return Err(format!("The patch has {} files of at most {MAX_FILES}.", files.len()));
        }
        let mut plan = Plan::new(&self.files);
        let (mut done, mut refused) = (Vec::new(), Vec::new());
        for file in &files {
            match plan.follow(file) {
                Ok(message) => done.push(message),
                Err(reason) => refused.push(reason),
            }
        }
        if !refused.is_empty() {
            let more = refused.len().saturating_sub(MAX_REASONS);
            refused.truncate(MAX_REASONS);
            if more > 0 {
                refused.push(format!("[{more} more]"));
            }
            return Err(format!("Nothing changed.\n{}", refused.join("\n")));
        }
        let changes = plan.changes();
        if changes.is_empty() {
            return Err("The patch changes nothing.".to_owned());
        }
        self.files.keep(changes).map_err(|reason| format!("Nothing changed.\n{reason}"))?;
        Ok(done.join("\n"))
    }
}

/// Why the files of a unified diff do not fit those below `root`: for each its name, the hunk, and what is there instead.
/// Nothing where they would, or where the patch holds what is not read here, such as links and binary files.
pub(crate) fn conflicts(root: &Path, patch: &str) -> Vec<String> {
    let Ok(files) = Files::new(root, &History::new()) else { return Vec::new() };
    let patches = unified::parse(patch).unwrap_or_default();
    let mut plan = Plan::new(&files);
    let refused = patches.iter().take(MAX_FILES).filter_map(|file| plan.follow(file).err());
    refused.take(MAX_REASONS).collect()
}

impl Tool for ApplyPatch {
    const NAME: &'static str = "apply_patch";
    type Args = ApplyPatchArgs;

    fn description(&self) -> String {
        "Apply a patch to one or several files, to all or to none: change, create, delete and move files. Context must \
         match exactly."
            .to_owned()
    }

    async fn call(&self, arguments: ApplyPatchArgs, _cancel: &CancellationToken) -> Result<ToolOutput, ToolError> {
        self.apply(&arguments.patch).map(ToolOutput::text).map_err(ToolError::new)
    }
}
