//! A file that one holder has at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use super::StoreError;

/// A file with an exclusive advisory lock, which ends with this value and, whatever happens, with the process.
///
/// The lock is given up by hand: a process that another thread is just starting holds a copy of the file until it has
/// become another program, and closing our copy alone would leave the file locked for that moment.
#[derive(Debug)]
pub(super) struct LockedFile(File);

impl LockedFile {
    /// Opens the file for reading and writing, or creates it, and locks it without waiting.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        loop {
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
            let file = file.map_err(StoreError::io(path, "open"))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(StoreError::Locked { path: path.to_owned() }),
                Err(TryLockError::Error(source)) => return Err(StoreError::io(path, "lock")(source)),
            }
            let locked = Self(file);
            // Its holder may have put another file in its place in between.
            if locked.is_at(path).map_err(StoreError::io(path, "look at"))? {
                return Ok(locked);
            }
        }
    }

    /// Whether this is the file of that name.
    #[cfg(unix)]
    fn is_at(&self, path: &Path) -> std::io::Result<bool> {
        use std::os::unix::fs::MetadataExt;
        let (ours, there) = (
            self.0.metadata()?,
            match std::fs::metadata(path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
                there => there?,
            },
        );
        Ok((ours.dev(), ours.ino()) == (there.dev(), there.ino()))
    }

    /// Open files cannot be replaced.
    #[cfg(not(unix))]
    fn is_at(&self, _: &Path) -> std::io::Result<bool> {
        Ok(true)
    }

    /// The file; both its reader and its writer, for `&File` is both.
    pub(super) fn get(&self) -> &File {
        &self.0
    }
}

impl Drop for LockedFile {
    fn drop(&mut self) {
        let _ = self.0.unlock(); // closing the file is the fallback
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_lock_is_free_although_a_copy_of_the_file_is_open() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.jsonl");
        let locked = LockedFile::open(&path).unwrap();
        let _copy = locked.get().try_clone().unwrap(); // as a process that is being started has it
        assert!(matches!(LockedFile::open(&path), Err(StoreError::Locked { .. })));
        drop(locked);
        LockedFile::open(&path).unwrap();
    }
}
