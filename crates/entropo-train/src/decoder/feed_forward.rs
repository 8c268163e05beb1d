//! What follows attention in a block: one gated layer, or a mixture of experts.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::{gelu_approximate, silu};

use super::config::{self, Activation, DecoderConfig};
use super::experts::Experts;
use super::init::Init;
use super::linear::Linear;

/// The second half of a block.
#[allow(clippy::large_enum_variant, reason = "there is one a layer, and a box is no module")]
#[derive(Module, Debug)]
pub enum FeedForward {
    /// One gated layer.
    Dense(Mlp),
    /// Experts of which each token sees a few.
    Sparse(Experts),
}

impl FeedForward {
    pub(super) fn new(layer: &config::FeedForward, config: &DecoderConfig, init: &mut Init<'_>) -> Self {
        match layer {
            config::FeedForward::Dense(wide) => Self::Dense(Mlp::new(*wide, config, init)),
            config::FeedForward::Sparse(experts) => Self::Sparse(Experts::new(experts, config, init)),
        }
    }

    /// All linear layers by their names.
    pub(super) fn linears_mut(&mut self) -> Vec<(String, &mut Linear)> {
        match self {
            Self::Dense(mlp) => mlp.linears_mut().map(|(name, linear)| (name.to_owned(), linear)).into(),
            Self::Sparse(experts) => experts.linears_mut(),
        }
    }

    /// `[batch, token, hidden]` to the same shape.
    pub(super) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Dense(mlp) => mlp.forward(x),
            Self::Sparse(experts) => {
                let [batch, tokens, hidden] = x.dims();
                experts.forward(x.reshape([batch * tokens, hidden])).reshape([batch, tokens, hidden])
            }
        }
    }
}

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
