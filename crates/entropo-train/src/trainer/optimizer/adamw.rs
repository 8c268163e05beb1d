//! AdamW (Loshchilov and Hutter 2019): two moments of every number's gradient, and weight decay beside them.

use burn::tensor::{DType, Tensor};
use serde::{Deserialize, Serialize};

use super::super::error::{TrainError, setting};
use super::kept::{Slot, Slots};
use crate::ops::adamw::{Step, step};

/// AdamW's settings, with decoupled weight decay.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdamWConfig {
    /// Decay rates of the two moments, in `[0, 1)`. Default 0.9 and 0.999.
    pub betas: (f32, f32),
    /// Added to the denominator; above 0. Default 1e-8.
    pub epsilon: f32,
    /// Shrinks parameters by `learning rate * weight_decay` each step; at least 0. Default 0.
    pub weight_decay: f32,
    /// Whether norms and biases are shrunk too. Default false.
    pub decay_vectors: bool,
}

impl Default for AdamWConfig {
    fn default() -> Self {
        Self { betas: (0.9, 0.999), epsilon: 1e-8, weight_decay: 0.0, decay_vectors: false }
    }
}

impl AdamWConfig {
    /// Refuses values out of range.
    pub(super) fn validate(&self) -> Result<(), TrainError> {
        for beta in [self.betas.0, self.betas.1] {
            setting("betas", beta.into(), (0.0..1.0).contains(&beta), "at least 0 and below 1")?;
        }
        setting("epsilon", self.epsilon.into(), self.epsilon > 0.0, "above 0")?;
        setting("weight_decay", self.weight_decay.into(), self.weight_decay >= 0.0, "at least 0")
    }
}

/// What is kept of a parameter: its moments, `[size]` each.
pub(crate) struct Moments {
    /// Steps made.
    time: usize,
    first: Tensor<1>,
    second: Tensor<1>,
}

impl Moments {
    pub(super) const SLOTS: [&'static str; 3] = ["exp_avg", "exp_avg_sq", "step"];

    pub(super) fn slots(&self) -> Vec<Slot> {
        let Self { time, first, second } = self;
        let [name_1, name_2, name_of_time] = Self::SLOTS;
        vec![
            Slot::tensor(name_1, first.clone()),
            Slot::tensor(name_2, second.clone()),
            Slot::count(name_of_time, *time),
        ]
    }

    pub(super) fn read(slots: &mut Slots<'_>, size: usize) -> Option<Self> {
        let [first, second, time] = Self::SLOTS;
        Some(Self {
            first: slots.tensor(first, [size])?,
            second: slots.tensor(second, [size])?,
            time: slots.count(time)?,
        })
    }
}

/// One update of a parameter, `[size]` of any precision, by its gradient, which is `scale`d first.
pub(super) fn update<const D: usize>(
    config: &AdamWConfig,
    learning_rate: f64,
    scale: f64,
    [parameter, gradient]: [Tensor<D>; 2],
    moments: Option<Moments>,
) -> (Tensor<D>, Moments) {
    let shape = parameter.shape();
    let size = shape.num_elements();
    let zeros = || Tensor::zeros([size], (&parameter.device(), DType::F32));
    let Moments { time, first, second } =
        moments.unwrap_or_else(|| Moments { time: 0, first: zeros(), second: zeros() });
    let time = time + 1;
    let settings = Step {
        learning_rate,
        betas: config.betas,
        epsilon: config.epsilon,
        weight_decay: if D > 1 || config.decay_vectors { config.weight_decay } else { 0.0 },
        scale,
        time,
    };
    let [parameter, first, second] =
        step([parameter.reshape([size]), first, second], &gradient.reshape([size]), settings);
    (parameter.reshape(shape), Moments { time, first, second })
}
