//! A decoder's weights on the host, in the kernels' layout.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

use super::kernel::Matrix;
use crate::decoder::frequencies::Frequencies;
use crate::decoder::place::Place;
use crate::decoder::{Decoder, DecoderConfig};

/// A frozen copy of a [`Decoder`] for the [`Engine`](super::Engine).
#[derive(Debug)]
pub struct HostDecoder {
    pub(super) config: DecoderConfig,
    pub(super) embedding: Vec<f32>, // [vocabulary, hidden]
    pub(super) layers: Vec<Layer>,
    pub(super) norm: Vec<f32>,
    pub(super) head: Matrix,
    pub(super) rotary: Vec<Vec<(f32, f32)>>, // [position][head / 2]: cosine and sine
}

/// One block.
#[derive(Debug)]
pub(super) struct Layer {
    pub(super) attention_norm: Vec<f32>,
    pub(super) q: Matrix,
    pub(super) k: Matrix,
    pub(super) v: Matrix,
    pub(super) o: Matrix,
    pub(super) mlp_norm: Vec<f32>,
    pub(super) gate: Matrix,
    pub(super) up: Matrix,
    pub(super) down: Matrix,
}

impl HostDecoder {
    /// Copies the weights.
    pub fn new(decoder: &Decoder) -> Self {
        let mut tensors = Collector::default();
        decoder.visit(&mut tensors);
        let mut tensors = tensors.values;
        let config = decoder.config().clone();
        let mut take = |name: String| tensors.remove(&name).unwrap_or_default();
        let (hidden, wide) = (config.hidden_size, wide(&config));
        let keys = config.key_size();
        let layers = (0..config.layers.len())
            .map(|layer| {
                let mut part = |name: &str| take(format!("model.layers.{layer}.{name}"));
                let mut matrix = |name: &str, outputs: usize| {
                    let weights = part(&format!("{name}.weight"));
                    Matrix::new(&turn(&weights, outputs), outputs, part(&format!("{name}.bias")))
                };
                Layer {
                    q: matrix("self_attn.q_proj", hidden),
                    k: matrix("self_attn.k_proj", keys),
                    v: matrix("self_attn.v_proj", keys),
                    o: matrix("self_attn.o_proj", hidden),
                    gate: matrix("mlp.gate_proj", wide),
                    up: matrix("mlp.up_proj", wide),
                    down: matrix("mlp.down_proj", hidden),
                    attention_norm: part("input_layernorm.weight"),
                    mlp_norm: part("post_attention_layernorm.weight"),
                }
            })
            .collect();
        let embedding = take("model.embed_tokens.weight".to_owned());
        let head = match take("lm_head.weight".to_owned()) {
            tied if tied.is_empty() => turn(&embedding, config.vocab_size),
            head => turn(&head, config.vocab_size),
        };
        let head = Matrix::new(&head, config.vocab_size, Vec::new());
        let norm = take("model.norm.weight".to_owned());
        let rotary = rotary(&config);
        Self { config, embedding, layers, norm, head, rotary }
    }

    /// The decoder's shape.
    pub fn config(&self) -> &DecoderConfig {
        &self.config
    }
}

fn rotary(config: &DecoderConfig) -> Vec<Vec<(f32, f32)>> {
    let frequencies = config.layers.first().map(|l| Frequencies::new(&l.rope).per_pair).unwrap_or_default();
    let at = |position: usize| {
        frequencies
            .iter()
            .map(move |w| position as f64 * w)
            .map(|angle| (angle.cos() as f32, angle.sin() as f32))
            .collect()
    };
    (0..config.max_position_embeddings).map(at).collect()
}

/// All parameters by name, linear matrices as burn has them: `[input, output]`.
#[derive(Default)]
struct Collector {
    place: Place,
    values: BTreeMap<String, Vec<f32>>,
}

impl ModuleVisitor for Collector {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.place.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.place.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.values.insert(self.place.name(), param.val().into_data().iter::<f32>().collect());
    }
}

pub(super) fn wide(config: &DecoderConfig) -> usize {
    match config.layers.first().map(|l| &l.feed_forward) {
        Some(crate::decoder::config::FeedForward::Dense(w)) => *w,
        _ => 0,
    }
}
fn turn(values: &[f32], outputs: usize) -> Vec<f32> {
    let inputs = values.len() / outputs.max(1);
    (0..inputs).flat_map(|c| values.iter().skip(c).step_by(inputs.max(1)).copied()).collect()
}
