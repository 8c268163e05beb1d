//! The gated feed-forward layer.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::{gelu_approximate, silu};

use super::config::{Activation, DecoderConfig};
use super::init::Init;
use super::linear::Linear;

/// A gated layer: `down(activation(gate(x)) * up(x))`.
#[derive(Module, Debug)]
pub struct Mlp {
    gate_proj: Linear,
    up_proj: Linear,
    down_proj: Linear,
    #[module(skip)]
    activation: Activation,
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

    /// `[.., hidden]` to the same shape.
    pub(super) fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let gate = self.gate_proj.forward(x.clone());
        let gate = match self.activation {
            Activation::Silu => silu(gate),
            Activation::GeluTanh => gelu_approximate(gate),
        };
        self.down_proj.forward(gate * self.up_proj.forward(x))
    }
}
