//! Which layers, by their names.

use fancy_regex::Regex;
use serde::{Deserialize, Serialize};

use super::error::AdapterError;

/// Layers by name, as PEFT's `target_modules` gives them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Form", into = "Form")]
#[non_exhaustive]
pub enum Targets {
    /// Every linear layer but the head. Written `"all-linear"`.
    AllLinear,
    /// Those whose names are, or end with a dot and, one of these: `q_proj`, `layers.3.mlp.up_proj`, `lm_head`.
    Names(Vec<String>),
    /// Those whose whole names match a regular expression.
    Regex(String),
}

/// As it is written.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Form {
    One(String),
    Many(Vec<String>),
}

/// What PEFT calls [`Targets::AllLinear`].
const ALL_LINEAR: &str = "all-linear";
/// The layer that [`Targets::AllLinear`] leaves out.
const HEAD: &str = "lm_head";

impl From<Form> for Targets {
    fn from(form: Form) -> Self {
        match form {
            Form::One(text) if text.eq_ignore_ascii_case(ALL_LINEAR) => Self::AllLinear,
            Form::One(text) => Self::Regex(text),
            Form::Many(names) => Self::Names(names),
        }
    }
}

impl From<Targets> for Form {
    fn from(targets: Targets) -> Self {
        match targets {
            Targets::AllLinear => Self::One(ALL_LINEAR.to_owned()),
            Targets::Regex(pattern) => Self::One(pattern),
            Targets::Names(names) => Self::Many(names),
        }
    }
}

impl Targets {
    /// Linear layers of these names.
    pub fn names<I: IntoIterator<Item: Into<String>>>(names: I) -> Self {
        Self::Names(names.into_iter().map(Into::into).collect())
    }

    /// Whether each of these layers is one of the targets.
    pub(super) fn matches(&self, layers: &[&str]) -> Result<Vec<bool>, AdapterError> {
        match self {
            Self::AllLinear => Ok(layers.iter().map(|&layer| layer != HEAD).collect()),
            Self::Names(names) => {
                let matches = |layer: &&str| names.iter().any(|name| is_named(layer, name));
                Ok(layers.iter().map(matches).collect())
            }
            Self::Regex(pattern) => {
                let pattern = Pattern::whole(pattern)?;
                layers.iter().map(|layer| pattern.matches(layer)).collect()
            }
        }
    }
}

/// Whether a layer has that name, or ends with a dot and it.
pub(super) fn is_named(layer: &str, name: &str) -> bool {
    layer.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// A regular expression with Python's look-around, whose search is bounded.
pub(super) struct Pattern {
    text: String,
    regex: Regex,
}

impl Pattern {
    /// Matches whole names.
    pub(super) fn whole(text: &str) -> Result<Self, AdapterError> {
        Self::new(text, &format!(r"\A(?:{text})\z"))
    }

    /// Matches whole names, or what follows a dot in them.
    pub(super) fn ending(text: &str) -> Result<Self, AdapterError> {
        Self::new(text, &format!(r"\A(?:.*\.)?(?:{text})\z"))
    }

    fn new(text: &str, pattern: &str) -> Result<Self, AdapterError> {
        // Alone first: an unbalanced bracket must not pair up with those around it.
        match Regex::new(text).and_then(|_| Regex::new(pattern)) {
            Ok(regex) => Ok(Self { text: text.to_owned(), regex }),
            Err(error) => Err(AdapterError::Pattern { pattern: text.to_owned(), reason: error.to_string() }),
        }
    }

    pub(super) fn matches(&self, name: &str) -> Result<bool, AdapterError> {
        let unusable =
            |error: fancy_regex::Error| AdapterError::Pattern { pattern: self.text.clone(), reason: error.to_string() };
        self.regex.is_match(name).map_err(unusable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYERS: [&str; 4] =
        ["model.layers.0.self_attn.q_proj", "model.layers.1.mlp.up_proj", "model.layers.1.mlp.xup_proj", "lm_head"];

    fn matched(targets: &Targets) -> Vec<usize> {
        let matches = targets.matches(&LAYERS).unwrap();
        matches.iter().enumerate().filter(|(_, matches)| **matches).map(|(index, _)| index).collect()
    }

    #[test]
    fn layers_are_found_as_peft_finds_them() {
        assert_eq!(matched(&Targets::AllLinear), [0, 1, 2]);
        assert_eq!(matched(&Targets::names(["up_proj", "lm_head"])), [1, 3]);
        assert_eq!(matched(&Targets::names(["proj", "roj", "layers", "model"])), [0usize; 0]);
        assert_eq!(matched(&Targets::names(["layers.0.self_attn.q_proj"])), [0]);
        assert_eq!(matched(&Targets::Regex(r".*\.(q|up)_proj".to_owned())), [0, 1]);
        assert_eq!(matched(&Targets::Regex("up_proj".to_owned())), [0usize; 0], "the whole name must match");
        assert_eq!(matched(&Targets::Regex(r"(?!.*self_attn).*_proj".to_owned())), [1, 2]);
        assert_eq!(matched(&Targets::Regex("lm_head|.*q_proj".to_owned())), [0, 3]);
    }

    #[test]
    fn broken_and_endless_patterns_are_errors() {
        for broken in ["(", "a)(b", "[", "*"] {
            let error = Targets::Regex(broken.to_owned()).matches(&LAYERS).unwrap_err();
            assert!(matches!(&error, AdapterError::Pattern { pattern, .. } if pattern == broken), "{broken}: {error}");
        }
        let long = format!("{}!", "a".repeat(60));
        let error = Targets::Regex(r"(?=a)(a|a|aa)*(?=b)b".to_owned()).matches(&[&long]).unwrap_err();
        assert!(matches!(error, AdapterError::Pattern { .. }), "{error}");
    }

    #[test]
    fn written_as_peft_writes_them() {
        for (text, targets) in [
            (r#""all-linear""#, Targets::AllLinear),
            (r#"["q_proj"]"#, Targets::names(["q_proj"])),
            (r#"".*q_proj""#, Targets::Regex(".*q_proj".to_owned())),
        ] {
            assert_eq!(serde_json::from_str::<Targets>(text).unwrap(), targets);
            assert_eq!(serde_json::to_string(&targets).unwrap(), text);
        }
        assert_eq!(serde_json::from_str::<Targets>(r#""ALL-linear""#).unwrap(), Targets::AllLinear);
    }
}
