//! Preference data, and what each arm makes of it.

use std::ops::ControlFlow;

use entropo::agent::CancellationToken;
use entropo::core::preference::build_pairs;
use entropo::core::{PreferenceRules, Trajectory};
use entropo::train::data::{Example, Sequence};
use entropo::train::objective::{Dpo, EntropoDpo, Objective};
use entropo::train::trainer::{StepRecord, TrainConfig, Training, frozen_sums};
use indicatif::ProgressBar;

use super::{ExperimentError, Files, Settings, device};
use crate::policy::Policy;
use crate::report::{CurvePoint, TrainingCurve};
use crate::results::Preferences;
use crate::rollouts::RolloutError;

/// Fewer pairs are not worth an update.
const FEWEST_PAIRS: usize = 4;

/// The pairs, and what is known about them.
pub(super) struct PreferenceSet {
    pub(super) examples: Vec<Example>,
    pub(super) summary: Preferences,
}

impl PreferenceSet {
    /// Makes pairs of the starting policy's rollouts.
    pub(super) fn new(
        policy: &Policy,
        trajectories: &[Trajectory],
        settings: &Settings,
    ) -> Result<Self, ExperimentError> {
        let rules = PreferenceRules::default().with_pairs_per_task(settings.pairs_per_task).with_seed(settings.seed);
        let data = build_pairs(trajectories, &rules);
        let pair = |(chosen, rejected): (&Trajectory, &Trajectory)| {
            let (chosen, rejected) = (Sequence::from_trajectory(chosen)?, Sequence::from_trajectory(rejected)?);
            Ok(Example::Preference { chosen, rejected })
        };
        let examples: Vec<Example> = data
            .pairs
            .iter()
            .map(|found| pair((found.chosen, found.rejected)))
            .collect::<Result<_, entropo::train::data::SequenceError>>()?;
        if examples.len() < FEWEST_PAIRS {
            return Err(ExperimentError::TooFewPairs { found: examples.len(), needed: FEWEST_PAIRS });
        }
        let tasks =
            trajectories.iter().map(|trajectory| &trajectory.id.task).collect::<std::collections::BTreeSet<_>>();
        let summary = Preferences {
            tasks: tasks.len(),
            rollouts: trajectories.len(),
            pairs: examples.len(),
            dropped: data.dropped.iter().map(|(reason, count)| (reason.to_string(), count)).collect(),
            reference_gap_sd: reference_gap_sd(policy, &examples),
        };
        Ok(Self { examples, summary })
    }

    /// The entropy coefficient that gives the settings' `kappa` on these pairs.
    fn alpha(&self, settings: &Settings) -> f64 {
        settings.beta + settings.kappa / self.summary.reference_gap_sd.max(1e-3)
    }

    /// EntroPO, and M-DPO at the same `alpha`: they differ in the reference's weight only.
    pub(super) fn objectives(&self, settings: &Settings) -> [(&'static str, Objective); 2] {
        let alpha = self.alpha(settings);
        [
            ("M-DPO", Objective::Dpo(Dpo { beta: alpha, ..Dpo::default() })),
            ("EntroPO", Objective::EntropoDpo(EntropoDpo { alpha, beta: settings.beta, ..EntropoDpo::default() })),
        ]
    }

    pub(super) fn describe(&self, settings: &Settings, name: &str) -> String {
        let alpha = self.alpha(settings);
        match name {
            "EntroPO" => format!("alpha {alpha:.3}, beta {:.3}", settings.beta),
            _ => format!("beta {alpha:.3}"),
        }
    }
}

/// Standard deviation of `log pi_ref(chosen) - log pi_ref(rejected)`, nats.
fn reference_gap_sd(policy: &Policy, examples: &[Example]) -> f64 {
    use entropo::train::burn::module::Module;
    let sequences: Vec<&Sequence> = examples.iter().flat_map(Example::sequences).collect();
    let sums = frozen_sums(&policy.decoder().valid(), &sequences, 16);
    let gaps: Vec<f64> = sums.as_chunks::<2>().0.iter().map(|[chosen, rejected]| chosen - rejected).collect();
    let mean = gaps.iter().sum::<f64>() / gaps.len().max(1) as f64;
    (gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len().max(1) as f64).sqrt()
}

/// Trains one arm from the starting policy, or goes on, or finds that it is done.
#[allow(clippy::too_many_arguments)]
pub(super) fn train(
    name: &str,
    objective: Objective,
    policy: &Policy,
    preferences: &PreferenceSet,
    settings: &Settings,
    files: &Files,
    bar: &ProgressBar,
    cancel: &CancellationToken,
) -> Result<(Policy, TrainingCurve, usize), ExperimentError> {
    let config = TrainConfig {
        objective,
        epochs: settings.epochs,
        batch_size: settings.batch_size,
        micro_batch: 2 * settings.batch_size,
        learning_rate: settings.learning_rate,
        seed: settings.seed,
        save_every: 10,
        ..TrainConfig::default()
    };
    let training =
        Training::new(policy.decoder(), &preferences.examples, config, &device(), Some(files.training(name)))?;
    bar.set_length(training.steps() as u64);
    bar.set_position(training.done() as u64);
    let mut records = Vec::new();
    let mut tokens = 0;
    let decoder = training.run(|record, _| {
        bar.set_message(format!("loss {:.4}", record.loss));
        bar.inc(1);
        tokens += record.tokens;
        records.push(point(record));
        if cancel.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    if cancel.is_cancelled() {
        return Err(RolloutError::Interrupted.into());
    }
    let trained = policy.with_decoder(decoder);
    trained.save(&files.checkpoint(name))?;
    Ok((trained, TrainingCurve { arm: name.to_owned(), records }, tokens))
}

fn point(record: &StepRecord) -> CurvePoint {
    let metric = |name: &str| record.metrics.get(name).copied();
    CurvePoint {
        step: record.step,
        loss: record.loss,
        grad_norm: record.grad_norm,
        accuracy: metric("rewards/accuracies"),
        margin: metric("log_ratio_rewards/margins").or(metric("rewards/margins")),
        offset_mean: metric("offset/mean"),
        effective_count: metric("effective_count"),
    }
}
