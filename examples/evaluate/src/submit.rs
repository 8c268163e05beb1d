//! Which rollout of each task is submitted.

use std::collections::BTreeMap;

use entropo_agent::Selector;
use entropo_core::Trajectory;

use crate::failure::Failure;

/// The rollouts of each task.
pub(crate) fn by_task(rollouts: &[Trajectory]) -> BTreeMap<&str, Vec<&Trajectory>> {
    let mut tasks: BTreeMap<&str, Vec<&Trajectory>> = BTreeMap::new();
    for rollout in rollouts {
        tasks.entry(&rollout.id.task).or_default().push(rollout);
    }
    tasks
}

/// The one that the hybrid selector submits of each task. It never looks at hidden judgements.
pub(crate) fn choose(rollouts: &[Trajectory]) -> Result<Vec<&Trajectory>, Failure> {
    let mut chosen = Vec::new();
    for candidates in by_task(rollouts).into_values() {
        let selection = Selector::hybrid().select(&candidates).map_err(|error| Failure::Asked(error.to_string()))?;
        chosen.extend(candidates.into_iter().find(|candidate| Some(&candidate.id) == selection.chosen.as_ref()));
    }
    Ok(chosen)
}
