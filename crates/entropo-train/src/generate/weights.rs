//! A decoder's weights on the host, in the kernels' layout.

use burn::tensor::{DType, TensorData, bf16, f16};

use super::cache::Shape;
use super::experts::{Experts, FeedForward, Gated};
use super::kernel::{Matrix, Norm, Threads};
use crate::checkpoint::{DeviceTensors, Problem, Problems, TensorSource};
use crate::decoder::config::{self, ExpertsConfig, LayerConfig, Router};
use crate::decoder::{Decoder, DecoderConfig};

/// How weights are held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Precision {
    /// As they are stored: bf16 stays bf16, which halves memory and is exact; f16 is widened to f32. Arithmetic is f32.
    #[default]
    Stored,
}

/// A frozen decoder for the [`Engine`](super::Engine).
#[derive(Debug)]
pub struct HostDecoder {
    pub(super) config: DecoderConfig,
    pub(super) shape: Shape,
    pub(super) threads: Threads,
    pub(super) embedding: Embedding,
    pub(super) layers: Vec<Layer>,
    pub(super) norm: Norm,
    pub(super) head: Matrix,
}

/// Where a token's first hidden state comes from.
#[derive(Debug)]
pub(super) enum Embedding {
    /// The head's rows: a tied matrix is held once.
    Tied,
    /// `[vocabulary, hidden]` in the type in which it was stored.
    Table(TensorData),
}

/// One block.
#[derive(Debug)]
pub(super) struct Layer {
    pub(super) config: LayerConfig,
    pub(super) attention_norm: Norm,
    pub(super) q: Matrix,
    pub(super) k: Matrix,
    pub(super) v: Matrix,
    pub(super) o: Matrix,
    /// Of each head's query and key, `[head]`, where the decoder has them.
    pub(super) head_norms: Option<[Vec<f32>; 2]>,
    pub(super) feed_forward_norm: Norm,
    pub(super) feed_forward: FeedForward,
    /// Of what attention and the feed-forward layer add, where the decoder has them.
    pub(super) result_norms: Option<[Norm; 2]>,
}

impl HostDecoder {
    /// Copies the weights of a decoder, one tensor at a time, an adapter's changes added to them. Computes on one thread
    /// until [`with_threads`](Self::with_threads) says otherwise.
    ///
    /// # Errors
    /// If the decoder's parameters are not those that its configuration asks for, or the device does not hand them out.
    pub fn new(decoder: &Decoder) -> Result<Self, Problems> {
        Self::read(decoder.config(), &mut DeviceTensors::of(&decoder.merge()), Precision::Stored)
    }

    /// Reads the weights, one tensor at a time; names all that is wrong with them. Computes on one thread.
    pub(crate) fn read(
        config: &DecoderConfig,
        source: &mut dyn TensorSource,
        precision: Precision,
    ) -> Result<Self, Problems> {
        let Precision::Stored = precision;
        let mut reader = Reader { config, source, problems: Vec::new() };
        let (vocabulary, hidden) = (config.vocab_size, config.hidden_size);
        // All of them before the first that is missing ends anything.
        let layer = |(index, layer)| reader.layer(index, layer);
        let layers: Vec<Option<Layer>> = config.layers.iter().enumerate().map(layer).collect();
        let norm = reader.norm("model.norm", hidden);
        let (embedding, head) = if config.tie_word_embeddings {
            (Some(Embedding::Tied), reader.linear("model.embed_tokens", vocabulary, hidden, false))
        } else {
            let table = reader.take("model.embed_tokens.weight", &[vocabulary, hidden]).map(Embedding::Table);
            (table, reader.linear("lm_head", vocabulary, hidden, false))
        };
        let problems = reader.problems;
        match (layers.into_iter().collect(), norm, embedding, head) {
            (Some(layers), Some(norm), Some(embedding), Some(head)) if problems.is_empty() => {
                let (config, shape) = (config.clone(), Shape::new(config));
                Ok(Self { config, shape, threads: Threads::default(), embedding, layers, norm, head })
            }
            _ => Err(Problems(problems)),
        }
    }

    /// The same decoder, computing on so many threads. What it computes does not depend on their number.
    #[must_use]
    pub fn with_threads(self, threads: usize) -> Self {
        Self { threads: Threads::new(threads), ..self }
    }

    /// The decoder's shape.
    pub fn config(&self) -> &DecoderConfig {
        &self.config
    }
}

impl Embedding {
    /// The embedding `[hidden]` of a token.
    pub(super) fn row(&self, head: &Matrix, token: usize, hidden: usize) -> Vec<f32> {
        let Self::Table(table) = self else { return head.output(token) };
        let bytes = table.as_bytes();
        let width = table.dtype().size();
        let row = bytes.get(token * hidden * width..(token + 1) * hidden * width).unwrap_or_default();
        widen(row, table.dtype()).unwrap_or_default()
    }
}

/// Numbers of a stored type as f32; nothing for a type that holds no weights.
fn widen(bytes: &[u8], kind: DType) -> Option<Vec<f32>> {
    Some(match kind {
        DType::F32 => bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        DType::BF16 => bytes.as_chunks::<2>().0.iter().map(|bytes| bf16::from_le_bytes(*bytes).to_f32()).collect(),
        DType::F16 => bytes.as_chunks::<2>().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect(),
        _ => return None,
    })
}

/// Reads tensors and notes what is wrong. What could not be read is `None`, and reading goes on to find all problems.
struct Reader<'a> {
    config: &'a DecoderConfig,
    source: &'a mut dyn TensorSource,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn take(&mut self, name: &str, shape: &[usize]) -> Option<TensorData> {
        match self.source.take(name, shape) {
            Ok(data) if matches!(data.dtype(), DType::F32 | DType::BF16 | DType::F16) => Some(data),
            Ok(data) => {
                self.problems.push(Problem::Type { name: name.to_owned(), found: data.dtype().name().to_owned() });
                None
            }
            Err(problem) => {
                self.problems.push(problem);
                None
            }
        }
    }

    fn vector(&mut self, name: &str, width: usize) -> Option<Vec<f32>> {
        let data = self.take(name, &[width])?;
        widen(data.as_bytes(), data.dtype())
    }

    fn linear(&mut self, name: &str, outputs: usize, inputs: usize, bias: bool) -> Option<Matrix> {
        let biases = if bias { self.vector(&format!("{name}.bias"), outputs) } else { Some(Vec::new()) };
        let weights = self.take(&format!("{name}.weight"), &[outputs, inputs])?;
        Matrix::new(&weights, &biases?)
    }

    /// What a norm multiplies by.
    fn norm_weight(&mut self, name: &str, width: usize) -> Option<Vec<f32>> {
        let offset = if self.config.norm_offset { 1.0 } else { 0.0 };
        let weight = self.vector(&format!("{name}.weight"), width)?;
        Some(weight.into_iter().map(|weight| weight + offset).collect())
    }

    fn norm(&mut self, name: &str, width: usize) -> Option<Norm> {
        let epsilon = self.config.rms_norm_eps as f32;
        Some(Norm::new(&self.norm_weight(name, width)?, epsilon))
    }

    fn layer(&mut self, index: usize, layer: &LayerConfig) -> Option<Layer> {
        let config = self.config;
        let (hidden, queries, keys) = (config.hidden_size, config.query_size(), config.key_size());
        let biased = config.query_key_value_bias;
        let name = |part: &str| format!("model.layers.{index}.{part}");
        let attention_norm = self.norm(&name("input_layernorm"), hidden);
        let q = self.linear(&name("self_attn.q_proj"), queries, hidden, biased);
        let k = self.linear(&name("self_attn.k_proj"), keys, hidden, biased);
        let v = self.linear(&name("self_attn.v_proj"), keys, hidden, biased);
        let o = self.linear(&name("self_attn.o_proj"), hidden, queries, config.output_bias);
        let head_norms = if config.query_key_norm {
            let norms =
                ["self_attn.q_norm", "self_attn.k_norm"].map(|part| self.norm_weight(&name(part), config.head_dim));
            both(norms).map(Some)
        } else {
            Some(None)
        };
        // Gemma calls the norm of what attention adds what others call the norm before the feed-forward layer.
        let (before, result_norms) = if config.norm_results {
            let results = ["post_attention_layernorm", "post_feedforward_layernorm"];
            (
                self.norm(&name("pre_feedforward_layernorm"), hidden),
                both(results.map(|part| self.norm(&name(part), hidden))).map(Some),
            )
        } else {
            (self.norm(&name("post_attention_layernorm"), hidden), Some(None))
        };
        let feed_forward = match &layer.feed_forward {
            config::FeedForward::Dense(wide) => self.gated(&name("mlp"), *wide).map(FeedForward::Dense),
            config::FeedForward::Sparse(experts) => self.experts(&name("mlp"), experts).map(FeedForward::Sparse),
        };
        Some(Layer {
            config: layer.clone(),
            attention_norm: attention_norm?,
            q: q?,
            k: k?,
            v: v?,
            o: o?,
            head_norms: head_norms?,
            feed_forward_norm: before?,
            feed_forward: feed_forward?,
            result_norms: result_norms?,
        })
    }

    fn gated(&mut self, name: &str, wide: usize) -> Option<Gated> {
        let hidden = self.config.hidden_size;
        let gate = self.linear(&format!("{name}.gate_proj"), wide, hidden, false);
        let up = self.linear(&format!("{name}.up_proj"), wide, hidden, false);
        let down = self.linear(&format!("{name}.down_proj"), hidden, wide, false);
        Some(Gated { gate: gate?, up: up?, down: down? })
    }

    fn experts(&mut self, name: &str, config: &ExpertsConfig) -> Option<Experts> {
        let router = self.linear(&format!("{name}.gate"), config.experts, self.config.hidden_size, false);
        let correction = match config.router {
            Router::Sigmoid { .. } => self.vector(&format!("{name}.gate.e_score_correction_bias"), config.experts),
            Router::Softmax => Some(Vec::new()),
        };
        let expert = |index| self.gated(&format!("{name}.experts.{index}"), config.intermediate_size);
        let experts: Vec<Option<Gated>> = (0..config.experts).map(expert).collect();
        let shared = match config.shared_size {
            Some(wide) => self.gated(&format!("{name}.shared_experts"), wide).map(Some),
            None => Some(None),
        };
        let experts = experts.into_iter().collect::<Option<_>>()?;
        Some(Experts { config: config.clone(), router: router?, correction: correction?, experts, shared: shared? })
    }
}

fn both<T>([a, b]: [Option<T>; 2]) -> Option<[T; 2]> {
    Some([a?, b?])
}
