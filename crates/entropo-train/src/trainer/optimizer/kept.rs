//! What optimisers keep of parameters between updates, as named tensors.

use std::collections::BTreeMap;

use burn::tensor::{Device, Shape, Tensor, TensorData};

use super::OptimizerConfig;
use super::adafactor::Means;
use super::adamw::Moments;
use super::muon::{Momentum, MuonConfig};
use crate::checkpoint::{DeviceTensors, Problem, TensorSource, Weights};

/// What is kept of every parameter that has been updated, by its name.
pub(crate) type States = BTreeMap<String, Kept>;

/// What is kept of one parameter.
pub(crate) enum Kept {
    AdamW(Moments),
    Muon(Momentum, [usize; 2]),
    Adafactor(Means),
}

/// One tensor of what is kept of a parameter.
pub(super) struct Slot {
    name: &'static str,
    shape: Vec<usize>,
    read: Box<dyn Fn() -> Result<TensorData, String>>,
}

impl Slot {
    /// A tensor on a device, f32.
    pub(super) fn tensor<const D: usize>(name: &'static str, tensor: Tensor<D>) -> Self {
        let shape = tensor.shape().to_vec();
        Self::read(name, shape, move || tensor.clone().try_into_data().map_err(|error| error.to_string()))
    }

    /// A number of updates. An f32 counts to 16 million.
    pub(super) fn count(name: &'static str, count: usize) -> Self {
        Self::read(name, vec![1], move || Ok(TensorData::new(vec![count as f32], [1])))
    }

    /// Whatever gives f32 values when asked.
    pub(super) fn read(
        name: &'static str,
        shape: Vec<usize>,
        read: impl Fn() -> Result<TensorData, String> + 'static,
    ) -> Self {
        Self { name, shape, read: Box::new(read) }
    }
}

/// Where what was kept of one parameter is read from.
pub(super) struct Slots<'a> {
    source: &'a mut Weights<'static>,
    /// Before a slot's name in the file.
    prefix: String,
    device: &'a Device,
    problems: &'a mut Vec<Problem>,
}

impl Slots<'_> {
    /// `None` if there is a problem, which is noted.
    pub(super) fn tensor<const D: usize>(&mut self, slot: &str, shape: [usize; D]) -> Option<Tensor<D>> {
        let data = self.source.take(&format!("{}{slot}", self.prefix), &shape);
        data.map(|data| Tensor::from_data(data, self.device)).map_err(|problem| self.problems.push(problem)).ok()
    }

    pub(super) fn count(&mut self, slot: &str) -> Option<usize> {
        let data = self.source.take(&format!("{}{slot}", self.prefix), &[1]);
        let data = data.map_err(|problem| self.problems.push(problem)).ok()?;
        data.iter::<f32>().next().map(|count| count as usize)
    }
}

impl Kept {
    fn slots(&self) -> Vec<Slot> {
        match self {
            Self::AdamW(moments) => moments.slots(),
            Self::Muon(momentum, shape) => momentum.slots(*shape),
            Self::Adafactor(means) => means.slots(),
        }
    }

    /// Adds it to what is to be saved, as `<prefix><parameter>.<slot>`.
    pub(crate) fn save(&self, prefix: &str, parameter: &str, tensors: &mut DeviceTensors) {
        for Slot { name, shape, read } in self.slots() {
            tensors.insert_read(format!("{prefix}{parameter}.{name}"), shape, read);
        }
    }

    /// Reads what was kept of a parameter of a shape, if it was ever updated. Problems are noted.
    pub(crate) fn read(
        config: &OptimizerConfig,
        (prefix, parameter, shape): (&str, &str, &Shape),
        source: &mut Weights<'static>,
        device: &Device,
        problems: &mut Vec<Problem>,
    ) -> Option<Self> {
        let prefix = format!("{prefix}{parameter}.");
        let names: &[&str] = match config {
            OptimizerConfig::Muon(_) if MuonConfig::takes(parameter, shape.rank()) => &Momentum::SLOTS,
            OptimizerConfig::AdamW(_) | OptimizerConfig::Muon(_) => &Moments::SLOTS,
            OptimizerConfig::Adafactor(_) if shape.rank() < 2 => &Means::OF_VECTORS,
            OptimizerConfig::Adafactor(_) => &Means::OF_MATRICES,
        };
        if !names.iter().any(|name| source.has(&format!("{prefix}{name}"))) {
            return None;
        }
        let slots = &mut Slots { source, prefix, device, problems };
        match (config, shape.to_vec().as_slice()) {
            (OptimizerConfig::Muon(_), &[rows, columns]) if MuonConfig::takes(parameter, 2) => {
                Momentum::read(slots, [rows, columns]).map(|momentum| Self::Muon(momentum, [rows, columns]))
            }
            (OptimizerConfig::AdamW(_) | OptimizerConfig::Muon(_), _) => {
                Moments::read(slots, shape.num_elements()).map(Self::AdamW)
            }
            (OptimizerConfig::Adafactor(_), _) => Means::read(slots, shape).map(Self::Adafactor),
        }
    }
}
