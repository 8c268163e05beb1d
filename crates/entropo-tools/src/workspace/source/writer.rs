//! Writing what a stranger named, and only below one directory.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use super::super::WorkspaceError;
use super::super::template::finish;
use super::super::tree::beneath;
use super::Limits;

/// The longest path, as the system has it, and how deep it leads.
const LONGEST: usize = 4000;
const DEEPEST: usize = 256;
const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Writes files, links and directories below one directory. Links are made and never followed.
pub(super) struct Writer {
    /// What the entries come from, for errors.
    source: PathBuf,
    to: PathBuf,
    root: OwnedFd,
    limits: Limits,
    entries: u64,
    bytes: u64,
    /// The directory that was written to last.
    last: Option<(PathBuf, OwnedFd)>,
}

impl Writer {
    pub(super) fn new(source: &Path, to: &Path, limits: Limits) -> Result<Self, WorkspaceError> {
        let root = rustix::fs::openat(CWD, to, DIRECTORY, Mode::empty()).map_err(WorkspaceError::io("open", to))?;
        Ok(Self { source: source.into(), to: to.into(), root, limits, entries: 0, bytes: 0, last: None })
    }

    pub(super) fn refused(&self, reason: impl Into<String>) -> WorkspaceError {
        WorkspaceError::refused(&self.source, reason)
    }

    /// Turns the failure to read the source into an error.
    pub(super) fn unreadable(&self, error: io::Error) -> WorkspaceError {
        WorkspaceError::io("read", &self.source)(error)
    }

    /// Writes a file. One of the same name that came before is replaced.
    pub(super) fn file(
        &mut self,
        path: &Path,
        mode: u32,
        modified: Option<(i64, u64)>,
        content: &mut dyn Read,
    ) -> Result<(), WorkspaceError> {
        let Some((path, parent)) = self.place(path)? else { return Ok(()) };
        let left = self.limits.bytes - self.bytes;
        let name = path.file_name().unwrap_or_default();
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let full = self.to.join(&path);
        self.vacate(&parent, &path)?;
        let file = rustix::fs::openat(&parent, name, flags, Mode::RUSR | Mode::WUSR);
        let mut file = File::from(file.map_err(WorkspaceError::io("write", &full))?);
        let mut content = Source { content: &mut content.take(left.saturating_add(1)), failed: false };
        let copied = io::copy(&mut content, &mut file);
        let failed = content.failed;
        let written = copied.map_err(|error| match failed {
            true => self.unreadable(error),
            false => WorkspaceError::io("write", &full)(error),
        })?;
        self.bytes = self.bytes.saturating_add(written);
        check(&self.source, self.limits, self.entries, self.bytes)?;
        finish(&file, mode, modified).map_err(WorkspaceError::io("set the permissions of", &full))
    }

    /// Makes a symbolic link, wherever it points.
    pub(super) fn link(&mut self, path: &Path, target: &Path) -> Result<(), WorkspaceError> {
        let Some((path, parent)) = self.place(path)? else { return Ok(()) };
        if target.as_os_str().is_empty() || target.as_os_str().len() > LONGEST {
            return Err(self.refused(format!("{} is a link whose target is empty or too long", shown(&path))));
        }
        self.vacate(&parent, &path)?;
        let name = path.file_name().unwrap_or_default();
        rustix::fs::symlinkat(target, &parent, name).map_err(WorkspaceError::io("link", &self.to.join(&path)))
    }

    /// Copies a file that came before: what archives call a hard link.
    pub(super) fn again(&mut self, path: &Path, earlier: &Path) -> Result<(), WorkspaceError> {
        let named = format!("{} is a link to {}", shown(path), shown(earlier));
        let Some(earlier) = self.checked(earlier)? else { return Ok(()) };
        let missing = |_| self.refused(format!("{named}, which is no file that came before"));
        let file = File::from(beneath(&self.root, &earlier, OFlags::RDONLY).map_err(missing)?);
        let metadata = file.metadata().map_err(WorkspaceError::io("look at", &self.to.join(&earlier)))?;
        if !metadata.is_file() {
            return Err(self.refused(format!("{named}, which is no file")));
        }
        if self.checked(path)?.is_some_and(|path| path == earlier) {
            return Ok(());
        }
        let stat = rustix::fs::fstat(&file).map_err(WorkspaceError::io("look at", &self.to.join(&earlier)))?;
        let mut file = file;
        self.file(path, stat.st_mode, Some((stat.st_mtime, stat.st_mtime_nsec)), &mut file)
    }

    /// Makes a directory, if it is not there.
    pub(super) fn directory(&mut self, path: &Path) -> Result<(), WorkspaceError> {
        self.count()?;
        let Some(path) = self.checked(path)? else { return Ok(()) };
        self.enter(&path).map(drop)
    }

    /// Whether nothing was written yet.
    #[cfg(feature = "container")]
    pub(super) fn is_empty(&self) -> bool {
        self.entries == 0
    }

    fn count(&mut self) -> Result<(), WorkspaceError> {
        self.entries += 1;
        check(&self.source, self.limits, self.entries, self.bytes)
    }

    /// An entry's path and the directory that it belongs in; nothing where it is left out.
    fn place(&mut self, path: &Path) -> Result<Option<(PathBuf, OwnedFd)>, WorkspaceError> {
        self.count()?;
        let Some(path) = self.checked(path)? else { return Ok(None) };
        let parent = path.parent().unwrap_or(Path::new(""));
        if path.file_name().is_none() {
            return Err(self.refused("the directory itself is to be a file"));
        }
        let parent = self.enter(parent)?;
        Ok(Some((path, parent)))
    }

    /// A path as it is taken: relative and plain. Nothing where it leads into a `.git`.
    pub(super) fn checked(&self, path: &Path) -> Result<Option<PathBuf>, WorkspaceError> {
        let refused = |why: &str| Err(self.refused(format!("{} {why}", shown(path))));
        if path.as_os_str().is_empty() || path.as_os_str().as_bytes().contains(&0) {
            return refused("is no name");
        }
        if path.as_os_str().len() > LONGEST || path.components().count() > DEEPEST {
            return refused("is too long a path");
        }
        let mut plain = PathBuf::new();
        for part in path.components() {
            match part {
                Component::CurDir => {}
                Component::Normal(name) if name == ".git" => return Ok(None),
                Component::Normal(name) => plain.push(name),
                Component::ParentDir => return refused("leads out by `..`"),
                Component::RootDir | Component::Prefix(_) => return refused("is absolute"),
            }
        }
        Ok(Some(plain))
    }

    /// Opens a directory, making what is missing of it.
    fn enter(&mut self, path: &Path) -> Result<OwnedFd, WorkspaceError> {
        let failed = |error: io::Error| WorkspaceError::io("make", &self.to.join(path))(error);
        if let Some((_, open)) = self.last.as_ref().filter(|(last, _)| last == path) {
            return open.try_clone().map_err(failed);
        }
        let mut at = self.root.try_clone().map_err(failed)?;
        for name in path {
            let mut open = rustix::fs::openat(&at, name, DIRECTORY, Mode::empty());
            if matches!(open, Err(Errno::NOENT)) {
                self.entries += 1;
                check(&self.source, self.limits, self.entries, self.bytes)?;
                rustix::fs::mkdirat(&at, name, Mode::from_raw_mode(0o755)).map_err(|error| failed(error.into()))?;
                open = rustix::fs::openat(&at, name, DIRECTORY, Mode::empty());
            }
            at = open.map_err(|error| match error {
                Errno::NOTDIR | Errno::LOOP => self.refused(format!("{} leads through a file or a link", shown(path))),
                error => failed(error.into()),
            })?;
        }
        self.last = Some((path.to_path_buf(), at.try_clone().map_err(failed)?));
        Ok(at)
    }

    /// Makes room for an entry where one of the same name came before.
    fn vacate(&self, parent: &OwnedFd, path: &Path) -> Result<(), WorkspaceError> {
        match rustix::fs::unlinkat(parent, path.file_name().unwrap_or_default(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(Errno::ISDIR | Errno::PERM) => {
                Err(self.refused(format!("{} is a directory and something else", shown(path))))
            }
            Err(error) => Err(WorkspaceError::io("replace", &self.to.join(path))(error)),
        }
    }
}

/// Refuses what is more than the limits allow.
pub(super) fn check(source: &Path, limits: Limits, entries: u64, bytes: u64) -> Result<(), WorkspaceError> {
    if entries > limits.entries {
        return Err(WorkspaceError::refused(source, format!("it has more than {} entries", limits.entries)));
    }
    if bytes > limits.bytes {
        return Err(WorkspaceError::refused(source, format!("its files hold more than {} bytes", limits.bytes)));
    }
    Ok(())
}

/// A path as it is shown, which may be of any length and hold anything.
pub(super) fn shown(path: &Path) -> String {
    let text: String = path.to_string_lossy().chars().take(200).collect();
    format!("{text:?}")
}

/// Tells a source that cannot be read from a disk that cannot be written.
struct Source<'a> {
    content: &'a mut dyn Read,
    failed: bool,
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.content.read(buffer).inspect_err(|error| self.failed = error.kind() != io::ErrorKind::Interrupted)
    }
}
