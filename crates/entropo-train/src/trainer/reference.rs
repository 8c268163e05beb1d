//! The frozen reference's log-probabilities, computed once.
//!
//! A cache is worth something only if it was made from the same weights and the same data: its key is a hash of both,
//! and a file with another key is refused.

use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::TrainError;
use super::learner::frozen_sums;
use crate::checkpoint::{CheckpointError, write_file};
use crate::data::{Example, Sequence};
use crate::decoder::Decoder;
use crate::decoder::place::Place;

/// Summed log-probabilities of every sequence of every example, `[example][sequence]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReferenceCache {
    key: String,
    sums: Vec<Vec<f64>>,
}

impl ReferenceCache {
    /// Computes the cache, `micro_batch` sequences at a time, or reads it from `file` if it is there.
    ///
    /// # Errors
    /// [`TrainError::OtherRun`] if the file was made from other weights, sequences or masks, or is no cache.
    pub fn of(
        reference: &Decoder,
        examples: &[Example],
        micro_batch: usize,
        file: Option<&Path>,
    ) -> Result<Self, TrainError> {
        let reference = reference.valid();
        let key = reference_key(&reference, examples);
        Self::with_key(&reference, examples, key, micro_batch, file)
    }

    /// The same with the [`reference_key`] at hand.
    pub(super) fn with_key(
        reference: &Decoder,
        examples: &[Example],
        key: String,
        micro_batch: usize,
        file: Option<&Path>,
    ) -> Result<Self, TrainError> {
        if let Some(path) = file.filter(|path| path.exists()) {
            return Self::read(path, &key);
        }
        let sequences: Vec<&Sequence> = examples.iter().flat_map(Example::sequences).collect();
        let mut sums = by_length(reference, &sequences, micro_batch).into_iter();
        let per_example = examples.iter().map(|example| sums.by_ref().take(example.sequences().count()).collect());
        let cache = Self { key, sums: per_example.collect() };
        if let Some(path) = file {
            let text = serde_json::to_string(&cache).unwrap_or_default();
            write_file(path, text.as_bytes())?;
        }
        Ok(cache)
    }

    /// Whether it was made for this key.
    pub(super) fn is_of(&self, key: &str) -> bool {
        self.key == key
    }

    fn read(path: &Path, key: &str) -> Result<Self, TrainError> {
        let other = |reason: String| TrainError::OtherRun { path: path.to_owned(), reason };
        let bytes = std::fs::read(path).map_err(|source| CheckpointError::File { path: path.to_owned(), source })?;
        let cache: Self =
            serde_json::from_slice(&bytes).map_err(|error| other(format!("not a reference cache: {error}")))?;
        if cache.key == key { Ok(cache) } else { Err(other("made from other weights, sequences or masks".to_owned())) }
    }

    /// The sums of one example's sequences; empty for an index out of range.
    pub fn get(&self, example: usize) -> &[f64] {
        self.sums.get(example).map_or(&[], Vec::as_slice)
    }
}

/// [`frozen_sums`] with little padding: sequences of similar length go together.
fn by_length(decoder: &Decoder, sequences: &[&Sequence], micro_batch: usize) -> Vec<f64> {
    let mut order: Vec<usize> = (0..sequences.len()).collect();
    order.sort_by_key(|&index| sequences.get(index).map(|sequence| sequence.ids().len()));
    let sorted: Vec<&Sequence> = order.iter().filter_map(|&index| sequences.get(index).copied()).collect();
    let mut sums: Vec<(usize, f64)> = order.into_iter().zip(frozen_sums(decoder, &sorted, micro_batch)).collect();
    sums.sort_by_key(|&(index, _)| index);
    sums.into_iter().map(|(_, sum)| sum).collect()
}

/// SHA-256 of the weights, an adapter's included, and of every sequence's name, tokens and mask.
pub(super) fn reference_key(reference: &Decoder, examples: &[Example]) -> String {
    let mut weights = HashWeights::default();
    reference.visit(&mut weights);
    let mut hash = weights.hash;
    // An adapter's scale is no weight, but from its configuration.
    hash.update(reference.adapter.as_ref().map(|config| config.to_json().to_string()).unwrap_or_default());
    for sequence in examples.iter().flat_map(Example::sequences) {
        hash.update(sequence.id());
        hash.update([0]);
        hash.update((sequence.ids().len() as u64).to_le_bytes());
        for id in sequence.ids() {
            hash.update(id.to_le_bytes());
        }
        for position in sequence.action_positions() {
            hash.update((position as u64).to_le_bytes());
        }
    }
    hex(hash.finalize())
}

/// Hashes a module's parameters, one after the other.
#[derive(Default)]
struct HashWeights {
    place: Place,
    hash: Sha256,
}

impl ModuleVisitor for HashWeights {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.place.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.place.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let data = param.val().into_data();
        self.hash.update(format!("{} {:?} {:?}\n", self.place.name(), data.dtype(), data.shape()));
        self.hash.update(data.as_bytes());
    }
}

/// Bytes as lower-case hexadecimal digits.
pub(super) fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
