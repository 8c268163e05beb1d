//! The best score.

use entropo_core::Trajectory;
use serde::{Deserialize, Serialize};

use super::{Stage, Verdict, judge, score};

/// Keeps the candidates with the highest score of a name, such as `regression`.
///
/// A candidate without the score cannot be known to be best and is dropped, unless nobody has it: then the stage has
/// nothing to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Score {
    /// The key in [`Outcome::scores`](entropo_core::Outcome::scores).
    pub name: String,
}

impl Stage for Score {
    fn name(&self) -> String {
        format!("best {}", self.name)
    }

    fn apply(&self, candidates: &[&Trajectory]) -> Vec<Verdict> {
        let best = candidates.iter().filter_map(|candidate| score(candidate, &self.name)).max_by(f64::total_cmp);
        judge(candidates, |candidate| match (score(candidate, &self.name), best) {
            (Some(score), Some(best)) => (score >= best, format!("{score} of at most {best}")),
            (_, best) => (best.is_none(), format!("it has no {} score", self.name)),
        })
    }
}
