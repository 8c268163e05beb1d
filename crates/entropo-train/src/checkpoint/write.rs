//! Weights to safetensors.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use super::error::CheckpointError;
use crate::decoder::Decoder;
use crate::decoder::place::Place;

/// The decoder's weights as a safetensors file: f32, Hugging Face names and layout.
pub fn decoder_to_bytes(decoder: &Decoder) -> Result<Vec<u8>, CheckpointError> {
    let mut writer = Writer::default();
    decoder.visit(&mut writer);
    tensors_to_bytes(&writer.tensors)
}

/// A tensor on the host.
pub(crate) struct HostTensor {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f32>,
}

/// A safetensors file of f32 tensors.
pub(crate) fn tensors_to_bytes(tensors: &[HostTensor]) -> Result<Vec<u8>, CheckpointError> {
    let invalid = |error: safetensors::SafeTensorError| CheckpointError::Safetensors {
        origin: "the weights to be saved".to_owned(),
        reason: error.to_string(),
    };
    let bytes: Vec<Vec<u8>> =
        tensors.iter().map(|tensor| tensor.values.iter().flat_map(|value| value.to_le_bytes()).collect()).collect();
    let views = tensors
        .iter()
        .zip(&bytes)
        .map(|(tensor, bytes)| Ok((&tensor.name, TensorView::new(Dtype::F32, tensor.shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>, _>>()
        .map_err(invalid)?;
    let metadata = [("format".to_owned(), "pt".to_owned())].into_iter().collect();
    safetensors::serialize(views, Some(metadata)).map_err(invalid)
}

#[derive(Default)]
struct Writer {
    place: Place,
    tensors: Vec<HostTensor>,
}

impl ModuleVisitor for Writer {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.place.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.place.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let shape = param.shape().to_vec();
        let values: Vec<f32> = param.val().into_data().iter::<f32>().collect();
        self.tensors.push(HostTensor { name: self.place.name(), shape, values });
    }
}
