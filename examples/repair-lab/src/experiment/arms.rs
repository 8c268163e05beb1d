//! Preference data, and what each arm makes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::Path;

use entropo::agent::CancellationToken;
use entropo::core::preference::build_pairs;
use entropo::core::{JsonlStore, PreferenceRules, Trajectory};
use entropo::train::checkpoint::CheckpointError;
use entropo::train::data::{Example, Sequence};
use entropo::train::objective::{Dpo, EntropoDpo, Objective};
use entropo::train::trainer::{ReferenceCache, StepRecord, TrainConfig, Training};
use indicatif::ProgressBar;

use super::{ExperimentError, Files, Settings, device};
use crate::policy::Policy;
use crate::report::{CurvePoint, TrainingCurve};
use crate::results::Preferences;
use crate::rollouts::RolloutError;

/// Fewer pairs are not worth an update.
const FEWEST_PAIRS: usize = 4;

/// Sequences that are differentiated at a time.
const MICRO_BATCH: usize = 8;

/// The pairs, and what is known about them.
pub(super) struct PreferenceSet {
    examples: Vec<Example>,
    reference: ReferenceCache,
    pub(super) summary: Preferences,
}

impl PreferenceSet {
    /// Makes pairs of the starting policy's rollouts.
    pub(super) fn new(
        policy: &Policy,
        trajectories: &[Trajectory],
        settings: &Settings,
        files: &Files,
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
        let file = files.training("reference.jsonl");
        let reference = ReferenceCache::of(policy.decoder(), &examples, MICRO_BATCH, Some(&file))?;
        let tasks = trajectories.iter().map(|trajectory| &trajectory.id.task).collect::<BTreeSet<_>>();
        let summary = Preferences {
            tasks: tasks.len(),
            rollouts: trajectories.len(),
            pairs: examples.len(),
            dropped: data.dropped.iter().map(|(reason, count)| (reason.to_string(), count)).collect(),
            reference_gap_sd: reference_gap_sd(&reference, examples.len()),
        };
        Ok(Self { examples, reference, summary })
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
fn reference_gap_sd(reference: &ReferenceCache, pairs: usize) -> f64 {
    let gap = |sums: &[f64]| sums.as_chunks::<2>().0.iter().map(|[chosen, rejected]| chosen - rejected).sum::<f64>();
    let gaps: Vec<f64> = (0..pairs).map(|pair| gap(reference.get(pair))).collect();
    let mean = gaps.iter().sum::<f64>() / gaps.len().max(1) as f64;
    (gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len().max(1) as f64).sqrt()
}

/// What every arm is trained with.
pub(super) struct School<'a> {
    pub(super) policy: &'a Policy,
    pub(super) preferences: &'a PreferenceSet,
    pub(super) settings: &'a Settings,
    pub(super) files: &'a Files,
}

/// A trained arm, its curve, and how many tokens were trained on in this process.
pub(super) struct Trained {
    pub(super) policy: Policy,
    pub(super) curve: TrainingCurve,
    pub(super) tokens: usize,
}

impl School<'_> {
    /// Trains one arm from the starting policy, or goes on, or finds that it is done.
    pub(super) fn train(
        &self,
        name: &str,
        objective: Objective,
        bar: &ProgressBar,
        cancel: &CancellationToken,
    ) -> Result<Trained, ExperimentError> {
        let Self { policy, preferences, settings, files } = self;
        let config = TrainConfig {
            objective,
            epochs: settings.epochs,
            batch_size: settings.batch_size,
            micro_batch: MICRO_BATCH,
            learning_rate: settings.learning_rate,
            seed: settings.seed,
            save_every: 10,
            checkpointing: false, // the model is small
            ..TrainConfig::default()
        };
        let directory = files.training(name);
        let PreferenceSet { examples, reference, .. } = preferences;
        let start = policy.decoder();
        let training =
            Training::with_reference(start, examples, reference, config, &device(), Some(directory.clone()))?;
        bar.set_length(training.steps() as u64);
        bar.set_position(training.done() as u64);
        let mut curve = Curve::open(&directory)?;
        let mut tokens = 0;
        let mut broken = None;
        let decoder = training.run(|record, _| {
            bar.set_message(format!("loss {:.4}", record.loss));
            bar.inc(1);
            tokens += record.tokens;
            broken = curve.push(point(record)).err();
            if cancel.is_cancelled() || broken.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if let Some(error) = broken {
            return Err(error.into());
        }
        if cancel.is_cancelled() {
            return Err(RolloutError::Interrupted.into());
        }
        let policy = policy.with_decoder(decoder);
        policy.save(&files.checkpoint(name))?;
        Ok(Trained { policy, curve: TrainingCurve { arm: name.to_owned(), records: curve.points() }, tokens })
    }
}

/// A training curve on disk. A resumed run takes some steps a second time; the last account of each counts.
struct Curve {
    store: JsonlStore<CurvePoint>,
}

impl Curve {
    fn open(directory: &Path) -> Result<Self, ExperimentError> {
        let made = std::fs::create_dir_all(directory);
        made.map_err(|source| CheckpointError::File { path: directory.to_owned(), source })?;
        Ok(Self { store: JsonlStore::open(directory.join("curve.jsonl")).map_err(RolloutError::from)? })
    }

    fn push(&mut self, point: CurvePoint) -> Result<(), RolloutError> {
        Ok(self.store.append(&point)?)
    }

    fn points(self) -> Vec<CurvePoint> {
        let by_step: BTreeMap<usize, CurvePoint> =
            self.store.into_records().into_iter().map(|point| (point.step, point)).collect();
        by_step.into_values().collect()
    }
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
