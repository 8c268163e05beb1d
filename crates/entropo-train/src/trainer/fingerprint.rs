//! What tells weights and sequences from others: hashes, so that what was computed from the one is never used for the
//! other.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Int, Tensor, TensorData};
use sha2::{Digest, Sha256};

use crate::data::Sequence;
use crate::decoder::Decoder;
use crate::decoder::place::Place;

/// SHA-256 of the weights, an adapter's included.
pub(super) fn model_key(decoder: &Decoder) -> String {
    let mut weights = HashWeights::default();
    decoder.visit(&mut weights);
    let mut hash = weights.hash;
    // An adapter's scale is no weight, but from its configuration.
    hash.update(decoder.adapter.as_ref().map(|config| config.to_json().to_string()).unwrap_or_default());
    hex(hash.finalize())
}

/// Adds a sequence's name, tokens and mask.
pub(super) fn hash_sequence(hash: &mut Sha256, sequence: &Sequence) {
    hash.update(sequence.id());
    hash.update([0]);
    hash.update((sequence.ids().len() as u64).to_le_bytes());
    for id in sequence.ids() {
        hash.update(id.to_le_bytes());
    }
    hash.update((sequence.action_tokens() as u64).to_le_bytes());
    for position in sequence.action_positions() {
        hash.update((position as u64).to_le_bytes());
    }
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
        self.add(param.val().into_data());
    }

    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.add(param.val().into_data());
    }
}

impl HashWeights {
    fn add(&mut self, data: TensorData) {
        self.hash.update(format!("{} {:?} {:?}\n", self.place.name(), data.dtype(), data.shape()));
        self.hash.update(data.as_bytes());
    }
}

/// Bytes as lower-case hexadecimal digits.
pub(super) fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
