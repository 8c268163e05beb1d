//! A directory's files in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use ignore::WalkBuilder;

use super::WorkspaceError;

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
    fn size(&self) -> u64 {
        match self {
            Self::Regular { content, .. } => content.len() as u64,
            Self::Link { target } => target.as_os_str().len() as u64,
        }
    }

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

    fn read(path: &Path) -> Result<Option<Self>, WorkspaceError> {
        let metadata = fs::symlink_metadata(path).map_err(WorkspaceError::io("look at", path))?;
        if metadata.is_symlink() {
            let target = fs::read_link(path).map_err(WorkspaceError::io("read", path))?;
            return Ok(Some(Self::Link { target }));
        }
        if !metadata.is_file() {
            return Ok(None);
        }
        let content = fs::read(path).map_err(WorkspaceError::io("read", path))?.into();
        Ok(Some(Self::Regular { content, executable: metadata.permissions().mode() & 0o100 != 0 }))
    }

    fn write(&self, path: &Path) -> Result<(), WorkspaceError> {
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
        Self::collect(directory, walk(directory, false)?)
    }

    /// Reads a directory again that was written from `original`: its files, and new ones that no `.gitignore` names.
    pub(super) fn read_again(directory: &Path, original: &Self) -> Result<Self, WorkspaceError> {
        let mut paths = walk(directory, false)?;
        if paths.iter().any(|path| path.file_name().is_some_and(|name| name == ".gitignore")) {
            let kept: BTreeSet<PathBuf> = walk(directory, true)?.into_iter().collect();
            paths.retain(|path| kept.contains(path) || original.files.contains_key(path));
        }
        Self::collect(directory, paths)
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
        let mut size = 0;
        for (path, content, executable) in files {
            let (path, content) = (path.into(), content.into());
            let is_name = |part| matches!(part, Component::Normal(name) if name != ".git");
            if path.as_os_str().is_empty() || !path.components().all(is_name) {
                return Err(WorkspaceError::Path(path));
            }
            snapshot.insert(&mut size, path, File::Regular { content: content.into(), executable })?;
        }
        Ok(snapshot)
    }

    fn collect(directory: &Path, paths: Vec<PathBuf>) -> Result<Self, WorkspaceError> {
        let mut snapshot = Self::default();
        let mut size = 0;
        for path in paths {
            if let Some(file) = File::read(&directory.join(&path))? {
                snapshot.insert(&mut size, path, file)?;
            }
        }
        Ok(snapshot)
    }

    fn insert(&mut self, size: &mut u64, path: PathBuf, file: File) -> Result<(), WorkspaceError> {
        *size += file.size();
        self.files.insert(path, file);
        if *size > Self::LIMIT { Err(WorkspaceError::TooLarge { limit: Self::LIMIT }) } else { Ok(()) }
    }

    /// The files and their paths, sorted by path.
    pub fn files(&self) -> impl Iterator<Item = (&Path, &File)> {
        self.files.iter().map(|(path, file)| (path.as_path(), file))
    }

    /// The file at a relative path.
    pub fn get(&self, path: &Path) -> Option<&File> {
        self.files.get(path)
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

/// The relative paths of everything below a directory that is no directory.
fn walk(directory: &Path, skip_ignored: bool) -> Result<Vec<PathBuf>, WorkspaceError> {
    let walk = WalkBuilder::new(directory)
        .standard_filters(false)
        .git_ignore(skip_ignored)
        .require_git(false)
        .filter_entry(|entry| entry.depth() == 0 || entry.file_name() != ".git")
        .build();
    let mut paths = Vec::new();
    for entry in walk {
        let entry = entry.map_err(|error| WorkspaceError::Io {
            action: "walk through",
            path: directory.to_path_buf(),
            source: error.into_io_error().unwrap_or_else(|| std::io::ErrorKind::Other.into()),
        })?;
        if entry.file_type().is_some_and(|kind| kind.is_dir()) {
            continue;
        }
        if let Ok(path) = entry.path().strip_prefix(directory) {
            paths.push(path.to_path_buf());
        }
    }
    Ok(paths)
}

/// Gives its owner back all rights to a directory and the directories below it, as far as possible.
pub(super) fn unlock(directory: &Path) {
    let _ = fs::set_permissions(directory, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            unlock(&entry.path());
        }
    }
}
