//! What can be wrong with a checkpoint.

use std::fmt;
use std::path::PathBuf;

use crate::decoder::ConfigError;

/// Why a checkpoint cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// A file or directory cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// `config.json` is unusable.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The file is no safetensors file, is cut short or contradicts itself.
    #[error("{origin}: not a valid safetensors file: {reason}")]
    Safetensors {
        /// Where the bytes came from.
        origin: String,
        /// The reader's words.
        reason: String,
    },
    /// The tensors are not those that the configuration asks for.
    #[error("{origin}: the tensors do not fit config.json:\n{problems}")]
    Mismatch {
        /// Where the tensors came from.
        origin: String,
        /// Every difference.
        problems: Problems,
    },
}

/// Every difference between a checkpoint's tensors and those that its configuration asks for, one a line.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

/// One difference.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// A tensor that is asked for and not there.
    Missing(String),
    /// A tensor that is there and not asked for.
    Unexpected(String),
    /// A tensor of another shape.
    Shape {
        /// The tensor.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape that is asked for.
        expected: Vec<usize>,
    },
    /// A tensor of a type that holds no weights.
    Type {
        /// The tensor.
        name: String,
        /// Its type.
        found: String,
    },
    /// A tensor that holds NaN or infinity.
    NotFinite(String),
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(name) => write!(f, "  missing: {name}"),
            Self::Unexpected(name) => write!(f, "  unexpected: {name}"),
            Self::Shape { name, found, expected } => write!(f, "  {name}: shape {found:?}, expected {expected:?}"),
            Self::Type { name, found } => write!(f, "  {name}: type {found}, expected F32, F16 or BF16"),
            Self::NotFinite(name) => write!(f, "  {name}: holds NaN or infinity"),
        }
    }
}
