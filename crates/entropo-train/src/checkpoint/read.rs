//! Weights into a decoder.

use std::path::Path;
use std::sync::Arc;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, FloatDType, Tensor};

use super::CONFIG;
use super::error::{CheckpointError, Problem, Problems};
use super::fit::is_left;
use super::tensors::{convert, precision};
use super::weights::{TensorSource, Weights};
use crate::adapter::QuantisationConfig;
use crate::decoder::place::Place;
use crate::decoder::weight::{Packed, Weight, is_of_packed};
use crate::decoder::{Decoder, DecoderConfig};

/// How a checkpoint is loaded.
#[derive(Clone, Default)]
pub struct LoadOptions {
    /// The type of the weights on the device; `None`: f32.
    pub dtype: Option<FloatDType>,
    /// Keeps the weights of the blocks' linear layers in a few bits, as [`Decoder::quantised`] does, each as soon as it is
    /// read: they are never all there in floats. `None`: in floats.
    pub quantise: Option<QuantisationConfig>,
    /// Is told after each tensor how far loading is.
    pub progress: Option<Arc<dyn Fn(Progress) + Send + Sync>>,
}

/// How far loading is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Tensors that are on the device.
    pub tensors: usize,
    /// Tensors in all.
    pub all_tensors: usize,
    /// Bytes of the files that are read.
    pub bytes: u64,
    /// Bytes in all.
    pub all_bytes: u64,
}

/// Reads a checkpoint directory, its weights as f32.
pub fn load(directory: &Path, device: &Device) -> Result<Decoder, CheckpointError> {
    load_with(directory, device, &LoadOptions::default())
}

/// Reads a checkpoint directory: `config.json`, and `model.safetensors` or its shards.
///
/// Each tensor goes from its file to the device by itself, so that no more host memory is needed than for the largest
/// one. Names and shapes must be exactly those that the configuration asks for.
pub fn load_with(directory: &Path, device: &Device, options: &LoadOptions) -> Result<Decoder, CheckpointError> {
    let config = DecoderConfig::from_file(&directory.join(CONFIG))?;
    decoder_from(&config, Weights::open(directory)?, device, options)
}

/// A decoder with the weights of a safetensors file in memory, as f32; `origin` names the bytes in errors.
pub fn decoder_from_bytes(
    config: &DecoderConfig,
    bytes: &[u8],
    origin: &str,
    device: &Device,
) -> Result<Decoder, CheckpointError> {
    decoder_from(config, Weights::from_bytes(bytes, origin)?, device, &LoadOptions::default())
}

fn decoder_from(
    config: &DecoderConfig,
    weights: Weights<'_>,
    device: &Device,
    options: &LoadOptions,
) -> Result<Decoder, CheckpointError> {
    weights.check_claims(config)?;
    if let Some(quantise) = &options.quantise {
        quantise.validate().map_err(|error| CheckpointError::Setting(error.to_string()))?;
    }
    let (all_tensors, all_bytes) = weights.size(|name| !is_left(config, name));
    let mut loader = Loader {
        weights,
        device,
        options,
        place: Place::default(),
        done: Progress { tensors: 0, all_tensors, bytes: 0, all_bytes },
        problems: vec![],
    };
    let mut decoder = Decoder::blank(config, device);
    if let Some(quantise) = &options.quantise {
        loader.pack(&mut decoder, quantise);
    }
    let decoder = decoder.map(&mut loader);
    let Loader { weights, problems, .. } = loader;
    weights.check_read(config, if problems.is_empty() { Ok(decoder) } else { Err(Problems(problems)) })
}

/// Gives every parameter its values, and never looks at those that it had.
struct Loader<'a> {
    weights: Weights<'a>,
    device: &'a Device,
    options: &'a LoadOptions,
    place: Place,
    done: Progress,
    problems: Vec<Problem>,
}

impl Loader<'_> {
    fn tensor<const D: usize>(&mut self, name: &str, shape: &[usize]) -> Result<Tensor<D>, Problem> {
        let data = self.weights.take(name, shape)?;
        let bytes = data.as_bytes().len();
        let dtype = precision(name, self.options.dtype.unwrap_or(FloatDType::F32));
        let (data, device) = (convert(name, data, dtype)?, self.device);
        let tensor = device.memory_persistent_allocations(data, |data| Tensor::from_data(data, (device, dtype)));
        self.report(bytes);
        Ok(tensor)
    }

    /// Packs the weights of the blocks' linear layers as they are read.
    fn pack(&mut self, decoder: &mut Decoder, config: &QuantisationConfig) {
        for (name, linear) in decoder.block_linears_mut() {
            match self.weights.take(&format!("{name}.weight"), &linear.shape()) {
                Ok(data) => {
                    let bytes = data.as_bytes().len();
                    let pack = |data| Packed::new(data, config, self.device);
                    linear.weight = Weight::Packed(self.device.memory_persistent_allocations(data, pack));
                    self.report(bytes);
                }
                Err(problem) => self.problems.push(problem),
            }
        }
    }

    /// Says that another tensor is there, of so many bytes in its file.
    fn report(&mut self, bytes: usize) {
        self.done.tensors += 1;
        self.done.bytes += bytes as u64;
        if let Some(progress) = &self.options.progress {
            progress(self.done);
        }
    }
}

impl ModuleMapper for Loader<'_> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.place.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.place.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.place.name();
        if is_of_packed(&name) {
            return param;
        }
        match self.tensor(&name, &param.lazy_shape()) {
            Ok(tensor) => {
                let id = param.id;
                param.transform_for_load(tensor, id)
            }
            Err(problem) => {
                self.problems.push(problem);
                param
            }
        }
    }
}
