//! A run on disk.
//!
//! One file holds everything that a step changes and nothing else: the weights that learn (all of them, or an adapter's),
//! what the optimiser keeps of them, the step counter and what objective and evaluation remember. It is replaced as a
//! whole, so a killed run finds the state after some whole step, and goes on from it bit for bit. Neither writing nor
//! reading holds more than one tensor on the host at a time.

use std::path::Path;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use serde_json::Value;

use super::error::TrainError;
use super::learner::Learner;
use super::optimizer::{Kept, OptimizerConfig, States};
use super::progress::{FORMAT, Identity, Progress};
use crate::checkpoint::{DeviceTensors, Problem, Problems, TensorSource, Weights, write_tensors};
use crate::decoder::Decoder;
use crate::decoder::gradients::learns;
use crate::decoder::place::Place;

/// The key in the file's header under which what is not a tensor is.
const PROGRESS: &str = "entropo";
/// What precedes the names of weights.
const WEIGHTS: &str = "weights.";
/// What precedes the names of what the optimiser keeps.
const OPTIMIZER: &str = "optimizer.";

/// Replaces the state.
///
/// # Errors
/// Whatever the file system says, and a number that is not finite; the old state is as it was then.
pub(super) fn save(path: &Path, learner: &Learner, progress: &Progress) -> Result<(), TrainError> {
    let mut tensors = learning(learner.decoder());
    for (parameter, kept) in learner.optimizer.states() {
        kept.save(OPTIMIZER, parameter, &mut tensors);
    }
    let progress = serde_json::to_string(progress).unwrap_or_default();
    Ok(write_tensors(path, &tensors, [PROGRESS, &progress])?)
}

/// Brings a learner at the start of the run `run` to its saved state, if there is one.
pub(super) fn restore(path: &Path, run: &Identity, learner: &mut Learner) -> Result<Option<Progress>, TrainError> {
    if !path.exists() {
        return Ok(None);
    }
    let other = |reason: String| TrainError::OtherRun { path: path.to_owned(), reason };
    let mut weights = Weights::open_file(path).map_err(|error| other(format!("not a training state: {error}")))?;
    let progress = read_progress(weights.word(PROGRESS)).map_err(&other)?;
    let differences = progress.run.differences(run);
    if !differences.is_empty() {
        return Err(other(format!("the state is of another run: {}", differences.join("; "))));
    }
    let mut restore = Restore {
        device: learner.decoder().device(),
        optimizer: *learner.optimizer.config(),
        adapted: learner.decoder().has_adapter(),
        weights: &mut weights,
        states: States::new(),
        place: Place::default(),
        problems: vec![],
    };
    let decoder = learner.decoder().clone().map(&mut restore);
    let Restore { states, mut problems, .. } = restore;
    problems.extend(weights.unexpected(|_| false));
    if !problems.is_empty() {
        return Err(other(format!("the tensors do not fit:\n{}", Problems(problems))));
    }
    learner.resume(decoder, states, progress.step - progress.skipped.min(progress.step));
    Ok(Some(progress))
}

/// The format is asked first: a state of another one need not be readable at all.
fn read_progress(text: Option<&str>) -> Result<Progress, String> {
    let text = text.ok_or("not a training state of this version: its header does not say what it is of")?;
    let unreadable = |error: serde_json::Error| format!("not a training state: {error}");
    let value: Value = serde_json::from_str(text).map_err(unreadable)?;
    match value.get("format") {
        Some(format) if *format == FORMAT => serde_json::from_value(value).map_err(unreadable),
        format => {
            let found = format.unwrap_or(&Value::Null);
            Err(format!("the state's format is {found}, and this version reads {FORMAT} only"))
        }
    }
}

/// The weights that learn.
fn learning(decoder: &Decoder) -> DeviceTensors {
    struct Collect(Place, DeviceTensors, bool);
    impl ModuleVisitor for Collect {
        fn enter_module(&mut self, name: &str, container_type: &str) {
            self.0.enter(name, container_type);
        }
        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.0.exit();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let name = self.0.name();
            if learns(&name, self.2) {
                self.1.insert(format!("{WEIGHTS}{name}"), param.val());
            }
        }
    }
    let mut collect = Collect(Place::default(), DeviceTensors::default(), decoder.has_adapter());
    decoder.visit(&mut collect);
    collect.1
}

/// Gives the weights that learn their saved values, and collects what was kept of them.
struct Restore<'a> {
    weights: &'a mut Weights<'static>,
    device: Device,
    optimizer: OptimizerConfig,
    adapted: bool,
    states: States,
    place: Place,
    problems: Vec<Problem>,
}

impl ModuleMapper for Restore<'_> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.place.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.place.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (name, shape) = (self.place.name(), param.shape());
        if !learns(&name, self.adapted) {
            return param;
        }
        let of_parameter = (OPTIMIZER, name.as_str(), &shape);
        let kept = Kept::read(&self.optimizer, of_parameter, self.weights, &self.device, &mut self.problems);
        let data = self.weights.take(&format!("{WEIGHTS}{name}"), &shape);
        self.states.extend(kept.map(|kept| (name, kept)));
        match data {
            Ok(data) => param.map(|value| {
                let (device, dtype) = (value.device(), value.dtype());
                let learns = value.is_require_grad();
                Tensor::from_data(data, (&device, dtype)).set_require_grad(learns)
            }),
            Err(problem) => {
                self.problems.push(problem);
                param
            }
        }
    }
}
