//! Rotary positions.
//!
//! transformers 5 keeps them in `rope_parameters`: one object, or in Gemma one for each type of attention. Older files
//! have `rope_theta` and `partial_rotary_factor` among the other keys and the rest in `rope_scaling`, which wins where
//! both are there. Within the object a value wins over the same key outside.

use serde_json::Value;

use super::super::keys::Keys;
use super::super::{ConfigError, DecoderConfig, RopeConfig, RopeScaling};

/// Base of the frequencies in every family but Gemma.
const THETA: f64 = 10_000.0;

/// The rotation of Gemma's layers.
pub(super) struct ByAttention {
    pub(super) full: RopeConfig,
    pub(super) sliding: RopeConfig,
}

/// One rotation of whole heads for all layers.
pub(super) fn whole(keys: &Keys<'_>, plain: &DecoderConfig) -> Result<RopeConfig, ConfigError> {
    let parameters = shared(keys)?;
    refuse_part(&[parameters.as_ref(), Some(keys)])?;
    rotation(keys, parameters.as_ref(), plain, plain.head_dim)
}

/// One rotation for all layers of the part of a head that `partial_rotary_factor` says.
pub(super) fn partial(keys: &Keys<'_>, plain: &DecoderConfig, default: f64) -> Result<RopeConfig, ConfigError> {
    let parameters = shared(keys)?;
    let scope = parameters.as_ref().filter(|inner| inner.get("partial_rotary_factor").is_some()).unwrap_or(keys);
    let factor = scope.positive("partial_rotary_factor")?.unwrap_or(default);
    let dims = (plain.head_dim as f64 * factor) as usize;
    if factor > 1.0 || dims == 0 || !dims.is_multiple_of(2) {
        return Err(scope.wrong("partial_rotary_factor", "at most 1, and an even number of a head's dimensions"));
    }
    rotation(keys, parameters.as_ref(), plain, dims)
}

/// A rotation of whole heads for each type of attention.
pub(super) fn by_attention(keys: &Keys<'_>, plain: &DecoderConfig) -> Result<ByAttention, ConfigError> {
    let nested = keys.object("rope_parameters")?;
    let stray = |inner: &Keys<'_>| inner.names().any(|name| !matches!(name, "full_attention" | "sliding_attention"));
    if nested.as_ref().is_some_and(stray) {
        return Err(keys.wrong("rope_parameters", "an object with full_attention and sliding_attention"));
    }
    let of = |kind| nested.as_ref().map_or(Ok(None), |inner| inner.object(kind));
    let (scaled, full, sliding) = (keys.object("rope_scaling")?, of("full_attention")?, of("sliding_attention")?);
    let (scaled, full, sliding) = (scaled.as_ref(), full.as_ref(), sliding.as_ref());
    refuse_part(&[scaled, full, sliding, Some(keys)])?;
    let rope = |theta, parameters| {
        Ok(RopeConfig { theta, dims: plain.head_dim, scaling: scaling(keys, parameters, plain, theta)? })
    };
    let full_theta = first("rope_theta", &[scaled, full, Some(keys)])?.unwrap_or(1_000_000.0);
    let local = keys.positive("rope_local_base_freq")?.unwrap_or(THETA);
    let sliding_theta = first("rope_theta", &[sliding])?.unwrap_or(local);
    Ok(ByAttention { full: rope(full_theta, scaled.or(full))?, sliding: rope(sliding_theta, sliding)? })
}

/// The object that holds what applies to all layers.
fn shared<'a>(keys: &Keys<'a>) -> Result<Option<Keys<'a>>, ConfigError> {
    for key in ["rope_scaling", "rope_parameters"] {
        let Some(parameters) = keys.object(key)? else { continue };
        if parameters.names().any(|name| matches!(name, "full_attention" | "sliding_attention")) {
            return Err(keys.unsupported(key, "the layers of this family all rotate alike"));
        }
        return Ok(Some(parameters));
    }
    Ok(None)
}

fn rotation(
    keys: &Keys<'_>,
    parameters: Option<&Keys<'_>>,
    plain: &DecoderConfig,
    dims: usize,
) -> Result<RopeConfig, ConfigError> {
    let theta = first("rope_theta", &[parameters, Some(keys)])?.unwrap_or(THETA);
    Ok(RopeConfig { theta, dims, scaling: scaling(keys, parameters, plain, theta)? })
}

fn scaling(
    keys: &Keys<'_>,
    parameters: Option<&Keys<'_>>,
    plain: &DecoderConfig,
    theta: f64,
) -> Result<RopeScaling, ConfigError> {
    let Some(parameters) = parameters else { return Ok(RopeScaling::Default) };
    let original_context = || -> Result<f64, ConfigError> {
        const KEY: &str = "original_max_position_embeddings";
        let inside = parameters.optional_count(KEY, Some(plain.max_position_embeddings))?;
        let context = keys.optional_count(KEY, None)?.or(inside).unwrap_or(plain.max_position_embeddings);
        Ok(context as f64)
    };
    let key = if parameters.get("rope_type").is_some() { "rope_type" } else { "type" };
    match parameters.get(key).map(Value::as_str) {
        None | Some(Some("default")) => Ok(RopeScaling::Default),
        Some(Some("linear")) => Ok(RopeScaling::Linear { factor: parameters.required("factor")? }),
        Some(Some("llama3")) => llama3(parameters, original_context()?),
        Some(Some("yarn")) => yarn(parameters, original_context()?, theta),
        Some(_) => Err(parameters.unsupported(key, "rotary frequencies are default, linear, llama3 or yarn")),
    }
}

fn llama3(parameters: &Keys<'_>, original_context: f64) -> Result<RopeScaling, ConfigError> {
    let low_frequency_factor = parameters.required("low_freq_factor")?;
    let high_frequency_factor = parameters.required("high_freq_factor")?;
    if high_frequency_factor <= low_frequency_factor {
        return Err(parameters.wrong("high_freq_factor", "above low_freq_factor"));
    }
    let factor = parameters.required("factor")?;
    Ok(RopeScaling::Llama3 { factor, low_frequency_factor, high_frequency_factor, original_context })
}

fn yarn(parameters: &Keys<'_>, original_context: f64, theta: f64) -> Result<RopeScaling, ConfigError> {
    let factor = parameters.required("factor")?;
    let beta_fast = parameters.positive("beta_fast")?.unwrap_or(32.0);
    let beta_slow = parameters.positive("beta_slow")?.unwrap_or(1.0);
    if beta_fast < beta_slow {
        return Err(parameters.wrong("beta_fast", "at least beta_slow"));
    }
    if theta <= 1.0 {
        return Err(parameters.wrong("rope_theta", "above 1 for yarn"));
    }
    // Equation 22 of the paper, and its variant with two scales.
    let scale = |weight: f64| if factor <= 1.0 { 1.0 } else { 0.1 * weight * factor.ln() + 1.0 };
    let weight = |key| Ok(parameters.number(key)?.filter(|&weight| weight != 0.0));
    let inferred = match (weight("mscale")?, weight("mscale_all_dim")?) {
        (Some(weight), Some(all)) => scale(weight) / scale(all),
        _ => scale(1.0),
    };
    Ok(RopeScaling::Yarn {
        factor,
        beta_fast,
        beta_slow,
        original_context,
        attention_factor: parameters.positive("attention_factor")?.unwrap_or(inferred),
        truncate: parameters.boolean("truncate", true)?,
    })
}

/// The first value of a key in several objects.
fn first(key: &'static str, scopes: &[Option<&Keys<'_>>]) -> Result<Option<f64>, ConfigError> {
    let values = scopes.iter().flatten().map(|scope| scope.positive(key));
    values.filter_map(Result::transpose).next().transpose()
}

fn refuse_part(scopes: &[Option<&Keys<'_>>]) -> Result<(), ConfigError> {
    const KEY: &str = "partial_rotary_factor";
    scopes.iter().flatten().try_for_each(|scope| match scope.positive(KEY)? {
        Some(factor) if factor != 1.0 => Err(scope.unsupported(KEY, "heads of this family are rotated whole")),
        _ => Ok(()),
    })
}
