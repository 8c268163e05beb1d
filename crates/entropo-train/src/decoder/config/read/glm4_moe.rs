//! GLM 4.5 and later.

use super::super::keys::Keys;
use super::super::{Activation, ConfigError, DecoderConfig, ExpertsConfig, Family, FeedForward, LayerConfig, Router};
use super::shape::{Defaults, MOST_LAYERS, Shape};
use super::{experts, rope, window};

const DEFAULTS: Defaults = Defaults {
    vocab_size: 151_552,
    hidden_size: 4096,
    intermediate_size: 10_944,
    num_hidden_layers: 46,
    num_attention_heads: 96,
    num_key_value_heads: Some(8),
    head_dim: None,
    activation: ("hidden_act", Activation::Silu),
    max_position_embeddings: 131_072,
    rms_norm_eps: 1e-5,
    tie_word_embeddings: false,
    eos_token_ids: &[],
};

pub(super) fn read(keys: &Keys<'_>) -> Result<DecoderConfig, ConfigError> {
    let shape = Shape::read(keys, Family::Glm4Moe, &DEFAULTS)?;
    window::refuse(keys, shape.layers)?;
    let rope = rope::partial(keys, &shape.plain, 0.5)?;
    let dense = keys.whole("first_k_dense_replace", 1)?.min(shape.layers);
    let layer = |feed_forward| LayerConfig { window: None, rope, feed_forward };
    let mut layers = vec![layer(FeedForward::Dense(shape.intermediate_size)); dense];
    if dense < shape.layers {
        layers.resize(shape.layers, layer(FeedForward::Sparse(experts(keys)?)));
    }
    let further = keys.either("num_nextn_predict_layers", "num_mtp_layers")?;
    Ok(DecoderConfig {
        layers,
        query_key_value_bias: keys.boolean("attention_bias", false)?,
        query_key_norm: keys.boolean("use_qk_norm", false)?,
        ignored_layers: keys.within(further, 1, 0..=MOST_LAYERS, "an integer from 0 to 65536")?,
        ..shape.plain
    })
}

fn experts(keys: &Keys<'_>) -> Result<ExpertsConfig, ConfigError> {
    let experts = experts::count(keys, "n_routed_experts")?;
    let chosen = experts::chosen(keys, experts)?;
    let intermediate_size = keys.count("moe_intermediate_size", 1408)?;
    let shared = keys.whole("n_shared_experts", 1)?;
    Ok(ExpertsConfig {
        experts,
        chosen,
        intermediate_size,
        shared_size: (shared > 0).then_some(shared * intermediate_size),
        router: router(keys, experts, chosen)?,
        normalise: keys.boolean("norm_topk_prob", true)?,
        scale: keys.positive("routed_scaling_factor")?.unwrap_or(1.0),
    })
}

fn router(keys: &Keys<'_>, experts: usize, chosen: usize) -> Result<Router, ConfigError> {
    let groups = keys.count("n_group", 1)?;
    let chosen_groups = keys.count("topk_group", 1)?;
    // A group is judged by its two best experts.
    if !experts.is_multiple_of(groups) || (groups > 1 && experts / groups < 2) {
        return Err(keys.wrong("n_group", "a divisor of the number of experts that leaves each group at least two"));
    }
    if chosen_groups > groups {
        return Err(keys.wrong("topk_group", "at most n_group"));
    }
    if chosen > experts / groups * chosen_groups {
        return Err(keys.wrong("num_experts_per_tok", "at most the number of experts in topk_group groups"));
    }
    Ok(Router::Sigmoid { groups, chosen_groups })
}
