//! Agents that ended their rollout themselves.

use entropo_core::Trajectory;
use serde::{Deserialize, Serialize};

use super::{Scores, Stage, Verdict, judge};

/// Keeps the rollouts that the agent finished itself, if there are any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finished {}

impl Stage for Finished {
    fn name(&self) -> String {
        "finished".to_owned()
    }

    fn apply(&self, candidates: &[&Trajectory], _: &Scores) -> Vec<Verdict> {
        judge(candidates, |candidate| (candidate.exit.is_finished(), format!("it ended by {:?}", candidate.exit), None))
    }
}
