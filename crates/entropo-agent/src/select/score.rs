//! The best score.

use entropo_core::Trajectory;
use serde::{Deserialize, Serialize};

use super::{Measured, Missing, Rule, Scores, Stage, Verdict, judge};

/// Keeps the candidates with the highest score of a name, such as `regression`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Score {
    /// The name in [`Scores`].
    pub name: String,
    /// What becomes of a candidate without the score. By default it is dropped: it cannot be known to be best.
    #[serde(default = "drop_missing")]
    pub missing: Missing,
}

fn drop_missing() -> Missing {
    Missing::Drop
}

impl Score {
    /// The best of a name; who lacks it is dropped.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), missing: Missing::Drop }
    }
}

impl Stage for Score {
    fn name(&self) -> String {
        format!("best {}", self.name)
    }

    fn apply(&self, candidates: &[&Trajectory], scores: &Scores) -> Vec<Verdict> {
        let score = |candidate: &Trajectory| scores.get(&candidate.id, &self.name);
        let bound = candidates.iter().filter_map(|candidate| score(candidate)).max_by(f64::total_cmp);
        judge(candidates, |candidate| {
            let value = score(candidate);
            let measured = Measured { what: self.name.clone(), value, rule: Rule::AtLeast, bound };
            match (value, bound) {
                (Some(value), Some(bound)) => (value >= bound, format!("{value} of at most {bound}"), Some(measured)),
                _ => {
                    let keep = bound.is_none() || self.missing == Missing::Keep;
                    (keep, format!("it has no {} score", self.name), Some(measured))
                }
            }
        })
    }
}
