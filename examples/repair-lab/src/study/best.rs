//! best@N of selectors.
//!
//! Where a selector leaves several, each is submitted equally often: lots are drawn again and again, so that what is
//! estimated is the selector and not the luck of its ties.

use std::collections::BTreeMap;

use entropo::agent::Selector;
use entropo::agent::select::SelectionError;
use entropo::core::Trajectory;
use entropo::core::stats::{Bootstrap, Samples, SelectorRegret, Subsets, pass_at_k, selector_regret};
use indicatif::ProgressBar;
use rand::SeedableRng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::results::{Contribution, SelectorResult};
use super::selectors::{CUMULATIVE, Named, RANDOM, REFERENCE};
use super::{Settings, StudyError};

/// One value for each task, by N.
type ByCount = BTreeMap<usize, Vec<f64>>;

/// A selector's figures, and what they are made of.
pub(super) struct Selected {
    pub(super) result: SelectorResult,
    per_task: ByCount,
}

/// All selectors on all tasks, and the oracle.
pub(super) fn of_all(
    selectors: &[Named],
    tasks: &[Vec<Trajectory>],
    settings: &Settings,
    bar: &ProgressBar,
) -> Result<Vec<Selected>, StudyError> {
    bar.set_length(selectors.len() as u64);
    let mut all: Vec<Selected> = Vec::new();
    let mut random: Option<Vec<f64>> = None;
    for Named { group, name, selector } in selectors {
        let (per_task, regret) = per_task(selector, tasks, settings)?;
        let last = per_task.get(&settings.rollouts).cloned().unwrap_or_default();
        let random = random.get_or_insert_with(|| last.clone());
        all.push(selected([group, name], per_task, &regret, &last, random)?);
        bar.inc(1);
    }
    if let Some(random) = random {
        let oracle = oracle(tasks, settings)?;
        let last = oracle.get(&settings.rollouts).cloned().unwrap_or_default();
        let nothing = vec![0.0; last.len()];
        all.insert(1.min(all.len()), selected([REFERENCE, "oracle (pass@N)"], oracle, &nothing, &last, &random)?);
    }
    Ok(all)
}

fn selected(
    [group, name]: [&str; 2],
    per_task: ByCount,
    regret: &[f64],
    last: &[f64],
    random: &[f64],
) -> Result<Selected, StudyError> {
    let bootstrap = Bootstrap::default();
    let best_at = per_task.iter().map(|(count, values)| Ok((*count, bootstrap.mean(values)?)));
    let result = SelectorResult {
        group: group.to_owned(),
        name: name.to_owned(),
        best_at: best_at.collect::<Result<_, StudyError>>()?,
        regret: bootstrap.mean(regret)?,
        over_random: bootstrap.difference(last, random)?,
    };
    Ok(Selected { result, per_task })
}

/// What each stage of the cumulative selectors adds to those before it; the first, to a random choice.
pub(super) fn contributions(all: &[Selected], counts: &[usize]) -> Result<Vec<Contribution>, StudyError> {
    let is_random = |one: &&Selected| one.result.group == REFERENCE && one.result.name == RANDOM;
    let chain: Vec<&Selected> =
        all.iter().find(is_random).into_iter().chain(all.iter().filter(|one| one.result.group == CUMULATIVE)).collect();
    let steps = chain.iter().zip(chain.iter().skip(1));
    let contribution = |(before, after): (&&Selected, &&Selected)| {
        let values = |one: &Selected, count: &usize| one.per_task.get(count).cloned().unwrap_or_default();
        let adds = counts
            .iter()
            .map(|count| Ok((*count, Bootstrap::default().difference(&values(after, count), &values(before, count))?)));
        Ok(Contribution { stage: after.result.name.clone(), adds: adds.collect::<Result<_, StudyError>>()? })
    };
    steps.map(contribution).collect()
}

/// pass@N, by N and task.
fn oracle(tasks: &[Vec<Trajectory>], settings: &Settings) -> Result<ByCount, StudyError> {
    let samples: Vec<Samples> = tasks
        .iter()
        .map(|task| Samples { drawn: task.len(), solved: task.iter().filter(|one| one.is_solved()).count() })
        .collect();
    let of_count = |count: usize| {
        let passes = samples.iter().map(|task| pass_at_k(task.drawn, task.solved, count));
        Ok((count, passes.collect::<Result<Vec<f64>, _>>()?))
    };
    settings.counts().into_iter().map(of_count).collect()
}

/// best@N by N and task, and the regret of each task at the largest N.
fn per_task(
    selector: &Selector,
    tasks: &[Vec<Trajectory>],
    settings: &Settings,
) -> Result<(ByCount, Vec<f64>), StudyError> {
    let (mut by_count, mut regrets) = (ByCount::new(), Vec::new());
    for task in tasks {
        for count in settings.counts() {
            let found = of_task(selector, task, count, settings)?;
            by_count.entry(count).or_default().push(found.selected);
            if count == settings.rollouts {
                regrets.push(found.regret);
            }
        }
    }
    Ok((by_count, regrets))
}

fn of_task(
    selector: &Selector,
    task: &[Trajectory],
    count: usize,
    settings: &Settings,
) -> Result<SelectorRegret, StudyError> {
    let rewards: Vec<f64> = task.iter().map(|trajectory| f64::from(trajectory.is_solved())).collect();
    let mut lots = ChaCha8Rng::seed_from_u64(settings.seed);
    let mut left = BTreeMap::<Vec<usize>, Vec<usize>>::new();
    let mut broken: Option<SelectionError> = None;
    let mut select = |subset: &[usize]| {
        if !left.contains_key(subset) {
            match survivors(selector, task, subset) {
                Ok(survivors) => drop(left.insert(subset.to_vec(), survivors)),
                Err(error) => broken = Some(error),
            }
        }
        left.get(subset)?.choose(&mut lots).copied()
    };
    // Of all rollouts there is one subset only, so its ties need as many lots as there are subsets elsewhere.
    let rounds = if count == task.len() { settings.subsets } else { 1 };
    let subsets = Subsets { at_most: settings.subsets, seed: settings.seed };
    let mut sum: Option<SelectorRegret> = None;
    for _ in 0..rounds {
        let found = selector_regret(&rewards, count, subsets, &mut select)?;
        sum = Some(sum.map_or(found, |sum| SelectorRegret {
            selected: sum.selected + found.selected,
            regret: sum.regret + found.regret,
            ..sum
        }));
    }
    if let Some(error) = broken {
        return Err(error.into());
    }
    let sum = sum.unwrap_or(SelectorRegret { oracle: 0.0, selected: 0.0, regret: 0.0, exact: true });
    let rounds = rounds.max(1) as f64;
    Ok(SelectorRegret { selected: sum.selected / rounds, regret: sum.regret / rounds, ..sum })
}

/// The places in a task of those that a selector leaves of a subset.
fn survivors(selector: &Selector, task: &[Trajectory], subset: &[usize]) -> Result<Vec<usize>, SelectionError> {
    let candidates: Vec<&Trajectory> = subset.iter().filter_map(|&index| task.get(index)).collect();
    let left = selector.survivors(&candidates)?;
    let kept = |index: &usize| task.get(*index).is_some_and(|trajectory| left.contains(&trajectory.id));
    Ok(subset.iter().copied().filter(kept).collect())
}

/// The mean reward of those that a selector leaves.
pub(super) fn expected(selector: &Selector, candidates: &[&Trajectory]) -> Result<f64, SelectionError> {
    let left = selector.survivors(candidates)?;
    let kept = candidates.iter().filter(|candidate| left.contains(&candidate.id));
    Ok(kept.clone().filter(|kept| kept.is_solved()).count() as f64 / kept.count().max(1) as f64)
}
