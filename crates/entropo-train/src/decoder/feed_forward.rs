//! What follows attention in a block: one gated layer, or a mixture of experts.

use burn::module::Module;
use burn::tensor::Tensor;

use super::config::{self, DecoderConfig};
use super::experts::Experts;
use super::init::Init;
use super::linear::Linear;
use super::mlp::Mlp;

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
