//! What can be wrong with an adapter.

use crate::checkpoint::{CheckpointError, Problems};

/// Why an adapter cannot be made, read, written or attached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdapterError {
    /// A file that cannot be read or written, or is no safetensors file.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The configuration is no JSON object.
    #[error("{origin}: not an adapter configuration: {reason}")]
    Json {
        /// Where the text came from.
        origin: String,
        /// The parser's words.
        reason: String,
    },
    /// A setting that changes the computation in a way that is not done here.
    #[error("{origin}: `{key}` is {found}, which is not supported; supported is {supported}")]
    Unsupported {
        /// Where the configuration came from.
        origin: String,
        /// The key in `adapter_config.json`.
        key: String,
        /// Its value.
        found: String,
        /// What would be.
        supported: &'static str,
    },
    /// A setting outside its range.
    #[error("`{key}` is {found}, expected {expected}")]
    Invalid {
        /// The key in `adapter_config.json`.
        key: String,
        /// Its value.
        found: String,
        /// What it may be.
        expected: &'static str,
    },
    /// A regular expression that cannot be used.
    #[error("the pattern `{pattern}` cannot be used: {reason}")]
    Pattern {
        /// The expression.
        pattern: String,
        /// The reader's words.
        reason: String,
    },
    /// A pattern that no linear layer of the decoder matches.
    #[error("no linear layer matches {pattern}; there are, among others: {examples}")]
    NoMatch {
        /// The pattern.
        pattern: String,
        /// A few of the decoder's layers.
        examples: String,
    },
    /// A rank that the layer's matrix does not have, so that nothing would be low about it.
    #[error("{layer}: rank {rank} is more than its matrix of {output} x {input} has; lower `r`, or exclude the layer")]
    Rank {
        /// The layer.
        layer: String,
        /// The rank asked for.
        rank: usize,
        /// Rows.
        output: usize,
        /// Columns.
        input: usize,
    },
    /// Changes that are not of the decoder's layers, or not of their shapes.
    #[error("{origin}: the adapter does not fit the decoder:\n{problems}")]
    Mismatch {
        /// Where the adapter came from.
        origin: String,
        /// Every difference.
        problems: Problems,
    },
}
