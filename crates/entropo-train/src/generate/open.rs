//! A checkpoint for generation alone, straight from its files.

use std::path::Path;

use super::weights::{HostDecoder, Precision};
use crate::checkpoint::{CONFIG, CheckpointError, Weights};
use crate::decoder::DecoderConfig;

impl HostDecoder {
    /// Reads a checkpoint directory: `config.json`, and `model.safetensors` or its shards.
    ///
    /// Weights go from the mapped files into the kernels' layout, in the type in which they are stored, one tensor at a
    /// time: memory is needed for the weights once and for one tensor more.
    pub fn open(directory: &Path) -> Result<Self, CheckpointError> {
        let config = DecoderConfig::from_file(&directory.join(CONFIG))?;
        let mut weights = Weights::open(directory)?;
        weights.check_claims(&config)?;
        let read = Self::read(&config, &mut weights, Precision::Stored);
        weights.check_read(&config, read)
    }
}
