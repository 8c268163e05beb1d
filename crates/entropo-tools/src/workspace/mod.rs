//! A task's private copy of its files.
//!
//! An agent must be free to break things, and many agents work on one task at once; so each gets a [`Workspace`], a
//! copy in a temporary directory that vanishes with it. The files as they were are kept in memory as a [`Snapshot`],
//! shared by all copies of a task, so that the agent's changes come out as a patch without a version control system in
//! the way: there is no `.git` to mislead, and none whose history would give the solution away.

mod git;
mod patch;
mod snapshot;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

pub use snapshot::{File, Snapshot};

/// A private copy of a task's files, removed when it is dropped.
#[derive(Debug)]
pub struct Workspace {
    root: PathBuf,
    original: Arc<Snapshot>,
    directory: TempDir,
}

impl Workspace {
    /// A copy of the files of `directory`, as [`Snapshot::read`] takes them.
    ///
    /// # Errors
    ///
    /// Where they cannot be read or written, or are too large.
    pub async fn copy_of(directory: impl Into<PathBuf>) -> Result<Self, WorkspaceError> {
        let directory = directory.into();
        blocking(move || Self::write(Arc::new(Snapshot::read(&directory)?))).await
    }

    /// A copy made of `(relative path, content, executable)`.
    ///
    /// # Errors
    ///
    /// Where a path is not plainly relative, the files are too large, or they cannot be written.
    pub async fn from_files<P, C>(files: impl IntoIterator<Item = (P, C, bool)>) -> Result<Self, WorkspaceError>
    where
        P: Into<PathBuf>,
        C: Into<Vec<u8>>,
    {
        let snapshot = Snapshot::from_files(files)?;
        blocking(move || Self::write(Arc::new(snapshot))).await
    }

    /// Another copy of the same files: what each rollout of a task gets.
    ///
    /// # Errors
    ///
    /// Where the files cannot be written.
    pub async fn of(snapshot: Arc<Snapshot>) -> Result<Self, WorkspaceError> {
        blocking(move || Self::write(snapshot)).await
    }

    fn write(original: Arc<Snapshot>) -> Result<Self, WorkspaceError> {
        let temporary = std::env::temp_dir();
        let directory = tempfile::Builder::new().prefix("entropo-").tempdir().map_err(|source| WorkspaceError::Io {
            action: "make a directory in",
            path: temporary,
            source,
        })?;
        let root = directory.path().join("work");
        std::fs::create_dir(&root).map_err(WorkspaceError::io("make", &root))?;
        let root = root.canonicalize().map_err(WorkspaceError::io("find", &root))?;
        let workspace = Self { root, original, directory };
        workspace.original.write(&workspace.root)?;
        Ok(workspace)
    }

    /// The directory with the files.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The files as they were.
    pub fn original(&self) -> &Arc<Snapshot> {
        &self.original
    }

    /// What changed since, as a patch in git's format; empty when nothing did.
    ///
    /// Counted are contents, the executable bit and symbolic links; not counted are empty directories and new files that
    /// a `.gitignore` of the workspace names, as in git. Text is compared here; only for files that are not UTF-8 text
    /// is git itself run.
    ///
    /// # Errors
    ///
    /// Where the files cannot be read or became too large, or git is needed and missing.
    pub async fn patch(&self) -> Result<String, WorkspaceError> {
        let (root, original) = (self.root.clone(), Arc::clone(&self.original));
        blocking(move || patch::between(&original, &Snapshot::read_again(&root, &original)?)).await
    }

    /// Applies a patch in git's format, wholly or not at all. An empty patch changes nothing.
    ///
    /// # Errors
    ///
    /// [`WorkspaceError::Rejected`] with git's words where it does not fit.
    pub async fn apply(&self, patch: &str) -> Result<(), WorkspaceError> {
        apply_patch(&self.root, patch).await
    }
}

/// Applies a patch in git's format to the files of a directory, wholly or not at all: what a user does with the patch of an
/// agent that worked on a copy. An empty patch changes nothing.
///
/// # Errors
///
/// [`WorkspaceError::Rejected`] with git's words where it does not fit.
pub async fn apply_patch(directory: impl Into<PathBuf>, patch: &str) -> Result<(), WorkspaceError> {
    let (directory, patch) = (directory.into(), patch.to_owned());
    blocking(move || git::apply(&directory, &patch)).await
}

impl Drop for Workspace {
    /// Removes the copy, also where the agent took permissions away.
    fn drop(&mut self) {
        let path = self.directory.path();
        if std::fs::remove_dir_all(path).is_err() {
            snapshot::unlock(path);
            if let Err(error) = std::fs::remove_dir_all(path) {
                tracing::warn!(path = %path.display(), %error, "a workspace could not be removed");
            }
        }
    }
}

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
    #[error("the files hold more than {limit} bytes; leave generated ones out (a .gitignore does), or raise the limit")]
    TooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// A path that is absolute, empty or contains `..` or `.git`.
    #[error("{} is no path of a file in a workspace: it must be relative, without `..` and `.git`", .0.display())]
    Path(PathBuf),
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
    /// The work was cut short: the runtime shut down.
    #[error("the work was cut short: {0}")]
    Interrupted(#[source] tokio::task::JoinError),
}

impl WorkspaceError {
    /// Turns the system's refusal into an error that says what was tried.
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_path_buf(), source }
    }
}

/// Runs work on files where it does not hold up other tasks.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, WorkspaceError> + Send + 'static,
) -> Result<T, WorkspaceError> {
    tokio::task::spawn_blocking(work).await.map_err(WorkspaceError::Interrupted)?
}
