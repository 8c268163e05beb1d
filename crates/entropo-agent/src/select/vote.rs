//! The change with the most weight behind it.

use std::collections::BTreeMap;

use entropo_core::Trajectory;
use serde::{Deserialize, Serialize};

use super::agreement::changes;
use super::patch::PatchRules;
use super::{Measured, Rule, Scores, Stage, Verdict, judge, numbers, shown};

/// Sums that differ by less than this share are equal: the rest is rounding.
const ROUNDING: f64 = 1e-12;

/// Keeps the candidates whose [normalised](PatchRules::normalise) patch has the greatest sum of a score, such as the
/// verifier's probability.
///
/// A negative score weighs nothing. Candidates that changed nothing have no vote; they go unless nobody has one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightedVote {
    /// The name of the score that is the weight.
    pub weight: String,
    /// The weight of a candidate without the score; by default it has no vote.
    #[serde(default, deserialize_with = "numbers::finite_if_any", skip_serializing_if = "Option::is_none")]
    pub missing: Option<f64>,
    /// When two patches are the same.
    #[serde(default)]
    pub patch: PatchRules,
}

impl WeightedVote {
    /// A vote weighed by a score; who lacks it has none.
    pub fn new(weight: impl Into<String>) -> Self {
        Self { weight: weight.into(), missing: None, patch: PatchRules::default() }
    }
}

impl Stage for WeightedVote {
    fn name(&self) -> String {
        format!("vote by {}", self.weight)
    }

    fn apply(&self, candidates: &[&Trajectory], scores: &Scores) -> Vec<Verdict> {
        let changes = changes(candidates, &self.patch);
        let mut sums = BTreeMap::<&str, f64>::new();
        for (rollout, change) in changes.iter().filter(|(_, change)| !change.is_empty()) {
            if let Some(weight) = scores.get(rollout, &self.weight).or(self.missing).filter(|weight| weight.is_finite())
            {
                *sums.entry(change).or_default() += weight.max(0.0);
            }
        }
        let most = sums.values().copied().max_by(f64::total_cmp);
        judge(candidates, |candidate| {
            let own = changes.get(&candidate.id).and_then(|change| sums.get(change.as_str())).copied();
            let measured = Measured { what: self.name(), value: own, rule: Rule::AtLeast, bound: most };
            match (own, most) {
                (Some(own), Some(most)) => {
                    let reason = format!("its patch weighs {}, the heaviest {}", shown(own), shown(most));
                    (own >= most - most.abs() * ROUNDING, reason, Some(measured))
                }
                _ => {
                    (most.is_none(), format!("nobody with a {} score voted for its patch", self.weight), Some(measured))
                }
            }
        })
    }
}
