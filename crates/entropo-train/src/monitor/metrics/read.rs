//! Reading `metrics.jsonl` a line at a time, so that a long run needs no more memory than a short one.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use entropo_core::StoreError;
use serde::de::IgnoredAny;

use super::line::{MAX_LINE, decode};
use crate::monitor::error::MonitorError;
use crate::monitor::record::Record;

/// Calls `each` with every whole record of the file at `path` in order, and returns the bytes after the last newline: 0,
/// or a line that is just being written or whose writer died. Only one line is in memory at a time.
///
/// # Errors
/// The first line that is whole but no record, too long, of another format or of an earlier step than the one before;
/// [`StoreError::Io`] if the file cannot be read. What came before was given to `each`.
pub fn read_metrics(path: impl AsRef<Path>, mut each: impl FnMut(Record)) -> Result<u64, MonitorError> {
    let path = path.as_ref();
    let file = File::open(path).map_err(io_error(path, "open"))?;
    let mut lines = Lines::new(path, BufReader::new(file));
    while let Some(record) = lines.next()? {
        each(record);
    }
    Ok(lines.torn)
}

/// What the system said about `path`.
pub(super) fn io_error(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> StoreError {
    move |source| StoreError::Io { path: path.to_owned(), action, source }
}

/// The lines of a file.
pub(super) struct Lines<R> {
    path: PathBuf,
    reader: R,
    line: Vec<u8>,
    /// Whole lines read.
    pub(super) count: usize,
    /// Bytes of the whole lines read.
    pub(super) whole: u64,
    /// Bytes after the last newline, known at the end.
    pub(super) torn: u64,
    step: Option<usize>,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(path: &Path, reader: R) -> Self {
        Self { path: path.to_owned(), reader, line: Vec::new(), count: 0, whole: 0, torn: 0, step: None }
    }

    /// The next record, `None` at the end. A tail without its newline is torn, unless it is a whole JSON value that is
    /// no record, which no crash explains.
    pub(super) fn next(&mut self) -> Result<Option<Record>, MonitorError> {
        self.line.clear();
        let limit = MAX_LINE as u64 + 1;
        let bytes = self.reader.by_ref().take(limit).read_until(b'\n', &mut self.line);
        let bytes = bytes.map_err(io_error(&self.path, "read"))?;
        let number = self.count + 1;
        if bytes > MAX_LINE {
            return Err(MonitorError::TooLong { path: self.path.clone(), line: number, limit: MAX_LINE });
        }
        if !self.line.ends_with(b"\n") {
            if serde_json::from_slice::<IgnoredAny>(&self.line).is_ok() {
                decode(&self.path, number, &self.line)?;
            }
            self.torn = bytes as u64;
            return Ok(None);
        }
        let record = decode(&self.path, number, &self.line)?;
        ordered(&self.path, number, record.step, self.step)?;
        self.step = Some(record.step);
        self.count = number;
        self.whole += bytes as u64;
        Ok(Some(record))
    }
}

/// Refuses a step before the one of the line before.
pub(super) fn ordered(path: &Path, line: usize, step: usize, previous: Option<usize>) -> Result<(), MonitorError> {
    match previous {
        Some(previous) if step < previous => Err(MonitorError::Order { path: path.to_owned(), line, step, previous }),
        _ => Ok(()),
    }
}
