//! The shortest or the longest rollout.

use entropo_core::Trajectory;
use serde::{Deserialize, Serialize};

use super::{Stage, Verdict, judge};

/// Keeps the candidates with the fewest or the most assistant turns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Steps {
    /// Which.
    pub prefer: Prefer,
}

/// Which length is better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prefer {
    /// The shorter the better.
    #[default]
    Fewest,
    /// The longer the better.
    Most,
}

impl Stage for Steps {
    fn name(&self) -> String {
        match self.prefer {
            Prefer::Fewest => "fewest steps".to_owned(),
            Prefer::Most => "most steps".to_owned(),
        }
    }

    fn apply(&self, candidates: &[&Trajectory]) -> Vec<Verdict> {
        let steps = candidates.iter().map(|candidate| candidate.steps());
        let best = match self.prefer {
            Prefer::Fewest => steps.min(),
            Prefer::Most => steps.max(),
        };
        judge(candidates, |candidate| (Some(candidate.steps()) == best, format!("it took {}", candidate.steps())))
    }
}
