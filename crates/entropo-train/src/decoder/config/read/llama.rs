//! Llama.

use super::super::keys::Keys;
use super::super::{Activation, ConfigError, DecoderConfig, Family, FeedForward, LayerConfig};
use super::shape::{Defaults, Shape};
use super::{rope, window};

const DEFAULTS: Defaults = Defaults {
    vocab_size: 32_000,
    hidden_size: 4096,
    intermediate_size: 11_008,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    num_key_value_heads: None,
    head_dim: None,
    activation: ("hidden_act", Activation::Silu),
    max_position_embeddings: 2048,
    rms_norm_eps: 1e-6,
    tie_word_embeddings: false,
    eos_token_ids: &[2],
};

pub(super) fn read(keys: &Keys<'_>) -> Result<DecoderConfig, ConfigError> {
    let shape = Shape::read(keys, Family::Llama, &DEFAULTS)?;
    window::refuse(keys, shape.layers)?;
    let rope = rope::whole(keys, &shape.plain)?;
    let layer = LayerConfig { window: None, rope, feed_forward: FeedForward::Dense(shape.intermediate_size) };
    let bias = keys.boolean("attention_bias", false)?;
    let layers = vec![layer; shape.layers];
    Ok(DecoderConfig { layers, query_key_value_bias: bias, output_bias: bias, ..shape.plain })
}
