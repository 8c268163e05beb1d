//! A run on disk.
//!
//! One file holds everything that a step changes and nothing else: the weights that learn (all of them, or an adapter's),
//! their moments, the step counter and what the objective remembers. It is replaced as a whole, so a killed run finds the
//! state after some whole step, and goes on from it bit for bit.

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{FloatDType, Tensor};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};

use super::error::TrainError;
use super::learner::Learner;
use crate::checkpoint::{
    CheckpointError, DeviceTensors, Problem, Problems, TensorSource, Weights, tensors_to_bytes, write_file,
};
use crate::decoder::Decoder;
use crate::decoder::gradients::learns;
use crate::decoder::place::Place;

/// What is not a tensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Progress {
    /// Steps taken.
    pub(super) step: usize,
    /// The objective's reference point.
    pub(super) z0: Option<f64>,
    /// What the run is: another run's state is refused.
    pub(super) run: String,
}

/// Writes the state.
pub(super) fn save(path: &Path, learner: &Learner, progress: &Progress) -> Result<(), TrainError> {
    let weights = tensors_to_bytes(&learning(learner.decoder()), None)?;
    let moments = tensors_to_bytes(&learner.optimizer.state(), Some(FloatDType::F32))?;
    let progress = serde_json::to_vec(progress).unwrap_or_default();
    let parts = [("model", &weights), ("optimizer", &moments), ("progress", &progress)];
    let invalid = |error: safetensors::SafeTensorError| CheckpointError::Safetensors {
        origin: path.display().to_string(),
        damage: error.into(),
    };
    let views = parts
        .iter()
        .map(|(name, bytes)| Ok((*name, TensorView::new(Dtype::U8, vec![bytes.len()], bytes)?)))
        .collect::<Result<Vec<_>, _>>()
        .map_err(invalid)?;
    Ok(write_file(path, &safetensors::serialize(views, None).map_err(invalid)?)?)
}

/// Brings a learner at the start of the run `run` to its saved state, if there is one.
pub(super) fn restore(path: &Path, run: &str, learner: &mut Learner) -> Result<Option<Progress>, TrainError> {
    if !path.exists() {
        return Ok(None);
    }
    let other = |reason: String| TrainError::OtherRun { path: path.to_owned(), reason };
    let bytes = std::fs::read(path).map_err(|source| CheckpointError::File { path: path.to_owned(), source })?;
    let parts = SafeTensors::deserialize(&bytes).map_err(|error| other(format!("not a training state: {error}")))?;
    let part = |name: &str| parts.tensor(name).map_err(|error| other(format!("{name}: {error}")));
    let progress: Progress =
        serde_json::from_slice(part("progress")?.data()).map_err(|error| other(error.to_string()))?;
    if progress.run != run {
        return Err(other("made with other settings, data or starting weights".to_owned()));
    }
    let model = part("model")?;
    let weights = Weights::from_bytes(model.data(), &path.display().to_string())?;
    let adapted = learner.decoder().has_adapter();
    let mut restore = Restore { weights, place: Place::default(), problems: vec![], adapted };
    let decoder = learner.decoder().clone().map(&mut restore);
    let Restore { weights, mut problems, .. } = restore;
    problems.extend(weights.unexpected(|_| false));
    if !problems.is_empty() {
        return Err(other(format!("the weights do not fit:\n{}", Problems(problems))));
    }
    let optimizer = part("optimizer")?;
    let moments = SafeTensors::deserialize(optimizer.data()).map_err(|error| other(error.to_string()))?;
    let moments: BTreeMap<String, Vec<f32>> = moments
        .iter()
        .map(|(name, view)| {
            let values = view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            (name.to_owned(), values)
        })
        .collect();
    learner.resume(decoder, &moments, progress.step);
    Ok(Some(progress))
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
                self.1.insert(name, param.val());
            }
        }
    }
    let mut collect = Collect(Place::default(), DeviceTensors::default(), decoder.has_adapter());
    decoder.visit(&mut collect);
    collect.1
}

/// Gives the weights that learn their saved values.
struct Restore<'a> {
    weights: Weights<'a>,
    place: Place,
    problems: Vec<Problem>,
    adapted: bool,
}

impl ModuleMapper for Restore<'_> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.place.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.place.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !learns(&self.place.name(), self.adapted) {
            return param;
        }
        match self.weights.take(&self.place.name(), &param.shape()) {
            Ok(data) => param.map(|value| {
                let (device, dtype) = (value.device(), value.dtype());
                Tensor::from_data(data, (&device, dtype))
            }),
            Err(problem) => {
                self.problems.push(problem);
                param
            }
        }
    }
}
