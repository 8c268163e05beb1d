//! AdamW over a whole decoder, its moments kept under the parameters' names so that they can be saved and resumed.
//!
//! The arithmetic of a step is burn's; clipping is over the global norm, which burn does not have.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::{AdamW, AdamWConfig, AdamWState, AdaptiveMomentumState, GradientsParams, Optimizer as _};
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::error::TrainError;
use crate::checkpoint::DeviceTensors;
use crate::decoder::Decoder;
use crate::decoder::place::Place;

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
    matrices: AdamW,
    vectors: AdamW,
    max_grad_norm: Option<f64>,
    moments: BTreeMap<String, AdamWState<1>>,
}

impl Optimizer {
    pub(crate) fn new(config: &OptimizerConfig) -> Self {
        let adamw = |decay: f32| {
            AdamWConfig::new()
                .with_beta_1(config.betas.0)
                .with_beta_2(config.betas.1)
                .with_epsilon(config.epsilon)
                .with_weight_decay(decay)
                .build()
        };
        Self {
            matrices: adamw(config.weight_decay),
            vectors: adamw(if config.decay_vectors { config.weight_decay } else { 0.0 }),
            max_grad_norm: config.max_grad_norm,
            moments: BTreeMap::new(),
        }
    }

    /// Updates the decoder; returns it with the gradient's global norm before clipping. A gradient that is not finite
    /// changes nothing and is an error.
    pub(crate) fn step(
        &mut self,
        decoder: Decoder,
        gradients: GradientsParams,
        learning_rate: f64,
    ) -> Result<(Decoder, f64), TrainError> {
        let norm = global_norm(&decoder, &gradients);
        if !norm.is_finite() {
            return Err(TrainError::NotFinite { what: "gradient norm", value: norm });
        }
        let scale = self.max_grad_norm.map_or(1.0, |limit| (limit / (norm + 1e-6)).min(1.0));
        let mut update = Update { optimizer: self, gradients, learning_rate, scale, place: Place::default() };
        Ok((decoder.map(&mut update), norm))
    }

    /// The moments as named tensors: `<parameter>.exp_avg` and `<parameter>.exp_avg_sq`.
    pub(crate) fn state(&self) -> DeviceTensors {
        let mut tensors = DeviceTensors::default();
        for (name, AdamWState { momentum }) in &self.moments {
            tensors.insert(format!("{name}.exp_avg"), momentum.moment_1.clone());
            tensors.insert(format!("{name}.exp_avg_sq"), momentum.moment_2.clone());
        }
        tensors
    }

    /// Takes moments back, after `steps` steps.
    pub(crate) fn restore(&mut self, state: &BTreeMap<String, Vec<f32>>, steps: usize, device: &Device) {
        let tensor = |values: &[f32]| Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), device);
        self.moments = state
            .iter()
            .filter_map(|(key, first)| {
                let name = key.strip_suffix(".exp_avg")?;
                let second = state.get(&format!("{name}.exp_avg_sq"))?;
                let momentum = AdaptiveMomentumState::new(steps, tensor(first), tensor(second));
                Some((name.to_owned(), AdamWState::new(momentum)))
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
        let gradient = if self.scale < 1.0 { gradient.mul_scalar(self.scale) } else { gradient };
        let name = self.place.name();
        let shape = param.shape();
        let size = shape.num_elements();
        let adamw = if D == 1 { &self.optimizer.vectors } else { &self.optimizer.matrices };
        let state = self.optimizer.moments.remove(&name);
        param.map(|value| {
            let (value, gradient) = (value.reshape([size]), gradient.reshape([size]));
            let (value, state) = adamw.step(self.learning_rate, value, gradient, state);
            self.optimizer.moments.extend(state.map(|state| (name, state)));
            value.reshape(shape)
        })
    }
}

/// Euclidean norm over all gradients.
fn global_norm(decoder: &Decoder, gradients: &GradientsParams) -> f64 {
    struct Norm<'a>(&'a GradientsParams, f64);
    impl ModuleVisitor for Norm<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.0.get::<D>(param.id) {
                self.1 += f64::from((gradient.clone() * gradient).sum().into_scalar::<f32>());
            }
        }
    }
    let mut norm = Norm(gradients, 0.0);
    decoder.visit(&mut norm);
    norm.1.sqrt()
}
