//! The better part by a score.

use entropo_core::Trajectory;
use serde::{Deserialize, Serialize};

use super::{Measured, Missing, Rule, Scores, Stage, Verdict, judge, numbers};

/// Keeps a share of the candidates, those with the highest scores.
///
/// The share is taken of those that have the score and rounded up, so that it is never nobody. Who has the same score
/// as the last of them stays too: there is nothing to tell them apart by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Top {
    /// The name in [`Scores`].
    pub name: String,
    /// The share to keep, above 0 and at most 1.
    #[serde(deserialize_with = "numbers::share")]
    pub share: f64,
    /// What becomes of a candidate without the score; by default it is dropped.
    #[serde(default = "drop_missing")]
    pub missing: Missing,
}

fn drop_missing() -> Missing {
    Missing::Drop
}

impl Top {
    /// The better `share` by a name; who lacks it is dropped.
    pub fn new(name: impl Into<String>, share: f64) -> Self {
        Self { name: name.into(), share, missing: Missing::Drop }
    }
}

impl Stage for Top {
    fn name(&self) -> String {
        format!("top {} by {}", self.share, self.name)
    }

    fn apply(&self, candidates: &[&Trajectory], scores: &Scores) -> Vec<Verdict> {
        let score = |candidate: &Trajectory| scores.get(&candidate.id, &self.name);
        let mut descending: Vec<f64> = candidates.iter().filter_map(|candidate| score(candidate)).collect();
        descending.sort_unstable_by(|a, b| b.total_cmp(a));
        let count = ((self.share * descending.len() as f64).ceil() as usize).max(1);
        let bound = descending.get(count - 1).or(descending.last()).copied();
        judge(candidates, |candidate| {
            let value = score(candidate);
            let measured = Measured { what: self.name.clone(), value, rule: Rule::AtLeast, bound };
            let (keep, reason) = match (value, bound) {
                (Some(value), Some(bound)) => (value >= bound, format!("{value}, the last that stays has {bound}")),
                _ => (bound.is_none() || self.missing == Missing::Keep, format!("it has no {} score", self.name)),
            };
            (keep, reason, Some(measured))
        })
    }
}
