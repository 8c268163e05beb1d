//! Directories that are removed even if their process is killed.
//!
//! Beside each directory `entropo-x` lies a file `entropo-x.lock`, locked for as long as the process lives: the system
//! takes the lock away however it ends. Whoever finds a lock file that is not locked removes the directory, and what
//! is mounted below it, first. So a name is locked before there is a directory, and unlocked after it is gone.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::super::WorkspaceError;
use super::super::remove::remove;
use super::{overlay, subvolume};

const PREFIX: &str = "entropo-";
const SUFFIX: &str = ".lock";

/// A directory of this process.
#[derive(Debug)]
pub(super) struct Lease {
    directory: PathBuf,
    /// Held open, since closing it unlocks it.
    _lock: File,
}

impl Lease {
    /// Makes a directory in `place`, to which nobody else has access.
    pub(super) fn take(place: &Path) -> Result<Self, WorkspaceError> {
        let place = place.canonicalize().map_err(WorkspaceError::io("find", place))?;
        loop {
            let made = tempfile::Builder::new().prefix(PREFIX).suffix(SUFFIX).tempfile_in(&place);
            let (lock, path) = made
                .and_then(|file| file.keep().map_err(|error| error.error))
                .map_err(WorkspaceError::io("make a file in", &place))?;
            flock(&lock, FlockOperation::LockExclusive).map_err(WorkspaceError::io("lock", &path))?;
            // Another process may have seen it before it was locked, and taken it for one that was left behind.
            if lock.metadata().is_ok_and(|metadata| metadata.nlink() == 0) {
                continue;
            }
            let directory = path.with_extension("");
            let made = fs::DirBuilder::new().mode(0o700).create(&directory);
            let lease = Self { directory, _lock: lock };
            return made.map(|()| lease).map_err(WorkspaceError::io("make a directory in", &place));
        }
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// What the labels of its mounts begin with.
    pub(super) fn label(&self) -> String {
        label(&self.directory)
    }
}

fn label(directory: &Path) -> String {
    format!("{}/", directory.file_name().unwrap_or_default().to_string_lossy())
}

impl Drop for Lease {
    fn drop(&mut self) {
        let path = &self.directory;
        if let Err(error) = clear(path, &label(path)).and_then(|()| remove(&path.with_extension("lock"))) {
            tracing::warn!(path = %path.display(), %error, "the files of a template could not be removed");
        }
    }
}

/// Removes what killed processes of this user left in `place`, and says how many directories that were.
pub(super) fn sweep(place: &Path) -> Result<usize, WorkspaceError> {
    let place = place.canonicalize().map_err(WorkspaceError::io("find", place))?;
    let mut swept = 0;
    for entry in fs::read_dir(&place).map_err(WorkspaceError::io("look into", &place))? {
        let Ok(entry) = entry else { continue };
        let name = entry.file_name();
        if !name.to_str().is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX)) {
            continue;
        }
        match abandoned(&entry.path()) {
            Ok(true) => swept += 1,
            Ok(false) => {}
            Err(error) => tracing::warn!(path = %entry.path().display(), %error, "leftovers could not be removed"),
        }
    }
    Ok(swept)
}

/// Removes a directory and its lock file if nobody holds the lock.
fn abandoned(lock_path: &Path) -> io::Result<bool> {
    let user = rustix::process::geteuid().as_raw();
    // Others could leave things here in order to have something removed.
    if !lock_path.symlink_metadata().is_ok_and(|metadata| metadata.is_file() && metadata.uid() == user) {
        return Ok(false);
    }
    let Ok(lock) = File::open(lock_path) else { return Ok(false) };
    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        return Ok(false);
    }
    let directory = lock_path.with_extension("");
    if directory.symlink_metadata().is_ok_and(|metadata| metadata.uid() == user) {
        clear(&directory, &label(&directory))?;
    }
    remove(lock_path)?;
    Ok(true)
}

/// Takes away a directory with everything that is mounted in it, or elsewhere under a label that begins like this.
pub(super) fn clear(directory: &Path, label: &str) -> io::Result<()> {
    let ours = |mount: &Mount| {
        mount.at.starts_with(directory) || mount.label.to_str().is_some_and(|known| known.starts_with(label))
    };
    for mount in mounts().iter().rev().filter(|mount| ours(mount)) {
        overlay::unmount(&mount.at)?;
    }
    // Deleted at once where that is allowed; else they are emptied below.
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        for path in [entry.path(), entry.path().join("work")] {
            if subvolume::is_one(&path) && subvolume::delete(&path).is_err() {
                tracing::debug!(path = %path.display(), "a subvolume is emptied, as it cannot be deleted");
            }
        }
    }
    remove(directory)
}

struct Mount {
    at: PathBuf,
    label: std::ffi::OsString,
}

/// What is mounted, in the order in which it was.
fn mounts() -> Vec<Mount> {
    let text = fs::read("/proc/self/mountinfo").unwrap_or_default();
    text.split(|byte| *byte == b'\n').filter_map(mount).collect()
}

fn mount(line: &[u8]) -> Option<Mount> {
    use std::os::unix::ffi::OsStringExt;
    let mut fields = line.split(|byte| *byte == b' ');
    let at = unescaped(fields.nth(4)?);
    let label = unescaped(fields.skip_while(|field| *field != b"-").nth(2)?);
    let [at, label] = [at, label].map(std::ffi::OsString::from_vec);
    Some(Mount { at: at.into(), label })
}

/// Blanks and backslashes are written as three octal digits.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut result = Vec::new();
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()).filter(|_| byte == b'\\') {
            Some(decoded) => {
                result.push(decoded);
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                result.push(byte);
                rest = after;
            }
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_mountinfo_is_read() {
        let line = br"36 35 98:0 / /mnt\0402/a\134b rw,noatime master:1 - overlay entropo-x rw,lowerdir=/a";
        let mount = mount(line).unwrap();
        assert_eq!((mount.at, mount.label), (PathBuf::from(r"/mnt 2/a\b"), "entropo-x".into()));
        assert!(super::mount(b"").is_none() && !mounts().is_empty());
    }

    #[test]
    fn only_what_nobody_holds_is_swept() {
        let place = tempfile::tempdir().unwrap();
        let held = Lease::take(place.path()).unwrap();
        let left = Lease::take(place.path()).unwrap();
        fs::write(left.directory().join("file"), "").unwrap();
        let (directory, lock) = (left.directory.clone(), left.directory.with_extension("lock"));
        assert_eq!(sweep(place.path()).unwrap(), 0);
        // As if its process had been killed: unlocked and not cleared.
        let mut left = std::mem::ManuallyDrop::new(left);
        left._lock = File::open("/dev/null").unwrap();
        fs::write(place.path().join("entropo-of-somebody.txt"), "").unwrap();
        assert_eq!(sweep(place.path()).unwrap(), 1);
        assert!(!directory.exists() && !lock.exists() && held.directory().exists());
        assert_eq!(sweep(place.path()).unwrap(), 0);
        drop(held);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }
}
