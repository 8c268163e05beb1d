//! A decoder to a directory that every other tool can open.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use burn::tensor::{DType, FloatDType};
use serde_json::{Value, json};

use super::error::CheckpointError;
use super::index::Index;
use super::replace::Staging;
use super::write::{Planned, plan, whole, write};
use super::{CONFIG, INDEX, WEIGHTS};
use crate::decoder::{Decoder, DecoderConfig};

/// What belongs to a checkpoint beside its weights and their configuration.
pub(crate) const COMPANIONS: [&str; 10] = [
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    "chat_template.jinja",
    "chat_template.json",
];

/// How a decoder is saved.
#[derive(Clone, Debug, PartialEq)]
pub struct SaveOptions {
    /// The weights' type in the file: F32, BF16 or F16; `None`: as they are. Default `None`.
    pub dtype: Option<FloatDType>,
    /// Bytes of tensors in one file, unless a single tensor is larger. Default 5 GB.
    pub shard_bytes: u64,
    /// The checkpoint directory that the decoder came from. Its configuration is copied, with the type of the new
    /// weights, and its generation configuration, tokenizer and chat template as they are. `None`: a new configuration
    /// is written, and no other file. Default `None`.
    pub companions: Option<PathBuf>,
}

impl Default for SaveOptions {
    fn default() -> Self {
        Self { dtype: None, shard_bytes: 5_000_000_000, companions: None }
    }
}

/// Saves a decoder as a checkpoint directory in the layout of transformers: `config.json` and `model.safetensors`, or
/// shards with `model.safetensors.index.json`.
///
/// Tensors are written one at a time, into a new directory beside the target that takes its place when it is complete:
/// a crash leaves the old checkpoint or the new one, never half of one. Files of an old directory that are no weights
/// and that the new one lacks are kept.
///
/// # Errors
/// [`CheckpointError::OtherDecoder`] if the companions' configuration is not the decoder's;
/// [`CheckpointError::Adapter`] if the decoder has an adapter, which must be merged or saved by itself;
/// [`CheckpointError::Unsaved`] if it has weights that do not fit the type; and whatever the file system says. Nothing is
/// left behind then.
pub fn save(decoder: &Decoder, directory: &Path, options: &SaveOptions) -> Result<(), CheckpointError> {
    let at = |path: &Path, source| CheckpointError::File { path: path.to_owned(), source };
    let tensors = whole(decoder)?;
    let plan = plan(&tensors, options.dtype)?;
    let config = config(decoder.config(), &plan, options.companions.as_deref())?;
    let staging = Staging::beside(directory).map_err(|source| at(directory, source))?;
    write_shards(&plan, staging.path(), options.shard_bytes)?;
    write_synced(&staging.path().join(CONFIG), config.as_bytes())?;
    for from in options.companions.iter().flat_map(|folder| COMPANIONS.map(|name| folder.join(name))) {
        if let (true, Some(name)) = (from.is_file(), from.file_name()) {
            copy(&from, &staging.path().join(name)).map_err(|source| at(&from, source))?;
        }
    }
    staging.commit(|name| !is_weights(name)).map_err(|source| at(directory, source))
}

fn write_shards(plan: &[Planned<'_>], directory: &Path, shard_bytes: u64) -> Result<(), CheckpointError> {
    let shards = shards(plan, shard_bytes);
    let mut index = Index { metadata: serde_json::Map::new(), weight_map: Default::default() };
    for (number, shard) in shards.iter().enumerate() {
        let name = match shards.len() {
            1 => WEIGHTS.to_owned(),
            all => format!("model-{:05}-of-{all:05}.safetensors", number + 1),
        };
        let path = directory.join(&name);
        let file = |source| CheckpointError::File { path: path.clone(), source };
        let mut out = io::BufWriter::new(File::create(&path).map_err(file)?);
        write(&mut out, shard).map_err(|error| error.at(&path))?;
        let out = out.into_inner().map_err(|error| file(error.into_error()))?;
        out.sync_all().map_err(file)?;
        index.weight_map.extend(shard.iter().map(|planned| (planned.name.to_owned(), name.clone())));
    }
    if shards.len() < 2 {
        return Ok(());
    }
    let values: usize = plan.iter().map(|planned| planned.tensor.shape.iter().product::<usize>()).sum();
    index.metadata.insert("total_parameters".to_owned(), json!(values));
    index.metadata.insert("total_size".to_owned(), json!(plan.iter().map(|planned| planned.bytes).sum::<usize>()));
    let text = serde_json::to_string_pretty(&index).unwrap_or_default();
    write_synced(&directory.join(INDEX), format!("{text}\n").as_bytes())
}

/// Cuts the tensors into files of at most so many bytes, or of one tensor; there is at least one file.
fn shards<'a, 'b>(plan: &'a [Planned<'b>], shard_bytes: u64) -> Vec<&'a [Planned<'b>]> {
    let (mut shards, mut rest) = (Vec::new(), plan);
    loop {
        let mut bytes = 0;
        let fitting = rest.iter().take_while(|planned| {
            bytes += planned.bytes as u64;
            bytes <= shard_bytes
        });
        let (shard, after) = rest.split_at(fitting.count().max(1).min(rest.len()));
        shards.push(shard);
        rest = after;
        if rest.is_empty() {
            return shards;
        }
    }
}

/// The text of `config.json`.
fn config(config: &DecoderConfig, plan: &[Planned<'_>], companions: Option<&Path>) -> Result<String, CheckpointError> {
    let dtype = match plan.iter().max_by_key(|planned| planned.bytes).map(|planned| planned.dtype) {
        Some(DType::BF16) => "bfloat16",
        Some(DType::F16) => "float16",
        _ => "float32",
    };
    let Some(path) = companions.map(|folder| folder.join(CONFIG)) else {
        let mut keys = config.to_json();
        if let Some(keys) = keys.as_object_mut() {
            keys.insert("dtype".to_owned(), json!(dtype));
        }
        return Ok(format!("{keys:#}\n"));
    };
    check_companions(path.parent().unwrap_or(Path::new(".")), config)?;
    let text = fs::read_to_string(&path).map_err(|source| CheckpointError::File { path: path.clone(), source })?;
    // It was just parsed.
    let mut keys: Value = serde_json::from_str(&text).unwrap_or_default();
    let changed = ["dtype", "torch_dtype"].into_iter().filter(|&key| match keys.get_mut(key) {
        Some(value) if value != dtype => {
            *value = json!(dtype);
            true
        }
        _ => false,
    });
    Ok(if changed.count() == 0 { text } else { format!("{keys:#}\n") })
}

/// Refuses a checkpoint directory whose configuration is not a decoder's.
pub(crate) fn check_companions(folder: &Path, config: &DecoderConfig) -> Result<(), CheckpointError> {
    let path = folder.join(CONFIG);
    let found = DecoderConfig::from_file(&path)?;
    let differing = || differing(&found.to_json(), &config.to_json());
    if found == *config { Ok(()) } else { Err(CheckpointError::OtherDecoder { keys: differing(), path }) }
}

/// The keys whose values differ.
fn differing(one: &Value, other: &Value) -> String {
    let keys = |value: &Value| -> BTreeSet<String> {
        value.as_object().into_iter().flat_map(|keys| keys.keys().cloned()).collect()
    };
    let (ones, others) = (keys(one), keys(other));
    let differing: Vec<&str> =
        ones.union(&others).map(String::as_str).filter(|key| one.get(key) != other.get(key)).collect();
    differing.join(", ")
}

/// Whether a file would be taken for weights of the new checkpoint if it stayed.
fn is_weights(name: &str) -> bool {
    name == WEIGHTS || name == INDEX || name.starts_with("model-") && name.ends_with(".safetensors")
}

fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), CheckpointError> {
    let write = || {
        let mut file = File::create(path)?;
        io::Write::write_all(&mut file, bytes)?;
        file.sync_all()
    };
    write().map_err(|source| CheckpointError::File { path: path.to_owned(), source })
}

/// Copies what is in a file and not its permissions: files of a download cache are read-only.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut copy = File::create(to)?;
    io::copy(&mut File::open(from)?, &mut copy)?;
    copy.sync_all()
}
