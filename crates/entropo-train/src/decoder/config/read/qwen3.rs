//! Qwen 3.

use super::super::keys::Keys;
use super::super::{Activation, ConfigError, DecoderConfig, Family, FeedForward, LayerConfig};
use super::shape::{Defaults, Shape};
use super::{rope, window};

const DEFAULTS: Defaults = Defaults {
    vocab_size: 151_936,
    hidden_size: 4096,
    intermediate_size: 22_016,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    num_key_value_heads: Some(32),
    head_dim: Some(128),
    activation: ("hidden_act", Activation::Silu),
    max_position_embeddings: 32_768,
    rms_norm_eps: 1e-6,
    tie_word_embeddings: false,
    eos_token_ids: &[],
};

pub(super) fn read(keys: &Keys<'_>) -> Result<DecoderConfig, ConfigError> {
    let shape = Shape::read(keys, Family::Qwen3, &DEFAULTS)?;
    let rope = rope::whole(keys, &shape.plain)?;
    let windows = window::above_first(keys, shape.layers)?.into_iter();
    let feed_forward = FeedForward::Dense(shape.intermediate_size);
    let layers = windows.map(|window| LayerConfig { window, rope, feed_forward: feed_forward.clone() }).collect();
    let bias = keys.boolean("attention_bias", false)?;
    Ok(DecoderConfig { layers, query_key_value_bias: bias, output_bias: bias, query_key_norm: true, ..shape.plain })
}
