//! Weights from safetensors.

use std::collections::BTreeSet;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor, TensorData};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::error::{CheckpointError, Problem, Problems};
use crate::decoder::place::Place;
use crate::decoder::{Decoder, DecoderConfig};

/// A decoder with the weights of a safetensors file, widened to f32. Names and shapes must be exactly those that the
/// configuration asks for; `origin` names the bytes in errors.
pub fn decoder_from_bytes(
    config: &DecoderConfig,
    bytes: &[u8],
    origin: &str,
    device: &Device,
) -> Result<Decoder, CheckpointError> {
    let tensors = SafeTensors::deserialize(bytes)
        .map_err(|error| CheckpointError::Safetensors { origin: origin.to_owned(), reason: error.to_string() })?;
    check_shapes_before_allocating(config, &tensors, origin)?;
    let mut reader =
        Reader { tensors: &tensors, device, place: Place::default(), used: BTreeSet::new(), problems: vec![] };
    let decoder = Decoder::blank(config, device).map(&mut reader);
    let Reader { used, mut problems, .. } = reader;
    let tied = |name: &str| config.tie_word_embeddings && name == "lm_head.weight";
    problems.extend(
        tensors
            .names()
            .into_iter()
            .filter(|name| !used.contains(*name) && !tied(name))
            .map(|name| Problem::Unexpected(name.to_owned())),
    );
    if problems.is_empty() {
        Ok(decoder)
    } else {
        Err(CheckpointError::Mismatch { origin: origin.to_owned(), problems: Problems(problems) })
    }
}

/// A configuration that claims far more than the file holds must not make us allocate it.
fn check_shapes_before_allocating(
    config: &DecoderConfig,
    tensors: &SafeTensors<'_>,
    origin: &str,
) -> Result<(), CheckpointError> {
    let embedding = ("model.embed_tokens.weight".to_owned(), vec![config.vocab_size, config.hidden_size]);
    let last = config.layers.len().saturating_sub(1);
    let norm = (format!("model.layers.{last}.input_layernorm.weight"), vec![config.hidden_size]);
    let problems: Vec<Problem> = [embedding, norm]
        .into_iter()
        .filter_map(|(name, expected)| match tensors.tensor(&name) {
            Err(_) => Some(Problem::Missing(name)),
            Ok(view) if view.shape() != expected => {
                Some(Problem::Shape { name, found: view.shape().to_vec(), expected })
            }
            Ok(_) => None,
        })
        .collect();
    if problems.is_empty() {
        Ok(())
    } else {
        Err(CheckpointError::Mismatch { origin: origin.to_owned(), problems: Problems(problems) })
    }
}

struct Reader<'a> {
    tensors: &'a SafeTensors<'a>,
    device: &'a Device,
    place: Place,
    used: BTreeSet<String>,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    /// The values of the current parameter in burn's layout.
    fn values(&mut self, shape: &[usize]) -> Result<Vec<f32>, Problem> {
        let name = self.place.name();
        let view = self.tensors.tensor(&name).map_err(|_| Problem::Missing(name.clone()))?;
        self.used.insert(name.clone());
        if view.shape() != shape {
            return Err(Problem::Shape { name, found: view.shape().to_vec(), expected: shape.to_vec() });
        }
        let values =
            widen(&view).ok_or_else(|| Problem::Type { name: name.clone(), found: view.dtype().to_string() })?;
        if values.iter().any(|value| !value.is_finite()) {
            return Err(Problem::NotFinite(name));
        }
        Ok(values)
    }
}

impl ModuleMapper for Reader<'_> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.place.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.place.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let shape = param.lazy_shape().to_vec();
        match self.values(&shape) {
            Ok(values) => Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), self.device)),
            Err(problem) => {
                self.problems.push(problem);
                param
            }
        }
    }
}

/// The values as f32, or nothing for a type that holds no weights.
fn widen(view: &TensorView<'_>) -> Option<Vec<f32>> {
    let bytes = view.data();
    Some(match view.dtype() {
        Dtype::F32 => bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        Dtype::BF16 => {
            bytes.as_chunks::<2>().0.iter().map(|&[low, high]| f32::from_le_bytes([0, 0, low, high])).collect()
        }
        Dtype::F16 => {
            bytes.as_chunks::<2>().0.iter().map(|bytes| burn::tensor::f16::from_le_bytes(*bytes).to_f32()).collect()
        }
        _ => return None,
    })
}
