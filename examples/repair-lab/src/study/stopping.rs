//! How many rollouts rules that stop early would have saved, and what they cost.

use std::num::NonZeroUsize;

use entropo::agent::Selector;
use entropo::agent::select::Scores;
use entropo::agent::select::patch::PatchRules;
use entropo::agent::select::sampling::{Budget, Check, StopRule};
use entropo::agent::verifier::VERIFIER;
use entropo::core::Trajectory;
use entropo::core::stats::Bootstrap;

use super::best::expected;
use super::results::StoppingResult;
use super::selectors::{finished_majority, tests_and_verifier};
use super::{Settings, StudyError};

/// Rollouts between two looks.
const WAVES: [NonZeroUsize; 2] = [NonZeroUsize::MIN, NonZeroUsize::MIN.saturating_add(3)];
/// The errors that the sequential rule may make.
const ERRORS: [f64; 2] = [0.1, 0.05];
/// How sure the judge has to be.
const SURE: [f64; 4] = [0.3, 0.5, 0.7, 0.9];

/// A rule with what selects after it.
struct Plan {
    rule: StopRule,
    name: String,
    selector: &'static str,
}

/// All rules on all tasks.
pub(super) fn of_all(tasks: &[Vec<Trajectory>], settings: &Settings) -> Result<Vec<StoppingResult>, StudyError> {
    let Some(rollouts) = NonZeroUsize::new(settings.rollouts) else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    for Plan { rule, name, selector } in plans() {
        for wave in WAVES {
            let budget = Budget { rollouts, wave, rules: vec![rule.clone()] };
            all.push(of(&budget, &name, selector, tasks)?);
        }
    }
    Ok(all)
}

fn plans() -> Vec<Plan> {
    let patch = PatchRules::default();
    let majority = StopRule::Majority { patch: patch.clone() };
    let mut plans = vec![Plan { rule: majority, name: "majority".to_owned(), selector: "finished, majority" }];
    plans.extend(ERRORS.map(|error| Plan {
        rule: StopRule::Sequential { error, patch: patch.clone() },
        name: format!("sequential, error {error}"),
        selector: "finished, majority",
    }));
    plans.extend(SURE.map(|sure| Plan {
        rule: StopRule::Accept {
            checks: vec![Check::new("regression", 1.0), Check::new("reproduction", 1.0)],
            verifier: Check::new(VERIFIER, sure),
        },
        name: format!("accept at {sure}"),
        selector: "tests, best verifier",
    }));
    plans
}

fn of(budget: &Budget, rule: &str, selects: &str, tasks: &[Vec<Trajectory>]) -> Result<StoppingResult, StudyError> {
    let selector: Selector = if selects == "finished, majority" { finished_majority() } else { tests_and_verifier() };
    let (mut drawn, mut solved, mut whole) = (Vec::new(), Vec::new(), Vec::new());
    let mut stopped = 0;
    for task in tasks {
        let candidates: Vec<&Trajectory> = task.iter().collect();
        let replayed = budget.replay(&candidates, &Scores::of(candidates.iter().copied()));
        let so_far = candidates.get(..replayed.drawn).unwrap_or_default();
        let answer = |candidate: &&&Trajectory| {
            replayed.settled.as_ref().is_none_or(|settled| settled.rollouts.contains(&candidate.id))
        };
        let answers: Vec<&Trajectory> = so_far.iter().filter(answer).copied().collect();
        drawn.push(replayed.drawn as f64);
        solved.push(expected(&selector, &answers)?);
        whole.push(expected(&selector, &candidates)?);
        stopped += usize::from(replayed.saved > 0);
    }
    let bootstrap = Bootstrap::default();
    Ok(StoppingResult {
        rule: rule.to_owned(),
        selector: selects.to_owned(),
        wave: budget.wave.get(),
        drawn: bootstrap.mean(&drawn)?,
        stopped: stopped as f64 / tasks.len().max(1) as f64,
        solved: bootstrap.mean(&solved)?,
        over_all: bootstrap.difference(&solved, &whole)?,
    })
}
