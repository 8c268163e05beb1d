//! What can go wrong with workspaces.

use std::io;
use std::path::{Path, PathBuf};

use super::template::Strategy;

/// Why a workspace could not be made, compared or patched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkspaceError {
    /// The system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The files would not fit in memory.
    #[error("the files hold more than {limit} bytes; leave generated ones out (a .gitignore does), or use a Template")]
    TooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// What changed would not fit in memory.
    #[error("the changed files hold more than {limit} bytes; leave generated ones out (a .gitignore does)")]
    ChangesTooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// A path that is absolute, empty or contains `..` or `.git`.
    #[error("{} is no path of a file in a workspace: it must be relative, without `..` and `.git`", .0.display())]
    Path(PathBuf),
    /// Directories are nested so deeply that the system has no name for what is in them.
    #[error("directories are nested too deeply to be read, below {}…", .0.display())]
    TooDeep(PathBuf),
    /// The workspace's directory was moved away, or something else was put in its place.
    #[error("{} is no longer the directory that was made for the workspace", .0.display())]
    Replaced(PathBuf),
    /// There is no git on this machine.
    #[error("git is needed for this and was not found: {0}")]
    NoGit(#[source] which::Error),
    /// git failed in a way that is no fault of the patch.
    #[error("git {action} failed: {message}")]
    Git {
        /// The subcommand.
        action: &'static str,
        /// What git said.
        message: String,
    },
    /// The patch does not fit; nothing was changed.
    #[error("the patch does not apply: {0}")]
    Rejected(String),
    /// The way in which workspaces were to be made does not work here.
    #[error("workspaces cannot be made by {strategy} here: {reason}; leave the choice open, or use another directory")]
    Strategy {
        /// The way.
        strategy: Strategy,
        /// Why not.
        reason: String,
    },
    /// An archive, repository or directory that cannot be what workspaces are made from. Nothing was kept of it.
    #[error("{} is refused: {reason}", source_name.display())]
    Refused {
        /// Its path.
        source_name: PathBuf,
        /// Why.
        reason: String,
    },
    /// The work was cut short: the runtime shut down.
    #[error("the work was cut short: {0}")]
    Interrupted(#[source] tokio::task::JoinError),
}

impl WorkspaceError {
    /// Turns the system's refusal into an error that says what was tried.
    pub(super) fn io<E: Into<io::Error>>(action: &'static str, path: &Path) -> impl FnOnce(E) -> Self {
        move |source| Self::Io { action, path: path.to_path_buf(), source: source.into() }
    }

    pub(super) fn refused(source: &Path, reason: impl Into<String>) -> Self {
        Self::Refused { source_name: source.to_path_buf(), reason: reason.into() }
    }
}
