//! Tools, sandboxes and workspaces for coding agents.
//!
//! An agent that repairs code needs three things from this crate:
//!
//! - a [`Workspace`], its private copy of the task's files, which gives its changes back as a patch;
//! - a [`Sandbox`], where its commands run: time-limited, with bounded output and an environment of their own, and gone
//!   with all their children when the call ends, however it ends;
//! - the four tools by which it acts: [`Editor`], [`Search`], [`Shell`] and [`Finish`].
//!
//! What the agent changed is judged by the project's own tests: [`check`] runs them, reads what they print and grades it.
//!
//! What the tools print is what a policy is trained on. It is therefore terse and the same each time: no absolute paths,
//! no durations, no process numbers, everything sorted.
//!
//! ```
//! use std::sync::Arc;
//!
//! use entropo_core::ToolCall;
//! use entropo_tools::{LocalSandbox, Workspace, coding_tools};
//! use serde_json::json;
//! use tokio_util::sync::CancellationToken;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let files = [("greet.sh", "echo helo\n", true), ("README", "Greets.\n", false)];
//! let workspace = Workspace::from_files(files).await?;
//! let sandbox = Arc::new(LocalSandbox::new(workspace.root())?);
//! let tools = coding_tools(sandbox, workspace.root())?;
//!
//! let cancel = CancellationToken::new();
//! let edit = json!({"command": "str_replace", "path": "greet.sh", "old_str": "helo", "new_str": "hello"});
//! for (tool, arguments, answer) in [
//!     ("search", json!({"query": "echo"}), "greet.sh:1:echo helo"),
//!     ("editor", edit, "Edited greet.sh."),
//!     ("shell", json!({"command": "./greet.sh; false"}), "hello\n[exit status 1]"),
//!     ("finish", json!({}), "Done."),
//! ] {
//!     let call = ToolCall { id: "1".into(), name: tool.into(), arguments };
//!     assert_eq!(tools.call(&call, &cancel).await.content, answer);
//! }
//! assert!(workspace.patch().await?.contains("-echo helo\n+echo hello\n"));
//! # Ok(())
//! # }
//! ```
//!
//! Beside them stand [`ApplyPatch`], [`MultiEdit`] and [`Undo`], for agents whose models know such tools; they share a
//! [`History`]. [`Grep`], [`Glob`] and `Outline` find more than the search does: any case, files by name, definitions.
//!
//! `Outline` and the module `syntax`, which says where a text does not parse, come with the feature `syntax`, which is on
//! unless the default features are left out.
//!
//! Each tool is an [`entropo_agent::Tool`], so that any of them can be left out, configured or joined by others in a
//! [`Toolbox`].

pub mod check;
pub mod edit_check;
pub mod editor;
pub mod episode;
mod files;
pub mod finish;
pub mod history;
pub mod multi_edit;
pub mod patch;
mod paths;
pub mod reproduction;
pub mod sandbox;
pub mod search;
pub mod shell;
#[cfg(feature = "syntax")]
pub mod syntax;
pub mod workspace;

use std::io;
use std::path::Path;
use std::sync::Arc;

use entropo_agent::Toolbox;
use entropo_agent::tool::ToolboxError;

pub use check::{Checker, Grading, LogFormat, TestReport, Verdict};
pub use edit_check::{EditCheck, ProposedEdit};
pub use editor::Editor;
pub use episode::CodingEpisode;
pub use finish::Finish;
pub use history::{History, Undo};
pub use multi_edit::MultiEdit;
pub use patch::ApplyPatch;
pub use paths::PathError;
pub use sandbox::{Command, ExecResult, LocalSandbox, Sandbox, SandboxError};
#[cfg(feature = "syntax")]
pub use search::Outline;
pub use search::{Glob, Grep, Search};
pub use shell::{Shell, Terminal};
pub use workspace::{Snapshot, Source, Strategy, Template, Workspace, WorkspaceError, apply_patch};

/// The four tools over one workspace: shell (in `sandbox`), editor and search (below `root`), and finish.
///
/// # Errors
///
/// Where `root` does not exist, or a tool's schema is refused.
pub fn coding_tools(sandbox: Arc<dyn Sandbox>, root: impl AsRef<Path>) -> Result<Toolbox, ToolsError> {
    let root = root.as_ref();
    Ok(Toolbox::new().with(Shell::new(sandbox))?.with(Editor::new(root)?)?.with(Search::new(root)?)?.with(Finish)?)
}

/// Why the tools could not be put together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ToolsError {
    /// The workspace is not there.
    #[error("cannot use the workspace: {0}")]
    Workspace(#[from] io::Error),
    /// There is no sandbox.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The toolbox refused a tool.
    #[error(transparent)]
    Toolbox(#[from] ToolboxError),
}
