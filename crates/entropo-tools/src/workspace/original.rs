//! The files of a workspace as they were.

use std::path::Path;
use std::sync::Arc;

use super::WorkspaceError;
use super::snapshot::{File, Snapshot};
use super::template::Template;
use super::tree::Tree;

/// The files of a workspace as they were, shared by all copies of a task.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Original {
    /// In memory, which is enough for small ones.
    Memory(Arc<Snapshot>),
    /// On disk.
    Disk(Template),
}

impl From<Arc<Snapshot>> for Original {
    fn from(snapshot: Arc<Snapshot>) -> Self {
        Self::Memory(snapshot)
    }
}

impl From<Snapshot> for Original {
    fn from(snapshot: Snapshot) -> Self {
        Self::Memory(Arc::new(snapshot))
    }
}

impl From<Template> for Original {
    fn from(template: Template) -> Self {
        Self::Disk(template)
    }
}

impl From<&Original> for Original {
    fn from(original: &Original) -> Self {
        original.clone()
    }
}

/// Reads them.
pub(super) enum Reader<'a> {
    Memory(&'a Snapshot),
    Disk(Tree),
}

impl<'a> Reader<'a> {
    pub(super) fn open(original: &'a Original) -> Result<Self, WorkspaceError> {
        Ok(match original {
            Original::Memory(snapshot) => Self::Memory(snapshot),
            Original::Disk(template) => Self::Disk(Tree::open_ours(template.files())?),
        })
    }

    pub(super) fn tree(&self) -> Option<&Tree> {
        match self {
            Self::Memory(_) => None,
            Self::Disk(tree) => Some(tree),
        }
    }

    pub(super) fn read(
        &self,
        path: &Path,
        left: &mut u64,
        full: impl Fn() -> WorkspaceError,
    ) -> Result<Option<File>, WorkspaceError> {
        match self {
            Self::Memory(snapshot) => Ok(snapshot.get(path).cloned()),
            Self::Disk(tree) => tree.read(path, left, full),
        }
    }

    pub(super) fn has_directory(&self, path: &Path) -> Result<bool, WorkspaceError> {
        match self {
            Self::Memory(snapshot) => Ok(snapshot.has_directory(path)),
            Self::Disk(tree) => tree.has_directory(path),
        }
    }
}
