//! Adafactor (Shazeer and Stern 2018, arXiv 1804.04235): of a matrix's squared gradients only the means of rows and columns
//! are kept, so that the optimiser's memory is next to nothing.

use burn::optim::{AdafactorState, Optimizer as _};
use burn::tensor::{Shape, Tensor};
use serde::{Deserialize, Serialize};

use super::super::error::{TrainError, setting};
use super::kept::{Slot, Slots};

/// Adafactor's settings. The learning rate is the schedule's, not one of Adafactor's own.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdafactorConfig {
    /// Added to squared gradients; above 0. Default 1e-30.
    pub epsilon: f32,
    /// An update whose root mean square is above this is scaled down to it; above 0. Default 1.
    pub clip_threshold: f32,
    /// The share of old means that is kept grows as `1 - step^-decay`; above 0. Default 0.8.
    pub decay: f64,
    /// Whether steps are proportional to the root mean square of what they change, of which at least 1e-3 counts.
    /// Default false.
    pub scale_parameter: bool,
    /// Shrinks parameters by `learning rate * weight_decay` each step; at least 0. Default 0.
    pub weight_decay: f32,
}

impl Default for AdafactorConfig {
    fn default() -> Self {
        Self { epsilon: 1e-30, clip_threshold: 1.0, decay: 0.8, scale_parameter: false, weight_decay: 0.0 }
    }
}

impl AdafactorConfig {
    /// Refuses values out of range.
    pub(super) fn validate(&self) -> Result<(), TrainError> {
        setting("epsilon", self.epsilon.into(), self.epsilon > 0.0, "above 0")?;
        setting("clip_threshold", self.clip_threshold.into(), self.clip_threshold > 0.0, "above 0")?;
        setting("decay", self.decay, self.decay > 0.0, "above 0")?;
        setting("weight_decay", self.weight_decay.into(), self.weight_decay >= 0.0, "at least 0")
    }
}

/// What is kept of a parameter.
pub(crate) enum Means {
    /// Of each number: `[size]`.
    Vector(AdafactorState<1>),
    /// Of rows, `[row, 1]`, and columns, `[1, column]`.
    Matrix(AdafactorState<2>),
}

impl Means {
    pub(super) const OF_VECTORS: [&'static str; 2] = ["exp_avg_sq", "step"];
    pub(super) const OF_MATRICES: [&'static str; 3] = ["exp_avg_sq_row", "exp_avg_sq_col", "step"];

    pub(super) fn slots(&self) -> Vec<Slot> {
        let ([all, _], [rows, columns, time_name]) = (Self::OF_VECTORS, Self::OF_MATRICES);
        let (mut slots, time) = match self {
            Self::Vector(state) => (vec![Slot::tensor(all, state.second_moment.clone())], state.time),
            Self::Matrix(state) => {
                let columns = state.column_second_moment.clone().map(|moment| Slot::tensor(columns, moment));
                let rows = Slot::tensor(rows, state.second_moment.clone());
                (std::iter::once(rows).chain(columns).collect(), state.time)
            }
        };
        slots.push(Slot::count(time_name, time));
        slots
    }

    pub(super) fn read(slots: &mut Slots<'_>, shape: &Shape) -> Option<Self> {
        let ([all, _], [rows_name, columns_name, time]) = (Self::OF_VECTORS, Self::OF_MATRICES);
        let Some([rows, columns]) = rows_and_columns(shape) else {
            let size = shape.num_elements();
            let second_moment = slots.tensor(all, [size])?;
            return Some(Self::Vector(AdafactorState {
                time: slots.count(time)?,
                second_moment,
                column_second_moment: None,
            }));
        };
        let (row, column) = (slots.tensor(rows_name, [rows, 1])?, slots.tensor(columns_name, [1, columns])?);
        Some(Self::Matrix(AdafactorState {
            time: slots.count(time)?,
            second_moment: row,
            column_second_moment: Some(column),
        }))
    }
}

/// Within what burn takes, which stops the process otherwise; a run has refused such values before.
fn bounded(value: f32) -> f32 {
    if value.is_nan() { f32::MIN_POSITIVE } else { value.clamp(f32::MIN_POSITIVE, f32::MAX) }
}

/// How a parameter of two or more dimensions is taken for a matrix.
fn rows_and_columns(shape: &Shape) -> Option<[usize; 2]> {
    let columns = shape.iter().next_back().copied()?;
    (shape.rank() >= 2).then(|| [shape.num_elements() / columns.max(1), columns])
}

/// One update of a parameter by its gradient.
pub(super) fn update<const D: usize>(
    config: &AdafactorConfig,
    learning_rate: f64,
    [parameter, gradient]: [Tensor<D>; 2],
    means: Option<Means>,
) -> (Tensor<D>, Option<Means>) {
    let rule = burn::optim::AdafactorConfig::new()
        .with_epsilon_1(bounded(config.epsilon))
        .with_clip_threshold(bounded(config.clip_threshold))
        .with_decay_rate(-f64::from(bounded(config.decay as f32)))
        .with_weight_decay(config.weight_decay.clamp(0.0, f32::MAX))
        .with_relative_step(false)
        .with_scale_parameter(config.scale_parameter)
        .build();
    let shape = parameter.shape();
    match rows_and_columns(&shape) {
        Some(flat) => {
            let before = match means {
                Some(Means::Matrix(state)) => Some(state),
                _ => None,
            };
            let (parameter, state) = rule.step(learning_rate, parameter.reshape(flat), gradient.reshape(flat), before);
            (parameter.reshape(shape), state.map(Means::Matrix))
        }
        None => {
            let before = match means {
                Some(Means::Vector(state)) => Some(state),
                _ => None,
            };
            let size = [shape.num_elements()];
            let (parameter, state) = rule.step(learning_rate, parameter.reshape(size), gradient.reshape(size), before);
            (parameter.reshape(shape), state.map(Means::Vector))
        }
    }
}
