//! Stored attempts.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use entropo_core::{Trajectory, TrajectoryStore};

use super::error::JudgeError;

/// All attempts of files, in their order.
///
/// # Errors
/// A file that is not there or holds something else, and a rollout that is there twice.
pub fn read(files: &[PathBuf]) -> Result<Vec<Trajectory>, JudgeError> {
    let (mut attempts, mut places) = (Vec::new(), HashMap::new());
    for file in files {
        // Opening a store would make one.
        exists(file, "a file of trajectories, such as `evaluate export` writes")?;
        for attempt in TrajectoryStore::open(file)?.into_records() {
            if let Some(first) = places.insert(attempt.id.clone(), file) {
                return Err(JudgeError::Twice { rollout: attempt.id, first: first.clone(), second: file.clone() });
            }
            attempts.push(attempt);
        }
    }
    Ok(attempts)
}

/// Refuses a file that is not there.
pub(super) fn exists(path: &Path, what: &'static str) -> Result<(), JudgeError> {
    if path.is_file() { Ok(()) } else { Err(JudgeError::Absent { path: path.to_owned(), what }) }
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
        assert!(matches!(read(std::slice::from_ref(&absent)), Err(JudgeError::Absent { .. })));
        assert!(!absent.exists(), "reading makes no file");
    }
}
