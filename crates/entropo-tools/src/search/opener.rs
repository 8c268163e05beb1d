//! Opening the files of a walk.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use crate::paths::{self, Root};

/// Opens files by the handle of their directory, which it keeps: the next file is most likely in the same one, and to walk
/// there anew for each took longer than to search what is in it.
#[derive(Debug)]
pub(super) struct Opener<'a> {
    root: &'a Root,
    last: Option<(PathBuf, OwnedFd)>,
}

impl<'a> Opener<'a> {
    pub(super) fn new(root: &'a Root) -> Self {
        Self { root, last: None }
    }

    /// Opens what was a plain file a moment ago: not through a link, and without waiting where it has become a pipe.
    pub(super) fn open(&mut self, path: &Path) -> io::Result<File> {
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let handle = match &mut self.last {
            Some((known, handle)) if known == directory => handle,
            last => &mut last.insert((directory.to_owned(), self.root.directory(directory)?)).1,
        };
        paths::open(handle, name)
    }
}
