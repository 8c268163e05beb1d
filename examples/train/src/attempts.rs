//! Stored attempts.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use entropo_core::{RolloutId, StoreError, Trajectory, TrajectoryStore};

/// Why attempts cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttemptsError {
    /// A file that is not there.
    #[error("{path}: there is no such file; it is {what}")]
    Absent {
        /// The file.
        path: PathBuf,
        /// What it would be.
        what: &'static str,
    },
    /// A store that cannot be read.
    #[error(transparent)]
    Store(Box<StoreError>),
    /// A rollout that is in two files.
    #[error("{rollout} is in {first} and in {second}; give each rollout once")]
    Twice {
        /// The rollout.
        rollout: RolloutId,
        /// One file.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
}

impl From<StoreError> for AttemptsError {
    fn from(error: StoreError) -> Self {
        Self::Store(Box::new(error))
    }
}

/// All attempts of files, in their order.
///
/// # Errors
/// A file that is not there or holds something else, and a rollout that is there twice.
pub fn read(files: &[PathBuf]) -> Result<Vec<Trajectory>, AttemptsError> {
    let (mut attempts, mut places) = (Vec::new(), HashMap::new());
    for file in files {
        // Opening a store would make one.
        exists(file, "a file of trajectories, such as `evaluate export` writes")?;
        for attempt in TrajectoryStore::open(file)?.into_records() {
            if let Some(first) = places.insert(attempt.id.clone(), file) {
                return Err(AttemptsError::Twice { rollout: attempt.id, first: first.clone(), second: file.clone() });
            }
            attempts.push(attempt);
        }
    }
    Ok(attempts)
}

/// Refuses a file that is not there.
pub(crate) fn exists(path: &Path, what: &'static str) -> Result<(), AttemptsError> {
    if path.is_file() { Ok(()) } else { Err(AttemptsError::Absent { path: path.to_owned(), what }) }
}

#[cfg(test)]
mod tests {
    use entropo_core::{ExitReason, RolloutId};

    use super::*;

    #[test]
    fn what_is_there_twice_or_not_at_all_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let files = ["a.jsonl", "b.jsonl"].map(|name| directory.path().join(name));
        for (file, number) in files.iter().zip([0, 1]) {
            let id = RolloutId::new("task", number);
            TrajectoryStore::open(file).unwrap().append(&Trajectory::empty(id, "m", 0, ExitReason::Agent)).unwrap();
        }
        let read_all = read(&files).unwrap();
        assert_eq!(read_all.iter().map(|attempt| attempt.id.rollout).collect::<Vec<_>>(), [0, 1]);
        let again = read(&[files[0].clone(), files[0].clone()]).unwrap_err().to_string();
        assert!(again.contains("task#0 is in") && again.contains("a.jsonl"), "{again}");
        let absent = directory.path().join("c.jsonl");
        assert!(matches!(read(std::slice::from_ref(&absent)), Err(AttemptsError::Absent { .. })));
        assert!(!absent.exists(), "reading makes no file");
    }
}
