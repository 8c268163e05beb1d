//! A directory through which links never lead.
//!
//! Whoever worked in it may have put links, pipes or holes in permissions where files were. So everything below is named
//! relative to one open directory, and the system is told to follow no link on the way.

use std::ffi::OsStr;
use std::fs::File as SystemFile;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::WorkspaceError;
use super::index::Stamp;
use super::snapshot::File;

/// What is opened never blocks, and is never a terminal or a link.
const SAFE: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC).union(OFlags::NOCTTY);
/// Of a path that is too long, what is shown.
const SHOWN: usize = 64;

/// An open directory.
#[derive(Debug)]
pub(super) struct Tree {
    root: OwnedFd,
    path: PathBuf,
    /// Whether permissions that stand in the way are given back.
    ours: bool,
}

/// What is below a directory, sorted by path. `.git` and what is in it is left out.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Files and symbolic links.
    pub(super) files: Vec<(PathBuf, Stamp)>,
    /// Directories, parents first.
    pub(super) directories: Vec<PathBuf>,
    /// Pipes, sockets and devices.
    pub(super) special: Vec<(PathBuf, Stamp)>,
}

impl Tree {
    /// Opens a directory that is only read.
    pub(super) fn open(path: &Path) -> Result<Self, WorkspaceError> {
        Self::opened(path, false)
    }

    /// Opens a directory that is ours: where its files may not be read, they are made readable.
    pub(super) fn open_ours(path: &Path) -> Result<Self, WorkspaceError> {
        Self::opened(path, true)
    }

    fn opened(path: &Path, ours: bool) -> Result<Self, WorkspaceError> {
        let flags = if ours { SAFE } else { SAFE.difference(OFlags::NOFOLLOW) } | OFlags::DIRECTORY;
        let open = || rustix::fs::openat(CWD, path, flags, Mode::empty());
        let root = match open() {
            Err(Errno::ACCESS) if ours && !path.is_symlink() => {
                rustix::fs::chmod(path, Mode::RWXU).and_then(|()| open())
            }
            opened => opened,
        };
        let root = root.map_err(|error| match error {
            Errno::NOENT | Errno::NOTDIR | Errno::LOOP if ours => WorkspaceError::Replaced(path.to_path_buf()),
            error => WorkspaceError::io("open", path)(error),
        })?;
        Ok(Self { root, path: path.to_path_buf(), ours })
    }

    /// What tells this directory from any other that is put in its place.
    pub(super) fn identity(&self) -> Result<(u64, u64), WorkspaceError> {
        let stat = rustix::fs::fstat(&self.root).map_err(WorkspaceError::io("look at", &self.path))?;
        Ok((stat.st_dev, stat.st_ino))
    }

    /// What is at a path, if anything is.
    pub(super) fn stat(&self, path: &Path) -> Result<Option<Stat>, WorkspaceError> {
        let found =
            self.parent(path).and_then(|(parent, name)| rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW));
        match found {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(error) => Err(self.failed("look at", path, error)),
        }
    }

    /// Whether a directory, and no link to one, is at a path.
    pub(super) fn has_directory(&self, path: &Path) -> Result<bool, WorkspaceError> {
        Ok(self.stat(path)?.is_some_and(|stat| FileType::from_raw_mode(stat.st_mode).is_dir()))
    }

    /// Whether a directory has an extended attribute.
    pub(super) fn has_attribute(&self, path: &Path, name: &str) -> Result<bool, WorkspaceError> {
        let found = self.open_at(path, OFlags::RDONLY | OFlags::DIRECTORY);
        match found.and_then(|open| rustix::fs::fgetxattr(&open, name, &mut [0_u8; 0][..])) {
            Ok(_) => Ok(true),
            Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::NOENT) => Ok(false),
            Err(error) => Err(self.failed("look at", path, error)),
        }
    }

    /// The file or link at a path, if one of the two is there. Its size is taken from `left` before it is read.
    pub(super) fn read(
        &self,
        path: &Path,
        left: &mut u64,
        full: impl Fn() -> WorkspaceError,
    ) -> Result<Option<File>, WorkspaceError> {
        let Some(stat) = self.stat(path)? else { return Ok(None) };
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind.is_symlink() {
            let Some(target) = self.link_if_there(path)? else { return Ok(None) };
            *left = left.checked_sub(target.as_os_str().len() as u64).ok_or_else(full)?;
            return Ok(Some(File::Link { target }));
        }
        if !kind.is_file() {
            return Ok(None);
        }
        let file = match self.open_at(path, OFlags::RDONLY) {
            // It vanished or became something else meanwhile: something still runs.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO) => return Ok(None),
            opened => SystemFile::from(opened.map_err(|error| self.failed("read", path, error))?),
        };
        let metadata = file.metadata().map_err(WorkspaceError::io("look at", &self.path.join(path)))?;
        if !metadata.is_file() {
            return Ok(None);
        }
        let still = left.checked_sub(metadata.len()).ok_or_else(&full)?;
        let mut content = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default());
        file.take(*left + 1).read_to_end(&mut content).map_err(WorkspaceError::io("read", &self.path.join(path)))?;
        *left = still.min(left.checked_sub(content.len() as u64).ok_or_else(full)?);
        Ok(Some(File::Regular { content: content.into(), executable: metadata.mode() & 0o100 != 0 }))
    }

    /// Where a link points, as it is written in it.
    pub(super) fn link(&self, path: &Path) -> Result<PathBuf, WorkspaceError> {
        let missing = || self.failed("read", path, Errno::NOENT);
        self.link_if_there(path)?.ok_or_else(missing)
    }

    fn link_if_there(&self, path: &Path) -> Result<Option<PathBuf>, WorkspaceError> {
        match self.parent(path).and_then(|(parent, name)| rustix::fs::readlinkat(&parent, name, Vec::new())) {
            Ok(target) => Ok(Some(std::ffi::OsString::from_vec(target.into_bytes()).into())),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::INVAL) => Ok(None),
            Err(error) => Err(self.failed("read", path, error)),
        }
    }

    /// Opens a file for reading.
    pub(super) fn open_file(&self, path: &Path) -> Result<SystemFile, WorkspaceError> {
        self.open_at(path, OFlags::RDONLY).map(SystemFile::from).map_err(|error| self.failed("read", path, error))
    }

    /// All that is below a directory, which need not be there.
    pub(super) fn walk(&self, from: &Path) -> Result<Listing, WorkspaceError> {
        let mut listing = Listing::default();
        let mut pending = vec![from.to_path_buf()];
        while let Some(directory) = pending.pop() {
            match self.list(&directory, &mut listing, &mut pending) {
                // It vanished meanwhile: something still runs.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) if !directory.as_os_str().is_empty() => {}
                Err(error) => return Err(self.failed("walk through", &directory, error)),
                Ok(()) => {}
            }
        }
        listing.files.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        listing.directories.sort_unstable();
        listing.special.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Ok(listing)
    }

    fn list(&self, directory: &Path, listing: &mut Listing, pending: &mut Vec<PathBuf>) -> Result<(), Errno> {
        let open = self.open_at(directory, OFlags::RDONLY | OFlags::DIRECTORY)?;
        for entry in Dir::read_from(&open)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b".." | b".git") {
                continue;
            }
            let stat = match rustix::fs::statat(&open, name, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => continue,
                other => other?,
            };
            let path = directory.join(OsStr::from_bytes(name.to_bytes()));
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => {
                    listing.directories.push(path.clone());
                    pending.push(path);
                }
                FileType::RegularFile | FileType::Symlink => listing.files.push((path, Stamp::of(&stat))),
                _ => listing.special.push((path, Stamp::of(&stat))),
            }
        }
        Ok(())
    }

    /// Opens what is at a path, and gives back the right to do so where that is ours to give.
    fn open_at(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        match beneath(&self.root, path, flags) {
            Err(Errno::ACCESS) if self.ours => {
                let mut made = PathBuf::new();
                for part in path.components() {
                    made.push(part);
                    let (parent, name) = self.parent(&made)?;
                    let stat = rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
                    let needed = match FileType::from_raw_mode(stat.st_mode) {
                        FileType::Directory => 0o700,
                        FileType::RegularFile => 0o400,
                        _ => return Err(Errno::ACCESS),
                    };
                    rustix::fs::chmodat(&parent, name, Mode::from_raw_mode(stat.st_mode | needed), AtFlags::empty())?;
                }
                beneath(&self.root, path, flags)
            }
            opened => opened,
        }
    }

    fn parent<'a>(&self, path: &'a Path) -> Result<(OwnedFd, &'a OsStr), Errno> {
        let name = path.file_name().ok_or(Errno::INVAL)?;
        let parent = path.parent().unwrap_or(Path::new(""));
        Ok((beneath(&self.root, parent, OFlags::PATH | OFlags::DIRECTORY)?, name))
    }

    fn failed(&self, action: &'static str, path: &Path, error: Errno) -> WorkspaceError {
        if error == Errno::NAMETOOLONG {
            let start = path.as_os_str().as_bytes().get(..SHOWN).unwrap_or_default();
            return WorkspaceError::TooDeep(OsStr::from_bytes(start).into());
        }
        WorkspaceError::io(action, &self.path.join(path))(error)
    }
}

/// Opens a relative path without following a link anywhere on it.
pub(super) fn beneath(root: impl AsFd, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    // What is only named is not opened, and the kernel insists on the difference.
    let flags = if flags.contains(OFlags::PATH) { flags | OFlags::NOFOLLOW | OFlags::CLOEXEC } else { flags | SAFE };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    match rustix::fs::openat2(&root, path, flags, Mode::empty(), resolve) {
        // Kernels before 5.6, and filters of system calls that were written before it.
        Err(Errno::NOSYS | Errno::PERM) => step_by_step(root, path, flags),
        opened => opened,
    }
}

fn step_by_step(root: impl AsFd, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let mut at = rustix::fs::openat(root, ".", SAFE | OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
    let mut parts = path.components().filter(|part| *part != Component::CurDir).peekable();
    while let Some(part) = parts.next() {
        let Component::Normal(name) = part else { return Err(Errno::XDEV) };
        if parts.peek().is_none() {
            return rustix::fs::openat(&at, name, flags, Mode::empty());
        }
        at = rustix::fs::openat(&at, name, SAFE | OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
    }
    rustix::fs::openat(&at, ".", flags, Mode::empty())
}
