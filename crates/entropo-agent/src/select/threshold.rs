//! A score that must be passed.

use entropo_core::Trajectory;
use serde::{Deserialize, Serialize};

use super::{Stage, Verdict, judge, score};

/// Drops the candidates whose score is known to be at most a threshold; a candidate without the score stays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// The key in [`Outcome::scores`](entropo_core::Outcome::scores).
    pub name: String,
    /// Scores at or below are dropped.
    pub above: f64,
}

impl Stage for Threshold {
    fn name(&self) -> String {
        format!("{} above {}", self.name, self.above)
    }

    fn apply(&self, candidates: &[&Trajectory]) -> Vec<Verdict> {
        judge(candidates, |candidate| match score(candidate, &self.name) {
            Some(score) => (score > self.above, format!("its {} score is {score}", self.name)),
            None => (true, format!("it has no {} score", self.name)),
        })
    }
}
