//! Checkpoints in Hugging Face's layout: a directory with `config.json` and `model.safetensors`, or several shards and
//! `model.safetensors.index.json`.
//!
//! What is loaded is checked name by name and shape by shape, and goes from a mapped file to the device one tensor at a
//! time. What is saved is written one tensor at a time too, into a new directory that takes the old one's place when it
//! is complete, so that a crash leaves the old checkpoint or the new one, never half of one.

mod damage;
mod error;
mod fit;
mod index;
mod map;
mod read;
mod replace;
mod save;
mod tensors;
mod weights;
mod write;

pub use damage::Damage;
pub use error::{CheckpointError, Problem, Problems};
#[cfg(feature = "hub")]
pub(crate) use index::Index;
pub use index::IndexError;
pub(crate) use map::Map;
pub use read::{LoadOptions, Progress, decoder_from_bytes, load, load_with};
pub(crate) use replace::Staging;
pub use replace::write_file;
#[cfg(feature = "hub")]
pub(crate) use save::COMPANIONS;
pub(crate) use save::check_companions;
pub use save::{SaveOptions, save};
pub(crate) use tensors::{DeviceTensors, convert};
pub(crate) use weights::TensorSource;
pub use weights::Weights;
pub use write::decoder_to_bytes;
pub(crate) use write::{tensors_to_bytes, write_tensors};

/// The configuration's file name.
pub const CONFIG: &str = "config.json";
/// The weights' file name.
pub const WEIGHTS: &str = "model.safetensors";
/// The file name of the index of weights in several files.
pub const INDEX: &str = "model.safetensors.index.json";
