//! Files as they lie on disk: their bytes, what text the bytes mean, and changes of several files at once.

mod access;
mod commit;
mod encoding;
mod gitignore;
mod temporary;

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

pub(crate) use access::Files;
pub(crate) use commit::{Change, commit};
pub(crate) use encoding::Encoding;
pub(crate) use gitignore::Ignores;

use crate::paths::Located;

/// The largest file that is read or written, in bytes.
pub(crate) const MAX_FILE: u64 = 16 << 20;
/// Bytes that are compared at once.
const COMPARED: usize = 256 << 10;

/// What a file was when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) bytes: Arc<Vec<u8>>,
    /// Its permission bits; none for a file yet to be made, which gets those of any new file.
    pub(crate) mode: Option<u32>,
    /// Its user and group; none for a file yet to be made.
    pub(crate) owner: Option<(u32, u32)>,
}

impl Stored {
    /// A file that is yet to be made.
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes: Arc::new(bytes), mode: None, owner: None }
    }

    /// This file with other bytes.
    pub(crate) fn with(&self, bytes: Vec<u8>) -> Self {
        Self { bytes: Arc::new(bytes), ..*self }
    }
}

/// Reads the file at `place`; errors are in words for a model.
pub(crate) fn read(place: &Located) -> Result<Stored, String> {
    let failed = |error: io::Error| failed(&place.shown, &error);
    let file = place.open().map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(format!("{} is not a file.", place.shown));
    }
    let fits = |size: u64| if size > MAX_FILE { Err(too_large(&place.shown, size)) } else { Ok(()) };
    fits(metadata.len())?;
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default());
    // It may grow while it is read.
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(failed)?;
    fits(bytes.len() as u64)?;
    let owner = Some((metadata.uid(), metadata.gid()));
    Ok(Stored { bytes: Arc::new(bytes), mode: Some(metadata.mode() & 0o7777), owner })
}

fn too_large(name: &str, size: u64) -> String {
    format!("{name} is too large: {size} bytes of at most {MAX_FILE}.")
}

/// What the system said, in words for a model.
pub(crate) fn failed(name: &str, error: &io::Error) -> String {
    // What was a file or directory when its path was walked, and is a link now.
    if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
        return changed_meanwhile(name);
    }
    format!("{name}: {}.", error.kind())
}

fn changed_meanwhile(name: &str) -> String {
    format!("{name} was changed by others meanwhile; look at it again.")
}

/// Whether a file has just these bytes.
fn holds(mut file: File, expected: &[u8]) -> io::Result<bool> {
    let mut buffer = vec![0; COMPARED];
    let mut rest = expected;
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok(rest.is_empty());
        }
        match rest.split_at_checked(count) {
            Some((next, after)) if buffer.starts_with(next) => rest = after,
            _ => return Ok(false),
        }
    }
}
