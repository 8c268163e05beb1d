//! What has to be so before a run can start.

use std::path::PathBuf;

use burn::module::Module;
use burn::tensor::Device;

use super::super::config::TrainConfig;
use super::super::error::TrainError;
use super::super::examples::Examples;
use super::super::fingerprint::model_key;
use super::super::learner::Learner;
use super::super::loss::Loss;
use super::super::progress::{Identity, Progress};
use super::super::reference::{ReferenceCache, ReferenceOptions, cache_key};
use super::super::state;
use super::super::survey::Survey;
use super::Training;
use super::directory::Directory;
use super::held_out::HeldOut;
use super::start::{scaled, step_zero};
use crate::checkpoint::check_companions;
use crate::data::Source;
use crate::decoder::Decoder;

/// A run that is being described.
#[must_use]
pub struct TrainingBuilder<'a> {
    config: TrainConfig,
    examples: Examples<'a>,
    evaluation: Option<Examples<'a>>,
    reference: Option<ReferenceCache>,
    directory: Option<PathBuf>,
    companions: Option<PathBuf>,
    progress: Option<Box<dyn FnMut(usize, usize) + 'a>>,
    replicas: Vec<Device>,
}

impl<'a> TrainingBuilder<'a> {
    pub(super) fn new(examples: Examples<'a>, config: TrainConfig) -> Self {
        let (evaluation, reference, directory, companions, progress) = (None, None, None, None, None);
        Self { config, examples, evaluation, reference, directory, companions, progress, replicas: Vec::new() }
    }

    /// Examples that are never trained on: a slice, or any [`Source`].
    pub fn evaluate_on(mut self, examples: impl Into<Examples<'a>>) -> Self {
        self.evaluation = Some(examples.into());
        self
    }

    /// The reference's log-probabilities of the examples, computed before: for several runs from one start.
    pub fn reference(mut self, reference: ReferenceCache) -> Self {
        self.reference = Some(reference);
        self
    }

    /// Where the run's state is, and the weights that it keeps. If a state of the same run is there, it goes on.
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// The checkpoint directory that the start came from, whose configuration and tokenizer go beside kept weights.
    pub fn companions(mut self, directory: impl Into<PathBuf>) -> Self {
        self.companions = Some(directory.into());
        self
    }

    /// Is told how many examples the reference has been asked about, and how many there are.
    pub fn progress(mut self, progress: impl FnMut(usize, usize) + 'a) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    /// Devices of further replicas that share the work of each update, see
    /// [`Learner::with_replicas`](super::super::Learner::with_replicas). A run that goes on with another number of them than
    /// before differs from then on by rounding.
    pub fn replicas(mut self, devices: impl IntoIterator<Item = Device>) -> Self {
        self.replicas = devices.into_iter().collect();
        self
    }

    /// Prepares the run: checks settings and every example, goes on from a state if there is one, and computes the
    /// reference's log-probabilities. `start` is where training starts and also the frozen reference, which shares its
    /// tensors. If it has an adapter, only that is trained, and only that is in the state.
    ///
    /// # Errors
    /// Settings out of range, an example that cannot be trained on, no examples, the state of another run, or reference
    /// log-probabilities of something else; nothing was written then.
    pub fn start(self, start: &Decoder, device: &Device) -> Result<Training<'a>, TrainError> {
        let Self { config, examples, evaluation, reference: known, directory, companions, mut progress, replicas } =
            self;
        config.validate()?;
        if !start.has_adapter() && start.is_quantised() {
            return Err(TrainError::Quantised);
        }
        let shape = start.config();
        if let Some(companions) = &companions {
            check_companions(companions, shape)?;
        }
        if let (Some(_), None) = (&config.early_stopping, &evaluation) {
            let value = "set, and there is nothing to evaluate on".to_owned();
            return Err(TrainError::Setting { name: "early_stopping", value, expected: "absent then" });
        }
        let mut loss = Loss { objective: config.objective, z0: None };
        let survey = Survey::of(examples.source(), &loss.objective, shape, "train")?;
        let of_evaluation = |examples: Examples<'a>| {
            let survey = Survey::of(examples.source(), &loss.objective, shape, "evaluate")?;
            Ok::<_, TrainError>(HeldOut { examples, survey, cache: None })
        };
        let mut held_out = evaluation.map(of_evaluation).transpose()?;
        check_metric(&config, held_out.as_ref(), &loss)?;

        let device = device.clone().inner();
        let reference = start.valid().to_device(&device);
        let model = model_key(&reference);
        let fingerprint = held_out.as_ref().map(|held_out| held_out.survey.fingerprint());
        let run = Identity::new(model.clone(), survey.fingerprint(), fingerprint, &config);
        let directory = directory.map(|path| Directory { path, companions });
        let limit = (config.max_grad_norm > 0.0).then_some(config.max_grad_norm);
        let learner = Learner::new(reference.clone(), &config.optimizer, &device, config.micro_batch);
        let mut learner =
            learner.with_seed(config.seed).with_keep(config.keep()).with_max_grad_norm(limit).with_replicas(&replicas);
        let resumed = match &directory {
            Some(directory) => state::restore(&directory.state(), &run, &mut learner)?,
            None => None,
        };

        // Only now: a refused state must leave the directory as it was.
        let scale = loss.objective.reference_scale();
        let key = |survey: &Survey| cache_key(&model, &survey.sequences, scale, config.precision);
        let mut compute = |source: &dyn Source, survey: &Survey, file: Option<PathBuf>| {
            let progress = progress.as_mut().map(|progress| &mut **progress as &mut dyn FnMut(usize, usize));
            let (micro_batch, precision) = (config.micro_batch, config.precision);
            let options = ReferenceOptions { micro_batch, scale, precision, file, progress };
            ReferenceCache::with_key(&reference, source, key(survey), options).map(Some)
        };
        let cache = match known {
            _ if !loss.objective.needs_reference() => None,
            Some(known) if known.is_of(&key(&survey)) => Some(known),
            Some(_) => return Err(TrainError::OtherReference),
            None => compute(examples.source(), &survey, directory.as_ref().map(Directory::reference))?,
        };
        if let Some(held_out) = held_out.as_mut().filter(|_| loss.objective.needs_reference()) {
            let file = directory.as_ref().map(Directory::evaluation_reference);
            held_out.cache = compute(held_out.examples.source(), &held_out.survey, file)?;
        }
        let refused = |source| TrainError::Objective { step: 0, source, sequences: "all".to_owned() };
        loss.objective = scaled(&loss.objective, &survey, cache.as_ref()).map_err(refused)?;
        let step_zero = step_zero(&loss, &survey, cache.as_ref());
        let progress = resumed.unwrap_or_else(|| Progress::start(run));
        loss.z0 = progress.z0;
        let saved = progress.step;
        let (lengths, order) = (survey.lengths, None);
        // With its log-probabilities at hand the reference itself need not stay in memory.
        let reference = loss.needs_mismatched().then_some(reference);
        Ok(Training {
            config,
            examples,
            lengths,
            reference,
            cache,
            held_out,
            learner,
            loss,
            progress,
            directory,
            step_zero,
            order,
            saved,
        })
    }
}

/// Refuses to watch a metric that evaluations do not have.
fn check_metric(config: &TrainConfig, held_out: Option<&HeldOut<'_>>, loss: &Loss) -> Result<(), TrainError> {
    let (Some(early), Some(held_out)) = (&config.early_stopping, held_out) else { return Ok(()) };
    let known = held_out.metrics(loss);
    if known.contains(early.metric()) {
        return Ok(());
    }
    let known = known.into_iter().collect::<Vec<_>>().join(", ");
    Err(TrainError::Metric { name: early.metric.clone(), known })
}
