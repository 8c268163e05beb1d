//! What can go wrong with a store: always with the file, and with the line where there is one (counted from 1).

use std::io;
use std::path::{Path, PathBuf};

use crate::{RolloutId, TraceError};

/// Why a store cannot be opened or a record cannot be added.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The operating system refused.
    #[error("cannot {action} {path}")]
    Io {
        /// The store's file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody else has the store open.
    #[error("{path} is open in another process or in another store of this one; close that one first")]
    Locked {
        /// The store's file.
        path: PathBuf,
    },
    /// A line that is whole but is no record; nothing was changed.
    #[error("{path}, line {line} is no record of this store; it is whole, so no crash tore it: repair or remove it")]
    Malformed {
        /// The store's file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// Where in the line, and why. Its own line number is always 1.
        source: serde_json::Error,
    },
    /// A record of another format version, or of something else altogether; nothing was changed.
    #[error("{path}, line {line} has format {found}, but only {expected:?} is read: convert it or use another file")]
    Format {
        /// The store's file.
        path: PathBuf,
        /// The line; for a record that was to be added, the line it would have had.
        line: usize,
        /// The record's `format` as JSON, `null` if it has none.
        found: serde_json::Value,
        /// The only format that this store reads and writes.
        expected: &'static str,
    },
    /// A trajectory whose token trace is not valid.
    #[error("{path}, line {line}: the token trace of rollout {id} is not valid")]
    Trace {
        /// The store's file.
        path: PathBuf,
        /// The line; for a record that was to be added, the line it would have had.
        line: usize,
        /// The trajectory.
        id: RolloutId,
        /// What is wrong with its trace.
        source: TraceError,
    },
    /// A second trajectory of the same name.
    #[error("{path}, line {line}: rollout {id} is in line {first} already; give the new one another number")]
    Duplicate {
        /// The store's file.
        path: PathBuf,
        /// The line; for a record that was to be added, the line it would have had.
        line: usize,
        /// The name.
        id: RolloutId,
        /// The line that has the name.
        first: usize,
    },
    /// A record that JSON cannot hold or that could not be read back; nothing was written.
    #[error("a record for {path} does not survive being written as JSON and read back; nothing was written")]
    Unwritable {
        /// The store's file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A trajectory that would be read back as a different one; nothing was written.
    #[error("rollout {id} would change in {path}: JSON has no NaN and no infinity (is its reward finite?)")]
    Lossy {
        /// The store's file.
        path: PathBuf,
        /// The trajectory.
        id: RolloutId,
    },
    /// A write failed earlier, so what the disk has is not known.
    #[error("an earlier write to {path} failed; drop this store and open it again, which recovers what is whole")]
    Broken {
        /// The store's file.
        path: PathBuf,
    },
}

impl StoreError {
    /// Wraps what the system said about `path` when `action` was tried.
    pub(super) fn io(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), action, source }
    }
}
