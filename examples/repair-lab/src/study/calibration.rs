//! How far a judge can be trusted on tasks that it never saw.

use std::collections::BTreeMap;

use entropo::core::Trajectory;
use entropo::core::stats::{
    Bins, Bootstrap, Interval, StatsError, Temperature, auroc, brier_score, expected_calibration_error, reliability,
};

use super::StudyError;
use super::judges::{Fitted, Judge, Said};
use super::results::VerifierResult;
use crate::evaluate::passes_visible_tests;

/// Bins of the reliability curve and of the calibration error.
const BINS: Bins = Bins::EqualMass(10);
/// Resamples of a statistic that looks at every rollout again.
const RESAMPLES: usize = 1000;

/// A judged rollout.
#[derive(Clone, Copy)]
struct Judged {
    logit: f64,
    solved: bool,
    visible: bool,
}

/// A judge's figures, from what it said of held-out known tasks and of unseen ones.
pub(super) fn of(
    judge: &Judge,
    temperature: &Fitted,
    [held_out, unseen]: [(&Said, &Vec<Vec<Trajectory>>); 2],
) -> Result<VerifierResult, StudyError> {
    let [held_out, tasks] = [held_out, unseen].map(|(said, tasks)| judged(said, tasks));
    let mut missing = BTreeMap::new();
    for error in unseen.0.0.iter().flatten().filter_map(|scored| scored.judgement.as_ref().err()) {
        *missing.entry(error.to_string()).or_default() += 1;
    }
    let all: Vec<Judged> = tasks.iter().flatten().copied().collect();
    let solved: Vec<bool> = all.iter().map(|one| one.solved).collect();
    let temperatures = [Temperature::ONE, temperature.used];
    let probabilities =
        temperatures.map(|temperature| all.iter().map(|one| temperature.probability(one.logit)).collect::<Vec<f64>>());
    let curve = |probabilities: &Vec<f64>| reliability(probabilities, &solved, BINS);
    let [before, after] = &probabilities;
    Ok(VerifierResult {
        name: judge.name.to_owned(),
        fitted: judge.fitted.clone(),
        held_out_auroc: ranked(held_out.iter().flatten()).unwrap_or(0.5),
        temperature: temperature.used.value(),
        without_temperature: temperature.without.as_ref().map(ToString::to_string),
        scored: all.len(),
        missing,
        auroc: over_tasks(&tasks, |drawn| ranked(drawn.iter().copied().flatten())),
        within: within(&tasks, |_| true),
        within_visible: within(&tasks, |one| one.visible),
        calibration_error: temperatures.map(|temperature| over_tasks(&tasks, |drawn| error(drawn, temperature))),
        brier: [brier_score(before, &solved)?, brier_score(after, &solved)?],
        reliability: [curve(before)?, curve(after)?],
    })
}

/// The rollouts of each task that have a score.
fn judged(said: &Said, tasks: &[Vec<Trajectory>]) -> Vec<Vec<Judged>> {
    let of_task = |(scored, task): (&Vec<_>, &Vec<Trajectory>)| {
        let attempts = scored.iter().zip(task);
        let judged = attempts.filter_map(|(scored, attempt): (&entropo::agent::verifier::Scored, _)| {
            let logit = scored.judgement.as_ref().ok()?.logit();
            Some(Judged { logit, solved: attempt.is_solved(), visible: passes_visible_tests(attempt) })
        });
        judged.collect()
    };
    said.0.iter().zip(tasks).map(of_task).collect()
}

fn ranked<'a>(judged: impl Iterator<Item = &'a Judged>) -> Result<f64, StatsError> {
    let (logits, solved): (Vec<f64>, Vec<bool>) = judged.map(|one| (one.logit, one.solved)).unzip();
    auroc(&logits, &solved)
}

fn error(drawn: &[&Vec<Judged>], temperature: Temperature) -> Result<f64, StatsError> {
    let judged = drawn.iter().copied().flatten();
    let (probabilities, solved): (Vec<f64>, Vec<bool>) =
        judged.map(|one| (temperature.probability(one.logit), one.solved)).unzip();
    expected_calibration_error(&probabilities, &solved, BINS)
}

/// A statistic of all rollouts of drawn tasks; none where it is undefined.
fn over_tasks(
    tasks: &[Vec<Judged>],
    statistic: impl Fn(&[&Vec<Judged>]) -> Result<f64, StatsError>,
) -> Option<Interval> {
    let bootstrap = Bootstrap::default().with_resamples(RESAMPLES);
    let of_drawn = |drawn: &[usize]| {
        let drawn: Vec<&Vec<Judged>> = drawn.iter().filter_map(|task| tasks.get(*task)).collect();
        statistic(&drawn)
    };
    bootstrap.statistic(tasks.len(), of_drawn).ok()
}

/// The mean AUROC within tasks that have both kinds among the rollouts that `counts`.
fn within(tasks: &[Vec<Judged>], counts: impl Fn(&Judged) -> bool) -> Option<Interval> {
    let of_task = |task: &Vec<Judged>| ranked(task.iter().filter(|one| counts(one))).ok();
    let values: Vec<f64> = tasks.iter().filter_map(of_task).collect();
    Bootstrap::default().mean(&values).ok()
}
