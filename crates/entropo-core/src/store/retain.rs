//! Taking records out of a store.

use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};

use super::jsonl::sync_name;
use super::lock::LockedFile;
use super::{JsonlStore, StoreError};

impl<T> JsonlStore<T> {
    /// Keeps the records for which `keep` holds, and says how many are gone. The lines of those that stay are copied as they
    /// are. The new file is whole on the disk before it takes the old one's place, and it is ours all the while.
    ///
    /// # Errors
    /// [`StoreError::Io`], after which nothing is gone; [`StoreError::Broken`] after an append that failed.
    pub fn retain(&mut self, keep: impl Fn(&T) -> bool) -> Result<usize, StoreError> {
        if self.broken {
            return Err(StoreError::Broken { path: self.path.clone() });
        }
        let stays: Vec<bool> = self.records.iter().map(keep).collect();
        let gone = stays.iter().filter(|stays| !**stays).count();
        if gone == 0 {
            return Ok(0);
        }
        let lines = self.lines(&stays).map_err(StoreError::io(&self.path, "read"))?;
        let mut beside = self.path.clone().into_os_string();
        beside.push(".new");
        let file = LockedFile::open(beside.as_ref())?;
        let write = |mut file: &std::fs::File| {
            file.set_len(0)?; // what a process left that died here
            file.write_all(&lines)?;
            file.sync_all()?;
            std::fs::rename(&beside, &self.path)?;
            sync_name(&self.path)
        };
        write(file.get()).map_err(StoreError::io(&self.path, "replace"))?;
        self.file = file;
        let mut stays = stays.into_iter();
        self.records.retain(|_| stays.next().unwrap_or(true));
        Ok(gone)
    }

    /// The lines of the records that stay.
    fn lines(&self, stays: &[bool]) -> std::io::Result<Vec<u8>> {
        let mut file = self.file.get();
        file.seek(SeekFrom::Start(0))?;
        let (mut reader, mut kept, mut line) = (BufReader::new(file), Vec::new(), Vec::new());
        for stays in stays {
            line.clear();
            reader.read_until(b'\n', &mut line)?;
            if *stays {
                kept.extend_from_slice(&line);
            }
        }
        file.seek(SeekFrom::End(0))?;
        Ok(kept)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use super::*;

    type Record = BTreeMap<String, u32>;

    #[test]
    fn what_is_not_kept_is_gone_and_the_rest_is_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.jsonl");
        let lines = ["{ \"a\": 1}\n", "{\"b\":2, \"a\":1}\n", "{\"c\":3}\n"];
        fs::write(&path, lines.concat()).unwrap();
        // A process that died while it did the same.
        fs::write(folder.path().join("store.jsonl.new"), "{\"z\":").unwrap();
        let mut store = JsonlStore::<Record>::open(&path).unwrap();
        assert_eq!(store.retain(|_| true).unwrap(), 0);
        assert_eq!(store.retain(|record| !record.contains_key("c")).unwrap(), 1);
        store.append(&Record::from([("d".to_owned(), 4)])).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), [lines[0], lines[1], "{\"d\":4}\n"].concat());
        assert!(matches!(JsonlStore::<Record>::open(&path), Err(StoreError::Locked { .. })));
        assert_eq!(store.retain(|record| record.contains_key("d")).unwrap(), 2);
        let records = store.into_records();
        assert_eq!(JsonlStore::<Record>::open(&path).unwrap().records(), records);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn whoever_waited_for_the_old_file_gets_the_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.jsonl");
        let mut store = JsonlStore::<u32>::open(&path).unwrap();
        store.append_all(&[1, 2]).unwrap();
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                loop {
                    match JsonlStore::<u32>::open(&path) {
                        Err(StoreError::Locked { .. }) => std::thread::yield_now(),
                        opened => break opened.unwrap().append(&4),
                    }
                }
            });
            for _ in 0..100 {
                store.append(&3).unwrap();
                store.retain(|record| *record < 3).unwrap();
            }
            drop(store);
            reader.join().unwrap().unwrap();
        });
        assert_eq!(JsonlStore::<u32>::open(&path).unwrap().records(), [1, 2, 4]);
    }
}
