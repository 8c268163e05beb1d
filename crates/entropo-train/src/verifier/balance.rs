//! Which attempts a verifier learns from.
//!
//! Tasks differ in how often they are solved, and most of what a verifier can learn from attempts as they come is to
//! recognise tasks. So it is shown as many solved as failed attempts of every task, and could do no better than chance by
//! the task alone.

use std::collections::{BTreeMap, BTreeSet};

use entropo_agent::rollout_seed;
use entropo_core::{RolloutId, Trajectory};
use serde::{Deserialize, Serialize};

/// The rule by which attempts are chosen.
///
/// * Attempts that nobody judged, and those that the agent did not finish itself, do not count.
/// * Of a task with solved and failed attempts, as many of each are taken: as many as there are of the rarer kind, and at
///   most [`per_task`](Self::per_task).
/// * A task of which all attempts are solved, or all failed, gives nothing by itself. Up to
///   [`one_sided`](Self::one_sided) solved tasks and as many failed ones give one attempt each.
/// * Among equals, those are taken whose seed, of [`seed`](Self::seed) and the rollout's id, is lowest: the order in which
///   attempts come changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Balance {
    /// Attempts of each kind that a task gives at most. Default 4.
    pub per_task: usize,
    /// Tasks of each kind that have attempts of one kind only. Default 0.
    pub one_sided: usize,
    /// Whether attempts count that the agent did not finish itself. Default false.
    pub unfinished: bool,
    /// Governs the choice. Default 0.
    pub seed: u64,
}

/// What is asked of an attempt to choose it or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Which rollout it is.
    pub rollout: RolloutId,
    /// Whether it solves its task, if anybody judged.
    pub solved: Option<bool>,
    /// Whether the agent finished it itself.
    pub finished: bool,
}

/// What was chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Balanced {
    /// A solved attempt and a failed one, of the same task wherever both come from a task with both kinds.
    pub pairs: Vec<[RolloutId; 2]>,
    /// What became of all candidates.
    pub report: BalanceReport,
}

/// What became of candidates; the numbers add up to their number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalanceReport {
    /// Chosen, half of them solved.
    pub chosen: usize,
    /// Nobody judged them.
    pub unjudged: usize,
    /// The agent did not finish them.
    pub unfinished: usize,
    /// Of tasks with attempts of one kind only.
    pub one_sided: usize,
    /// More than the rule takes of their task.
    pub surplus: usize,
}

/// Why attempts cannot be chosen from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BalanceError {
    /// Two attempts of one name.
    #[error("{0} is there twice; give every rollout its own number")]
    Duplicate(RolloutId),
}

impl Default for Balance {
    fn default() -> Self {
        Self { per_task: 4, one_sided: 0, unfinished: false, seed: 0 }
    }
}

impl From<&Trajectory> for Candidate {
    fn from(trajectory: &Trajectory) -> Self {
        Self {
            rollout: trajectory.id.clone(),
            solved: trajectory.outcome.reward.map(|_| trajectory.is_solved()),
            finished: trajectory.exit.is_finished(),
        }
    }
}

/// Attempts of one task: solved and failed ones.
type Kinds = [Vec<RolloutId>; 2];

impl Balance {
    /// Chooses among candidates.
    pub fn choose(&self, candidates: impl IntoIterator<Item = Candidate>) -> Result<Balanced, BalanceError> {
        let mut report = BalanceReport::default();
        let (mut tasks, mut seen) = (BTreeMap::<String, Kinds>::new(), BTreeSet::new());
        for Candidate { rollout, solved, finished } in candidates {
            if !seen.insert(rollout.clone()) {
                return Err(BalanceError::Duplicate(rollout));
            }
            match solved {
                None => report.unjudged += 1,
                Some(_) if !finished && !self.unfinished => report.unfinished += 1,
                Some(solved) => {
                    let [right, wrong] = tasks.entry(rollout.task.clone()).or_default();
                    if solved { right } else { wrong }.push(rollout);
                }
            }
        }
        let mut pairs = Vec::new();
        let mut one_sided = Kinds::default();
        for kinds in tasks.into_values() {
            let count: usize = kinds.iter().map(Vec::len).sum();
            let [right, wrong] = kinds.map(|kind| self.by_seed(kind));
            if right.is_empty() || wrong.is_empty() {
                report.one_sided += count;
                for (kind, side) in one_sided.iter_mut().zip([right, wrong]) {
                    kind.extend(side.into_iter().next());
                }
                continue;
            }
            let before = pairs.len();
            pairs.extend(right.into_iter().zip(wrong).map(|(right, wrong)| [right, wrong]).take(self.per_task));
            report.surplus += count - 2 * (pairs.len() - before);
        }
        let [right, wrong] = one_sided.map(|kind| self.by_seed(kind));
        let before = pairs.len();
        pairs.extend(right.into_iter().zip(wrong).map(|(right, wrong)| [right, wrong]).take(self.one_sided));
        report.one_sided -= 2 * (pairs.len() - before);
        report.chosen = 2 * pairs.len();
        Ok(Balanced { pairs, report })
    }

    fn by_seed(&self, mut rollouts: Vec<RolloutId>) -> Vec<RolloutId> {
        rollouts.sort_by_cached_key(|rollout| (rollout_seed(self.seed, rollout), rollout.clone()));
        rollouts
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn candidate(task: usize, number: usize, solved: Option<bool>, finished: bool) -> Candidate {
        Candidate { rollout: RolloutId::new(format!("t{task}"), number), solved, finished }
    }

    fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
        let kind = (0usize..5, prop::option::of(any::<bool>()), prop::bool::weighted(0.8));
        prop::collection::vec(kind, 0..40).prop_map(|kinds| {
            let numbered = kinds.into_iter().enumerate();
            numbered.map(|(number, (task, solved, finished))| candidate(task, number, solved, finished)).collect()
        })
    }

    #[test]
    fn the_rarer_kind_says_how_many() {
        let attempts = (0..6).map(|number| candidate(0, number, Some(number < 2), true));
        let all_solved = (6..8).map(|number| candidate(1, number, Some(true), true));
        let balanced = Balance::default().choose(attempts.chain(all_solved)).unwrap();
        assert_eq!(balanced.report, BalanceReport { chosen: 4, one_sided: 2, surplus: 2, ..BalanceReport::default() });
        assert!(balanced.pairs.iter().all(|[right, wrong]| right.rollout < 2 && (2..6).contains(&wrong.rollout)));
    }

    #[test]
    fn one_sided_tasks_come_in_equal_numbers_if_they_come() {
        let attempts = [(0, true), (1, true), (2, true), (3, false), (4, false)];
        let attempts = attempts.map(|(task, solved)| candidate(task, 0, Some(solved), true));
        let balanced = Balance { one_sided: 9, ..Balance::default() }.choose(attempts).unwrap();
        assert_eq!((balanced.report.chosen, balanced.report.one_sided), (4, 1));
    }

    #[test]
    fn the_seed_chooses_and_two_of_one_name_are_refused() {
        let attempts: Vec<_> = (0..40).map(|number| candidate(0, number, Some(number % 2 == 0), true)).collect();
        let choose = |seed| Balance { seed, ..Balance::default() }.choose(attempts.clone()).unwrap();
        assert_eq!(choose(1), choose(1));
        assert_ne!(choose(1), choose(2));
        let twice = [candidate(0, 3, Some(true), true), candidate(0, 3, None, true)];
        assert_eq!(
            Balance::default().choose(twice).unwrap_err().to_string(),
            "t0#3 is there twice; give every rollout its own number"
        );
    }

    proptest! {
        #[test]
        fn what_is_chosen_is_balanced_whatever_the_order(
            attempts in candidates(), per_task in 0usize..4, one_sided in 0usize..3, unfinished: bool, seed: u64,
        ) {
            let rule = Balance { per_task, one_sided, unfinished, seed };
            let balanced = rule.choose(attempts.clone()).unwrap();
            let BalanceReport { chosen, unjudged, unfinished: left, one_sided: single, surplus } = balanced.report;
            prop_assert_eq!(chosen + unjudged + left + single + surplus, attempts.len());
            let by_name: BTreeMap<_, _> = attempts.iter().map(|attempt| (&attempt.rollout, attempt)).collect();
            let mut of_task = BTreeMap::<(&str, bool), usize>::new();
            for [right, wrong] in &balanced.pairs {
                prop_assert_eq!(by_name[right].solved, Some(true));
                prop_assert_eq!(by_name[wrong].solved, Some(false));
                for rollout in [right, wrong] {
                    prop_assert!(unfinished || by_name[rollout].finished);
                }
                if right.task == wrong.task {
                    *of_task.entry((&right.task, true)).or_default() += 1;
                }
            }
            prop_assert!(of_task.values().all(|count| *count <= per_task));
            let across = balanced.pairs.iter().filter(|[right, wrong]| right.task != wrong.task).count();
            prop_assert!(across <= one_sided);
            let chosen: BTreeSet<_> = balanced.pairs.iter().flatten().collect();
            prop_assert_eq!(chosen.len(), 2 * balanced.pairs.len(), "nobody is chosen twice");
            let mut reversed = attempts;
            reversed.reverse();
            prop_assert_eq!(rule.choose(reversed).unwrap(), balanced);
        }
    }
}
