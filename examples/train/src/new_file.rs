//! A file that is there when it is whole, and never in the place of another.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::Failure;

/// A file that is being written; dropped before it is [kept](Self::keep), it leaves nothing.
#[derive(Debug)]
pub struct NewFile {
    path: PathBuf,
    out: BufWriter<NamedTempFile>,
}

impl NewFile {
    /// Begins a file that will be at `path`.
    ///
    /// # Errors
    /// [`Failure::File`] where there is one already, or the directory cannot be written to.
    pub fn begin(path: &Path) -> Result<Self, Failure> {
        let refused = |source| Failure::File { path: path.to_owned(), source };
        if path.exists() {
            return Err(refused(io::Error::other("it is there already; name a new file")));
        }
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = NamedTempFile::new_in(directory).map_err(refused)?;
        Ok(Self { path: path.to_owned(), out: BufWriter::new(file) })
    }

    /// Puts it in its place.
    ///
    /// # Errors
    /// [`Failure::File`] where it cannot be written to its end, or there is one by now.
    pub fn keep(self) -> Result<(), Failure> {
        let Self { path, out } = self;
        let kept = out.into_inner().map_err(io::IntoInnerError::into_error);
        let kept = kept.and_then(|file| file.persist_noclobber(&path).map_err(|error| error.error));
        kept.map(drop).map_err(|source| Failure::File { path, source })
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
