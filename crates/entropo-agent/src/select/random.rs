//! One of them, whichever: the selector that others have to beat.

use entropo_core::Trajectory;
use serde::{Deserialize, Serialize};

use super::{Scores, Stage, TieBreak, Verdict, judge};

/// Keeps the candidate that draws the first lot; see [`TieBreak::Lot`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Random {
    /// Another seed, another choice.
    pub seed: u64,
}

impl Stage for Random {
    fn name(&self) -> String {
        format!("random with seed {}", self.seed)
    }

    fn apply(&self, candidates: &[&Trajectory], _: &Scores) -> Vec<Verdict> {
        let drawn = TieBreak::Lot { seed: self.seed }.decide(candidates.iter().map(|candidate| &candidate.id));
        judge(candidates, |candidate| {
            let keep = Some(&candidate.id) == drawn;
            (keep, if keep { "it drew the first lot" } else { "another drew the first lot" }.to_owned(), None)
        })
    }
}
