//! A verifier on this machine.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use entropo_train::adapter::{Adapter, Bits, QuantisationConfig};
use entropo_train::burn::tensor::{Device, FloatDType};
use entropo_train::checkpoint::{CONFIG, CheckpointError, LoadOptions, Weights, load_with};
use entropo_train::decoder::{Decoder, DecoderConfig};
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
    #[arg(long)]
    pub model: Option<String>,
    /// Its adapter's directory: `last` or `best` of a run, or any that PEFT has written.
    #[arg(long, value_name = "DIRECTORY", requires = "model")]
    pub adapter: Option<PathBuf>,
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
    /// Everything that can be known without the weights, and which verifier it is, with the head of a directory if it has
    /// one.
    pub(super) fn prepare(
        &self,
        name: &str,
        question: &Question,
        head: Option<&Path>,
    ) -> Result<(Prepared<'_>, Identity), JudgeError> {
        let device = device::open(self.device.as_deref())?;
        let directory = model::resolve(name)?;
        let (prompt, tokens) = (question.prompt()?, question.budget(Some(context(&directory)?))?);
        let judging = Judging::new(Arc::new(ChatFormat::from_dir(&directory)?), prompt.clone(), tokens)?;
        let hash =
            |directory: Option<&Path>, files: &[&str]| directory.map(|directory| digest(directory, files)).transpose();
        let identity = Identity {
            model: name.to_owned(),
            served: false,
            weights: Some(self.weights()),
            adapter: hash(self.adapter.as_deref(), &ADAPTER)?,
            head: hash(head, &[HEAD])?,
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
    /// Loads the weights, and a head that judges in the place of the words.
    pub(super) fn load(self, head: Option<&Path>) -> Result<LocalVerifier, JudgeError> {
        let (decoder, adapter) = self.decoder()?;
        let verifier = self.verifier(&decoder);
        let Some(head) = head else { return Ok(verifier) };
        let basis = self.basis(adapter.as_ref())?;
        Ok(verifier.head(Head::load(head, decoder.config().hidden_size, &basis)?))
    }

    /// Loads the weights for a head that is fitted to them, and says what it is fitted to.
    pub(super) fn load_to_fit(self) -> Result<(LocalVerifier, HeadBasis), JudgeError> {
        let (decoder, adapter) = self.decoder()?;
        Ok((self.verifier(&decoder), self.basis(adapter.as_ref())?))
    }

    fn verifier(&self, decoder: &Decoder) -> LocalVerifier {
        LocalVerifier::new(decoder, &self.judging).batch_tokens(self.arguments.batch_tokens)
    }

    fn basis(&self, adapter: Option<&Adapter>) -> Result<HeadBasis, JudgeError> {
        let path = self.arguments.adapter.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
        let weights = Weights::open(&self.directory)?;
        Ok(HeadBasis::new(&self.judging, (&self.name, &weights), adapter.map(|adapter| (path.as_str(), adapter))))
    }

    /// The decoder with its adapter.
    fn decoder(&self) -> Result<(Decoder, Option<Adapter>), JudgeError> {
        let LocalArguments { adapter, precision, quantise, .. } = self.arguments;
        let bar = bar("weights", "{bytes}/{total_bytes}");
        let options = LoadOptions {
            dtype: (*precision == Precision::Bf16).then_some(FloatDType::BF16),
            quantise: quantise.map(|bits| QuantisationConfig { bits, ..QuantisationConfig::default() }),
            progress: Some(loading(bar.clone())),
        };
        let decoder = load_with(&self.directory, &self.device, &options)?;
        bar.finish_and_clear();
        let Some(adapter) = adapter else { return Ok((decoder, None)) };
        let adapter = Adapter::load(adapter, &decoder)?;
        Ok((decoder.with_adapter(&adapter)?, Some(adapter)))
    }
}

/// Tokens that the model in a directory can read.
pub(super) fn context(directory: &Path) -> Result<usize, JudgeError> {
    let config = DecoderConfig::from_file(&directory.join(CONFIG)).map_err(CheckpointError::from)?;
    Ok(config.max_position_embeddings)
}
