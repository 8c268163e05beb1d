//! The gated feed-forward layer.

use burn::module::Module;
use burn::tensor::Tensor;

use super::config::{Activation, DecoderConfig};
use super::gradients::Gradients;
use super::init::Init;
use super::linear::Linear;
use crate::ops::gated;

/// A gated layer: `down(activation(gate(x)) * up(x))`.
#[derive(Module, Debug)]
pub struct Mlp {
    gate_proj: Linear,
    up_proj: Linear,
    down_proj: Linear,
    #[module(skip)]
    activation: Activation,
}

/// What the backward pass needs.
#[derive(Debug)]
pub(super) struct Saved {
    gate: Tensor<2>,
    up: Tensor<2>,
}

impl Mlp {
    pub(super) fn new(wide: usize, config: &DecoderConfig, init: &mut Init<'_>) -> Self {
        let hidden = config.hidden_size;
        Self {
            gate_proj: init.linear(hidden, wide, false),
            up_proj: init.linear(hidden, wide, false),
            down_proj: init.residual(wide, hidden, false),
            activation: config.activation,
        }
    }

    /// The three layers by their names.
    pub(super) fn linears_mut(&mut self) -> [(&'static str, &mut Linear); 3] {
        let Self { gate_proj, up_proj, down_proj, .. } = self;
        [("gate_proj", gate_proj), ("up_proj", up_proj), ("down_proj", down_proj)]
    }

    /// `[row, hidden]` to the same shape.
    pub(super) fn forward(&self, x: &Tensor<2>) -> (Tensor<2>, Saved) {
        let saved = Saved { gate: self.gate_proj.forward(x), up: self.up_proj.forward(x) };
        (self.down_proj.forward(&gated::forward(self.activation, &saved.gate, &saved.up)), saved)
    }

    /// From the gradient of the result to that of the input.
    pub(super) fn backward(&self, x: &Tensor<2>, saved: Saved, dy: &Tensor<2>, gradients: &mut Gradients) -> Tensor<2> {
        let Saved { gate, up } = saved;
        let inner = gated::forward(self.activation, &gate, &up);
        let of_inner = self.down_proj.backward(&inner, dy, gradients);
        drop(inner);
        self.backward_inner(x, Saved { gate, up }, of_inner, gradients)
    }

    /// The same for a result that was weighed row by row, `[row, 1]`; also gives the gradient of the weights.
    pub(super) fn backward_weighed(
        &self,
        x: &Tensor<2>,
        saved: Saved,
        dy: &Tensor<2>,
        weights: &Tensor<2>,
        gradients: &mut Gradients,
    ) -> (Tensor<2>, Tensor<2>) {
        let Saved { gate, up } = saved;
        let inner = gated::forward(self.activation, &gate, &up);
        // The layer down is linear, so its own gradient tells what weights before it would have got.
        let of_inner = self.down_proj.backward(&(inner.clone() * weights.clone()), dy, gradients);
        let of_weights = (inner * of_inner.clone()).sum_dim(1);
        let of_inner = of_inner * weights.clone();
        (self.backward_inner(x, Saved { gate, up }, of_inner, gradients), of_weights)
    }

    fn backward_inner(
        &self,
        x: &Tensor<2>,
        Saved { gate, up }: Saved,
        of_inner: Tensor<2>,
        gradients: &mut Gradients,
    ) -> Tensor<2> {
        let [of_gate, of_up] = gated::backward(self.activation, gate, up, of_inner);
        self.gate_proj.backward(x, &of_gate, gradients) + self.up_proj.backward(x, &of_up, gradients)
    }
}
