//! A task's private copy of its files.
//!
//! An agent must be free to break things, and many agents work on one task at once; so each gets a [`Workspace`], a
//! copy in a temporary directory that vanishes with it. The files as they were are kept in memory as a [`Snapshot`], or on disk
//! as a [`Template`] where there are many, shared by all copies of a task, so that the agent's changes come out as a patch without a version control system in
//! the way: there is no `.git` to mislead, and none whose history would give the solution away.

mod apply;
mod changes;
mod error;
mod exclude;
mod git;
mod index;
mod original;
mod patch;
mod remove;
mod reset;
mod snapshot;
mod source;
mod template;
mod tree;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use error::WorkspaceError;
pub use exclude::Exclude;
pub use original::Original;
pub use snapshot::{File, Snapshot};
pub use source::{Limits, Source};
pub use template::{Note, Strategy, Template, TemplateBuilder};

use changes::Tracking;
use index::Index;
use template::Home;

pub(crate) use remove::remove;
use tree::Tree;

/// A private copy of a task's files, removed when it is dropped.
#[derive(Debug)]
pub struct Workspace {
    root: PathBuf,
    /// What tells the directory from one that was put in its place.
    identity: (u64, u64),
    tracking: Tracking,
    exclude: Exclude,
    // Removed before the template below it, which the last workspace takes along.
    _home: Home,
    original: Original,
}

impl Workspace {
    /// A copy of the files of `directory`, as [`Snapshot::read`] takes them.
    ///
    /// # Errors
    ///
    /// Where they cannot be read or written, or are too large.
    pub async fn copy_of(directory: impl Into<PathBuf>) -> Result<Self, WorkspaceError> {
        let directory = directory.into();
        blocking(move || Self::build(Original::from(Snapshot::read(&directory)?))).await
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
        blocking(move || Self::build(Original::from(snapshot))).await
    }

    /// Another copy of the same files, a [`Snapshot`]'s or a [`Template`]'s: what each rollout of a task gets.
    ///
    /// # Errors
    ///
    /// Where the files cannot be written.
    pub async fn of(original: impl Into<Original>) -> Result<Self, WorkspaceError> {
        let original = original.into();
        blocking(move || Self::build(original)).await
    }

    fn build(original: Original) -> Result<Self, WorkspaceError> {
        let (home, tracking) = match &original {
            Original::Memory(snapshot) => {
                let home = Home::temporary()?;
                let root = home.root();
                std::fs::create_dir(&root).map_err(WorkspaceError::io("make", &root))?;
                snapshot.write(&root)?;
                let index = Index::take(&root, &home.directory)?;
                (home, Tracking::Index(Arc::new(index)))
            }
            Original::Disk(template) => template.build()?,
        };
        let root = home.root();
        let root = root.canonicalize().map_err(WorkspaceError::io("find", &root))?;
        let identity = Tree::open_ours(&root)?.identity()?;
        Ok(Self { root, identity, tracking, exclude: Exclude::default(), _home: home, original })
    }

    /// Sets which new files are left out of patches, beside those that a `.gitignore` names.
    #[must_use]
    pub fn exclude(mut self, exclude: Exclude) -> Self {
        self.exclude = exclude;
        self
    }

    /// The directory with the files.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The files as they were.
    pub fn original(&self) -> &Original {
        &self.original
    }

    /// What changed since, as a patch in git's format; empty when nothing did.
    ///
    /// Counted are contents, the executable bit and symbolic links; a file that has another's content, which is gone, is
    /// renamed. Not counted are empty directories, pipes and sockets, new files that a `.gitignore` of the workspace names,
    /// as in git, and those that [`Exclude`] names. Text is compared here; only for files that are not UTF-8 text is git
    /// itself run. Files that the agent made unreadable are made readable.
    ///
    /// # Errors
    ///
    /// Where the files cannot be read, those that changed are larger than [`Snapshot::LIMIT`], something else was put in
    /// the workspace's place, or git is needed and missing.
    pub async fn patch(&self) -> Result<String, WorkspaceError> {
        let (root, identity) = (self.root.clone(), self.identity);
        let (original, tracking, exclude) = (self.original.clone(), self.tracking.clone(), self.exclude.clone());
        blocking(move || {
            let now = opened(&root, identity)?;
            patch::write(&changes::find(&now, &original, &tracking, &exclude)?)
        })
        .await
    }

    /// Applies a patch in git's format, wholly or not at all. An empty patch changes nothing.
    ///
    /// Nothing else may run in the workspace meanwhile: git is run several times and finds files by their paths, so that
    /// a command which swaps a directory for a link at the right moment would have it write elsewhere.
    ///
    /// # Errors
    ///
    /// [`WorkspaceError::Rejected`] with git's words where it does not fit; [`WorkspaceError::Git`] where it fits and cannot be
    /// written, as on a full disk, after which the files are put back; [`WorkspaceError::ChangesTooLarge`] where the files that
    /// it names are larger than [`Snapshot::LIMIT`].
    pub async fn apply(&self, patch: &str) -> Result<(), WorkspaceError> {
        let (root, identity, patch) = (self.root.clone(), self.identity, patch.to_owned());
        blocking(move || {
            opened(&root, identity)?;
            apply::apply(&root, &patch)
        })
        .await
    }

    /// Applies a patch that is one of the original files, such as hidden tests: those that it names are put back to what they
    /// were first, whatever became of them and whatever stands in their way. What else changed stays. Nothing else may run
    /// meanwhile, as with [`Workspace::apply`].
    ///
    /// # Errors
    ///
    /// As [`Workspace::apply`]; the files that the patch names can then be as they were in the original.
    pub async fn apply_to_original(&self, patch: &str) -> Result<(), WorkspaceError> {
        let (root, identity) = (self.root.clone(), self.identity);
        let (original, patch) = (self.original.clone(), patch.to_owned());
        blocking(move || {
            opened(&root, identity)?;
            apply::apply_to_original(&root, &original, &patch)
        })
        .await
    }
}

/// Applies a patch in git's format to the files of a directory, wholly or not at all: what a user does with the patch of an
/// agent that worked on a copy. An empty patch changes nothing. As with [`Workspace::apply`], nothing else may change the
/// directory meanwhile.
///
/// # Errors
///
/// As [`Workspace::apply`].
pub async fn apply_patch(directory: impl Into<PathBuf>, patch: &str) -> Result<(), WorkspaceError> {
    let (directory, patch) = (directory.into(), patch.to_owned());
    blocking(move || apply::apply(&directory, &patch)).await
}

/// Opens a workspace's directory, if it still is that.
fn opened(root: &Path, identity: (u64, u64)) -> Result<Tree, WorkspaceError> {
    let tree = Tree::open_ours(root)?;
    if tree.identity()? == identity { Ok(tree) } else { Err(WorkspaceError::Replaced(root.to_path_buf())) }
}

/// Runs work on files where it does not hold up other tasks.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, WorkspaceError> + Send + 'static,
) -> Result<T, WorkspaceError> {
    tokio::task::spawn_blocking(work).await.map_err(WorkspaceError::Interrupted)?
}
