//! How an adapter is made: which layers it changes, and how much.

use serde::{Deserialize, Serialize};

use super::error::AdapterError;
use super::targets::{Pattern, Targets, is_named};

/// An adapter's settings, under PEFT's meanings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoraConfig {
    /// Rows of A and columns of B; at least 1. Default 8.
    pub rank: usize,
    /// A change is scaled by `alpha / rank`. Default 16.
    pub alpha: f64,
    /// Scales by `alpha / sqrt(rank)` instead, so that high ranks learn as fast as low ones (Kalajdzievski 2023, arXiv
    /// 2312.03732). Default false.
    pub rank_stabilised: bool,
    /// Share of a changed layer's inputs that its change does not see in updates; in `[0, 1)`. Default 0.
    pub dropout: f64,
    /// The layers that are changed. Default: all linear ones but the head.
    pub targets: Targets,
    /// Layers that are not, though they are targets. Default none.
    pub excluded: Option<Targets>,
    /// The blocks whose layers are changed, counted from 0; goes with [`Targets::Names`] only. Default all.
    pub blocks: Option<Vec<usize>>,
    /// Other ranks for layers whose names, or what follows a dot in them, match a regular expression; the first counts.
    pub ranks: Vec<(String, usize)>,
    /// The same for `alpha`.
    pub alphas: Vec<(String, f64)>,
    /// What the base is called, for people and other tools. Nothing is read from there.
    pub base_model: Option<String>,
}

impl Default for LoraConfig {
    fn default() -> Self {
        Self {
            rank: 8,
            alpha: 16.0,
            rank_stabilised: false,
            dropout: 0.0,
            targets: Targets::AllLinear,
            excluded: None,
            blocks: None,
            ranks: Vec::new(),
            alphas: Vec::new(),
            base_model: None,
        }
    }
}

/// A layer that is changed.
#[derive(Debug, PartialEq)]
pub(super) struct Selected {
    pub(super) name: String,
    /// Of the layer's weight: `[output, input]`.
    pub(super) shape: [usize; 2],
    pub(super) rank: usize,
    pub(super) scale: f64,
}

/// Names that are shown where none matches.
const EXAMPLES: usize = 8;

impl LoraConfig {
    /// Refuses values outside their ranges.
    pub(super) fn validate(&self) -> Result<(), AdapterError> {
        let invalid =
            |key: &str, found: String, expected| Err(AdapterError::Invalid { key: key.to_owned(), found, expected });
        let ranks = self.ranks.iter().map(|(key, rank)| (format!("rank_pattern.{key}"), *rank));
        for (key, rank) in std::iter::once(("r".to_owned(), self.rank)).chain(ranks) {
            if rank == 0 {
                return invalid(&key, rank.to_string(), "1 or more");
            }
        }
        let alphas = self.alphas.iter().map(|(key, alpha)| (format!("alpha_pattern.{key}"), *alpha));
        for (key, alpha) in std::iter::once(("lora_alpha".to_owned(), self.alpha)).chain(alphas) {
            if !(alpha.is_finite() && alpha > 0.0) {
                return invalid(&key, alpha.to_string(), "a positive number");
            }
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return invalid("lora_dropout", self.dropout.to_string(), "a number in [0, 1)");
        }
        if self.blocks.is_some() && !matches!(self.targets, Targets::Names(_)) {
            return invalid("layers_to_transform", "a list".to_owned(), "none unless target_modules is a list");
        }
        Ok(())
    }

    /// Refuses a configuration of which some name matches no layer: somebody hoped to train something.
    pub(super) fn check_names(&self, layers: &[(String, [usize; 2])]) -> Result<(), AdapterError> {
        let Targets::Names(names) = &self.targets else { return Ok(()) };
        match names.iter().find(|name| !layers.iter().any(|(layer, _)| is_named(layer, name))) {
            Some(name) => Err(no_match(format!("`{name}`"), layers)),
            None => Ok(()),
        }
    }

    /// The changed ones among a decoder's linear layers with the shapes of their weights.
    pub(super) fn select(&self, layers: &[(String, [usize; 2])]) -> Result<Vec<Selected>, AdapterError> {
        let names: Vec<&str> = layers.iter().map(|(name, _)| name.as_str()).collect();
        let targets = self.targets.matches(&names)?;
        let excluded = match &self.excluded {
            Some(excluded) => excluded.matches(&names)?,
            None => vec![false; names.len()],
        };
        let ranks = patterns(&self.ranks)?;
        let alphas = patterns(&self.alphas)?;
        let mut selected = Vec::new();
        for ((name, shape), (target, excluded)) in layers.iter().zip(targets.into_iter().zip(excluded)) {
            if !target || excluded || !self.in_blocks(name) {
                continue;
            }
            let rank = first(&ranks, name)?.unwrap_or(self.rank);
            let alpha = first(&alphas, name)?.unwrap_or(self.alpha);
            let divisor = if self.rank_stabilised { (rank as f64).sqrt() } else { rank as f64 };
            selected.push(Selected { name: name.clone(), shape: *shape, rank, scale: alpha / divisor });
        }
        if selected.is_empty() {
            let pattern = serde_json::to_string(&self.targets).unwrap_or_default();
            return Err(no_match(pattern, layers));
        }
        Ok(selected)
    }

    fn in_blocks(&self, layer: &str) -> bool {
        let block = || layer.strip_prefix("model.layers.")?.split('.').next()?.parse().ok();
        self.blocks.as_ref().is_none_or(|blocks| block().is_some_and(|block: usize| blocks.contains(&block)))
    }
}

fn patterns<T: Copy>(values: &[(String, T)]) -> Result<Vec<(Pattern, T)>, AdapterError> {
    values.iter().map(|(pattern, value)| Ok((Pattern::ending(pattern)?, *value))).collect()
}

/// The value of the first pattern that matches.
fn first<T: Copy>(patterns: &[(Pattern, T)], layer: &str) -> Result<Option<T>, AdapterError> {
    for (pattern, value) in patterns {
        if pattern.matches(layer)? {
            return Ok(Some(*value));
        }
    }
    Ok(None)
}

fn no_match(pattern: String, layers: &[(String, [usize; 2])]) -> AdapterError {
    let examples: Vec<&str> = layers.iter().take(EXAMPLES).map(|(name, _)| name.as_str()).collect();
    AdapterError::NoMatch { pattern, examples: examples.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers() -> Vec<(String, [usize; 2])> {
        let of_block = |block: usize| {
            ["self_attn.q_proj", "self_attn.v_proj", "mlp.up_proj"].map(|name| format!("model.layers.{block}.{name}"))
        };
        let names = (0..12).flat_map(of_block).chain(["lm_head".to_owned()]);
        names.map(|name| (name, [6, 4])).collect()
    }

    fn names(config: &LoraConfig) -> Vec<String> {
        config.select(&layers()).unwrap().into_iter().map(|layer| layer.name).collect()
    }

    #[test]
    fn blocks_and_exclusions_narrow_the_choice() {
        let targets = || Targets::names(["q_proj", "v_proj"]);
        let config = LoraConfig { targets: targets(), blocks: Some(vec![1, 11]), ..LoraConfig::default() };
        let expected = ["1.self_attn.q_proj", "1.self_attn.v_proj", "11.self_attn.q_proj", "11.self_attn.v_proj"];
        assert_eq!(names(&config), expected.map(|name| format!("model.layers.{name}")));

        let excluded = Some(Targets::Regex(r".*\.\d+\.self_attn\..*".to_owned()));
        let config = LoraConfig { excluded, ..LoraConfig::default() };
        assert!(names(&config).iter().all(|name| name.ends_with("up_proj")));
        assert_eq!(names(&config).len(), 12);
    }

    #[test]
    fn the_first_pattern_decides_rank_and_alpha() {
        let config = LoraConfig {
            ranks: vec![(r"layers\.1\..*".to_owned(), 2), ("q_proj".to_owned(), 16)],
            alphas: vec![("v_proj".to_owned(), 3.0)],
            ..LoraConfig::default()
        };
        let selected = config.select(&layers()).unwrap();
        let of = |name: &str| selected.iter().find(|layer| layer.name == name).map(|layer| (layer.rank, layer.scale));
        assert_eq!(of("model.layers.1.self_attn.q_proj"), Some((2, 8.0)));
        assert_eq!(of("model.layers.11.self_attn.q_proj"), Some((16, 1.0)));
        assert_eq!(of("model.layers.11.self_attn.v_proj"), Some((8, 3.0 / 8.0)));
        assert_eq!(of("model.layers.11.mlp.up_proj"), Some((8, 2.0)));

        let stable = LoraConfig { rank: 4, rank_stabilised: true, ..LoraConfig::default() };
        assert_eq!(stable.select(&layers()).unwrap()[0].scale, 8.0);
    }

    #[test]
    fn what_matches_nothing_is_named_with_what_there_is() {
        let config = LoraConfig { targets: Targets::names(["q_proj", "c_attn"]), ..LoraConfig::default() };
        let error = config.check_names(&layers()).unwrap_err().to_string();
        assert!(error.contains("`c_attn`") && error.contains("model.layers.0.self_attn.q_proj"), "{error}");
        assert!(config.select(&layers()).is_ok());
        let config = LoraConfig { targets: Targets::Regex("q_proj".to_owned()), ..LoraConfig::default() };
        let error = config.select(&layers()).unwrap_err().to_string();
        assert!(error.contains("\"q_proj\"") && error.contains("model.layers.0.self_attn.q_proj"), "{error}");
    }

    #[test]
    fn values_outside_their_ranges_are_named() {
        let default = LoraConfig::default;
        for (key, config) in [
            ("r", LoraConfig { rank: 0, ..default() }),
            ("lora_alpha", LoraConfig { alpha: f64::NAN, ..default() }),
            ("lora_alpha", LoraConfig { alpha: 0.0, ..default() }),
            ("lora_dropout", LoraConfig { dropout: 1.0, ..default() }),
            ("lora_dropout", LoraConfig { dropout: -0.1, ..default() }),
            ("rank_pattern.q", LoraConfig { ranks: vec![("q".to_owned(), 0)], ..default() }),
            ("alpha_pattern.q", LoraConfig { alphas: vec![("q".to_owned(), -1.0)], ..default() }),
            ("layers_to_transform", LoraConfig { blocks: Some(vec![0]), ..default() }),
        ] {
            let error = config.validate().unwrap_err();
            assert!(matches!(&error, AdapterError::Invalid { key: found, .. } if found == key), "{key}: {error}");
        }
        default().validate().unwrap();
    }
}
