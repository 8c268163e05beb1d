//! The decoder's shape: which parts it is composed of, as Hugging Face's `config.json` says.
//!
//! One decoder serves every family. A family is no type of its own but a choice of parts: biases or none, norms on
//! queries and keys or none, full or windowed attention, a dense or a sparse feed-forward layer. Reading a
//! configuration decides all of them once; what computes looks at the parts and never at the family's name.

mod error;
mod family;
mod keys;
mod read;
mod write;

pub use error::ConfigError;
pub use family::Family;

/// The shape of a decoder of pre-norm blocks with grouped-query attention and rotary positions.
#[derive(Clone, Debug, PartialEq)]
pub struct DecoderConfig {
    /// The family by whose names configurations call themselves.
    pub family: Family,
    /// Rows of the embedding; may exceed the tokenizer's vocabulary.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// The blocks, from the embedding on; at least one.
    pub layers: Vec<LayerConfig>,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads; divides `num_attention_heads`.
    pub num_key_value_heads: usize,
    /// Width of one head; even. The heads together may be wider or narrower than `hidden_size`.
    pub head_dim: usize,
    /// Whether the projections to queries, keys and values have biases.
    pub query_key_value_bias: bool,
    /// Whether the projection out of attention has a bias.
    pub output_bias: bool,
    /// Whether every head's query and key is normalised before it is rotated.
    pub query_key_norm: bool,
    /// What scores are multiplied by; usually `head_dim^-1/2`.
    pub attention_scale: f64,
    /// The gate's activation in feed-forward layers.
    pub activation: Activation,
    /// Added to the mean square in every norm.
    pub rms_norm_eps: f64,
    /// Whether norms multiply by `1 + weight` instead of `weight` (Gemma).
    pub norm_offset: bool,
    /// Whether attention's and the feed-forward layer's results are normalised before they are added (Gemma).
    pub norm_results: bool,
    /// What embeddings are multiplied by before the first block; 1 for all but Gemma.
    pub embedding_scale: f64,
    /// Where logits `l` become `cap tanh(l / cap)`, the cap; above 0 (Gemma).
    pub logit_cap: Option<f64>,
    /// Longest context in tokens.
    pub max_position_embeddings: usize,
    /// Whether the output head is the embedding matrix.
    pub tie_word_embeddings: bool,
    /// Tokens that end a generation.
    pub eos_token_ids: Vec<u32>,
    /// Blocks after the last of `layers` that a published checkpoint may hold and this decoder does not run (GLM's
    /// prediction of several tokens at once): tensors of `model.layers.{layers.len()..layers.len() + ignored_layers}`
    /// are skipped. Who writes a checkpoint without them sets this to 0 first.
    pub ignored_layers: usize,
}

/// One block.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerConfig {
    /// How many positions a query sees, its own included; `None`: all before it.
    pub window: Option<usize>,
    /// How queries and keys are rotated.
    pub rope: RopeConfig,
    /// What follows attention.
    pub feed_forward: FeedForward,
}

/// Rotary positions: pairs `(i, i + dims/2)` of the first `dims` dimensions of a head turn with the position.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RopeConfig {
    /// Base of the frequencies: pair `i` turns by `theta^(-2i/dims)` a position, before scaling.
    pub theta: f64,
    /// Dimensions of a head that are rotated; even, at most `head_dim`.
    pub dims: usize,
    /// How the frequencies are changed for contexts longer than those of the first training.
    pub scaling: RopeScaling,
}

/// A change of the rotary frequencies.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum RopeScaling {
    /// None.
    Default,
    /// All divided by `factor` (Chen et al. 2023).
    Linear {
        /// The divisor.
        factor: f64,
    },
    /// Low ones divided, high ones kept, those between interpolated (Llama 3.1).
    Llama3 {
        /// The divisor.
        factor: f64,
        /// Wavelengths over `original / low_frequency_factor` are divided.
        low_frequency_factor: f64,
        /// Wavelengths under `original / high_frequency_factor` are kept.
        high_frequency_factor: f64,
        /// Context of the first training in tokens.
        original_context: f64,
    },
    /// Interpolated by the number of turns within the original context (YaRN, Peng et al. 2023).
    Yarn {
        /// The divisor.
        factor: f64,
        /// Pairs that turn more often than this within the original context are kept. Usually 32.
        beta_fast: f64,
        /// Pairs that turn less often than this are divided. Usually 1.
        beta_slow: f64,
        /// Context of the first training in tokens.
        original_context: f64,
        /// What cosine and sine are multiplied by.
        attention_factor: f64,
        /// Whether the two bounds are rounded to whole pairs.
        truncate: bool,
    },
}

/// A gate's activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Activation {
    /// `x * sigmoid(x)`.
    Silu,
    /// The Gaussian error unit by its tanh approximation.
    GeluTanh,
}

/// What follows attention in a block.
#[derive(Clone, Debug, PartialEq)]
pub enum FeedForward {
    /// One gated layer of this width.
    Dense(usize),
    /// Gated experts of which each token sees a few.
    Sparse(ExpertsConfig),
}

/// A mixture of experts.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpertsConfig {
    /// How many experts there are.
    pub experts: usize,
    /// How many a token sees.
    pub chosen: usize,
    /// Width of each expert.
    pub intermediate_size: usize,
    /// Width of the expert that every token sees beside the chosen ones, if there is one.
    pub shared_size: Option<usize>,
    /// How experts are chosen and weighed.
    pub router: Router,
    /// Whether the weights of the chosen experts are divided by their sum.
    pub normalise: bool,
    /// What the weights are multiplied by in the end.
    pub scale: f64,
}

/// How experts are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Router {
    /// The most probable ones by a softmax over all (Qwen3-MoE).
    Softmax,
    /// By sigmoid scores plus a learned correction, which only chooses; the weights are the scores alone. Experts are
    /// arranged in `groups`, and only those of the best `chosen_groups` (by the sum of a group's two best) are eligible
    /// (GLM-4 MoE, DeepSeek-V3).
    Sigmoid {
        /// Groups of equal size.
        groups: usize,
        /// Eligible groups.
        chosen_groups: usize,
    },
}

impl DecoderConfig {
    /// Query heads that share one key and value head.
    pub fn group_size(&self) -> usize {
        self.num_attention_heads / self.num_key_value_heads.max(1)
    }

    /// Width of all query heads together.
    pub fn query_size(&self) -> usize {
        self.num_attention_heads * self.head_dim
    }

    /// Width of all key heads together, and of all value heads.
    pub fn key_size(&self) -> usize {
        self.num_key_value_heads * self.head_dim
    }
}
