//! `metrics.jsonl`: one JSON object a line for each record, only ever added to.
//!
//! | Key | Value |
//! |---|---|
//! | `format` | [`METRICS_FORMAT`] |
//! | `step` | the step, counted from 0; never less than in the line before |
//! | `steps` | steps of the whole run |
//! | `wall_s` | seconds that the run has taken, never less than in the line before |
//! | `scalars` | numbers by name; what is not finite is the string `"NaN"`, `"Infinity"` or `"-Infinity"` |
//! | `notes` | warnings, one sentence each; left out if there are none |
//!
//! A process that dies while it writes leaves at most one line without its newline, which the next opening cuts off and
//! reports. Everything else is somebody's data: a whole line that cannot be read is an error, and nothing is changed
//! before the whole file has been read and found good.

mod line;
mod read;
mod scalar;

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use entropo_core::StoreError;

pub use read::read_metrics;
use read::{Lines, io_error, ordered};

use super::error::MonitorError;
use super::record::Record;

/// The format of every line.
pub const METRICS_FORMAT: &str = "entropo-metrics/1";

/// `metrics.jsonl`, open for adding; one process has it at a time.
#[derive(Debug)]
pub struct MetricsLog {
    path: PathBuf,
    file: File,
    reopened: Reopened,
    lines: usize,
    step: Option<usize>,
    wall_s: f64,
    broken: bool,
}

/// What [`MetricsLog::resume_at`] found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reopened {
    /// Records that were kept.
    pub kept: usize,
    /// Records that were dropped because their steps are taken again.
    pub repeated: usize,
    /// Bytes of a torn last line, which were cut off. Usually 0.
    pub torn_bytes: u64,
}

impl MetricsLog {
    /// Opens the file at `path`, or creates it in a directory that exists, for a run that takes `step` next: the lines of
    /// that step and of later ones are dropped, since a crash lost what they tell of. They go all at once and at the end
    /// of a line, so another crash in the middle of this does no harm.
    ///
    /// # Errors
    /// A line that does not belong, as for [`read_metrics`]; the file is as it was then. [`StoreError::Locked`] if
    /// another process has it, [`StoreError::Io`] if the disk refuses.
    pub fn resume_at(path: impl AsRef<Path>, step: usize) -> Result<Self, MonitorError> {
        let path = path.as_ref();
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = file.map_err(io_error(path, "open"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::Locked { path: path.to_owned() }.into()),
            Err(TryLockError::Error(source)) => return Err(io_error(path, "lock")(source).into()),
        }
        let mut log = Self {
            path: path.to_owned(),
            file,
            reopened: Reopened::default(),
            lines: 0,
            step: None,
            wall_s: 0.0,
            broken: false,
        };
        let end = log.scan(step)?;
        log.cut(end).map_err(io_error(path, "recover or prepare"))?;
        Ok(log)
    }

    /// Reads the whole file; returns where the lines before `step` end.
    fn scan(&mut self, step: usize) -> Result<u64, MonitorError> {
        let mut lines = Lines::new(&self.path, BufReader::new(&self.file));
        let mut end = 0;
        while let Some(record) = lines.next()? {
            if record.step < step {
                end = lines.whole;
                self.lines = lines.count;
                self.step = Some(record.step);
                self.wall_s = self.wall_s.max(record.wall_s);
            }
        }
        self.reopened = Reopened { kept: self.lines, repeated: lines.count - self.lines, torn_bytes: lines.torn };
        Ok(end)
    }

    /// Goes to `end` and drops what follows; makes a new file's name as durable as its lines.
    fn cut(&mut self, end: u64) -> std::io::Result<()> {
        if self.reopened.repeated > 0 || self.reopened.torn_bytes > 0 {
            self.file.set_len(end)?;
            self.file.sync_data()?;
        }
        self.file.seek(SeekFrom::Start(end))?;
        if cfg!(unix) && end == 0 {
            let directory = self.path.parent().filter(|directory| !directory.as_os_str().is_empty());
            File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?;
        }
        Ok(())
    }

    /// Adds a record as one line. The operating system has it when this returns; [`sync`](Self::sync) waits for the
    /// disk. A `wall_s` that is not finite or goes backwards is written as the one of the line before.
    ///
    /// # Errors
    /// [`MonitorError::Order`] or [`MonitorError::TooLong`]; nothing is written then. [`StoreError::Io`] if the disk
    /// refuses, and from then on [`StoreError::Broken`].
    pub fn append(&mut self, record: &Record) -> Result<(), MonitorError> {
        if self.broken {
            return Err(StoreError::Broken { path: self.path.clone() }.into());
        }
        let number = self.lines + 1;
        ordered(&self.path, number, record.step, self.step)?;
        let wall_s = if record.wall_s.is_finite() { self.wall_s.max(record.wall_s) } else { self.wall_s };
        let line = line::encode(&self.path, number, &Record { wall_s, ..record.clone() })?;
        self.broken = true; // until the system has all of it
        self.file.write_all(&line).map_err(io_error(&self.path, "write to"))?;
        self.broken = false;
        (self.lines, self.step, self.wall_s) = (number, Some(record.step), wall_s);
        Ok(())
    }

    /// Waits until the disk has every line. To be called before a state of the run is saved, so that no state is ahead
    /// of its metrics, even after a power failure.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn sync(&self) -> Result<(), MonitorError> {
        Ok(self.file.sync_data().map_err(io_error(&self.path, "write to"))?)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was found on opening.
    pub fn reopened(&self) -> Reopened {
        self.reopened
    }

    /// The `wall_s` of the last line, 0 without any.
    pub fn wall_s(&self) -> f64 {
        self.wall_s
    }
}

impl Drop for MetricsLog {
    fn drop(&mut self) {
        // By hand: a process that is just being started holds a copy of the file, and with it the lock, for a moment.
        let _ = self.file.unlock();
    }
}

#[cfg(test)]
mod tests;
