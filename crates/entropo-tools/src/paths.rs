//! Keeping paths that a model wrote inside the workspace.
//!
//! A path is never handed to the system as it was written. It is walked from a handle of the workspace's directory, one
//! name at a time, and each directory is opened without following links; a link is read, and walked the same way. The
//! walk ends at the handle of a directory and one name in it, and nothing else is read or written: a directory that is
//! swapped for a link afterwards changes nothing, since there is no path left to follow.
//!
//! Linux's `openat2` walks a whole path in the kernel, but not on every system, not for absolute links that stay inside,
//! and it does not give the parent's handle that a rename needs. The walk works everywhere, so it is the only way.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// Links followed in one path.
const MAX_LINKS: usize = 40;

/// How a directory is opened that is only walked through.
#[cfg(any(target_os = "linux", target_os = "android"))]
const WALKED: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const WALKED: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// How a file is read: a pipe must not make the reader wait.
const READ: OFlags =
    OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// Why a path was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// It is absolute, climbs out by `..`, or follows a link that leads out.
    #[error("{0}: path leaves the workspace.")]
    Outside(String),
    /// There is nothing there.
    #[error("{0} does not exist.")]
    Missing(String),
    /// It follows a link that leads to nothing.
    #[error("{0}: a symbolic link in this path leads to nothing.")]
    Dangling(String),
    /// It has a NUL character, which no file's name can have.
    #[error("{0:?} is no path: it has a NUL character.")]
    Nul(String),
    /// It cannot be looked at.
    #[error("{path}: {}.", source.kind())]
    Io {
        /// The path as it was written.
        path: String,
        /// What the system said.
        source: io::Error,
    },
}

/// The directory below which all paths must stay.
#[derive(Clone, Debug)]
pub(crate) struct Root(PathBuf);

/// A path that was found to lie in the workspace.
#[derive(Clone, Debug)]
pub(crate) struct Located {
    /// The directory it lies in, or the last one above it that exists.
    pub(crate) directory: Arc<OwnedFd>,
    /// The directories between that one and the file, which are yet to be made.
    pub(crate) missing: Vec<OsString>,
    /// Its name in its directory; `.` for the workspace itself.
    pub(crate) name: OsString,
    /// Where it is with links resolved, to know it by; never opened.
    pub(crate) real: PathBuf,
    /// The path relative to the workspace, as it is shown: `lib/x.sh`, or `.` for the root itself.
    pub(crate) shown: String,
    /// What is there.
    pub(crate) kind: Kind,
    /// Whether the path as it was written names a link.
    pub(crate) link: bool,
}

/// What is at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Nothing,
    Directory,
    /// Anything that is not a directory.
    File,
}

impl Root {
    /// The directory at `path`, which the caller trusts.
    pub(crate) fn new(path: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self(path.as_ref().canonicalize()?))
    }

    /// As [`new`](Self::new), for a path that is canonical.
    pub(crate) fn canonical(path: &Path) -> Self {
        Self(path.to_owned())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Finds what `path` names. It need not exist.
    pub(crate) fn locate(&self, path: &str) -> Result<Located, PathError> {
        let outside = || PathError::Outside(path.to_owned());
        if path.contains('\0') {
            return Err(PathError::Nul(path.to_owned()));
        }
        let mut parts: Vec<&str> = Vec::new();
        for component in Path::new(path).components() {
            match component {
                Component::CurDir => {}
                Component::Normal(part) => parts.push(part.to_str().ok_or_else(outside)?),
                Component::ParentDir => drop(parts.pop().ok_or_else(outside)?),
                Component::RootDir | Component::Prefix(_) => return Err(outside()),
            }
        }
        let shown = if parts.is_empty() { ".".to_owned() } else { parts.join("/") };
        self.walk(parts.iter().rev().map(OsString::from).collect(), shown).map_err(|stopped| match stopped {
            Stopped::Outside => outside(),
            Stopped::Dangling => PathError::Dangling(path.to_owned()),
            Stopped::By(error) => PathError::Io { path: path.to_owned(), source: error.into() },
        })
    }

    /// Finds a file that the system named, as long as it still is below this directory.
    pub(crate) fn found(&self, path: &Path) -> Option<Located> {
        let below = path.strip_prefix(&self.0).ok()?;
        self.walk(below.iter().rev().map(OsString::from).collect(), below.to_string_lossy().into_owned()).ok()
    }

    /// The handle of a directory that the system named, as long as it still is below this one, or is this one.
    pub(crate) fn directory(&self, path: &Path) -> io::Result<OwnedFd> {
        let place = self.found(path).filter(|place| place.missing.is_empty()).ok_or(io::ErrorKind::NotFound)?;
        Ok(open_directory(&place.directory, &place.name)?)
    }

    fn walk(&self, names: Vec<OsString>, shown: String) -> Result<Located, Stopped> {
        Walk::begin(&self.0)?.to(names, shown)
    }

    /// As [`locate`](Self::locate), for what must be there.
    pub(crate) fn existing(&self, path: &str) -> Result<Located, PathError> {
        let located = self.locate(path)?;
        if located.kind == Kind::Nothing { Err(PathError::Missing(located.shown)) } else { Ok(located) }
    }
}

impl Located {
    /// Opens what is there for reading, unless it is a link by now.
    pub(crate) fn open(&self) -> io::Result<File> {
        if self.missing.is_empty() { open(&self.directory, &self.name) } else { Err(io::ErrorKind::NotFound.into()) }
    }
}

/// Opens a file of a directory for reading; a link is an error.
pub(crate) fn open(directory: &OwnedFd, name: &OsStr) -> io::Result<File> {
    Ok(rustix::fs::openat(directory, name, READ, Mode::empty())?.into())
}

/// Opens a directory of a directory to go on from there; a link is an error.
pub(crate) fn open_directory(directory: &OwnedFd, name: &OsStr) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(directory, name, WALKED, Mode::empty())
}

/// Why a walk did not reach its end.
enum Stopped {
    Outside,
    Dangling,
    By(Errno),
}

impl From<Errno> for Stopped {
    fn from(error: Errno) -> Self {
        Self::By(error)
    }
}

/// The way from the workspace's directory to where a walk is.
struct Walk<'a> {
    path: &'a Path,
    root: Arc<OwnedFd>,
    /// The directories below it.
    opened: Vec<(Arc<OwnedFd>, OsString)>,
}

impl<'a> Walk<'a> {
    fn begin(path: &'a Path) -> Result<Self, Stopped> {
        let root = rustix::fs::open(path, WALKED, Mode::empty())?;
        Ok(Self { path, root: Arc::new(root), opened: Vec::new() })
    }

    fn here(&self) -> &Arc<OwnedFd> {
        self.opened.last().map_or(&self.root, |(handle, _)| handle)
    }

    /// Walks along `names`, the next of which is the last of the vector.
    fn to(mut self, mut names: Vec<OsString>, shown: String) -> Result<Located, Stopped> {
        let mut links = 0;
        let mut link = false;
        // While more names than this are left, they are of a link.
        let mut written = usize::MAX;
        while let Some(name) = names.pop() {
            if names.len() < written {
                written = usize::MAX;
            }
            if name == ".." {
                self.opened.pop().ok_or(Stopped::Outside)?;
                continue;
            }
            match open_directory(self.here(), &name) {
                Ok(handle) => {
                    self.opened.push((Arc::new(handle), name));
                    continue;
                }
                Err(Errno::NOENT) => {}
                Err(Errno::NOTDIR | Errno::LOOP) => match rustix::fs::readlinkat(self.here(), &name, Vec::new()) {
                    Ok(target) => {
                        links += 1;
                        if links > MAX_LINKS {
                            return Err(Errno::LOOP.into());
                        }
                        link |= names.is_empty();
                        written = written.min(names.len());
                        self.follow(Path::new(&OsString::from_vec(target.into_bytes())), &mut names)?;
                        continue;
                    }
                    Err(Errno::INVAL) if names.is_empty() => {
                        return Ok(self.end(Vec::new(), name, shown, Kind::File, link));
                    }
                    // Below a file there is nothing.
                    Err(Errno::INVAL | Errno::NOENT) => {}
                    Err(error) => return Err(error.into()),
                },
                Err(error) => return Err(error.into()),
            }
            if written != usize::MAX {
                return Err(Stopped::Dangling);
            }
            names.push(name);
            names.reverse();
            let name = names.pop().unwrap_or_default();
            return Ok(self.end(names, name, shown, Kind::Nothing, link));
        }
        let name = self.opened.pop().map_or_else(|| ".".into(), |(_, name)| name);
        Ok(self.end(Vec::new(), name, shown, Kind::Directory, link))
    }

    /// Puts a link's target before the names that are left.
    fn follow(&mut self, target: &Path, names: &mut Vec<OsString>) -> Result<(), Stopped> {
        let below = if target.is_absolute() {
            self.opened.clear();
            target.strip_prefix(self.path).map_err(|_| Stopped::Outside)?
        } else {
            target
        };
        for component in below.components().rev() {
            match component {
                Component::CurDir => {}
                Component::Normal(name) => names.push(name.to_owned()),
                Component::ParentDir => names.push("..".into()),
                Component::RootDir | Component::Prefix(_) => return Err(Stopped::Outside),
            }
        }
        Ok(())
    }

    fn end(self, missing: Vec<OsString>, name: OsString, shown: String, kind: Kind, link: bool) -> Located {
        let mut real = self.path.to_path_buf();
        real.extend(self.opened.iter().map(|(_, name)| name).chain(&missing));
        if name != "." {
            real.push(&name);
        }
        let directory = Arc::clone(self.here());
        Located { directory, missing, name, real, shown, kind, link }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_inside_is_found_and_what_leaves_is_refused() {
        let outer = tempfile::tempdir().unwrap();
        let outer = outer.path().canonicalize().unwrap();
        let root = outer.join("root");
        std::fs::create_dir_all(root.join("lib")).unwrap();
        std::fs::write(root.join("lib/x"), "").unwrap();
        std::fs::write(outer.join("secret"), "").unwrap();
        let inside = root.join("lib");
        for (link, target) in [
            ("out", ".."),
            ("file", "../secret"),
            ("dangling", "absent"),
            ("in", "lib"),
            ("absolute", inside.to_str().unwrap()),
            ("lib/up", "../lib/./x"),
            ("loop", "loop"),
            ("chain", "in/up"),
        ] {
            std::os::unix::fs::symlink(target, root.join(link)).unwrap();
        }
        let root = Root::new(&root).unwrap();

        for (path, shown, exists) in [
            (".", ".", true),
            ("", ".", true),
            ("./lib//x", "lib/x", true),
            ("lib/../lib/x", "lib/x", true),
            ("in/x", "in/x", true),
            ("absolute/x", "absolute/x", true),
            ("chain", "chain", true),
            ("new/deep/file", "new/deep/file", false),
            ("lib/x/below-a-file", "lib/x/below-a-file", false),
        ] {
            let located = root.locate(path).unwrap();
            assert_eq!((located.shown.as_str(), located.kind != Kind::Nothing), (shown, exists), "{path}");
            assert!(located.real.starts_with(root.path()));
        }
        for path in ["/etc/passwd", "..", "../secret", "lib/../../secret", "out/secret", "out", "file", "out/new"] {
            assert!(matches!(root.locate(path), Err(PathError::Outside(_))), "{path}");
        }
        assert_eq!(root.locate("chain").unwrap().real, root.locate("absolute/x").unwrap().real);
        for path in ["dangling", "dangling/new"] {
            assert!(matches!(root.locate(path), Err(PathError::Dangling(_))), "{path}");
        }
        assert!(matches!(root.locate("loop"), Err(PathError::Io { .. })));
        assert!(matches!(root.locate("a\0b"), Err(PathError::Nul(_))));
        assert_eq!(root.existing("absent").unwrap_err().to_string(), "absent does not exist.");
    }
}
