//! A score that must be passed.

use entropo_core::Trajectory;
use serde::{Deserialize, Serialize};

use super::{Measured, Missing, Rule, Scores, Stage, Verdict, judge, numbers};

/// Drops the candidates whose score is known to be at most a threshold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// The name in [`Scores`].
    pub name: String,
    /// Scores at or below are dropped; a finite number.
    #[serde(deserialize_with = "numbers::finite")]
    pub above: f64,
    /// What becomes of a candidate without the score. By default it stays: it is not known to be below.
    #[serde(default = "keep_missing")]
    pub missing: Missing,
}

fn keep_missing() -> Missing {
    Missing::Keep
}

impl Threshold {
    /// Scores of a name above `above`; who lacks it stays.
    pub fn new(name: impl Into<String>, above: f64) -> Self {
        Self { name: name.into(), above, missing: Missing::Keep }
    }
}

impl Stage for Threshold {
    fn name(&self) -> String {
        format!("{} above {}", self.name, self.above)
    }

    fn apply(&self, candidates: &[&Trajectory], scores: &Scores) -> Vec<Verdict> {
        let score = |candidate: &Trajectory| scores.get(&candidate.id, &self.name);
        judge(candidates, |candidate| {
            let value = score(candidate);
            let measured = Measured { what: self.name.clone(), value, rule: Rule::Above, bound: Some(self.above) };
            let (keep, reason) = match value {
                Some(value) => (value > self.above, format!("its {} score is {value}", self.name)),
                None => (self.missing == Missing::Keep, format!("it has no {} score", self.name)),
            };
            (keep, reason, Some(measured))
        })
    }
}
