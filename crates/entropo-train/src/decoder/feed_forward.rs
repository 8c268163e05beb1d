//! What follows attention in a block: one gated layer, or a mixture of experts.

use burn::module::Module;
use burn::tensor::Tensor;

use super::config::{self, DecoderConfig};
use super::experts::{self, Experts};
use super::gradients::Gradients;
use super::init::Init;
use super::linear::Linear;
use super::mlp::{self, Mlp};

/// The second half of a block.
#[allow(clippy::large_enum_variant, reason = "there is one a layer, and a box is no module")]
#[derive(Module, Debug)]
pub enum FeedForward {
    /// One gated layer.
    Dense(Mlp),
    /// Experts of which each token sees a few.
    Sparse(Experts),
}

/// What the backward pass needs.
#[allow(clippy::large_enum_variant, reason = "there is one a layer")]
#[derive(Debug)]
pub(super) enum Saved {
    Dense(mlp::Saved),
    Sparse(experts::Saved),
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

    /// `[token, hidden]` to the same shape.
    pub(super) fn forward(&self, x: &Tensor<2>) -> (Tensor<2>, Saved) {
        match self {
            Self::Dense(mlp) => {
                let (y, saved) = mlp.forward(x);
                (y, Saved::Dense(saved))
            }
            Self::Sparse(experts) => {
                let (y, saved) = experts.forward(x);
                (y, Saved::Sparse(saved))
            }
        }
    }

    /// From the gradient of the result to that of the input.
    pub(super) fn backward(&self, x: &Tensor<2>, saved: Saved, dy: &Tensor<2>, gradients: &mut Gradients) -> Tensor<2> {
        match (self, saved) {
            (Self::Dense(mlp), Saved::Dense(saved)) => mlp.backward(x, saved, dy, gradients),
            (Self::Sparse(experts), Saved::Sparse(saved)) => experts.backward(x, saved, dy, gradients),
            // What a layer saved is of the layer's kind.
            (Self::Dense(_), Saved::Sparse(_)) | (Self::Sparse(_), Saved::Dense(_)) => dy.zeros_like(),
        }
    }
}
