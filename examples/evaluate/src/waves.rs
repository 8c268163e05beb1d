//! No more rollouts than the answer needs: which are to be made next, and of which tasks the answer is settled.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::Path;

use entropo_agent::select::Scores;
use entropo_agent::select::sampling::{Budget, Settled};
use entropo_core::Trajectory;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::report;
use crate::run::files;

/// How many rollouts each task may have: as a file says, or so many at once; none if that is 0.
pub(crate) fn budget(file: Option<&Path>, rollouts: usize) -> Result<Option<Budget>, Failure> {
    let Some(path) = file else {
        let rollouts = NonZeroUsize::new(rollouts);
        return Ok(rollouts.map(|rollouts| Budget { rollouts, wave: rollouts, rules: Vec::new() }));
    };
    let text = std::fs::read_to_string(path).map_err(Failure::file(path))?;
    toml::from_str(&text).map(Some).map_err(Failure::toml(path))
}

/// A task whose answer was settled before its budget was used up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Early {
    pub(crate) task: String,
    /// How many rollouts were looked at.
    pub(crate) drawn: usize,
    /// How many of the budget were not needed.
    pub(crate) saved: usize,
    /// The answer.
    pub(crate) settled: Settled,
}

/// What a task still needs.
#[derive(Debug, PartialEq)]
pub(crate) enum Next {
    /// The rollouts of these numbers; the rules are asked when they are there.
    Make(Vec<usize>),
    /// None: the answer is settled.
    Settled(Box<Early>),
    /// None: the budget is used up.
    Nothing,
}

/// What is next for a task of which some rollouts are there. It depends on these alone: what was made by another command
/// counts like what was made by this one.
pub(crate) fn next(budget: &Budget, task: &str, rollouts: &[&Trajectory], scores: &Scores) -> Next {
    let there: BTreeSet<usize> = rollouts.iter().map(|one| one.id.rollout).collect();
    let whole = budget.rollouts.get();
    let mut end = 0;
    while end < whole {
        end = end.saturating_add(budget.wave.get()).min(whole);
        let missing: Vec<usize> = (0..end).filter(|number| !there.contains(number)).collect();
        if !missing.is_empty() {
            return Next::Make(missing);
        }
        let drawn: Vec<&Trajectory> = rollouts.iter().copied().filter(|one| one.id.rollout < end).collect();
        if let Some(settled) = budget.settled(&drawn, scores) {
            let (task, drawn, saved) = (task.to_owned(), end, whole - end);
            return Next::Settled(Box::new(Early { task, drawn, saved, settled }));
        }
    }
    Next::Nothing
}

/// The tasks of a run that were settled early.
pub(crate) fn read(run: &Path) -> Result<Vec<Early>, Failure> {
    let path = files::settled(run);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(&path).map_err(Failure::file(&path))?;
    serde_json::from_str(&text).map_err(Failure::json(&path))
}

/// Notes which of the tasks `asked` are settled; what is known of others stays.
pub(crate) fn write(run: &Path, asked: impl Fn(&str) -> bool, early: Vec<Early>) -> Result<(), Failure> {
    let path = files::settled(run);
    let mut all = read(run)?;
    if all.is_empty() && early.is_empty() {
        return Ok(());
    }
    all.retain(|one| !asked(&one.task));
    all.extend(early);
    all.sort_by(|a, b| a.task.cmp(&b.task));
    report::put_json(&path, &all)
}

#[cfg(test)]
mod tests {
    use entropo_core::{ExitReason, RolloutId};

    use super::*;

    fn rollout(number: usize, answer: &str) -> Trajectory {
        let mut rollout = Trajectory::empty(RolloutId::new("t", number), "m", 0, ExitReason::Agent);
        rollout.outcome.patch = format!("diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-0\n+{answer}\n");
        rollout
    }

    fn next_of(rollouts: &[Trajectory]) -> Next {
        let budget = toml::from_str("rollouts = 6\nwave = 2\nrules = [{ rule = \"majority\" }]").unwrap();
        next(&budget, "t", &rollouts.iter().collect::<Vec<_>>(), &Scores::new())
    }

    #[test]
    fn waves_follow_from_what_is_there() {
        let alike = |numbers: &[usize]| -> Vec<Trajectory> { numbers.iter().map(|&n| rollout(n, "1")).collect() };
        assert_eq!(next_of(&[]), Next::Make(vec![0, 1]));
        assert_eq!(next_of(&alike(&[1])), Next::Make(vec![0]), "a wave that is not whole says nothing");
        assert_eq!(next_of(&alike(&[0, 1])), Next::Make(vec![2, 3]), "two of six are no majority");
        let Next::Settled(early) = next_of(&alike(&[0, 1, 2, 3])) else { panic!() };
        assert_eq!((early.drawn, early.saved), (4, 2));
        let Next::Settled(more) = next_of(&alike(&[0, 1, 2, 3, 4])) else { panic!() };
        assert_eq!(early, more, "what was made beyond a settled answer changes nothing");
        let different: Vec<_> = (0..6).map(|number| rollout(number, &number.to_string())).collect();
        assert_eq!(next_of(&different), Next::Nothing);
    }
}
