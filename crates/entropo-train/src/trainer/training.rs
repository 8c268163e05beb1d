//! A whole run: epochs over examples.

use std::ops::ControlFlow;
use std::path::PathBuf;

use burn::module::Module;
use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::TrainError;
use super::learner::{Learner, frozen_sums};
use super::loss::Judge;
use super::optimizer::OptimizerConfig;
use super::reference::{ReferenceCache, hex, reference_key};
use super::schedule::Schedule;
use super::state::{self, Progress};
use crate::data::{Example, Sequence, batches};
use crate::decoder::Decoder;
use crate::objective::{Metrics, Objective, SequenceLogProbs};

/// How to train.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// What is minimised. Default: EntroPO on pairs with the paper's settings.
    pub objective: Objective,
    /// Passes over the examples. Default 1.
    pub epochs: usize,
    /// Examples (pairs count as one) in an update. Default 8.
    pub batch_size: usize,
    /// Sequences that are differentiated at a time, fewer if they are longer than [`MICRO_TOKENS`](super::MICRO_TOKENS);
    /// less memory for a second forward pass. Default 16.
    pub micro_batch: usize,
    /// Highest learning rate. Default 1e-5.
    pub learning_rate: f64,
    /// How it changes.
    pub schedule: Schedule,
    /// AdamW.
    pub optimizer: OptimizerConfig,
    /// Governs the order of the examples and an adapter's dropout.
    pub seed: u64,
    /// Steps between saved states, if the run has a directory. Default 50.
    pub save_every: usize,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            objective: Objective::EntropoDpo(crate::objective::EntropoDpo::default()),
            epochs: 1,
            batch_size: 8,
            micro_batch: 16,
            learning_rate: 1e-5,
            schedule: Schedule::default(),
            optimizer: OptimizerConfig::default(),
            seed: 0,
            save_every: 50,
        }
    }
}

/// One line of a run's log.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepRecord {
    /// The step, counted from 0.
    pub step: usize,
    /// Steps of the whole run.
    pub steps: usize,
    /// The loss before the update.
    pub loss: f64,
    /// Global norm of the gradient before clipping.
    pub grad_norm: f64,
    /// The learning rate of the update.
    pub learning_rate: f64,
    /// Real tokens in the batch.
    pub tokens: usize,
    /// Action tokens in the batch.
    pub action_tokens: usize,
    /// The objective's numbers.
    pub metrics: Metrics,
}

/// A run over examples that starts, or goes on, from a decoder.
pub struct Training<'a> {
    config: TrainConfig,
    examples: &'a [Example],
    reference: Decoder,
    cache: Option<ReferenceCache>,
    learner: Learner,
    judge: Judge,
    progress: Progress,
    state: Option<PathBuf>,
}

impl<'a> Training<'a> {
    /// Prepares a run: checks every example, computes the reference's log-probabilities and, if `directory` holds the
    /// state of the same run, goes on from there. `start` is where training starts and also the frozen reference, which
    /// shares its tensors. If it has an adapter, only that is trained, and only that is in the state.
    ///
    /// # Errors
    /// A batch size or example that cannot be trained on, or the state of another run in `directory`; nothing was
    /// written then.
    pub fn new(
        start: &Decoder,
        examples: &'a [Example],
        config: TrainConfig,
        device: &Device,
        directory: Option<PathBuf>,
    ) -> Result<Self, TrainError> {
        Self::prepare(start, examples, config, device, directory, None)
    }

    /// Like [`new`](Self::new) with log-probabilities that were computed before, for several runs over the same examples
    /// from the same start.
    ///
    /// # Errors
    /// Those of [`new`](Self::new), and [`TrainError::OtherReference`] if they are of other weights, sequences or masks.
    pub fn with_reference(
        start: &Decoder,
        examples: &'a [Example],
        reference: &ReferenceCache,
        config: TrainConfig,
        device: &Device,
        directory: Option<PathBuf>,
    ) -> Result<Self, TrainError> {
        Self::prepare(start, examples, config, device, directory, Some(reference))
    }

    fn prepare(
        start: &Decoder,
        examples: &'a [Example],
        config: TrainConfig,
        device: &Device,
        directory: Option<PathBuf>,
        known: Option<&ReferenceCache>,
    ) -> Result<Self, TrainError> {
        if examples.is_empty() {
            return Err(TrainError::Empty);
        }
        config.objective.validate().map_err(|source| TrainError::Objective {
            step: 0,
            source,
            sequences: String::new(),
        })?;
        let judge = Judge::new(config.objective);
        let shape = start.config();
        for example in examples {
            judge.check(example)?;
            for sequence in example.sequences() {
                sequence.check(shape.vocab_size, shape.max_position_embeddings)?;
            }
        }
        let device = device.clone().autodiff();
        let reference = start.valid();
        let key = reference_key(&reference, examples);
        let run = fingerprint(&key, examples, &config);
        let file = directory.as_ref().map(|directory| directory.join("reference.json"));
        let state = directory.map(|directory| directory.join("state.safetensors"));
        let decoder = reference.clone().to_device(&device).train();
        let learner = Learner::new(decoder, &config.optimizer, &device, config.micro_batch);
        let mut learner = learner.with_seed(config.seed);
        let resumed = match &state {
            Some(path) => state::restore(path, &run, &mut learner)?,
            None => None,
        };
        // Only now: a refused state must leave the directory as it was.
        let cache = match known {
            _ if !judge.needs_reference() => None,
            Some(known) if known.is_of(&key) => Some(known.clone()),
            Some(_) => return Err(TrainError::OtherReference),
            None => Some(ReferenceCache::with_key(&reference, examples, key, config.micro_batch, file.as_deref())?),
        };
        let progress = resumed.unwrap_or(Progress { step: 0, z0: None, run });
        let mut judge = judge;
        judge.z0 = progress.z0;
        Ok(Self { config, examples, reference, cache, learner, judge, progress, state })
    }

    /// Updates of the whole run.
    pub fn steps(&self) -> usize {
        self.examples.len().div_ceil(self.config.batch_size.max(1)) * self.config.epochs
    }

    /// Updates already made, in this process or before.
    pub fn done(&self) -> usize {
        self.progress.step
    }

    /// Takes the remaining steps; `observe` sees each and may stop the run after it. Returns the decoder as it is then,
    /// on the plain device.
    pub fn run(
        mut self,
        mut observe: impl FnMut(&StepRecord, &Learner) -> ControlFlow<()>,
    ) -> Result<Decoder, TrainError> {
        let lengths: Vec<usize> = self.examples.iter().map(Example::tokens).collect();
        let per_epoch = self.examples.len().div_ceil(self.config.batch_size.max(1));
        let first = self.progress.step / per_epoch;
        for epoch in first..self.config.epochs {
            let order = batches(&lengths, self.config.batch_size, epoch, self.config.seed);
            for batch in order.iter().skip(self.progress.step - epoch * per_epoch) {
                let record = self.step(batch)?;
                let stop = observe(&record, &self.learner).is_break();
                if stop || self.progress.step.is_multiple_of(self.config.save_every.max(1)) {
                    self.save()?;
                }
                if stop {
                    return Ok(self.learner.frozen());
                }
            }
        }
        self.save()?;
        Ok(self.learner.frozen())
    }

    fn step(&mut self, batch: &[usize]) -> Result<StepRecord, TrainError> {
        let steps = self.steps();
        let step = self.progress.step;
        let examples: Vec<&Example> = batch.iter().filter_map(|&index| self.examples.get(index)).collect();
        let sequences: Vec<&Sequence> = examples.iter().flat_map(|example| example.sequences()).collect();
        let reference: Vec<f64> = match &self.cache {
            Some(cache) => batch.iter().flat_map(|&index| cache.get(index)).copied().collect(),
            None => vec![0.0; sequences.len()],
        };
        let mismatched = self.mismatched(&sequences)?;
        let learning_rate = self.config.learning_rate * self.config.schedule.factor(step, steps);
        let judge = &mut self.judge;
        let outcome = self.learner.step(&sequences, learning_rate, |policy: &[f64]| {
            let sums = join(&sequences, policy, &reference);
            judge.judge(&examples, &sums, &mismatched).map_err(|source| {
                let names: Vec<&str> = sequences.iter().map(|sequence| sequence.id()).collect();
                TrainError::Objective { step, source, sequences: names.join(", ") }
            })
        })?;
        self.progress.step += 1;
        self.progress.z0 = self.judge.z0;
        Ok(StepRecord {
            step,
            steps,
            loss: outcome.loss,
            grad_norm: outcome.grad_norm,
            learning_rate,
            tokens: outcome.tokens,
            action_tokens: outcome.action_tokens,
            metrics: outcome.metrics,
        })
    }

    /// Each prompt with the next sequence's completion, under policy and reference, where the objective asks for it.
    fn mismatched(&self, sequences: &[&Sequence]) -> Result<Vec<SequenceLogProbs>, TrainError> {
        if !self.judge.needs_mismatched() {
            return Ok(Vec::new());
        }
        let others = sequences.iter().cycle().skip(1);
        let context = self.learner.decoder().config().max_position_embeddings;
        let mixed: Vec<Sequence> = sequences
            .iter()
            .zip(others)
            .filter_map(|(prompt, other)| prompt.with_completion_of(other))
            .filter(|sequence| sequence.ids().len() <= context)
            .collect();
        let mixed: Vec<&Sequence> = mixed.iter().collect();
        let policy = self.learner.log_probs(&mixed);
        let reference = frozen_sums(&self.reference, &mixed, self.config.micro_batch);
        Ok(join(&mixed, &policy, &reference))
    }

    fn save(&self) -> Result<(), TrainError> {
        match &self.state {
            Some(path) => state::save(path, &self.learner, &self.progress),
            None => Ok(()),
        }
    }
}

fn join(sequences: &[&Sequence], policy: &[f64], reference: &[f64]) -> Vec<SequenceLogProbs> {
    let sums = policy.iter().zip(reference);
    sequences
        .iter()
        .zip(sums)
        .map(|(sequence, (&policy, &reference))| SequenceLogProbs {
            policy,
            reference,
            tokens: sequence.action_tokens(),
        })
        .collect()
}

/// What makes two runs the same: starting weights and sequences, through their key, the labels, and every setting.
fn fingerprint(key: &str, examples: &[Example], config: &TrainConfig) -> String {
    let labels: Vec<u8> =
        examples.iter().map(|example| matches!(example, Example::Labelled { desirable: true, .. }).into()).collect();
    let settings = serde_json::to_vec(config).unwrap_or_default();
    hex(Sha256::new().chain_update(key).chain_update(labels).chain_update(settings).finalize())
}
