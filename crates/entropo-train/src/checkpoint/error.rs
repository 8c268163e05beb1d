//! What can be wrong with a checkpoint.

use std::fmt;
use std::path::PathBuf;

use super::damage::Damage;
use super::index::IndexError;
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
    /// A directory without weights.
    #[error("{directory}: no weights: neither model.safetensors nor model.safetensors.index.json is there")]
    NoWeights {
        /// The directory.
        directory: PathBuf,
    },
    /// A directory with weights in PyTorch's own format alone.
    #[error(
        "{path}: pickled PyTorch weights are not read, for reading them runs what they say; convert them with \
         `AutoModelForCausalLM.from_pretrained(…).save_pretrained(…)` of transformers, which writes model.safetensors"
    )]
    Pickled {
        /// The file.
        path: PathBuf,
    },
    /// `model.safetensors.index.json` is unusable or contradicts its shards.
    #[error("{path}: {reason}")]
    Index {
        /// The index.
        path: PathBuf,
        /// What is wrong.
        reason: IndexError,
    },
    /// The file is no safetensors file, is cut short or contradicts itself.
    #[error("{origin}: not a valid safetensors file: {damage}")]
    Safetensors {
        /// Where the bytes came from.
        origin: String,
        /// What is wrong.
        damage: Damage,
    },
    /// The tensors are not those that the configuration asks for.
    #[error("{origin}: the tensors do not fit config.json:\n{problems}")]
    Mismatch {
        /// Where the tensors came from.
        origin: String,
        /// Every difference.
        problems: Problems,
    },
    /// A setting of loading that is out of range.
    #[error("{0}")]
    Setting(String),
    /// A decoder with an adapter, which a checkpoint has no place for.
    #[error(
        "the decoder has an adapter attached, which a checkpoint cannot hold; save `merge()`d weights, \
         `without_adapter()` the base's, or the adapter alone: `adapter()` and then `Adapter::save`"
    )]
    Adapter,
    /// A decoder with quantised weights, which a checkpoint has no place for.
    #[error(
        "the decoder's weights are quantised, which a checkpoint does not hold; save `dequantised()` weights, or what was \
         learned over them: the adapter alone, or `merge()`d weights"
    )]
    Quantised,
    /// Weights that cannot be saved.
    #[error("the weights cannot be saved:\n{0}")]
    Unsaved(Problems),
    /// The configuration to be copied beside saved weights describes another decoder.
    #[error("{path}: describes another decoder than the one to be saved, it differs in {keys}")]
    OtherDecoder {
        /// The configuration.
        path: PathBuf,
        /// The keys whose values differ.
        keys: String,
    },
}

/// Differences that are written out; a checkpoint of another family differs in all of its thousands of tensors.
const SHOWN: usize = 20;

/// Every difference between a checkpoint's tensors and those that its configuration asks for; shown one a line.
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
    /// A tensor that holds a value too large for the type asked for.
    Range {
        /// The tensor.
        name: String,
        /// The type.
        asked: String,
    },
    /// A tensor that its device does not hand out.
    Device {
        /// The tensor.
        name: String,
        /// The device's words.
        reason: String,
    },
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines: Vec<String> = self.0.iter().take(SHOWN).map(ToString::to_string).collect();
        if self.0.len() > SHOWN {
            lines.push(format!("  and {} more", self.0.len() - SHOWN));
        }
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
            Self::Range { name, asked } => write!(f, "  {name}: holds values too large for {asked}"),
            Self::Device { name, reason } => write!(f, "  {name}: cannot be read from its device: {reason}"),
        }
    }
}
