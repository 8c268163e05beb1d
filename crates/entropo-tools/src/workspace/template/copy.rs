//! Copies of a directory, file by file on all cores.

use std::fs::{self, File, OpenOptions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};
use std::path::Path;

use rayon::prelude::*;
use rustix::fs::{Mode, Timespec, Timestamps};

use super::super::WorkspaceError;
use super::super::index::Stamp;
use super::super::tree::{Listing, Tree};

/// Where the content of a file comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// The blocks are shared until one of the two is written; a file system that cannot do that fails.
    Shared,
    /// The bytes are written again.
    Written,
}

/// Copies what a listing names into an empty directory: contents, permissions but no set-user bits, times, and links as they are.
pub(super) fn copy(from: &Tree, listing: &Listing, to: &Path, content: Content) -> Result<(), WorkspaceError> {
    for directory in &listing.directories {
        let path = to.join(directory);
        fs::DirBuilder::new().mode(0o755).create(&path).map_err(WorkspaceError::io("make", &path))?;
    }
    listing
        .files
        .par_iter()
        .with_min_len(64)
        .try_for_each(|(path, stamp)| file(from, path, stamp, &to.join(path), content))
}

fn file(from: &Tree, path: &Path, stamp: &Stamp, to: &Path, content: Content) -> Result<(), WorkspaceError> {
    if stamp.kind().is_symlink() {
        let target = from.link(path)?;
        return symlink(std::ffi::OsStr::from_bytes(target.as_os_str().as_bytes()), to)
            .map_err(WorkspaceError::io("link", to));
    }
    let mut source = from.open_file(path)?;
    let mut target = create(to).map_err(WorkspaceError::io("write", to))?;
    match content {
        // An empty file has no blocks to share.
        Content::Shared if stamp.size() > 0 => {
            rustix::fs::ioctl_ficlone(&target, &source).map_err(WorkspaceError::io("share the blocks of", to))?;
        }
        Content::Shared => {}
        Content::Written => {
            std::io::copy(&mut source, &mut target).map_err(WorkspaceError::io("write", to))?;
        }
    }
    finish(&target, stamp.mode(), Some(stamp.modified())).map_err(WorkspaceError::io("set the permissions of", to))
}

/// Makes a file that is not there yet.
fn create(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Sets permissions, of which its owner keeps those to read and write it, and the time of the last change.
pub(in crate::workspace) fn finish(file: &File, mode: u32, modified: Option<(i64, u64)>) -> std::io::Result<()> {
    if let Some((seconds, nanoseconds)) = modified {
        let nanoseconds = i64::try_from(nanoseconds).unwrap_or_default();
        let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
        rustix::fs::futimens(file, &Timestamps { last_access: time, last_modification: time })?;
    }
    Ok(rustix::fs::fchmod(file, Mode::from_raw_mode(mode & 0o777 | 0o600))?)
}

pub(super) fn attempt_reflink(scratch: &Path) -> Result<(), String> {
    let attempt = || -> std::io::Result<()> {
        let from = scratch.join("from");
        fs::write(&from, vec![b'x'; 1 << 16])?;
        let to = create(&scratch.join("to"))?;
        Ok(rustix::fs::ioctl_ficlone(&to, &File::open(from)?)?)
    };
    attempt().map_err(|error| format!("the file system shares no blocks: {error}"))
}
