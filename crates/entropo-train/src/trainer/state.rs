//! A run on disk.
//!
//! One file holds everything that a step changes: weights, moments, the step counter and what the objective remembers.
//! It is replaced as a whole, so a killed run finds the state after some whole step, and goes on from it bit for bit.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{Device, FloatDType};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};

use super::error::TrainError;
use super::optimizer::OptimizerConfig;
use crate::checkpoint::{CheckpointError, decoder_from_bytes, decoder_to_bytes, tensors_to_bytes, write_file};
use crate::decoder::DecoderConfig;
use crate::trainer::learner::Learner;

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
    let weights = decoder_to_bytes(learner.decoder())?;
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

/// Reads the state of the run `run`, if there is one.
pub(super) fn load(
    path: &Path,
    run: &str,
    config: &DecoderConfig,
    optimizer: &OptimizerConfig,
    device: &Device,
    micro_batch: usize,
) -> Result<Option<(Learner, Progress)>, TrainError> {
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
    let origin = path.display().to_string();
    let decoder = decoder_from_bytes(config, part("model")?.data(), &origin, device)?;
    let mut learner = Learner::new(decoder, optimizer, device, micro_batch);
    let optimizer_bytes = part("optimizer")?;
    let moments = SafeTensors::deserialize(optimizer_bytes.data()).map_err(|error| other(error.to_string()))?;
    let moments: BTreeMap<String, Vec<f32>> = moments
        .iter()
        .map(|(name, view)| {
            let values = view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            (name.to_owned(), values)
        })
        .collect();
    learner.optimizer.restore(&moments, progress.step, device);
    Ok(Some((learner, progress)))
}
