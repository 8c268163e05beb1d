//! Checkpoints in Hugging Face's layout: `config.json` and `model.safetensors` in a directory.
//!
//! What is loaded is checked name by name and shape by shape; what is saved goes to a temporary file first and is renamed,
//! so that a crash leaves the old checkpoint or the new one, never half of one.

mod error;
mod read;
mod write;

use std::io::Write;
use std::path::Path;

use burn::tensor::Device;

pub use error::{CheckpointError, Problem, Problems};
pub use read::decoder_from_bytes;
pub use write::decoder_to_bytes;
pub(crate) use write::{HostTensor, tensors_to_bytes};

use crate::decoder::{Decoder, DecoderConfig};

/// The configuration's file name.
pub const CONFIG: &str = "config.json";
/// The weights' file name.
pub const WEIGHTS: &str = "model.safetensors";

/// Reads `config.json` and `model.safetensors` of a directory.
pub fn load(directory: &Path, device: &Device) -> Result<Decoder, CheckpointError> {
    let config = DecoderConfig::from_file(&directory.join(CONFIG))?;
    let path = directory.join(WEIGHTS);
    let bytes = std::fs::read(&path).map_err(|source| CheckpointError::File { path: path.clone(), source })?;
    decoder_from_bytes(&config, &bytes, &path.display().to_string(), device)
}

/// Writes `config.json` and `model.safetensors` into a directory, which is made if need be.
pub fn save(decoder: &Decoder, directory: &Path) -> Result<(), CheckpointError> {
    let weights = decoder_to_bytes(decoder)?;
    let config = format!("{:#}\n", decoder.config().to_json());
    write_file(&directory.join(WEIGHTS), &weights)?;
    write_file(&directory.join(CONFIG), config.as_bytes())
}

/// Replaces a file as a whole, its directory made if need be.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), CheckpointError> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let write = || {
        std::fs::create_dir_all(directory)?;
        let mut file = temporary_in(directory)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)
    };
    write().map(drop).map_err(|source| CheckpointError::File { path: path.to_owned(), source })
}

/// A temporary file with the permissions that the process gives any new file; temporary files are private otherwise.
fn temporary_in(directory: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let create = |path: &Path| std::fs::OpenOptions::new().write(true).create_new(true).open(path);
    tempfile::Builder::new().prefix(".entropo-").make_in(directory, create)
}
