//! Which verifier gave a score.
//!
//! Scores of two verifiers, of two prompts or of an adapter before and after more training are different numbers. What is
//! scored at different times is held against the same identity, and so is a temperature.

use std::fs;
use std::path::Path;

use entropo_agent::verifier::JudgePrompt;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::error::JudgeError;

/// Everything that a verifier's logits depend on, but for the weights of its base, which go by their name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The model's name, or its directory's.
    pub model: String,
    /// Whether a server has it.
    pub served: bool,
    /// In what the weights are kept; a server does not tell.
    pub weights: Option<String>,
    /// SHA-256 of the adapter's configuration and tensors.
    pub adapter: Option<String>,
    /// SHA-256 of the head's tensors.
    pub head: Option<String>,
    /// What is shown and asked.
    pub prompt: JudgePrompt,
    /// Tokens that a prompt may have.
    pub tokens: usize,
    /// Further fields of requests.
    pub fields: Map<String, Value>,
    /// What is broken in attempts, so that a server takes it for text.
    #[serde(default)]
    pub marks: Vec<String>,
}

/// The keys in which two values of a kind differ, with their values in `found`; empty if they are equal.
pub(super) fn differences<T: Serialize>(found: &T, wanted: &T) -> String {
    let map = |value: &T| match serde_json::to_value(value) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    };
    let (found, wanted) = (map(found), map(wanted));
    let mut words = Vec::new();
    for (key, value) in &found {
        match wanted.get(key) {
            Some(other) if other == value => {}
            // What differs in a prompt is found in the file.
            Some(Value::Object(_)) => words.push(format!("{key} differs")),
            _ => words.push(format!("{key} is {value} there")),
        }
    }
    words.join(", ")
}

/// The SHA-256 of files of a directory, one after the other.
pub(super) fn digest(directory: &Path, files: &[&str]) -> Result<String, JudgeError> {
    let mut digest = Sha256::new();
    for path in files.iter().map(|file| directory.join(file)) {
        digest.update(fs::read(&path).map_err(JudgeError::file(&path))?);
    }
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::judge) fn identity(model: &str) -> Identity {
        Identity {
            model: model.to_owned(),
            served: false,
            weights: Some("f32".to_owned()),
            adapter: None,
            head: None,
            prompt: JudgePrompt::default(),
            tokens: 4096,
            fields: Map::new(),
            marks: Vec::new(),
        }
    }

    #[test]
    fn what_differs_is_named_and_long_texts_are_not_repeated() {
        let one = identity("m");
        assert_eq!(differences(&one, &one), "");
        let other = Identity { tokens: 512, prompt: JudgePrompt::tagged(), ..identity("n") };
        assert_eq!(differences(&one, &other), "model is \"m\" there, prompt differs, tokens is 4096 there");
    }
}
