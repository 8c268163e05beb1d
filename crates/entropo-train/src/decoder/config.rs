//! The decoder's shape, read from Hugging Face's `config.json`.
//!
//! Both spellings are read: transformers 5 (`rope_parameters`, `dtype`) and what was published before (`rope_theta`,
//! `torch_dtype`). A key that changes the computation in a way this decoder does not have is an error that names it;
//! nothing is approximated silently.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

/// The shape of a Qwen2 decoder: pre-norm blocks of grouped-query attention with biased projections, rotary positions
/// and a gated (SwiGLU) feed-forward layer.
#[derive(Clone, Debug, PartialEq)]
pub struct DecoderConfig {
    /// Rows of the embedding; may exceed the tokenizer's vocabulary.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// Number of blocks.
    pub num_hidden_layers: usize,
    /// Query heads; divides `hidden_size`.
    pub num_attention_heads: usize,
    /// Key and value heads; divides `num_attention_heads`.
    pub num_key_value_heads: usize,
    /// Longest context in tokens.
    pub max_position_embeddings: usize,
    /// Added to the mean square in every norm.
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// Whether the output head is the embedding matrix.
    pub tie_word_embeddings: bool,
    /// Tokens that end a generation.
    pub eos_token_ids: Vec<u32>,
}

/// What is wrong with a `config.json`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The file is no JSON object.
    #[error("{origin}: not a JSON object: {reason}")]
    Json {
        /// Where the text came from.
        origin: String,
        /// The parser's words.
        reason: String,
    },
    /// A key is missing or has a value of another type.
    #[error("{origin}: `{key}` is {found}, expected {expected}")]
    Value {
        /// Where the text came from.
        origin: String,
        /// The key.
        key: &'static str,
        /// What is there.
        found: String,
        /// What should be.
        expected: &'static str,
    },
    /// A key asks for something that this decoder does not do.
    #[error("{origin}: `{key}` = {found} is not supported; {supported}")]
    Unsupported {
        /// Where the text came from.
        origin: String,
        /// The key.
        key: &'static str,
        /// What is there.
        found: String,
        /// What would be.
        supported: &'static str,
    },
}

impl DecoderConfig {
    /// Reads a `config.json`.
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::from_json(&text, &path.display().to_string())
    }

    /// Reads the text of a `config.json`; `origin` names it in errors.
    pub fn from_json(text: &str, origin: &str) -> Result<Self, ConfigError> {
        let json = |reason: String| ConfigError::Json { origin: origin.to_owned(), reason };
        let map: Map<String, Value> = serde_json::from_str(text).map_err(|error| json(error.to_string()))?;
        Keys { map: &map, origin }.decoder()
    }

    /// The same configuration in the keys of transformers 5, as [`from_json`](Self::from_json) reads it.
    pub fn to_json(&self) -> Value {
        let eos = match self.eos_token_ids.as_slice() {
            [] => Value::Null,
            [one] => json!(one),
            several => json!(several),
        };
        json!({
            "architectures": ["Qwen2ForCausalLM"],
            "model_type": "qwen2",
            "dtype": "float32",
            "vocab_size": self.vocab_size,
            "hidden_size": self.hidden_size,
            "intermediate_size": self.intermediate_size,
            "num_hidden_layers": self.num_hidden_layers,
            "num_attention_heads": self.num_attention_heads,
            "num_key_value_heads": self.num_key_value_heads,
            "max_position_embeddings": self.max_position_embeddings,
            "rms_norm_eps": self.rms_norm_eps,
            "rope_parameters": { "rope_theta": self.rope_theta, "rope_type": "default" },
            "rope_theta": self.rope_theta,
            "hidden_act": "silu",
            "attention_dropout": 0.0,
            "initializer_range": 0.02,
            "sliding_window": null,
            "use_sliding_window": false,
            "use_cache": true,
            "tie_word_embeddings": self.tie_word_embeddings,
            "bos_token_id": null,
            "eos_token_id": eos,
        })
    }

    /// Width of one attention head.
    pub fn head_dim(&self) -> usize {
        self.hidden_size / self.num_attention_heads.max(1)
    }

    /// Query heads that share one key and value head.
    pub fn group_size(&self) -> usize {
        self.num_attention_heads / self.num_key_value_heads.max(1)
    }
}

/// The keys of one file, with errors that name file and key.
struct Keys<'a> {
    map: &'a Map<String, Value>,
    origin: &'a str,
}

impl Keys<'_> {
    fn decoder(&self) -> Result<DecoderConfig, ConfigError> {
        self.only("model_type", &json!("qwen2"), "this decoder reads qwen2")?;
        self.only_if_present("hidden_act", &json!("silu"), "the feed-forward layer uses silu")?;
        self.only_if_present("use_sliding_window", &json!(false), "attention is full in every layer")?;
        self.full_attention()?;
        let hidden_size = self.count("hidden_size")?;
        let num_attention_heads = self.count("num_attention_heads")?;
        let config = DecoderConfig {
            vocab_size: self.count("vocab_size")?,
            hidden_size,
            intermediate_size: self.count("intermediate_size")?,
            num_hidden_layers: self.count("num_hidden_layers")?,
            num_attention_heads,
            num_key_value_heads: self.optional_count("num_key_value_heads")?.unwrap_or(num_attention_heads),
            max_position_embeddings: self.optional_count("max_position_embeddings")?.unwrap_or(32_768),
            rms_norm_eps: self.positive(self.map, "rms_norm_eps")?.unwrap_or(1e-6),
            rope_theta: self.rope_theta()?,
            tie_word_embeddings: self.boolean("tie_word_embeddings")?,
            eos_token_ids: self.tokens("eos_token_id")?,
        };
        self.divides(
            "num_attention_heads",
            config.num_attention_heads,
            config.hidden_size,
            "a divisor of hidden_size",
        )?;
        let heads = config.num_attention_heads;
        self.divides("num_key_value_heads", config.num_key_value_heads, heads, "a divisor of num_attention_heads")?;
        self.divides("hidden_size", 2, config.head_dim(), "an even number per head")?;
        match self.optional_count("head_dim")? {
            Some(width) if width != config.head_dim() => {
                Err(self.unsupported("head_dim", &json!(width), "it must be hidden_size / num_attention_heads"))
            }
            _ => Ok(config),
        }
    }

    fn full_attention(&self) -> Result<(), ConfigError> {
        let layers = self.map.get("layer_types").and_then(Value::as_array);
        match layers.and_then(|layers| layers.iter().find(|layer| layer.as_str() != Some("full_attention"))) {
            Some(other) => Err(self.unsupported("layer_types", other, "every layer must be full_attention")),
            None => Ok(()),
        }
    }

    fn rope_theta(&self) -> Result<f64, ConfigError> {
        if let Some(scaling) = self.map.get("rope_scaling").filter(|value| !value.is_null()) {
            return Err(self.unsupported("rope_scaling", scaling, "rotary positions are not scaled"));
        }
        let Some(parameters) = self.map.get("rope_parameters").and_then(Value::as_object) else {
            return Ok(self.positive(self.map, "rope_theta")?.unwrap_or(10_000.0));
        };
        match parameters.get("rope_type") {
            Some(kind) if kind.as_str() != Some("default") => {
                Err(self.unsupported("rope_parameters", kind, "rope_type must be default"))
            }
            _ => Ok(self.positive(parameters, "rope_theta")?.unwrap_or(10_000.0)),
        }
    }

    fn only(&self, key: &'static str, wanted: &Value, supported: &'static str) -> Result<(), ConfigError> {
        match self.map.get(key) {
            Some(value) if value == wanted => Ok(()),
            Some(value) => Err(self.unsupported(key, value, supported)),
            None => Err(self.wrong(key, None, supported)),
        }
    }

    fn only_if_present(&self, key: &'static str, wanted: &Value, supported: &'static str) -> Result<(), ConfigError> {
        if self.map.get(key).is_none_or(Value::is_null) { Ok(()) } else { self.only(key, wanted, supported) }
    }

    fn count(&self, key: &'static str) -> Result<usize, ConfigError> {
        self.optional_count(key)?.ok_or_else(|| self.wrong(key, None, "a positive integer"))
    }

    fn optional_count(&self, key: &'static str) -> Result<Option<usize>, ConfigError> {
        let Some(value) = self.map.get(key).filter(|value| !value.is_null()) else { return Ok(None) };
        let count = value.as_u64().filter(|&count| (1..=1 << 31).contains(&count));
        count.map(|count| Some(count as usize)).ok_or_else(|| self.wrong(key, Some(value), "a positive integer"))
    }

    fn positive(&self, map: &Map<String, Value>, key: &'static str) -> Result<Option<f64>, ConfigError> {
        let Some(value) = map.get(key).filter(|value| !value.is_null()) else { return Ok(None) };
        let number = value.as_f64().filter(|number| number.is_finite() && *number > 0.0);
        number.map(Some).ok_or_else(|| self.wrong(key, Some(value), "a positive number"))
    }

    fn boolean(&self, key: &'static str) -> Result<bool, ConfigError> {
        let Some(value) = self.map.get(key).filter(|value| !value.is_null()) else { return Ok(false) };
        value.as_bool().ok_or_else(|| self.wrong(key, Some(value), "true or false"))
    }

    fn tokens(&self, key: &'static str) -> Result<Vec<u32>, ConfigError> {
        let expected = "a token id or a list of token ids";
        let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
        let ids: Option<Vec<u32>> = match self.map.get(key) {
            None | Some(Value::Null) => Some(Vec::new()),
            Some(Value::Array(list)) => list.iter().map(id).collect(),
            Some(value) => id(value).map(|id| vec![id]),
        };
        ids.ok_or_else(|| self.wrong(key, self.map.get(key), expected))
    }

    fn divides(&self, key: &'static str, part: usize, whole: usize, expected: &'static str) -> Result<(), ConfigError> {
        if whole.is_multiple_of(part) { Ok(()) } else { Err(self.wrong(key, self.map.get(key), expected)) }
    }

    fn wrong(&self, key: &'static str, found: Option<&Value>, expected: &'static str) -> ConfigError {
        let found = found.map_or_else(|| "missing".to_owned(), Value::to_string);
        ConfigError::Value { origin: self.origin.to_owned(), key, found, expected }
    }

    fn unsupported(&self, key: &'static str, found: &Value, supported: &'static str) -> ConfigError {
        ConfigError::Unsupported { origin: self.origin.to_owned(), key, found: found.to_string(), supported }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(change: impl FnOnce(&mut Map<String, Value>)) -> Result<DecoderConfig, ConfigError> {
        let mut value = json!({
            "model_type": "qwen2", "vocab_size": 10, "hidden_size": 8, "intermediate_size": 12,
            "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "eos_token_id": 3,
        });
        change(value.as_object_mut().unwrap());
        DecoderConfig::from_json(&value.to_string(), "config.json")
    }

    #[test]
    fn what_is_written_is_read_again() {
        let config = parse(|_| ()).unwrap();
        assert_eq!(DecoderConfig::from_json(&config.to_json().to_string(), "again").unwrap(), config);
    }

    #[test]
    fn both_spellings_of_the_rotary_base() {
        let old = parse(|map| drop(map.insert("rope_theta".into(), json!(5e5)))).unwrap();
        let new = parse(|map| drop(map.insert("rope_parameters".into(), json!({"rope_theta": 5e5})))).unwrap();
        assert_eq!((old.rope_theta, new.rope_theta), (5e5, 5e5));
    }

    #[test]
    fn what_is_not_supported_is_named() {
        for (key, value) in [
            ("model_type", json!("gemma3_text")),
            ("rope_scaling", json!({"rope_type": "yarn"})),
            ("use_sliding_window", json!(true)),
            ("hidden_act", json!("gelu")),
            ("layer_types", json!(["sliding_attention"])),
            ("head_dim", json!(64)),
        ] {
            let error = parse(|map| drop(map.insert(key.into(), value))).unwrap_err().to_string();
            assert!(error.contains(key) && error.contains("not supported"), "{error}");
        }
    }

    #[test]
    fn contradictions_are_refused() {
        for (key, value) in [
            ("hidden_size", json!(9)),
            ("num_key_value_heads", json!(3)),
            ("vocab_size", json!(0)),
            ("vocab_size", json!(-4)),
            ("hidden_size", json!("8")),
            ("eos_token_id", json!([1, -1])),
            ("rms_norm_eps", json!(0)),
            ("num_hidden_layers", json!(null)),
        ] {
            let error = parse(|map| drop(map.insert(key.into(), value.clone()))).unwrap_err().to_string();
            assert!(error.starts_with("config.json: `"), "{key} = {value}: {error}");
        }
    }
}
