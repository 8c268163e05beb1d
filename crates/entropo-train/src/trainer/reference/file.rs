//! Sums on disk: a line that says what they are of, and a line for every portion. A line that was torn is computed again.

use std::path::Path;

use entropo_core::{JsonlStore, StoreError};
use serde::{Deserialize, Serialize};

use super::super::error::TrainError;
use crate::checkpoint::CheckpointError;

/// A line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Line {
    /// The first one.
    Reference {
        /// What the sums are of.
        key: String,
    },
    /// Sums of some examples, `[example][sequence]`.
    Sums { examples: Vec<usize>, sums: Vec<Vec<f64>> },
}

/// A file that sums are added to.
pub(super) struct File {
    store: JsonlStore<Line>,
}

impl File {
    /// Reads what is there into `sums`, `[example][sequence]`, or makes a new file, its directory if need be.
    pub(super) fn open(path: &Path, key: &str, sums: &mut [Vec<f64>]) -> Result<Self, TrainError> {
        let other = |reason: String| TrainError::OtherRun { path: path.to_owned(), reason };
        let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
        let made = std::fs::create_dir_all(directory.unwrap_or(Path::new(".")));
        made.map_err(|source| CheckpointError::File { path: path.to_owned(), source })?;
        let mut store: JsonlStore<Line> = JsonlStore::open(path).map_err(|error| match error {
            StoreError::Malformed { .. } => other(format!("not a reference cache: {error}")),
            error => error.into(),
        })?;
        let mut lines = store.iter();
        match lines.next() {
            Some(Line::Reference { key: found }) if found == key => {}
            Some(Line::Reference { .. }) => {
                return Err(other("made from other weights, sequences, masks, precision or scale".to_owned()));
            }
            Some(Line::Sums { .. }) => return Err(other("not a reference cache: it does not say of what".to_owned())),
            None => {}
        }
        for line in lines {
            let Line::Sums { examples, sums: found } = line else {
                return Err(other("not a reference cache: it says twice of what".to_owned()));
            };
            for (&index, found) in examples.iter().zip(found) {
                let place = sums.get_mut(index).filter(|_| !found.is_empty());
                let place = place.ok_or_else(|| other(format!("not a reference cache: example {index}")))?;
                place.clone_from(found);
            }
        }
        if store.is_empty() {
            store.append(&Line::Reference { key: key.to_owned() })?;
        }
        Ok(Self { store })
    }

    /// Adds sums of some examples; when this returns, the disk has them.
    pub(super) fn append(&mut self, examples: &[usize], sums: &[Vec<f64>]) -> Result<(), TrainError> {
        Ok(self.store.append(&Line::Sums { examples: examples.to_owned(), sums: sums.to_owned() })?)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn open(path: &Path) -> Result<Vec<Vec<f64>>, TrainError> {
        let mut sums = vec![Vec::new(); 3];
        File::open(path, "k", &mut sums).map(|_| sums)
    }

    #[test]
    fn whole_lines_are_kept_and_torn_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made/if/need/be.jsonl");
        let mut sums = vec![Vec::new(); 3];
        let mut file = File::open(&path, "k", &mut sums).unwrap();
        file.append(&[2, 0], &[vec![-1.25, -0.1], vec![-3.0]]).unwrap();
        file.append(&[1], &[vec![-4.0]]).unwrap();
        drop(file);
        assert_eq!(open(&path).unwrap(), [vec![-3.0], vec![-4.0], vec![-1.25, -0.1]]);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 2]).unwrap();
        assert_eq!(open(&path).unwrap(), [vec![-3.0], vec![], vec![-1.25, -0.1]]);
    }

    #[test]
    fn anything_else_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reference.jsonl");
        for text in [
            "{}\n",
            "{}",
            "{\"reference\":{\"key\":\"other\"}}\n",
            "{\"sums\":{\"examples\":[0],\"sums\":[[1.0]]}}\n",
            "{\"reference\":{\"key\":\"k\"}}\n{\"reference\":{\"key\":\"k\"}}\n",
            "{\"reference\":{\"key\":\"k\"}}\n{\"sums\":{\"examples\":[3],\"sums\":[[1.0]]}}\n",
            "{\"reference\":{\"key\":\"k\"}}\n{\"sums\":{\"examples\":[0],\"sums\":[[]]}}\n",
        ] {
            fs::write(&path, text).unwrap();
            let error = open(&path).unwrap_err();
            assert!(matches!(&error, TrainError::OtherRun { path: found, .. } if *found == path), "{text}: {error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }
}
