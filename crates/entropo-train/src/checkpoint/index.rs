//! Checkpoints in several files: which shard holds which tensor.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

/// `model.safetensors.index.json`.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Index {
    #[serde(default)]
    pub(super) metadata: serde_json::Map<String, serde_json::Value>,
    /// Tensor to shard.
    pub(super) weight_map: BTreeMap<String, String>,
}

/// What is wrong with an index.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// It is no JSON object with a `weight_map` from tensors to files.
    #[error("{0}")]
    Json(String),
    /// A shard that is no file name, so that it could lead out of the checkpoint's directory.
    #[error("tensor {tensor} is in `{shard}`, which is no file name ending in .safetensors")]
    UnsafeName {
        /// The tensor.
        tensor: String,
        /// The shard.
        shard: String,
    },
    /// A shard that is not there.
    #[error("shard {shard} with {tensors} tensors is not there")]
    MissingShard {
        /// The shard.
        shard: String,
        /// How many tensors the index expects in it.
        tensors: usize,
    },
    /// A tensor that is not in its shard.
    #[error("tensor {tensor} is not in its shard {shard}")]
    NotInShard {
        /// The tensor.
        tensor: String,
        /// The shard.
        shard: String,
    },
    /// A tensor that is in a shard and not in the index.
    #[error("tensor {tensor} of shard {shard} is not in the index")]
    NotInIndex {
        /// The tensor.
        tensor: String,
        /// The shard.
        shard: String,
    },
    /// A tensor that two shards hold.
    #[error("tensor {tensor} is in two shards, {first} and {second}")]
    Twice {
        /// The tensor.
        tensor: String,
        /// One shard.
        first: String,
        /// The other.
        second: String,
    },
}

impl Index {
    /// Reads an index whose shards are names of files beside it.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, IndexError> {
        let index: Self = serde_json::from_slice(text).map_err(|error| IndexError::Json(error.to_string()))?;
        match index.weight_map.iter().find(|(_, shard)| !is_file_name(shard)) {
            None => Ok(index),
            Some((tensor, shard)) => Err(IndexError::UnsafeName { tensor: tensor.clone(), shard: shard.clone() }),
        }
    }

    /// Every shard with the number of tensors that belong in it.
    pub(crate) fn shards(&self) -> BTreeMap<&str, usize> {
        let mut shards = BTreeMap::new();
        for shard in self.weight_map.values() {
            *shards.entry(shard.as_str()).or_default() += 1;
        }
        shards
    }

    /// Compares the index with where the tensors really are, `found` being pairs of tensor and shard.
    pub(super) fn check<'a>(&self, found: impl Iterator<Item = (&'a str, &'a str)>) -> Result<(), IndexError> {
        let mut places: BTreeMap<&str, &str> = BTreeMap::new();
        for (tensor, shard) in found {
            if let Some(first) = places.insert(tensor, shard) {
                let (first, second) = (first.to_owned(), shard.to_owned());
                return Err(IndexError::Twice { tensor: tensor.to_owned(), first, second });
            }
        }
        let misplaced = self.weight_map.iter().find(|(name, shard)| places.get(name.as_str()) != Some(&shard.as_str()));
        if let Some((tensor, shard)) = misplaced {
            return Err(IndexError::NotInShard { tensor: tensor.clone(), shard: shard.clone() });
        }
        match places.iter().find(|(tensor, _)| !self.weight_map.contains_key(**tensor)) {
            None => Ok(()),
            Some((tensor, shard)) => {
                Err(IndexError::NotInIndex { tensor: (*tensor).to_owned(), shard: (*shard).to_owned() })
            }
        }
    }
}

/// Whether a name stays in its directory, on every system.
fn is_file_name(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part == name)
        && name.ends_with(".safetensors")
        && !name.contains(['/', '\\', ':', '\0'])
}
