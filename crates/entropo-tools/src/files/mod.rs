//! Files as they lie on disk: their bytes, what text the bytes mean, and changes of several files at once.

mod commit;
mod encoding;

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

pub(crate) use commit::{Change, commit};
pub(crate) use encoding::Encoding;

use crate::paths::Located;

/// The largest file that is read, in bytes.
pub(crate) const MAX_FILE: u64 = 4 << 20;

/// What a file was when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) bytes: Vec<u8>,
    /// Its permission bits; none for a file yet to be made, which gets those of any new file.
    pub(crate) mode: Option<u32>,
}

/// Reads the file at `place`; errors are in words for a model.
pub(crate) fn read(place: &Located) -> Result<Stored, String> {
    let failed = |error: io::Error| format!("{}: {}.", place.shown, error.kind());
    let metadata = fs::metadata(&place.real).map_err(failed)?;
    if !metadata.is_file() {
        return Err(format!("{} is not a file.", place.shown));
    }
    if metadata.len() > MAX_FILE {
        return Err(format!("{} is too large: {} bytes of at most {MAX_FILE}.", place.shown, metadata.len()));
    }
    let bytes = fs::read(&place.real).map_err(failed)?;
    Ok(Stored { bytes, mode: Some(metadata.permissions().mode() & 0o7777) })
}

/// What is there now, nothing included; whatever cannot be read as a file counts as an error.
fn present(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        // Below a file there is nothing either.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}
