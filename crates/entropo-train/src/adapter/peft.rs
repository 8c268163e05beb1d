//! PEFT's `adapter_config.json`.
//!
//! PEFT adds keys with every version. Those that are read here and those that are known to change nothing in a trained
//! adapter are listed; any other may stand there only with a value that turns it off.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::config::LoraConfig;
use super::error::AdapterError;

/// Keys that say nothing about the computation, or only together with a key that is refused.
const HARMLESS: [&str; 14] = [
    "auto_mapping",
    "corda_config",
    "eva_config",
    "inference_mode",
    "loftq_config",
    "lora_ga_config",
    "megatron_core",
    "peft_version",
    "qalora_group_size",
    "revision",
    "runtime_config",
    "task_type",
    "torch_dtype",
    "dtype",
];

/// Ways to start that leave the base as it is. The others (PiSSA, OLoRA, CorDA, LoftQ, LoRA-GA) take a part out of the
/// base's weights, also when PEFT loads the adapter; PEFT converts such adapters with
/// `save_pretrained(path_initial_model_for_weight_conversion=…)`.
const STARTS: [&str; 3] = ["gaussian", "eva", "orthogonal"];

impl LoraConfig {
    /// Reads an `adapter_config.json`; `origin` names the text in errors.
    ///
    /// # Errors
    /// [`AdapterError::Unsupported`] for whatever would change the computation in a way that is not done here,
    /// [`AdapterError::Invalid`] for values outside their ranges.
    pub fn from_json(text: &str, origin: &str) -> Result<Self, AdapterError> {
        let keys: Map<String, Value> = serde_json::from_str(text)
            .map_err(|error| AdapterError::Json { origin: origin.to_owned(), reason: error.to_string() })?;
        for (key, value) in &keys {
            check(key, value).map_err(|supported| AdapterError::Unsupported {
                origin: origin.to_owned(),
                key: key.clone(),
                found: value.to_string(),
                supported,
            })?;
        }
        if !keys.contains_key("peft_type") {
            return Err(invalid("peft_type", "absent", "\"LORA\""));
        }
        let config = Self {
            rank: get(&keys, "r", "a whole number")?.unwrap_or(8),
            alpha: get(&keys, "lora_alpha", "a number")?.unwrap_or(8.0),
            rank_stabilised: get(&keys, "use_rslora", "true or false")?.unwrap_or(false),
            dropout: get(&keys, "lora_dropout", "a number")?.unwrap_or(0.0),
            targets: get(&keys, "target_modules", "a list of names or a pattern")?
                .ok_or_else(|| invalid("target_modules", "absent", "a list of names or a pattern"))?,
            excluded: get(&keys, "exclude_modules", "a list of names or a pattern")?,
            blocks: blocks(&keys)?,
            ranks: pairs(&keys, "rank_pattern", "whole numbers by pattern")?,
            alphas: pairs(&keys, "alpha_pattern", "numbers by pattern")?,
            base_model: get(&keys, "base_model_name_or_path", "a text")?,
        };
        config.validate()?;
        Ok(config)
    }

    /// What PEFT reads, with every key that decides what is computed.
    pub fn to_json(&self) -> Value {
        json!({
            "alpha_pattern": self.alphas.iter().map(|(key, alpha)| (key.clone(), number(*alpha))).collect::<Map<_, _>>(),
            "base_model_name_or_path": self.base_model,
            "bias": "none",
            "exclude_modules": self.excluded,
            "fan_in_fan_out": false,
            "inference_mode": true,
            "init_lora_weights": true,
            "layers_pattern": null,
            "layers_to_transform": self.blocks,
            "lora_alpha": number(self.alpha),
            "lora_bias": false,
            "lora_dropout": self.dropout,
            "modules_to_save": null,
            "peft_type": "LORA",
            "r": self.rank,
            "rank_pattern": self.ranks.iter().map(|(key, rank)| (key.clone(), json!(rank))).collect::<Map<_, _>>(),
            "target_modules": self.targets,
            "task_type": "CAUSAL_LM",
            "use_dora": false,
            "use_rslora": self.rank_stabilised,
        })
    }
}

/// Whether a key may have that value; if not, what it may have.
fn check(key: &str, value: &Value) -> Result<(), &'static str> {
    let text = value.as_str();
    match key {
        "r"
        | "lora_alpha"
        | "use_rslora"
        | "lora_dropout"
        | "target_modules"
        | "exclude_modules"
        | "layers_to_transform"
        | "rank_pattern"
        | "alpha_pattern"
        | "base_model_name_or_path" => Ok(()),
        "peft_type" if text == Some("LORA") => Ok(()),
        "peft_type" => Err("\"LORA\""),
        "bias" if text == Some("none") || is_off(value) => Ok(()),
        "bias" => Err("\"none\""),
        "init_lora_weights" if value.is_boolean() || text.is_none_or(|text| STARTS.contains(&text)) => Ok(()),
        "init_lora_weights" => Err("true, or an adapter that PEFT has converted to an ordinary one"),
        "layers_pattern" if *value == json!("layers") || *value == json!(["layers"]) || is_off(value) => Ok(()),
        "layers_pattern" => Err("\"layers\""),
        key if HARMLESS.contains(&key) || is_off(value) => Ok(()),
        _ => Err("null, false or nothing"),
    }
}

/// Whether a value turns its key off.
fn is_off(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(values) => values.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

fn get<T: DeserializeOwned>(
    keys: &Map<String, Value>,
    key: &str,
    expected: &'static str,
) -> Result<Option<T>, AdapterError> {
    let value = keys.get(key).filter(|value| !value.is_null());
    value
        .map(|value| serde_json::from_value(value.clone()).map_err(|_| invalid(key, &value.to_string(), expected)))
        .transpose()
}

/// One block or several. None at all are no restriction, as in PEFT.
fn blocks(keys: &Map<String, Value>) -> Result<Option<Vec<usize>>, AdapterError> {
    const KEY: &str = "layers_to_transform";
    if keys.get(KEY).is_some_and(Value::is_u64) {
        return Ok(get(keys, KEY, "a whole number")?.map(|block| vec![block]));
    }
    Ok(get(keys, KEY, "whole numbers")?.filter(|blocks: &Vec<usize>| !blocks.is_empty()))
}

fn pairs<T: DeserializeOwned>(
    keys: &Map<String, Value>,
    key: &str,
    expected: &'static str,
) -> Result<Vec<(String, T)>, AdapterError> {
    let values: Map<String, Value> = get(keys, key, expected)?.unwrap_or_default();
    let read = |(pattern, value): (String, Value)| match serde_json::from_value(value.clone()) {
        Ok(number) => Ok((pattern, number)),
        Err(_) => Err(invalid(&format!("{key}.{pattern}"), &value.to_string(), expected)),
    };
    values.into_iter().map(read).collect()
}

fn invalid(key: &str, found: &str, expected: &'static str) -> AdapterError {
    AdapterError::Invalid { key: key.to_owned(), found: found.to_owned(), expected }
}

/// Whole numbers without a point: PEFT's `lora_alpha` is one.
fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 1e15 { json!(value as i64) } else { json!(value) }
}

#[cfg(test)]
mod tests {
    use super::super::targets::Targets;
    use super::*;

    fn read(changes: Value) -> Result<LoraConfig, AdapterError> {
        let mut keys = json!({"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj"]});
        keys.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        LoraConfig::from_json(&keys.to_string(), "a test")
    }

    #[test]
    fn what_is_written_is_read_back() {
        let config = LoraConfig {
            rank: 3,
            alpha: 2.5,
            rank_stabilised: true,
            dropout: 0.25,
            targets: Targets::names(["q_proj", "up_proj"]),
            excluded: Some(Targets::names(["layers.0.mlp.up_proj"])),
            blocks: Some(vec![0, 2]),
            ranks: vec![("z".to_owned(), 5), ("a".to_owned(), 6)],
            alphas: vec![("z".to_owned(), 0.5), ("a".to_owned(), 6.0)],
            base_model: Some("org/name".to_owned()),
        };
        let text = config.to_json().to_string();
        assert_eq!(LoraConfig::from_json(&text, "a test").unwrap(), config, "{text}");
        let all = LoraConfig::default();
        assert_eq!(LoraConfig::from_json(&all.to_json().to_string(), "a test").unwrap(), all);
    }

    #[test]
    fn absent_values_are_those_of_peft() {
        let text = r#"{"peft_type": "LORA", "target_modules": ".*", "layers_to_transform": [], "rank_pattern": null}"#;
        let config = LoraConfig::from_json(text, "a test").unwrap();
        let targets = Targets::Regex(".*".to_owned());
        assert_eq!(config, LoraConfig { rank: 8, alpha: 8.0, targets, ..LoraConfig::default() });
        assert_eq!(read(json!({"layers_to_transform": 2})).unwrap().blocks, Some(vec![2]));
    }

    #[test]
    fn what_changes_the_computation_is_refused_by_its_key() {
        for (key, value) in [
            ("peft_type", json!("LOHA")),
            ("bias", json!("all")),
            ("use_dora", json!(true)),
            ("use_qalora", json!(true)),
            ("lora_bias", json!(true)),
            ("fan_in_fan_out", json!(true)),
            ("modules_to_save", json!(["lm_head"])),
            ("trainable_token_indices", json!([1])),
            ("target_parameters", json!(["mlp.experts.gate_up_proj"])),
            ("layer_replication", json!([[0, 2]])),
            ("alora_invocation_tokens", json!([7])),
            ("arrow_config", json!({"top_k": 3})),
            ("use_bdlora", json!({"nblocks": 2})),
            ("layers_pattern", json!("h")),
            ("init_lora_weights", json!("pissa_niter_4")),
            ("init_lora_weights", json!("olora")),
            ("some_new_method", json!(3)),
        ] {
            let error = read(json!({key: value})).unwrap_err();
            assert!(matches!(&error, AdapterError::Unsupported { key: found, .. } if found == key), "{key}: {error}");
            assert!(error.to_string().contains(&format!("`{key}` is {value}")), "{error}");
        }
    }

    #[test]
    fn what_does_not_is_accepted() {
        for (key, value) in [
            ("bias", json!("none")),
            ("modules_to_save", json!([])),
            ("init_lora_weights", json!("gaussian")),
            ("init_lora_weights", json!(false)),
            ("megatron_core", json!("megatron.core")),
            ("peft_version", json!("0.99.0")),
            ("layers_pattern", json!(["layers"])),
            ("some_new_method", json!(null)),
        ] {
            read(json!({key: value})).unwrap();
        }
    }

    #[test]
    fn values_of_the_wrong_kind_are_named() {
        for (key, value) in [
            ("r", json!(-1)),
            ("r", json!(0)),
            ("r", json!("8")),
            ("lora_alpha", json!("sixteen")),
            ("lora_dropout", json!(1.5)),
            ("target_modules", json!(7)),
            ("target_modules", json!(null)),
            ("layers_to_transform", json!([-1])),
            ("use_rslora", json!("yes")),
        ] {
            let error = read(json!({key: value})).unwrap_err();
            assert!(matches!(&error, AdapterError::Invalid { key: found, .. } if found == key), "{key}: {error}");
        }
        let error = read(json!({"rank_pattern": {"q_proj": 1.5}})).unwrap_err();
        assert!(matches!(&error, AdapterError::Invalid { key, .. } if key == "rank_pattern.q_proj"), "{error}");
        for text in ["", "[]", "{", "null", "{\"r\": 4}"] {
            assert!(LoraConfig::from_json(text, "a test").is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC*") {
            let _ = LoraConfig::from_json(&text, "a test");
        }
    }
}
