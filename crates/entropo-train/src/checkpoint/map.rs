//! Files in memory: the one module with `unsafe`, because a mapping is only as constant as the file below it.
//!
//! A checkpoint is mapped rather than read so that opening one of a hundred gigabytes costs nothing until a tensor is
//! asked for, and so that its pages can be given back as soon as that tensor is on its device.
#![allow(unsafe_code)]

use std::fs::{self, File};
use std::io::{Error, ErrorKind, Result};
use std::ops::Range;
use std::path::Path;

use memmap2::Mmap;

/// A regular file, mapped for reading.
#[derive(Debug)]
pub(crate) struct Map(Mmap);

impl Map {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        // Before it is opened: opening a pipe would wait for a writer.
        if !fs::metadata(path)?.is_file() {
            return Err(Error::new(ErrorKind::InvalidInput, "not a regular file"));
        }
        let file = File::open(path)?;
        // SAFETY: the mapping is read-only and private to this value, but whoever writes to the file or cuts it short
        // while it is mapped changes bytes that Rust takes for constant, or has the system stop this process. Nobody
        // may do that to a checkpoint that is being read. This crate never does: it writes new files and renames them.
        unsafe { Mmap::map(&file) }.map(Self)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Takes pages out of this process's memory; reading them again fetches them from the file again.
    pub(super) fn release(&self, range: Range<usize>) {
        if range.end > self.0.len() || range.is_empty() {
            return;
        }
        #[cfg(unix)]
        {
            // SAFETY: the range is inside the mapping, nothing was ever written to the mapping, and the pages come back
            // with the same bytes, for those who hold a slice of them too. A failure leaves them where they are.
            let _ =
                unsafe { self.0.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, range.start, range.len()) };
        }
    }
}
