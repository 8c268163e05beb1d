//! The keys that all families have.

use serde_json::Value;

use super::super::keys::Keys;
use super::super::{Activation, ConfigError, DecoderConfig, Family};

/// Blocks that a configuration may ask for; more are refused before anything is allocated for them.
pub(super) const MOST_LAYERS: usize = 1 << 16;

/// What a family's keys are where they are absent.
pub(super) struct Defaults {
    pub(super) vocab_size: usize,
    pub(super) hidden_size: usize,
    pub(super) intermediate_size: usize,
    pub(super) num_hidden_layers: usize,
    pub(super) num_attention_heads: usize,
    /// None: as many as query heads.
    pub(super) num_key_value_heads: Option<usize>,
    /// None: `hidden_size / num_attention_heads`.
    pub(super) head_dim: Option<usize>,
    /// The key that names the activation, too.
    pub(super) activation: (&'static str, Activation),
    pub(super) max_position_embeddings: usize,
    pub(super) rms_norm_eps: f64,
    pub(super) tie_word_embeddings: bool,
    pub(super) eos_token_ids: &'static [u32],
}

/// What the common keys say.
pub(super) struct Shape {
    /// A decoder without biases, norms on heads or anything of Gemma's, and without blocks yet.
    pub(super) plain: DecoderConfig,
    /// Its blocks; at least one.
    pub(super) layers: usize,
    /// Width of dense feed-forward layers.
    pub(super) intermediate_size: usize,
}

impl Shape {
    pub(super) fn read(keys: &Keys<'_>, family: Family, defaults: &Defaults) -> Result<Self, ConfigError> {
        let layers = keys.within(
            "num_hidden_layers",
            defaults.num_hidden_layers,
            1..=MOST_LAYERS,
            "a positive integer, at most 65536",
        )?;
        let hidden_size = keys.count("hidden_size", defaults.hidden_size)?;
        let heads = keys.count("num_attention_heads", defaults.num_attention_heads)?;
        let groups = keys.optional_count("num_key_value_heads", defaults.num_key_value_heads)?.unwrap_or(heads);
        if !heads.is_multiple_of(groups) {
            return Err(keys.wrong("num_key_value_heads", "a divisor of num_attention_heads"));
        }
        let head_dim = head_dim(keys, hidden_size, heads, defaults.head_dim)?;
        let plain = DecoderConfig {
            family,
            vocab_size: keys.count("vocab_size", defaults.vocab_size)?,
            hidden_size,
            layers: Vec::new(),
            num_attention_heads: heads,
            num_key_value_heads: groups,
            head_dim,
            query_key_value_bias: false,
            output_bias: false,
            query_key_norm: false,
            attention_scale: (head_dim as f64).powf(-0.5),
            activation: activation(keys, defaults.activation)?,
            rms_norm_eps: keys.positive("rms_norm_eps")?.unwrap_or(defaults.rms_norm_eps),
            norm_offset: false,
            norm_results: false,
            embedding_scale: 1.0,
            logit_cap: None,
            max_position_embeddings: keys.count("max_position_embeddings", defaults.max_position_embeddings)?,
            tie_word_embeddings: keys.boolean("tie_word_embeddings", defaults.tie_word_embeddings)?,
            eos_token_ids: keys.tokens("eos_token_id", defaults.eos_token_ids)?,
            ignored_layers: 0,
        };
        let intermediate_size = keys.count("intermediate_size", defaults.intermediate_size)?;
        Ok(Self { plain, layers, intermediate_size })
    }
}

fn head_dim(keys: &Keys<'_>, hidden_size: usize, heads: usize, default: Option<usize>) -> Result<usize, ConfigError> {
    let (key, width) = match keys.optional_count("head_dim", default)? {
        Some(width) => ("head_dim", width),
        None if hidden_size.is_multiple_of(heads) => ("hidden_size", hidden_size / heads),
        None => return Err(keys.wrong("num_attention_heads", "a divisor of hidden_size, or head_dim beside it")),
    };
    if width.is_multiple_of(2) { Ok(width) } else { Err(keys.wrong(key, "an even number per head")) }
}

fn activation(keys: &Keys<'_>, (key, default): (&'static str, Activation)) -> Result<Activation, ConfigError> {
    let Some(value) = keys.get(key) else { return Ok(default) };
    let known = Activation::ALL.into_iter().find(|known| value.as_str() == Some(known.name()));
    match value {
        Value::String(_) => known.ok_or_else(|| keys.unsupported(key, "gates use silu or gelu_pytorch_tanh")),
        _ => Err(keys.wrong(key, "the name of an activation")),
    }
}
