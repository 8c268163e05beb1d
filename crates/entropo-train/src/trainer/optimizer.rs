//! AdamW over a whole decoder, its moments kept under the parameters' names so that they can be saved and resumed.
//!
//! Clipping is over the global norm of all gradients.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::error::TrainError;
use crate::checkpoint::DeviceTensors;
use crate::decoder::Decoder;
use crate::decoder::place::Place;
use crate::ops::{adamw, squares};

/// AdamW's settings (Loshchilov and Hutter 2019), with decoupled weight decay.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// Decay rates of the two moments, in `[0, 1)`. Default 0.9 and 0.999.
    pub betas: (f32, f32),
    /// Added to the denominator. Default 1e-8.
    pub epsilon: f32,
    /// Shrinks parameters by `learning rate * weight_decay` each step. Default 0.
    pub weight_decay: f32,
    /// Whether norms and biases are shrunk too. Default false.
    pub decay_vectors: bool,
    /// Gradients are scaled down to this global norm; `None` leaves them. Default 1.
    pub max_grad_norm: Option<f64>,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self { betas: (0.9, 0.999), epsilon: 1e-8, weight_decay: 0.0, decay_vectors: false, max_grad_norm: Some(1.0) }
    }
}

/// The moments of every parameter.
pub(crate) struct Optimizer {
    config: OptimizerConfig,
    /// Steps made.
    time: usize,
    moments: BTreeMap<String, [Tensor<1>; 2]>,
}

impl Optimizer {
    pub(crate) fn new(config: &OptimizerConfig) -> Self {
        Self { config: *config, time: 0, moments: BTreeMap::new() }
    }

    /// Updates the decoder, given the gradient's norm before clipping.
    pub(crate) fn step(
        &mut self,
        decoder: Decoder,
        gradients: GradientsParams,
        norm: f64,
        learning_rate: f64,
    ) -> Decoder {
        let scale = self.config.max_grad_norm.map_or(1.0, |limit| (limit / (norm + 1e-6)).min(1.0));
        self.time += 1;
        decoder.map(&mut Update { optimizer: self, gradients, learning_rate, scale, place: Place::default() })
    }

    /// The moments as named tensors: `<parameter>.exp_avg` and `<parameter>.exp_avg_sq`.
    pub(crate) fn state(&self) -> DeviceTensors {
        let mut tensors = DeviceTensors::default();
        for (name, [first, second]) in &self.moments {
            tensors.insert(format!("{name}.exp_avg"), first.clone());
            tensors.insert(format!("{name}.exp_avg_sq"), second.clone());
        }
        tensors
    }

    /// Takes moments back, after `steps` steps.
    pub(crate) fn restore(&mut self, state: &BTreeMap<String, Vec<f32>>, steps: usize, device: &Device) {
        let tensor = |values: &[f32]| Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), device);
        self.time = steps;
        self.moments = state
            .iter()
            .filter_map(|(key, first)| {
                let name = key.strip_suffix(".exp_avg")?;
                let second = state.get(&format!("{name}.exp_avg_sq"))?;
                Some((name.to_owned(), [tensor(first), tensor(second)]))
            })
            .collect();
    }
}

struct Update<'a> {
    optimizer: &'a mut Optimizer,
    gradients: GradientsParams,
    learning_rate: f64,
    scale: f64,
    place: Place,
}

impl ModuleMapper for Update<'_> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.place.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.place.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(gradient) = self.gradients.remove::<D>(param.id) else { return param };
        let name = self.place.name();
        let shape = param.shape();
        let size = shape.num_elements();
        let config = self.optimizer.config;
        let step = adamw::Step {
            learning_rate: self.learning_rate,
            betas: config.betas,
            epsilon: config.epsilon,
            weight_decay: if D > 1 || config.decay_vectors { config.weight_decay } else { 0.0 },
            scale: self.scale,
            time: self.optimizer.time,
        };
        let moments = self.optimizer.moments.remove(&name);
        param.map(|value| {
            let zeros = || Tensor::zeros([size], (&value.device(), DType::F32));
            let [first, second] = moments.unwrap_or_else(|| [zeros(), zeros()]);
            let gradient = gradient.reshape([size]);
            let [value, first, second] = adamw::step([value.reshape([size]), first, second], &gradient, step);
            self.optimizer.moments.insert(name, [first, second]);
            value.reshape(shape)
        })
    }
}

/// Euclidean norm over all gradients, an error if it is not finite.
pub(crate) fn finite_norm(decoder: &Decoder, gradients: &GradientsParams) -> Result<f64, TrainError> {
    struct Norm<'a>(&'a GradientsParams, f64);
    impl ModuleVisitor for Norm<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.0.get::<D>(param.id) {
                self.1 += squares::sum(&gradient);
            }
        }
    }
    let mut norm = Norm(gradients, 0.0);
    decoder.visit(&mut norm);
    let norm = norm.1.sqrt();
    if norm.is_finite() { Ok(norm) } else { Err(TrainError::NotFinite { what: "gradient norm", value: norm }) }
}
