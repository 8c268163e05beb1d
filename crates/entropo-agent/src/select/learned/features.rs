//! What a model may look at.

use std::collections::BTreeMap;
use std::fmt;

use entropo_core::{RolloutId, Trajectory};
use serde::{Deserialize, Serialize};

use crate::select::Scores;
use crate::select::agreement::changes;
use crate::select::patch::PatchRules;

/// A number that a candidate may have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Feature {
    /// A score by its name.
    Score(String),
    /// 1 if the agent finished, 0 if not.
    Finished,
    /// The logarithm of 1 + the assistant turns.
    Steps,
    /// The share of the *other* candidates that make the same change; missing for a candidate that makes none, or is
    /// alone.
    Agreement,
    /// 1 if the patch changes something that counts, 0 if not.
    Changed,
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Score(name) => f.write_str(name),
            Self::Finished => f.write_str("finished"),
            Self::Steps => f.write_str("steps"),
            Self::Agreement => f.write_str("agreement"),
            Self::Changed => f.write_str("changed"),
        }
    }
}

/// The values of some features, by rollout.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FeatureValues(BTreeMap<RolloutId, Vec<Option<f64>>>);

/// One rollout to learn from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// Which.
    pub rollout: RolloutId,
    /// The values of the features, in their order; `None` is missing.
    pub values: Vec<Option<f64>>,
    /// Whether it solved its task.
    pub solved: bool,
}

impl FeatureValues {
    /// The values of all candidates of one task.
    pub fn of(features: &[Feature], candidates: &[&Trajectory], scores: &Scores) -> Self {
        let changes = changes(candidates, &PatchRules::default());
        let values = candidates.iter().map(|candidate| {
            let own = changes.get(&candidate.id).map_or("", String::as_str);
            let value = |feature: &Feature| match feature {
                Feature::Score(name) => scores.get(&candidate.id, name),
                Feature::Finished => Some(f64::from(candidate.exit.is_finished())),
                Feature::Steps => Some((candidate.steps() as f64).ln_1p()),
                Feature::Agreement if own.is_empty() || candidates.len() < 2 => None,
                Feature::Agreement => {
                    let same = changes.values().filter(|other| *other == own).count();
                    Some((same - 1) as f64 / (candidates.len() - 1) as f64)
                }
                Feature::Changed => Some(f64::from(!own.is_empty())),
            };
            (candidate.id.clone(), features.iter().map(value).collect())
        });
        Self(values.collect())
    }

    /// A candidate's values; empty if it is not among them.
    pub fn get(&self, rollout: &RolloutId) -> &[Option<f64>] {
        self.0.get(rollout).map_or(&[], Vec::as_slice)
    }

    /// What can be learned from one task's rollouts: the values of those that somebody judged.
    pub fn examples(features: &[Feature], candidates: &[&Trajectory], scores: &Scores) -> Vec<Example> {
        let values = Self::of(features, candidates, scores);
        let judged = candidates.iter().filter(|candidate| candidate.outcome.reward.is_some());
        let examples = judged.map(|candidate| Example {
            rollout: candidate.id.clone(),
            values: values.get(&candidate.id).to_vec(),
            solved: candidate.is_solved(),
        });
        examples.collect()
    }
}
