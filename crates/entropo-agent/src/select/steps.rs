//! The shortest or the longest rollout.

use entropo_core::Trajectory;
use serde::{Deserialize, Serialize};

use super::{Measured, Rule, Scores, Stage, Verdict, judge};

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

    fn apply(&self, candidates: &[&Trajectory], _: &Scores) -> Vec<Verdict> {
        let steps = candidates.iter().map(|candidate| candidate.steps());
        let (best, rule) = match self.prefer {
            Prefer::Fewest => (steps.min(), Rule::AtMost),
            Prefer::Most => (steps.max(), Rule::AtLeast),
        };
        judge(candidates, |candidate| {
            let (own, bound) = (candidate.steps(), best.map(|best| best as f64));
            let measured = Measured { what: "steps".to_owned(), value: Some(own as f64), rule, bound };
            (Some(own) == best, format!("it took {own}"), Some(measured))
        })
    }
}
