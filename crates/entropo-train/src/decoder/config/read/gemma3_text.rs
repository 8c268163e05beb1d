//! The text model of Gemma 3.

use super::super::keys::Keys;
use super::super::{Activation, ConfigError, DecoderConfig, Family, FeedForward, LayerConfig};
use super::shape::{Defaults, Shape};
use super::{rope, window};

const DEFAULTS: Defaults = Defaults {
    vocab_size: 262_208,
    hidden_size: 2304,
    intermediate_size: 9216,
    num_hidden_layers: 26,
    num_attention_heads: 8,
    num_key_value_heads: Some(4),
    head_dim: Some(256),
    activation: ("hidden_activation", Activation::GeluTanh),
    max_position_embeddings: 131_072,
    rms_norm_eps: 1e-6,
    tie_word_embeddings: true,
    eos_token_ids: &[1],
};

pub(super) fn read(keys: &Keys<'_>) -> Result<DecoderConfig, ConfigError> {
    let shape = Shape::read(keys, Family::Gemma3Text, &DEFAULTS)?;
    let rope = rope::by_attention(keys, &shape.plain)?;
    // transformers writes `_sliding_window_pattern` too, but neither reads it nor keeps it true to `layer_types`.
    let pattern = keys.count("sliding_window_pattern", 6)?;
    let window = keys.optional_count("sliding_window", Some(4096))?;
    let windows = window::by_type(keys, shape.layers, window, |index| !(index + 1).is_multiple_of(pattern))?;
    let layer = |window: Option<usize>| LayerConfig {
        window,
        rope: if window.is_some() { rope.sliding } else { rope.full },
        feed_forward: FeedForward::Dense(shape.intermediate_size),
    };
    let layers = windows.into_iter().map(layer).collect();
    let bias = keys.boolean("attention_bias", false)?;
    Ok(DecoderConfig {
        layers,
        query_key_value_bias: bias,
        output_bias: bias,
        query_key_norm: true,
        attention_scale: (keys.count("query_pre_attn_scalar", 256)? as f64).powf(-0.5),
        norm_offset: true,
        norm_results: true,
        logit_cap: keys.positive("final_logit_softcapping")?,
        embedding_scale: (shape.plain.hidden_size as f64).sqrt(),
        ..shape.plain
    })
}
