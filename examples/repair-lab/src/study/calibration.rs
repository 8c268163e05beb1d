//! How far a judge can be trusted on tasks that it never saw.

use std::collections::BTreeMap;

use entropo::agent::verifier::Scored;
use entropo::core::Trajectory;
use entropo::core::stats::{Bins, Bootstrap, Prediction, Predictions, Temperature};

use super::StudyError;
use super::judges::{Fitted, Judge, Said};
use super::results::VerifierResult;
use crate::evaluate::passes_visible_tests;

/// Bins of the reliability curve and of the calibration error.
const BINS: Bins = Bins::EqualMass(10);
/// Resamples of a statistic that looks at every rollout again.
const RESAMPLES: usize = 1000;

/// A judge's figures, from what it said of held-out known tasks and of unseen ones.
pub(super) fn of(
    judge: &Judge,
    temperature: &Fitted,
    [held_out, unseen]: [(&Said, &Vec<Vec<Trajectory>>); 2],
) -> Result<VerifierResult, StudyError> {
    let mut missing = BTreeMap::new();
    for error in unseen.0.0.iter().flatten().filter_map(|scored| scored.judgement.as_ref().err()) {
        *missing.entry(error.to_string()).or_default() += 1;
    }
    let held_out = predictions(held_out.0, held_out.1, |_| true);
    let visible = predictions(unseen.0, unseen.1, passes_visible_tests);
    let unseen = predictions(unseen.0, unseen.1, |_| true);
    let (few, many) = (Bootstrap::default().with_resamples(RESAMPLES), Bootstrap::default());
    let before = unseen.calibration(Temperature::ONE, BINS, &few)?;
    let after = unseen.calibration(temperature.used, BINS, &few)?;
    Ok(VerifierResult {
        name: judge.name.to_owned(),
        fitted: judge.fitted.clone(),
        held_out_auroc: held_out.auroc(&few).map_or(0.5, |auroc| auroc.mean),
        temperature: temperature.used.value(),
        without_temperature: temperature.without.as_ref().map(ToString::to_string),
        scored: unseen.len(),
        missing,
        auroc: unseen.auroc(&few).ok(),
        within: unseen.auroc_within(&many).ok(),
        within_visible: visible.auroc_within(&many).ok(),
        calibration_error: [Some(before.error), Some(after.error)],
        brier: [before.brier.mean, after.brier.mean],
        reliability: [before.reliability, after.reliability],
    })
}

/// The rollouts of each task that have a score and that count.
pub(super) fn predictions(said: &Said, tasks: &[Vec<Trajectory>], counts: fn(&Trajectory) -> bool) -> Predictions {
    let prediction = |(scored, attempt): (&Scored, &Trajectory)| {
        let logit = scored.judgement.as_ref().ok().filter(|_| counts(attempt))?.logit();
        Some(Prediction { logit, solved: attempt.is_solved() })
    };
    let of_task =
        |(scored, task): (&Vec<Scored>, &Vec<Trajectory>)| scored.iter().zip(task).filter_map(prediction).collect();
    Predictions::new(said.0.iter().zip(tasks).map(of_task))
}
