//! A verifier on this machine.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use entropo_train::adapter::{Adapter, Bits, QuantisationConfig};
use entropo_train::burn::tensor::{Device, FloatDType};
use entropo_train::checkpoint::{CONFIG, CheckpointError, LoadOptions, Weights, load_with};
use entropo_train::decoder::DecoderConfig;
use entropo_train::text::ChatFormat;
use entropo_train::verifier::{HEAD, Head, HeadBasis, Judging, LocalVerifier};
use serde_json::Map;

use super::error::JudgeError;
use super::identity::{Identity, digest};
use super::question::Question;
use crate::plan::bar;
use crate::run::loading;
use crate::{device, model};

/// What an adapter's directory holds.
const ADAPTER: [&str; 2] = ["adapter_config.json", "adapter_model.safetensors"];

/// A model on this machine.
#[derive(Clone, Debug, Default, Args)]
pub struct LocalArguments {
    /// A model on this machine: a checkpoint directory, or `org/name` of the Hugging Face hub.
    #[arg(long, conflicts_with = "base_url")]
    pub model: Option<String>,
    /// Its adapter's directory: `last` or `best` of a run, or any that PEFT has written.
    #[arg(long, value_name = "DIRECTORY", requires = "model")]
    pub adapter: Option<PathBuf>,
    /// The directory of a linear head that judges in the place of the words.
    #[arg(long, value_name = "DIRECTORY", requires = "model")]
    pub head: Option<PathBuf>,
    /// `cpu`, `cuda` or `wgpu`, of those that the program was built for; with `:N`, the device of that number. Default: the
    /// first that it was built for.
    #[arg(long, requires = "model")]
    pub device: Option<String>,
    /// In what weights are kept and computed.
    #[arg(long, value_enum, default_value_t = Precision::F32, requires = "model")]
    pub precision: Precision,
    /// Keeps the weights below the adapter in so many bits, 4 or 8, as training with `quantise` did.
    #[arg(long, value_name = "BITS", value_parser = bits, requires = "model")]
    pub quantise: Option<Bits>,
    /// Tokens that are computed at a time; a longer attempt is computed alone.
    #[arg(long, value_name = "NUMBER", default_value_t = 32_768, requires = "model")]
    pub batch_tokens: usize,
}

/// In what weights are kept and computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Precision {
    /// 32 bits.
    #[default]
    F32,
    /// 16 bits with f32's range, for a GPU.
    Bf16,
}

fn bits(text: &str) -> Result<Bits, String> {
    let bits: u8 = text.parse().map_err(|_| format!("{text:?} is no number of bits; 4 and 8 are"))?;
    Bits::try_from(bits)
}

/// A model's verifier, all but its weights.
pub(super) struct Prepared<'a> {
    arguments: &'a LocalArguments,
    name: String,
    directory: PathBuf,
    device: Device,
    judging: Arc<Judging>,
}

impl LocalArguments {
    /// Everything that can be known without the weights, and which verifier it is.
    pub(super) fn prepare(&self, name: &str, question: &Question) -> Result<(Prepared<'_>, Identity), JudgeError> {
        let device = device::open(self.device.as_deref())?;
        let directory = model::resolve(name)?;
        let (prompt, tokens) = (question.prompt()?, question.budget(Some(context(&directory)?))?);
        let judging = Judging::new(Arc::new(ChatFormat::from_dir(&directory)?), prompt.clone(), tokens)?;
        let hash = |directory: &Option<PathBuf>, files: &[&str]| {
            directory.as_ref().map(|directory| digest(directory, files)).transpose()
        };
        let identity = Identity {
            model: name.to_owned(),
            served: false,
            weights: Some(self.weights()),
            adapter: hash(&self.adapter, &ADAPTER)?,
            head: hash(&self.head, &[HEAD])?,
            prompt,
            tokens,
            fields: Map::new(),
            marks: Vec::new(),
        };
        Ok((
            Prepared { arguments: self, name: name.to_owned(), directory, device, judging: Arc::new(judging) },
            identity,
        ))
    }

    fn weights(&self) -> String {
        let kept = match self.precision {
            Precision::F32 => "f32",
            Precision::Bf16 => "bf16",
        };
        match self.quantise {
            Some(bits) => format!("{kept}, {} bits", u8::from(bits)),
            None => kept.to_owned(),
        }
    }
}

impl Prepared<'_> {
    /// Loads the weights.
    pub(super) fn load(self) -> Result<LocalVerifier, JudgeError> {
        let LocalArguments { adapter, head, precision, quantise, batch_tokens, .. } = self.arguments;
        let bar = bar("weights", "{bytes}/{total_bytes}");
        let options = LoadOptions {
            dtype: (*precision == Precision::Bf16).then_some(FloatDType::BF16),
            quantise: quantise.map(|bits| QuantisationConfig { bits, ..QuantisationConfig::default() }),
            progress: Some(loading(bar.clone())),
        };
        let mut decoder = load_with(&self.directory, &self.device, &options)?;
        bar.finish_and_clear();
        let adapter =
            adapter.as_ref().map(|path| Ok::<_, JudgeError>((path, Adapter::load(path, &decoder)?))).transpose()?;
        if let Some((_, adapter)) = &adapter {
            decoder = decoder.with_adapter(adapter)?;
        }
        let verifier = LocalVerifier::new(&decoder, &self.judging).batch_tokens(*batch_tokens);
        let Some(head) = head else { return Ok(verifier) };
        let named = adapter.as_ref().map(|(path, adapter)| (path.display().to_string(), adapter));
        let named = named.as_ref().map(|(name, adapter)| (name.as_str(), *adapter));
        let basis = HeadBasis::new(&self.judging, (&self.name, &Weights::open(&self.directory)?), named);
        Ok(verifier.head(Head::load(head, decoder.config().hidden_size, &basis)?))
    }
}

/// Tokens that the model in a directory can read.
pub(super) fn context(directory: &Path) -> Result<usize, JudgeError> {
    let config = DecoderConfig::from_file(&directory.join(CONFIG)).map_err(CheckpointError::from)?;
    Ok(config.max_position_embeddings)
}
