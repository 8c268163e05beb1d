//! Why data cannot be read.

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
}
