//! TensorBoard's event files, as far as scalars go.
//!
//! The crates that write them (tensorboard-rs, tboard, tfrecord) either mark no restarts, need `protoc` to be built, or
//! rest on a protobuf with a known vulnerability; prost and crc32c leave little to write.
//!
//! A run that goes on writes a new file whose name sorts after the old ones, and begins it with a `SessionLog` that says
//! from which step: readers drop what the earlier files say of that step and of later ones.

mod frame;
mod message;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;

use self::frame::frame;
use self::message::{Event, START, SessionLog, Summary, VERSION, Value, What};
use super::record::Record;

/// How the names of event files begin; readers look for it.
const PREFIX: &str = "events.out.tfevents.";

/// One event file that is being written.
#[derive(Debug)]
pub struct EventLog<W> {
    writer: W,
}

impl EventLog<File> {
    /// A new file in `directory` for a run that takes `step` next; returns its path as well. What earlier files in the
    /// directory say of `step` and later ones counts no more.
    ///
    /// # Errors
    /// What the system says.
    pub fn create(directory: &Path, step: usize) -> io::Result<(Self, PathBuf)> {
        let mut seconds = (unix_s() as u64).max(latest(directory)?.map_or(0, |latest| latest + 1));
        loop {
            let path = directory.join(format!("{PREFIX}{seconds:010}.entropo"));
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok((Self::new(file, step, unix_s())?, path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => seconds += 1,
                Err(error) => return Err(error),
            }
        }
    }
}

impl<W: Write> EventLog<W> {
    /// Writes the head of a file for a run that takes `step` next, at `unix_s` seconds since 1970.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn new(writer: W, step: usize, unix_s: f64) -> io::Result<Self> {
        let mut log = Self { writer };
        log.write(0, unix_s, What::FileVersion(VERSION.to_owned()))?;
        log.write(step, unix_s, What::SessionLog(SessionLog { status: START }))?;
        Ok(log)
    }

    /// Adds a record's scalars in one piece, rounded to `f32` as the format has it; a record without any adds nothing.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn record(&mut self, record: &Record, unix_s: f64) -> io::Result<()> {
        let value = |(tag, value): (&String, &f64)| Value { tag: tag.clone(), simple_value: Some(*value as f32) };
        let value: Vec<Value> = record.scalars.iter().map(value).collect();
        if value.is_empty() {
            return Ok(());
        }
        self.write(record.step, unix_s, What::Summary(Summary { value }))
    }

    /// One whose head is written elsewhere or nowhere.
    #[cfg(test)]
    pub(super) fn broken(writer: W) -> Self {
        Self { writer }
    }

    /// Adds a record's scalars as of now.
    pub(super) fn record_now(&mut self, record: &Record) -> io::Result<()> {
        self.record(record, unix_s())
    }

    fn write(&mut self, step: usize, wall_time: f64, what: What) -> io::Result<()> {
        let event = Event { wall_time, step: i64::try_from(step).unwrap_or(i64::MAX), what: Some(what) };
        self.writer.write_all(&frame(&event.encode_to_vec()))
    }
}

/// Seconds since 1970.
fn unix_s() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |passed| passed.as_secs_f64())
}

/// The latest time in the names of a directory's event files; names with times of another length do not sort by them.
fn latest(directory: &Path) -> io::Result<Option<u64>> {
    let mut latest = None;
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let seconds = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.get(..10)?.parse().ok());
        latest = latest.max(seconds);
    }
    Ok(latest)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What `RecordWriter` of tensorboard 2.21 writes for the same events.
    #[test]
    fn events_are_byte_for_byte_those_of_tensorboard() {
        let mut log = EventLog::new(Vec::new(), 7, 1.5).unwrap();
        let scalars = BTreeMap::from([("loss".to_owned(), 0.0), ("x".to_owned(), 0.5)]);
        log.record(&Record { step: 7, scalars, ..Record::default() }, 2.25).unwrap();
        log.record(&Record::default(), 3.0).unwrap();
        let expected = [
            "1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c",
            "0f000000000000006d532b0909000000000000f83f10073a020801774771c7",
            "2400000000000000422b804d09000000000000024010072a170a0b0a046c6f737315000000000a080a0178150000003fc321be6b",
        ];
        assert_eq!(hex(&log.writer), expected.concat());
    }

    #[test]
    fn a_later_file_sorts_after_the_earlier_ones() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("events.out.tfevents.9000000000.elsewhere.1.0"), "").unwrap();
        fs::write(folder.path().join("events.out.tfevents.ünbekannt"), "").unwrap();
        let (_, first) = EventLog::create(folder.path(), 0).unwrap();
        let (_, second) = EventLog::create(folder.path(), 0).unwrap();
        assert!(first.ends_with("events.out.tfevents.9000000001.entropo"), "{first:?}");
        assert!(first < second);
    }
}
