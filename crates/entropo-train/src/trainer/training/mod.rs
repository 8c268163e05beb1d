//! A whole run: epochs over examples.

mod builder;
mod directory;
mod held_out;
mod mismatched;
mod start;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;

use burn::tensor::Device;
use tracing::{info, warn};

use super::config::TrainConfig;
use super::error::TrainError;
use super::examples::Examples;
use super::learner::{Learner, StepOutcome};
use super::loss::{BatchLoss, Extent, Known, Loss, label};
use super::progress::Progress;
use super::record::StepRecord;
use super::reference::ReferenceCache;
use super::state;
use super::sums::Asked;
use crate::data::{Example, Sequence, batches};
use crate::decoder::Decoder;
use crate::objective::{Objective, StepZero};

pub use builder::TrainingBuilder;
use directory::Directory;
use held_out::HeldOut;
use mismatched::Mismatched;

/// A run over examples that starts, or goes on, from a decoder.
///
/// # On disk
///
/// A run with a directory leaves there, every file or directory replaced as a whole:
///
/// * `state.safetensors`, from which the same run goes on bit for bit after it was killed;
/// * `last/`, and with something to evaluate on `best/`: ordinary checkpoints, or adapters where one is trained;
/// * `reference.jsonl` and `evaluation-reference.jsonl`: the reference's log-probabilities.
///
/// # Metrics
///
/// The observer of [`run`](Self::run) sees every step once, but a killed run takes the steps after its last saved state
/// again, with the same records. Who writes records to a file keeps those of the first [`done`](Self::done) steps and
/// drops the others before it goes on.
pub struct Training<'a> {
    config: TrainConfig,
    examples: Examples<'a>,
    /// `[example]`: tokens.
    lengths: Vec<usize>,
    /// The frozen reference, where it is asked in every step.
    reference: Option<Decoder>,
    cache: Option<ReferenceCache>,
    held_out: Option<HeldOut<'a>>,
    learner: Learner,
    loss: Loss,
    progress: Progress,
    directory: Option<Directory>,
    /// What is known of the start without a step.
    step_zero: Option<StepZero>,
    /// An epoch and its batches.
    order: Option<(usize, Vec<Vec<usize>>)>,
    /// The step that is on disk.
    saved: usize,
}

impl<'a> Training<'a> {
    /// Describes a run over a slice of examples, or any other [`Source`](crate::data::Source).
    pub fn over(examples: impl Into<Examples<'a>>, config: TrainConfig) -> TrainingBuilder<'a> {
        TrainingBuilder::new(examples.into(), config)
    }

    /// Prepares a run over a slice, in `directory` if there is one. See [`TrainingBuilder::start`].
    ///
    /// # Errors
    /// Those of [`TrainingBuilder::start`].
    pub fn new(
        start: &Decoder,
        examples: &'a [Example],
        config: TrainConfig,
        device: &Device,
        directory: Option<PathBuf>,
    ) -> Result<Self, TrainError> {
        let builder = Self::over(examples, config);
        match directory {
            Some(directory) => builder.directory(directory),
            None => builder,
        }
        .start(start, device)
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
        let builder = Self::over(examples, config).reference(reference.clone());
        match directory {
            Some(directory) => builder.directory(directory),
            None => builder,
        }
        .start(start, device)
    }

    /// Steps of the whole run.
    pub fn steps(&self) -> usize {
        self.config.steps(self.lengths.len())
    }

    /// Steps already taken, in this process or before: records of later ones will come, again if there were any.
    pub fn done(&self) -> usize {
        self.progress.step
    }

    /// The objective as it is at the end of the run, with the coefficients that were found from the data.
    pub fn objective(&self) -> &Objective {
        &self.loss.objective
    }

    /// Takes the remaining steps; `observe` sees each, with the learner after it, and may stop the run. Returns the decoder
    /// as it is then, on the plain device.
    ///
    /// # Errors
    /// [`TrainError::Diverged`] after too many steps in a row without finite numbers, and whatever data, objective or file
    /// system say. What was saved before stays as it is.
    pub fn run(
        mut self,
        mut observe: impl FnMut(&StepRecord, &Learner) -> ControlFlow<()>,
    ) -> Result<Decoder, TrainError> {
        while !self.is_over() {
            let record = self.step()?;
            let stop = observe(&record, &self.learner).is_break();
            let due = self.progress.step - self.saved >= self.config.save_every;
            // While steps are left out the weights are under suspicion, and what is on disk is better.
            if (stop || due || self.is_over()) && self.progress.bad == 0 {
                self.save()?;
            }
            if stop {
                break;
            }
        }
        Ok(self.learner.frozen())
    }

    fn is_over(&self) -> bool {
        self.progress.stopped || self.progress.step >= self.steps()
    }

    fn step(&mut self) -> Result<StepRecord, TrainError> {
        let (step, steps) = (self.progress.step, self.steps());
        let examples = self.examples;
        let examples = self.batch().into_iter().map(|index| Ok((index, examples.source().get(index)?)));
        let examples = examples.collect::<Result<Vec<_>, TrainError>>()?;
        let sequences: Vec<&Sequence> = examples.iter().flat_map(|(_, example)| example.sequences()).collect();
        let objective = self.loss.objective.at(step as f64 / steps as f64);
        let learning_rate = self.config.learning_rate * self.config.schedule.factor(step, steps);
        let known =
            self.known(&objective, &examples.iter().map(|(index, example)| (*index, &**example)).collect::<Vec<_>>())?;
        let mismatched =
            self.mismatched().map(|mismatched| mismatched.of(&self.learner, &sequences)).unwrap_or_default();
        let z0 = self.loss.z0;
        let batch_loss = BatchLoss { loss: &mut self.loss, objective, known, mismatched, step, sequences: &sequences };
        let outcome = self.learner.step(&sequences, learning_rate, batch_loss);
        let mut record = StepRecord {
            step,
            steps,
            loss: f64::NAN,
            grad_norm: f64::NAN,
            learning_rate,
            tokens: sequences.iter().map(|sequence| sequence.ids().len()).sum(),
            action_tokens: sequences.iter().map(|sequence| sequence.action_tokens()).sum(),
            ..StepRecord::default()
        };
        match outcome {
            Ok(outcome) => self.taken(&mut record, &objective, examples.len(), outcome),
            Err(error) if error.is_of_one_step() => {
                self.loss.z0 = z0;
                self.left_out(&mut record, error)?;
            }
            Err(error) => return Err(error),
        }
        self.progress.step += 1;
        self.progress.z0 = self.loss.z0;
        if self.progress.skipped > 0 {
            record.metrics.insert("skipped_steps".to_owned(), self.progress.skipped as f64);
        }
        let ended = self.progress.step == steps || self.progress.step.is_multiple_of(self.config.evaluate_every);
        if ended && self.held_out.is_some() {
            self.evaluate(&mut record)?;
        }
        Ok(record)
    }

    /// The examples of the next step.
    fn batch(&mut self) -> Vec<usize> {
        let per_epoch = self.lengths.len().div_ceil(self.config.batch_size).max(1);
        let (epoch, place) = (self.progress.step / per_epoch, self.progress.step % per_epoch);
        let TrainConfig { batch_size, seed, .. } = self.config;
        let order = match self.order.take() {
            Some((known, order)) if known == epoch => order,
            _ => batches(&self.lengths, batch_size, epoch, seed),
        };
        let batch = order.get(place).cloned().unwrap_or_default();
        self.order = Some((epoch, order));
        batch
    }

    /// What is known of a batch before the policy has seen it.
    fn known(&self, objective: &Objective, examples: &[(usize, &Example)]) -> Result<Known, TrainError> {
        let scale = objective.reference_scale();
        let mut known = Known::default();
        for &(index, example) in examples {
            let sums = self.cache.as_ref().map(|cache| cache.get(index)).unwrap_or_default();
            let sums = sums.iter().map(|sum| sum / scale).chain(std::iter::repeat(0.0));
            known.sequences.extend(example.sequences().zip(sums).map(|(s, sum)| Extent::of(s).with(0.0, sum)));
            known.labels.push(label(objective, example)?);
        }
        Ok(known)
    }

    /// `None` where the objective does not ask for it.
    fn mismatched(&self) -> Option<Mismatched<'_>> {
        let (micro_batch, scale) = (self.config.micro_batch, self.loss.objective.reference_scale());
        let asked = Asked { micro_batch, scale, compute: self.config.keep().compute };
        self.reference.as_ref().map(|reference| Mismatched { reference, asked })
    }

    fn taken(&mut self, record: &mut StepRecord, objective: &Objective, examples: usize, outcome: StepOutcome) {
        self.progress.bad = 0;
        let StepOutcome { loss, grad_norm, metrics, computed_tokens, .. } = outcome;
        (record.loss, record.grad_norm) = (loss, grad_norm);
        if record.step == 0 {
            let known = self.step_zero.take();
            let start = known.or_else(|| StepZero::new(objective, examples, loss, &metrics));
            record
                .metrics
                .extend(start.iter().flat_map(StepZero::metrics).map(|(name, value)| (name.to_owned(), value)));
            record.notes.extend(start.and_then(|start| start.warning()));
            record.notes.iter().for_each(|note| warn!("{note}"));
        }
        record.metrics.extend(metrics.into_iter().map(|(name, value)| (name.to_owned(), value)));
        record.metrics.insert("computed_tokens".to_owned(), computed_tokens as f64);
        if let Some(alpha) = rising_alpha(&self.loss.objective, objective) {
            record.metrics.insert("alpha".to_owned(), alpha);
        }
    }

    /// Goes past a step whose numbers were not finite, unless there were too many.
    fn left_out(&mut self, record: &mut StepRecord, error: TrainError) -> Result<(), TrainError> {
        self.progress.bad += 1;
        self.progress.skipped += 1;
        if self.progress.bad > self.config.max_bad_steps {
            let bad = self.progress.bad;
            return Err(TrainError::Diverged { step: record.step, bad, source: error.into() });
        }
        record.skipped = true;
        record.notes.push(format!("step {} was left out: {error}", record.step));
        record.notes.iter().for_each(|note| warn!("{note}"));
        Ok(())
    }

    /// Evaluates after a step, keeps the weights if they are the best, and ends the run if they have not been for long.
    fn evaluate(&mut self, record: &mut StepRecord) -> Result<(), TrainError> {
        let Some(held_out) = &self.held_out else { return Ok(()) };
        let step = record.step;
        let found = held_out.evaluate(&self.learner, &self.loss, self.mismatched().as_ref(), &self.config, step)?;
        let early = self.config.early_stopping.clone();
        let watched = early.clone().unwrap_or_default();
        let value = found.as_ref().and_then(|found| found.get(watched.metric())).copied();
        let named = found.into_iter().flatten().map(|(name, value)| (format!("eval/{name}"), value));
        record.metrics.extend(named.collect::<BTreeMap<_, _>>());
        match value.filter(|value| watched.is_progress(*value, self.progress.best)) {
            Some(value) => {
                (self.progress.best, self.progress.waited) = (Some(value), 0);
                if let Some(directory) = &self.directory {
                    directory.keep("best", self.learner.decoder())?;
                }
            }
            None => self.progress.waited += 1,
        }
        if early.is_some_and(|early| self.progress.waited >= early.patience) {
            self.progress.stopped = true;
            let best = self.progress.best.map_or("none".to_owned(), |best| best.to_string());
            let (metric, waited) = (watched.metric(), self.progress.waited);
            let note = format!("the run ends: eval/{metric} has not got better than {best} for {waited} evaluations");
            info!("{note}");
            record.notes.push(note);
        }
        Ok(())
    }

    fn save(&mut self) -> Result<(), TrainError> {
        if let Some(directory) = &self.directory {
            directory.keep("last", self.learner.decoder())?;
            state::save(&directory.state(), &self.learner, &self.progress)?;
        }
        self.saved = self.progress.step;
        Ok(())
    }
}

/// Alpha at this moment, if it changes over the run.
fn rising_alpha(whole: &Objective, now: &Objective) -> Option<f64> {
    match (whole, now) {
        (Objective::EntropoDpo(whole), Objective::EntropoDpo(now)) => (whole.anneal > 0.0).then_some(now.alpha),
        (Objective::EntropoKto(whole), Objective::EntropoKto(now)) => (whole.anneal > 0.0).then_some(now.alpha),
        _ => None,
    }
}
