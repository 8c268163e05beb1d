//! Why data cannot be read.

use std::io;
use std::path::PathBuf;

use super::dataset::Report;
use crate::text::EncodeError;

/// Why examples cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// An example that is not there.
    #[error("there is no example {index}; there are {examples}")]
    Index {
        /// What was asked for.
        index: usize,
        /// How many there are.
        examples: usize,
    },
    /// A data set of no files.
    #[error("no files to read; name at least one")]
    NoFiles,
    /// A file that cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A cache that cannot be written.
    #[error("{path}: cannot write tokenised examples: {source}; what was there is as it was")]
    Write {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A row that cannot be understood.
    #[error("{path}, line {line}: {reason}; correct it, or set `bad_rows = \"drop\"` to go on without such rows")]
    Row {
        /// The file.
        path: PathBuf,
        /// The line on which it begins, counted from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// A store of trajectories that cannot be read.
    #[error("{path}: {reason}")]
    Trajectories {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and where.
        reason: String,
    },
    /// A verifier's question that the model's template cannot ask.
    #[error("the question cannot be asked: {0}")]
    Question(Box<EncodeError>),
    /// Data of which nothing is left.
    #[error("nothing is left to train on; {0}")]
    Nothing(Box<Report>),
    /// Tokenised examples of something else, or damaged ones.
    #[error("{path}: {reason}; delete this directory to have it made again")]
    Cache {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}
