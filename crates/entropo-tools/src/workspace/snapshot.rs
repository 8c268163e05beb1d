//! A directory's files in memory.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Bound;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::WorkspaceError;
use super::tree::Tree;

/// The files of a directory at one moment, by relative path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    files: BTreeMap<PathBuf, File>,
}

/// One file of a [`Snapshot`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum File {
    /// A file with content.
    Regular {
        /// Its bytes.
        content: Arc<[u8]>,
        /// Whether it may be run.
        executable: bool,
    },
    /// A symbolic link.
    Link {
        /// Where it points, as it is written in the link.
        target: PathBuf,
    },
}

impl File {
    /// The mode in git's notation.
    pub(super) fn mode(&self) -> &'static str {
        match self {
            Self::Regular { executable: false, .. } => "100644",
            Self::Regular { executable: true, .. } => "100755",
            Self::Link { .. } => "120000",
        }
    }

    /// The bytes that git stores.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Regular { content, .. } => content,
            Self::Link { target } => target.as_os_str().as_bytes(),
        }
    }

    /// Writes it where nothing is.
    pub(super) fn write(&self, path: &Path) -> Result<(), WorkspaceError> {
        match self {
            Self::Regular { content, executable } => {
                fs::write(path, content).map_err(WorkspaceError::io("write", path))?;
                if *executable {
                    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
                        .map_err(WorkspaceError::io("make executable", path))?;
                }
                Ok(())
            }
            Self::Link { target } => symlink(target, path).map_err(WorkspaceError::io("link", path)),
        }
    }
}

impl Snapshot {
    /// How large a snapshot may be, in bytes of content: 256 MiB.
    pub const LIMIT: u64 = 256 << 20;

    /// Reads all files of a directory, hidden and ignored ones too, except what is under a `.git`. Symbolic links are
    /// taken as links; sockets, pipes and devices are left out.
    ///
    /// # Errors
    ///
    /// Where one cannot be read, or together they exceed [`Snapshot::LIMIT`].
    pub fn read(directory: &Path) -> Result<Self, WorkspaceError> {
        let tree = Tree::open(directory)?;
        let mut snapshot = Self::default();
        let mut left = Self::LIMIT;
        for (path, _) in tree.walk(Path::new(""))?.files {
            if let Some(file) = tree.read(&path, &mut left, too_large)? {
                snapshot.files.insert(path, file);
            }
        }
        Ok(snapshot)
    }

    /// Makes a snapshot of `(relative path, content, executable)`.
    ///
    /// # Errors
    ///
    /// Where a path is not plainly relative, or the files exceed [`Snapshot::LIMIT`].
    pub fn from_files<P, C>(files: impl IntoIterator<Item = (P, C, bool)>) -> Result<Self, WorkspaceError>
    where
        P: Into<PathBuf>,
        C: Into<Vec<u8>>,
    {
        let mut snapshot = Self::default();
        let mut left = Self::LIMIT;
        for (path, content, executable) in files {
            let (path, content) = (path.into(), content.into());
            let is_name = |part| matches!(part, Component::Normal(name) if name != ".git");
            if path.as_os_str().is_empty() || !path.components().all(is_name) {
                return Err(WorkspaceError::Path(path));
            }
            left = left.checked_sub(content.len() as u64).ok_or_else(too_large)?;
            snapshot.files.insert(path, File::Regular { content: content.into(), executable });
        }
        Ok(snapshot)
    }

    /// The files and their paths, sorted by path.
    pub fn files(&self) -> impl Iterator<Item = (&Path, &File)> {
        self.files.iter().map(|(path, file)| (path.as_path(), file))
    }

    /// The file at a relative path.
    pub fn get(&self, path: &Path) -> Option<&File> {
        self.files.get(path)
    }

    /// Whether there are files below a path.
    pub(super) fn has_directory(&self, path: &Path) -> bool {
        let after = (Bound::Excluded(path), Bound::Unbounded);
        self.files.range::<Path, _>(after).next().is_some_and(|(known, _)| known.starts_with(path))
    }

    /// Writes the files into an existing directory.
    pub(super) fn write(&self, directory: &Path) -> Result<(), WorkspaceError> {
        let mut made = PathBuf::new();
        for (path, file) in &self.files {
            let parent = path.parent().unwrap_or(Path::new(""));
            if parent != made {
                let parent = directory.join(parent);
                fs::create_dir_all(&parent).map_err(WorkspaceError::io("make", &parent))?;
            }
            made = parent.to_path_buf();
            file.write(&directory.join(path))?;
        }
        Ok(())
    }
}

fn too_large() -> WorkspaceError {
    WorkspaceError::TooLarge { limit: Snapshot::LIMIT }
}
