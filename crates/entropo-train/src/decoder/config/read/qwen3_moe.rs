//! Qwen 3 with experts.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::keys::Keys;
use super::super::{Activation, ConfigError, DecoderConfig, ExpertsConfig, Family, FeedForward, LayerConfig, Router};
use super::shape::{Defaults, Shape};
use super::{experts, rope, window};

const DEFAULTS: Defaults = Defaults {
    vocab_size: 151_936,
    hidden_size: 2048,
    intermediate_size: 6144,
    num_hidden_layers: 24,
    num_attention_heads: 32,
    num_key_value_heads: Some(4),
    head_dim: None,
    activation: ("hidden_act", Activation::Silu),
    max_position_embeddings: 32_768,
    rms_norm_eps: 1e-6,
    tie_word_embeddings: false,
    eos_token_ids: &[],
};

pub(super) fn read(keys: &Keys<'_>) -> Result<DecoderConfig, ConfigError> {
    let shape = Shape::read(keys, Family::Qwen3Moe, &DEFAULTS)?;
    let rope = rope::whole(keys, &shape.plain)?;
    let window = window::if_used(keys)?;
    window::refuse_other_types(keys, shape.layers, window.is_some())?;
    let sparse = sparse(keys, shape.layers)?;
    let experts = if sparse.contains(&true) { Some(experts(keys)?) } else { None };
    let feed_forward = |sparse: bool| match &experts {
        Some(experts) if sparse => FeedForward::Sparse(experts.clone()),
        _ => FeedForward::Dense(shape.intermediate_size),
    };
    let layer = |sparse| LayerConfig { window, rope, feed_forward: feed_forward(sparse) };
    let layers = sparse.into_iter().map(layer).collect();
    let bias = keys.boolean("attention_bias", false)?;
    Ok(DecoderConfig { layers, query_key_value_bias: bias, output_bias: bias, query_key_norm: true, ..shape.plain })
}

/// Whether each layer has experts.
fn sparse(keys: &Keys<'_>, layers: usize) -> Result<Vec<bool>, ConfigError> {
    let any = experts::count(keys, "num_experts")? > 0;
    let step = keys.count("decoder_sparse_step", 1)?;
    let dense = keys.list("mlp_only_layers")?.unwrap_or_default().iter().map(Value::as_u64);
    let dense: Option<BTreeSet<u64>> = dense.collect();
    let dense = dense.ok_or_else(|| keys.wrong("mlp_only_layers", "a list of layers, counted from 0"))?;
    Ok((0..layers).map(|i| any && !dense.contains(&(i as u64)) && (i + 1).is_multiple_of(step)).collect())
}

fn experts(keys: &Keys<'_>) -> Result<ExpertsConfig, ConfigError> {
    let experts = experts::count(keys, "num_experts")?;
    Ok(ExpertsConfig {
        experts,
        chosen: experts::chosen(keys, experts)?,
        intermediate_size: keys.count("moe_intermediate_size", 768)?,
        shared_size: None,
        router: Router::Softmax,
        normalise: keys.boolean("norm_topk_prob", false)?,
        scale: 1.0,
    })
}
