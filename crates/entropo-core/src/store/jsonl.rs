//! The store for records of any one type.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::StoreError;
use super::lock::LockedFile;

/// An append-only file of records of type `T`, one JSON value a line; see [the module](super).
#[derive(Debug)]
pub struct JsonlStore<T> {
    pub(super) path: PathBuf,
    pub(super) file: LockedFile,
    format: Option<&'static str>,
    pub(super) records: Vec<T>,
    recovery: Recovery,
    pub(super) broken: bool,
}

/// What [`JsonlStore::open`] found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    /// Whole records.
    pub records: usize,
    /// Bytes after the last whole line, which were cut off: a line whose writer died. Usually 0.
    pub torn_bytes: u64,
}

/// Lines ready to be written, and the records as they will be read back.
pub(super) struct Batch<T> {
    text: Vec<u8>,
    pub(super) records: Vec<T>,
}

impl<T: Serialize + DeserializeOwned> JsonlStore<T> {
    /// Opens the file at `path`, or creates it in a folder that exists, and reads every record.
    ///
    /// Whatever follows the last newline is cut off, for no append that wrote it was ever reported as done. The only
    /// exception is a tail that is a whole JSON value but no `T`, which no crash explains.
    ///
    /// # Errors
    /// [`StoreError::Locked`], [`StoreError::Malformed`] or [`StoreError::Io`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_checked(path.as_ref(), None, |_, _| Ok(()))
    }

    /// Like [`open`](Self::open) for records that carry their format version in a top-level field `format`.
    ///
    /// # Errors
    /// Those of [`open`](Self::open), and [`StoreError::Format`] for a record whose `format` is not `format`.
    pub fn open_versioned(path: impl AsRef<Path>, format: &'static str) -> Result<Self, StoreError> {
        Self::open_checked(path.as_ref(), Some(format), |_, _| Ok(()))
    }

    /// Opens with one more condition on each record, which is told its line.
    pub(super) fn open_checked(
        path: &Path,
        format: Option<&'static str>,
        mut check: impl FnMut(usize, &T) -> Result<(), StoreError>,
    ) -> Result<Self, StoreError> {
        let file = LockedFile::open(path)?;
        let mut reader = BufReader::new(file.get());
        let (mut records, mut whole_bytes, mut line) = (Vec::new(), 0, Vec::new());
        let torn_bytes = loop {
            line.clear();
            let bytes = reader.read_until(b'\n', &mut line).map_err(StoreError::io(path, "read"))? as u64;
            if !line.ends_with(b"\n") {
                break bytes;
            }
            let number = records.len() + 1;
            let record = decode(path, number, format, &line)?;
            check(number, &record)?;
            records.push(record);
            whole_bytes += bytes;
        };
        if serde_json::from_slice::<IgnoredAny>(&line).is_ok() {
            decode::<T>(path, records.len() + 1, format, &line)?;
        }

        prepare(file.get(), path, whole_bytes, torn_bytes).map_err(StoreError::io(path, "recover or prepare"))?;
        let recovery = Recovery { records: records.len(), torn_bytes };
        Ok(Self { path: path.to_owned(), file, format, records, recovery, broken: false })
    }

    /// Adds a record; when this returns, the disk has it.
    ///
    /// # Errors
    /// [`StoreError::Unwritable`] or [`StoreError::Format`] for a record that could not be read back; nothing is
    /// written then. [`StoreError::Io`] if the disk refuses, and from then on [`StoreError::Broken`].
    pub fn append(&mut self, record: &T) -> Result<(), StoreError> {
        self.append_all(std::slice::from_ref(record))
    }

    /// Adds records in order and waits for the disk once. A crash on the way keeps the first few of them, whole.
    ///
    /// # Errors
    /// Those of [`append`](Self::append); one record that cannot be written stops all.
    pub fn append_all(&mut self, records: &[T]) -> Result<(), StoreError> {
        let batch = self.encode(records)?;
        self.commit(batch)
    }

    pub(super) fn encode(&self, records: &[T]) -> Result<Batch<T>, StoreError> {
        let mut batch = Batch { text: Vec::new(), records: Vec::with_capacity(records.len()) };
        for record in records {
            let unwritable = |source| StoreError::Unwritable { path: self.path.clone(), source };
            let line = serde_json::to_vec(record).map_err(unwritable)?;
            let number = self.records.len() + batch.records.len() + 1;
            batch.records.push(decode(&self.path, number, self.format, &line).map_err(|error| match error {
                StoreError::Malformed { source, .. } => unwritable(source),
                other => other,
            })?);
            batch.text.extend_from_slice(&line);
            batch.text.push(b'\n');
        }
        Ok(batch)
    }

    pub(super) fn commit(&mut self, batch: Batch<T>) -> Result<(), StoreError> {
        if self.broken {
            return Err(StoreError::Broken { path: self.path.clone() });
        }
        if batch.text.is_empty() {
            return Ok(());
        }
        self.broken = true; // until the disk is known to have everything
        let mut file = self.file.get();
        file.write_all(&batch.text).and_then(|()| file.sync_data()).map_err(StoreError::io(&self.path, "write to"))?;
        self.broken = false;
        self.records.extend(batch.records);
        Ok(())
    }
}

impl<T> JsonlStore<T> {
    /// The records in the order of the file, appended ones included.
    pub fn records(&self) -> &[T] {
        &self.records
    }

    /// Iterates over [`records`](Self::records).
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.records.iter()
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Closes the store and keeps its records.
    pub fn into_records(self) -> Vec<T> {
        self.records
    }

    /// What was found when the store was opened.
    pub fn recovery(&self) -> Recovery {
        self.recovery
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl<'a, T> IntoIterator for &'a JsonlStore<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Reads one line. The version is asked first, because a record of another version need not fit `T` at all.
fn decode<T: DeserializeOwned>(
    path: &Path,
    line: usize,
    format: Option<&'static str>,
    text: &[u8],
) -> Result<T, StoreError> {
    #[derive(Deserialize)]
    struct Header {
        #[serde(default)]
        format: Value,
    }
    let malformed = |source| StoreError::Malformed { path: path.to_owned(), line, source };
    if let Some(expected) = format {
        let Header { format: found } = serde_json::from_slice(text).map_err(malformed)?;
        if found != expected {
            return Err(StoreError::Format { path: path.to_owned(), line, found, expected });
        }
    }
    serde_json::from_slice(text).map_err(malformed)
}

/// Cuts off the torn tail, goes to where the next line begins, and makes a new file's name as durable as its records.
fn prepare(mut file: &File, path: &Path, whole_bytes: u64, torn_bytes: u64) -> std::io::Result<()> {
    if torn_bytes > 0 {
        file.set_len(whole_bytes)?;
        file.sync_data()?;
    }
    file.seek(SeekFrom::Start(whole_bytes))?;
    if whole_bytes == 0 { sync_name(path) } else { Ok(()) }
}

/// Makes a new file's name as durable as what is in it.
pub(super) fn sync_name(path: &Path) -> std::io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file_with(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.jsonl");
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn appended_records_are_there_at_once_and_after_reopening() {
        let (_folder, path) = file_with("");
        let mut store = JsonlStore::open(&path).unwrap();
        store.append(&"one\nline".to_owned()).unwrap();
        store.append_all(&["two".to_owned(), "three".to_owned()]).unwrap();
        assert_eq!(store.records(), ["one\nline", "two", "three"]);
        drop(store);
        let store = JsonlStore::<String>::open(&path).unwrap();
        assert_eq!(store.recovery(), Recovery { records: 3, torn_bytes: 0 });
        assert_eq!(store.into_records(), ["one\nline", "two", "three"]);
    }

    #[test]
    fn a_torn_tail_is_cut_off_and_the_next_record_starts_a_line() {
        let (_folder, path) = file_with("\"one\"\n\"tw");
        let mut store = JsonlStore::open(&path).unwrap();
        assert_eq!(store.recovery(), Recovery { records: 1, torn_bytes: 3 });
        store.append(&"three".to_owned()).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "\"one\"\n\"three\"\n");
    }

    #[test]
    fn a_whole_line_that_is_no_record_is_named_and_nothing_is_changed() {
        for text in ["1\nnonsense\n3\n", "1\n\"nonsense\"\n3", "1\n\n", "1\n{}"] {
            let (_folder, path) = file_with(text);
            let error = JsonlStore::<u32>::open(&path).unwrap_err();
            assert!(matches!(error, StoreError::Malformed { line: 2, .. }), "{text:?} gave {error:?}");
            assert!(error.to_string().contains("store.jsonl, line 2 "), "{error}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn only_one_store_has_the_file() {
        let (_folder, path) = file_with("");
        let first = JsonlStore::<u32>::open(&path).unwrap();
        assert!(matches!(JsonlStore::<u32>::open(&path), Err(StoreError::Locked { .. })));
        drop(first);
        JsonlStore::<u32>::open(&path).unwrap();
    }

    #[test]
    fn what_could_not_be_read_back_is_not_written() {
        let (_folder, path) = file_with("");
        let mut store = JsonlStore::open(&path).unwrap();
        let error = store.append_all(&[1.5, f64::INFINITY]).unwrap_err();
        assert!(matches!(error, StoreError::Unwritable { .. }), "{error:?}");
        store.append(&2.5).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "2.5\n");
    }

    /// `/dev/full` takes a lock and reads nothing of use, but every write to it fails.
    #[cfg(target_os = "linux")]
    #[test]
    fn after_a_failed_write_the_store_must_be_opened_again() {
        let (_folder, path) = file_with("1\n");
        let mut store = JsonlStore::<u32>::open(&path).unwrap();
        store.file = LockedFile::open(Path::new("/dev/full")).unwrap();
        assert!(matches!(store.append(&2), Err(StoreError::Io { action: "write to", .. })));
        assert!(matches!(store.append(&2), Err(StoreError::Broken { .. })));
        assert_eq!(store.records(), [1]);
    }

    #[test]
    fn versions_are_checked_on_reading_and_on_writing() {
        let (_folder, path) = file_with("{\"format\":\"metrics/1\"}\n{\"format\":\"metrics/2\",\"new\":1}\n{\"for");
        let before = std::fs::read(&path).unwrap();
        let error = JsonlStore::<Value>::open_versioned(&path, "metrics/1").unwrap_err();
        assert!(matches!(error, StoreError::Format { line: 2, .. }), "{error:?}");
        assert!(error.to_string().contains("\"metrics/2\", but only \"metrics/1\""), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), before);

        let (_folder, path) = file_with("");
        let mut store = JsonlStore::<Value>::open_versioned(&path, "metrics/1").unwrap();
        assert!(matches!(store.append(&serde_json::json!({"loss": 1.0})), Err(StoreError::Format { line: 1, .. })));
        assert!(std::fs::read(&path).unwrap().is_empty());
    }
}
