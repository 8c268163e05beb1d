//! Reading a `config.json`.
//!
//! Both spellings are read: transformers 5 (`rope_parameters`, `dtype`, `num_local_experts`) and what was published
//! before (`rope_theta`, `rope_scaling`, `num_experts`). What is absent has the default that transformers 5 gives it in
//! that family. A key that changes the computation in a way this decoder does not have is an error that names it;
//! nothing is approximated silently. One file a family says what its keys mean.
//!
//! Dropout is no part of a model's shape: `attention_dropout` is not read, and training applies none.

mod experts;
mod gemma3_text;
mod glm4_moe;
mod llama;
mod qwen2;
mod qwen3;
mod qwen3_moe;
mod rope;
mod shape;
#[cfg(test)]
mod tests;
mod window;

use std::path::Path;

use serde_json::{Map, Value, json};

use super::keys::Keys;
use super::{ConfigError, DecoderConfig, Family};

impl DecoderConfig {
    /// Reads a `config.json`.
    ///
    /// # Errors
    /// As [`from_json`](Self::from_json), and if the file cannot be read.
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::from_json(&text, &path.display().to_string())
    }

    /// Reads the text of a `config.json`; `origin` names it in errors.
    ///
    /// # Errors
    /// If the text is no JSON object, a key has a value that cannot be or contradicts another, or a key asks for
    /// something that this decoder does not do.
    pub fn from_json(text: &str, origin: &str) -> Result<Self, ConfigError> {
        let json = |reason: String| ConfigError::Json { origin: origin.to_owned(), reason };
        let map: Map<String, Value> = serde_json::from_str(text).map_err(|error| json(error.to_string()))?;
        let keys = Keys::new(&map, origin);
        let family = family(&keys)?;
        refuse_what_no_family_does(&keys)?;
        if family != Family::Gemma3Text {
            keys.only("final_logit_softcapping", &Value::Null, "only Gemma's logits are capped")?;
        }
        match family {
            Family::Qwen2 => qwen2::read(&keys),
            Family::Qwen3 => qwen3::read(&keys),
            Family::Qwen3Moe => qwen3_moe::read(&keys),
            Family::Llama => llama::read(&keys),
            Family::Gemma3Text => gemma3_text::read(&keys),
            Family::Glm4Moe => glm4_moe::read(&keys),
        }
    }
}

fn family(keys: &Keys<'_>) -> Result<Family, ConfigError> {
    const READ: &str = "read are qwen2, qwen3, qwen3_moe, llama, gemma3_text and glm4_moe";
    let name = keys.get("model_type").and_then(Value::as_str).ok_or_else(|| keys.wrong("model_type", READ))?;
    let family = Family::ALL.into_iter().find(|family| family.model_type() == name);
    family.ok_or_else(|| match name {
        "gemma3" => keys.unsupported(
            "model_type",
            "of a Gemma 3 that sees images only the text model is read: a checkpoint of its own with model_type \
             gemma3_text, its keys those of `text_config` here",
        ),
        _ => keys.unsupported("model_type", READ),
    })
}

fn refuse_what_no_family_does(keys: &Keys<'_>) -> Result<(), ConfigError> {
    let refused = [
        ("quantization_config", Value::Null, "only weights that are not quantised are read"),
        ("per_layer_config", Value::Null, "layers have the keys of the whole"),
        ("attn_logit_softcapping", Value::Null, "scores are not capped"),
        ("mlp_bias", json!(false), "feed-forward layers have no biases"),
        ("use_bidirectional_attention", json!(false), "attention is causal"),
        ("is_causal", json!(true), "attention is causal"),
    ];
    refused.iter().try_for_each(|(key, allowed, supported)| keys.only(key, allowed, supported))
}
