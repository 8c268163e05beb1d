//! The policy that comes with the lab.

use std::path::Path;
use std::sync::Arc;

use entropo::train::burn::tensor::Device;
use entropo::train::checkpoint::{self, CheckpointError, SaveOptions, decoder_from_bytes, decoder_to_bytes};
use entropo::train::decoder::{Decoder, DecoderConfig};
use entropo::train::generate::EngineConfig;
use entropo::train::text::{ChatFormat, EncodeError};
use entropo::train::{LocalModel, LocalModelError};
use sha2::{Digest, Sha256};

use crate::vocabulary::{CHAT_TEMPLATE, chat_format, tokenizer_config};

const CONFIG: &str = include_str!("../checkpoint/config.json");
const WEIGHTS: &[u8] = include_bytes!("../checkpoint/model.safetensors");
const TOKENIZER: &[u8] = include_bytes!("../checkpoint/tokenizer.json");

/// A checkpoint in memory: the decoder, and the bytes of its tokenizer.
#[derive(Clone, Debug)]
pub struct Policy {
    decoder: Decoder,
    tokenizer: Arc<[u8]>,
}

impl Policy {
    /// The checkpoint in the program itself, trained by `train-policy` on the teacher's transcripts.
    pub fn embedded(device: &Device) -> Result<Self, CheckpointError> {
        let config = DecoderConfig::from_json(CONFIG, "the embedded config.json")?;
        let decoder = decoder_from_bytes(&config, WEIGHTS, "the embedded model.safetensors", device)?;
        Ok(Self { decoder, tokenizer: TOKENIZER.into() })
    }

    /// A checkpoint directory that `train-policy` or quickstart wrote.
    pub fn open(directory: &Path, device: &Device) -> Result<Self, CheckpointError> {
        let path = directory.join("tokenizer.json");
        let tokenizer = std::fs::read(&path).map_err(|source| CheckpointError::File { path, source })?;
        Ok(Self { decoder: checkpoint::load(directory, device)?, tokenizer: tokenizer.into() })
    }

    /// The same tokenizer with other weights.
    pub fn with_decoder(&self, decoder: Decoder) -> Self {
        Self { decoder, tokenizer: Arc::clone(&self.tokenizer) }
    }

    /// The weights.
    pub fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    /// Names this policy and no other: SHA-256 of configuration, weights and tokenizer, hexadecimal.
    pub fn digest(&self) -> Result<String, CheckpointError> {
        let mut hash = Sha256::new();
        hash.update(self.decoder.config().to_json().to_string());
        hash.update(decoder_to_bytes(&self.decoder)?);
        hash.update(&self.tokenizer);
        Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Saves weights, configuration, tokenizer and template in Hugging Face's layout.
    pub fn save(&self, directory: &Path) -> Result<(), CheckpointError> {
        checkpoint::write_file(&directory.join("tokenizer.json"), &self.tokenizer)?;
        checkpoint::write_file(&directory.join("tokenizer_config.json"), tokenizer_config().as_bytes())?;
        checkpoint::write_file(&directory.join("chat_template.jinja"), CHAT_TEMPLATE.as_bytes())?;
        checkpoint::save(&self.decoder, directory, &SaveOptions::default())
    }

    /// Its tokenizer and chat template.
    pub fn format(&self) -> Result<ChatFormat, EncodeError> {
        chat_format(&self.tokenizer)
    }

    /// Starts an engine for it.
    pub fn serve(&self, name: &str, config: EngineConfig) -> Result<LocalModel, LocalModelError> {
        LocalModel::new(name, &self.decoder, self.format()?, config)
    }
}
