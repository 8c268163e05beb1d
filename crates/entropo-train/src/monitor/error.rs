//! What can go wrong with what is written of a run.

use std::io;
use std::path::PathBuf;

use entropo_core::StoreError;

use crate::checkpoint::CheckpointError;

/// Why a run's metrics cannot be kept or its report cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MonitorError {
    /// The directory of the run cannot be made.
    #[error("cannot make the directory {path}: {source}; give one that can be written to")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// `metrics.jsonl` cannot be read or written, belongs to somebody else or is of another format.
    #[error(transparent)]
    Metrics(Box<StoreError>),
    /// A line that no run wrote; nothing was changed.
    #[error("{path}, line {line} has more than {limit} bytes, which is no record of a step; use another directory")]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// Bytes that a line may have.
        limit: usize,
    },
    /// Steps that go backwards; nothing was changed or written.
    #[error(
        "{path}, line {line}: step {step} comes after step {previous}; open the file at the step from which the run \
         goes on, which drops the lines of steps that are taken again"
    )]
    Order {
        /// The file.
        path: PathBuf,
        /// The line; for a record that was to be added, the line it would have had.
        line: usize,
        /// Its step.
        step: usize,
        /// The step of the line before.
        previous: usize,
    },
    /// A curve cannot be drawn.
    #[error("cannot draw the curve of {name}: {reason}; its numbers are in the metrics")]
    Plot {
        /// The metric.
        name: String,
        /// The words of the library.
        reason: String,
    },
    /// The report's template and what fills it disagree.
    #[error("cannot fill in the template of the report: {0:#}; page.html and page.rs have to agree")]
    Template(#[from] minijinja::Error),
    /// The report cannot be written; the old one is as it was.
    #[error("cannot write the report: {0}")]
    Report(#[source] CheckpointError),
}

impl From<StoreError> for MonitorError {
    fn from(error: StoreError) -> Self {
        Self::Metrics(Box::new(error))
    }
}
