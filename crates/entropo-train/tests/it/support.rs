//! What several tests need: a tiny decoder, random sequences, parameters and gradients by name.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Int, Tensor, TensorData};
use entropo_train::checkpoint::decoder_to_bytes;
use entropo_train::data::{Example, Sequence};
use entropo_train::decoder::{Decoder, DecoderConfig};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::SafeTensors;
use serde_json::{Value, json};

/// Size of the tiny decoder's vocabulary.
pub(crate) const VOCABULARY: u32 = 17;

/// Tensors by name.
pub(crate) type Named = BTreeMap<String, Vec<f32>>;

/// The shape of the tiny decoder: grouped heads, two layers, nothing of the same size as anything else where possible.
pub(crate) fn config() -> DecoderConfig {
    config_with(json!({}))
}

/// The tiny decoder's shape with other values for some keys of its `config.json`.
pub(crate) fn config_with(changes: Value) -> DecoderConfig {
    let mut keys = json!({
        "model_type": "qwen2",
        "vocab_size": VOCABULARY,
        "hidden_size": 8,
        "intermediate_size": 12,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 24,
        "tie_word_embeddings": true,
        "eos_token_id": 3,
    });
    keys.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    DecoderConfig::from_json(&keys.to_string(), "the tiny decoder").unwrap()
}

/// The tiny decoder on the plain device.
pub(crate) fn decoder(seed: u64) -> Decoder {
    Decoder::new(&config(), seed, &Device::default())
}

/// Random tokens, actions at positions 2 to 4 and from 7 on.
pub(crate) fn sequence(id: &str, tokens: usize, seed: u64) -> Sequence {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let ids = (0..tokens).map(|_| random.random_range(0..VOCABULARY)).collect();
    let actions = (0..tokens).map(|position| (2..5).contains(&position) || position >= 7).collect();
    Sequence::new(id, ids, actions).unwrap()
}

/// Random sequences of 8 to 12 tokens.
pub(crate) fn sequences(count: usize) -> Vec<Sequence> {
    (0..count).map(|index| sequence(&format!("s{index}"), 8 + index * 3 % 5, index as u64)).collect()
}

/// Demonstrations of random sequences.
pub(crate) fn demonstrations(count: usize) -> Vec<Example> {
    sequences(count).into_iter().map(Example::Demonstration).collect()
}

/// Pairs of random sequences.
pub(crate) fn pairs(count: usize) -> Vec<Example> {
    let pair = |pair: &[Sequence]| Example::Preference { chosen: pair[0].clone(), rejected: pair[1].clone() };
    sequences(2 * count).chunks(2).map(pair).collect()
}

/// Random sequences, every other one desirable.
pub(crate) fn labelled(count: usize) -> Vec<Example> {
    let label = |(index, sequence)| Example::Labelled { sequence, desirable: index % 2 == 0 };
    sequences(count).into_iter().enumerate().map(label).collect()
}

/// Rows of equal length as a tensor, `[row, token]`.
pub(crate) fn ids(rows: &[Vec<u32>], device: &Device) -> Tensor<2, Int> {
    let flat: Vec<i64> = rows.iter().flatten().map(|&id| i64::from(id)).collect();
    Tensor::from_data(TensorData::new(flat, [rows.len(), rows[0].len()]), device)
}

/// A tensor's values on the host, row by row.
pub(crate) fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// Weights by their names in a checkpoint.
pub(crate) fn weights(decoder: &Decoder) -> Named {
    let bytes = decoder_to_bytes(decoder).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let values = |data: &[u8]| data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    tensors.iter().map(|(name, view)| (name.to_owned(), values(view.data()))).collect()
}

/// Gradients by their parameters' names in a checkpoint; 0 for trained parameters that had no part in the loss.
pub(crate) fn gradients(decoder: &Decoder, gradients: &Gradients) -> Named {
    let mut visitor = ByName { gradients, path: Vec::new(), found: Named::new() };
    decoder.visit(&mut visitor);
    visitor.found
}

struct ByName<'a> {
    gradients: &'a Gradients,
    path: Vec<Option<String>>,
    found: Named,
}

impl ModuleVisitor for ByName<'_> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.push((!container_type.starts_with("Enum:")).then(|| name.to_owned()));
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        if value.is_require_grad() {
            let gradient = value.grad(self.gradients).map_or(vec![0.0; value.shape().num_elements()], host);
            let name: Vec<&str> = self.path.iter().flatten().map(String::as_str).collect();
            self.found.insert(name.join("."), gradient);
        }
    }
}

/// Euclidean norm.
pub(crate) fn norm(values: &[f32]) -> f64 {
    values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt()
}

/// Sum.
pub(crate) fn sum(values: &[f32]) -> f64 {
    values.iter().map(|&value| f64::from(value)).sum()
}

/// Fails unless `|actual - expected| <= allowed`.
#[track_caller]
pub(crate) fn assert_within(what: &str, actual: f64, expected: f64, allowed: f64) {
    assert!(actual.is_finite() && (actual - expected).abs() <= allowed, "{what}: {actual} instead of {expected}");
}

/// Fails unless all values are as near as `allowed`.
#[track_caller]
pub(crate) fn assert_all_within(what: &str, actual: &[f32], expected: &[f32], allowed: f64) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    for (index, (&actual, &expected)) in actual.iter().zip(expected).enumerate() {
        assert_within(&format!("{what} [{index}]"), actual.into(), expected.into(), allowed);
    }
}
