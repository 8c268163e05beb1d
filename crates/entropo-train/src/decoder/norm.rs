//! Root-mean-square norms.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::config::DecoderConfig;
use super::init::Init;
use super::precision::in_f32;

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

    /// `[.., width]` to the same shape.
    pub(super) fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let weight = self.weight.val();
        if self.offset == 0.0 {
            return in_f32(x, |x| self.normalise(x)) * weight.unsqueeze();
        }
        in_f32(x, |x| self.normalise(x) * in_f32(weight, |weight| weight.add_scalar(self.offset)).unsqueeze())
    }

    fn normalise<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let mean_square = (x.clone() * x.clone()).mean_dim(D - 1);
        x / mean_square.add_scalar(self.epsilon).sqrt()
    }
}
