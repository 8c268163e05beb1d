//! Root-mean-square norms.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::config::DecoderConfig;
use super::gradients::Gradients;
use super::init::Init;
use crate::ops::norm::{self, Rms};

/// `x / sqrt(mean(x^2) + epsilon) * weight` over the last dimension, in f32 whatever the tensor's precision.
#[derive(Module, Debug)]
pub struct Norm {
    weight: Param<Tensor<1>>,
    #[module(skip)]
    epsilon: f64,
    /// Added to the weight: 1 where checkpoints store the weight's distance from 1 (Gemma), else 0.
    #[module(skip)]
    offset: f64,
}

impl Norm {
    pub(super) fn new(width: usize, config: &DecoderConfig, init: &mut Init<'_>) -> Self {
        let offset = if config.norm_offset { 1.0 } else { 0.0 };
        Self { weight: init.constant(width, 1.0 - offset), epsilon: config.rms_norm_eps, offset }
    }

    /// `[row, width]` to the same shape.
    pub(super) fn forward(&self, x: &Tensor<2>) -> Tensor<2> {
        norm::forward(x, &self.weight.val(), self.rms())
    }

    /// Adds the gradient of the input to `into`, given that of the result.
    pub(super) fn backward(
        &self,
        x: &Tensor<2>,
        dy: &Tensor<2>,
        into: Tensor<2>,
        gradients: &mut Gradients,
    ) -> Tensor<2> {
        let (dx, of_weight) = norm::backward(x, &self.weight.val(), self.rms(), dy, into);
        gradients.add(&self.weight, || of_weight);
        dx
    }

    /// The norm of every head of every token, `[token, heads * width]` to the same shape.
    pub(super) fn forward_heads(&self, x: &Tensor<2>) -> Tensor<2> {
        let shape = x.dims();
        self.forward(&self.heads(x)).reshape(shape)
    }

    /// The gradient of what [`forward_heads`](Self::forward_heads) was given.
    pub(super) fn backward_heads(&self, x: &Tensor<2>, dy: Tensor<2>, gradients: &mut Gradients) -> Tensor<2> {
        let shape = x.dims();
        let x = self.heads(x);
        let into = x.zeros_like();
        self.backward(&x, &self.heads(&dy), into, gradients).reshape(shape)
    }

    fn heads(&self, x: &Tensor<2>) -> Tensor<2> {
        let [tokens, all] = x.dims();
        let [width] = self.weight.lazy_shape().dims();
        x.clone().reshape([tokens * all / width.max(1), width])
    }

    fn rms(&self) -> Rms {
        Rms { epsilon: self.epsilon, offset: self.offset }
    }
}
