//! A file with new content that is yet to take its place.
//!
//! It lies in the directory of the file it is for, as a rename must not cross file systems, and both are named relative
//! to that directory's handle.

use std::collections::hash_map::RandomState;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Permissions};
use std::hash::{BuildHasher, Hasher};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::sync::Arc;

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::Stored;

/// Names that are tried.
const ATTEMPTS: usize = 16;

/// A file beside another one; it is gone when this is dropped.
#[derive(Debug)]
pub(super) struct Temporary {
    directory: Arc<OwnedFd>,
    name: OsString,
}

impl Temporary {
    /// Writes `stored` into a new file of `directory`.
    pub(super) fn write(directory: &Arc<OwnedFd>, stored: &Stored) -> io::Result<Self> {
        let (temporary, mut file) = Self::open(directory)?;
        file.write_all(&stored.bytes)?;
        if let Some((user, group)) = stored.owner {
            let metadata = file.metadata()?;
            if (metadata.uid(), metadata.gid()) != (user, group) {
                // Only root may give a file away; whoever is not keeps it, as with every editor.
                let _ = fchown(&file, Some(user), Some(group));
            }
        }
        if let Some(mode) = stored.mode {
            file.set_permissions(Permissions::from_mode(mode))?;
        }
        Ok(temporary)
    }

    fn open(directory: &Arc<OwnedFd>) -> io::Result<(Self, File)> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        for _ in 0..ATTEMPTS {
            let name = OsString::from(format!(".entropo-{:016x}", RandomState::new().build_hasher().finish()));
            // The process's mask takes from these permissions what it takes from every new file.
            match rustix::fs::openat(directory, &name, flags, Mode::from_raw_mode(0o666)) {
                Ok(file) => return Ok((Self { directory: Arc::clone(directory), name }, file.into())),
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Puts it in the place of the file `name`, which is there.
    pub(super) fn replace(self, name: &OsStr) -> io::Result<()> {
        rustix::fs::renameat(&self.directory, &self.name, &self.directory, name)?;
        Ok(())
    }

    /// Makes it the file `name`, unless there is one.
    pub(super) fn create(self, name: &OsStr) -> io::Result<()> {
        let here = &self.directory;
        #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
        match rustix::fs::renameat_with(here, &self.name, here, name, rustix::fs::RenameFlags::NOREPLACE) {
            // Not every file system knows this.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
            done => return Ok(done?),
        }
        Ok(rustix::fs::linkat(here, &self.name, here, name, AtFlags::empty())?)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // After a rename there is nothing by this name, which nobody else can guess.
        let _ = rustix::fs::unlinkat(&self.directory, &self.name, AtFlags::empty());
    }
}
