//! Muon (Jordan 2024): a matrix moves along its momentum made orthogonal, so that every direction moves alike.
//!
//! It is for the matrices between the embedding and the head; everything else is AdamW's. Steps are scaled so that their
//! root mean square is AdamW's (Liu et al. 2025, arXiv 2502.16982), and one learning rate serves both.

use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::{MomentumConfig, MomentumState};
use burn::optim::{AdjustLrFn, MuonState, Optimizer as _, RecordState as _, StateSink};
use burn::tensor::{DType, Tensor};
use serde::{Deserialize, Serialize};

use super::super::error::{TrainError, setting};
use super::adamw::AdamWConfig;
use super::kept::{Slot, Slots};

/// Muon's settings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MuonConfig {
    /// Share of the momentum that is kept, in `[0, 1)`. Default 0.95.
    pub momentum: f64,
    /// Whether the momentum looks one step ahead. Default true.
    pub nesterov: bool,
    /// Iterations that make it orthogonal; at least 1. Default 5.
    pub iterations: usize,
    /// Shrinks matrices by `learning rate * weight_decay` each step; at least 0. Default 0.
    pub weight_decay: f32,
    /// For embeddings, head, norms and biases.
    pub adamw: AdamWConfig,
}

impl Default for MuonConfig {
    fn default() -> Self {
        Self { momentum: 0.95, nesterov: true, iterations: 5, weight_decay: 0.0, adamw: AdamWConfig::default() }
    }
}

impl MuonConfig {
    /// Refuses values out of range.
    pub(super) fn validate(&self) -> Result<(), TrainError> {
        setting("momentum", self.momentum, (0.0..1.0).contains(&self.momentum), "at least 0 and below 1")?;
        setting("iterations", self.iterations as f64, self.iterations >= 1, "at least 1")?;
        setting("weight_decay", self.weight_decay.into(), self.weight_decay >= 0.0, "at least 0")?;
        self.adamw.validate()
    }

    /// Whether a parameter is one of its own: a matrix of a block.
    pub(super) fn takes(name: &str, rank: usize) -> bool {
        rank == 2 && name.starts_with("model.layers.")
    }
}

/// What is kept of a matrix: its momentum, `[row, column]`.
pub(crate) struct Momentum(MuonState<2>);

impl Momentum {
    pub(super) const SLOTS: [&'static str; 1] = ["momentum"];

    /// burn hands the momentum out on the host only, so it is asked for it when the slot is written.
    pub(super) fn slots(&self, shape: [usize; 2]) -> Vec<Slot> {
        let (state, [name]) = (self.0.clone(), Self::SLOTS);
        vec![Slot::read(name, shape.to_vec(), move || {
            let mut sink = StateSink::default();
            state.state_flatten("", &mut sink);
            sink.tensors.into_iter().next().map(|(_, data)| data).ok_or_else(|| "it has no momentum".to_owned())
        })]
    }

    pub(super) fn read(slots: &mut Slots<'_>, shape: [usize; 2]) -> Option<Self> {
        let [name] = Self::SLOTS;
        Some(Self(MuonState::new(MomentumState::new(slots.tensor(name, shape)?))))
    }
}

/// One update of a matrix of any precision by its gradient, both `[row, column]`.
pub(super) fn update(
    config: &MuonConfig,
    learning_rate: f64,
    [parameter, gradient]: [Tensor<2>; 2],
    momentum: Option<Momentum>,
) -> (Tensor<2>, Momentum) {
    let MuonConfig { momentum: kept, nesterov, iterations, weight_decay, .. } = *config;
    let muon = burn::optim::MuonConfig::new()
        .with_momentum(MomentumConfig { momentum: kept, dampening: 0.0, nesterov })
        .with_ns_steps(iterations)
        .with_adjust_lr_fn(AdjustLrFn::MatchRmsAdamW)
        .with_weight_decay((weight_decay > 0.0).then(|| WeightDecayConfig::new(weight_decay)))
        .build();
    let dtype = parameter.dtype();
    let before = momentum.map(|Momentum(state)| state);
    let started = before.clone().unwrap_or_else(|| MuonState::new(MomentumState::new(gradient.zeros_like())));
    let (parameter, state) = muon.step(learning_rate, parameter.cast(DType::F32), gradient, before);
    (parameter.cast(dtype), Momentum(state.unwrap_or(started)))
}
