//! What can be wrong with a configuration.

use std::path::PathBuf;

/// What is wrong with a `config.json`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The file is no JSON object.
    #[error("{origin}: not a JSON object: {reason}")]
    Json {
        /// Where the text came from.
        origin: String,
        /// The parser's words.
        reason: String,
    },
    /// A key is missing, has a value of another type or contradicts another key.
    #[error("{origin}: `{key}` is {found}, expected {expected}")]
    Value {
        /// Where the text came from.
        origin: String,
        /// The key; with those it is nested in, as in `rope_parameters.factor`.
        key: String,
        /// What is there.
        found: String,
        /// What should be.
        expected: &'static str,
    },
    /// A key asks for something that this decoder does not do.
    #[error("{origin}: `{key}` = {found} is not supported; {supported}")]
    Unsupported {
        /// Where the text came from.
        origin: String,
        /// The key; with those it is nested in, as in `rope_parameters.rope_type`.
        key: String,
        /// What is there.
        found: String,
        /// What would be.
        supported: &'static str,
    },
}
