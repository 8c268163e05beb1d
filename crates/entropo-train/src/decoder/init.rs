//! Seeded weights for a decoder that is trained from scratch or filled from a checkpoint.
//!
//! Drawn on the host, so that a seed gives the same weights on every device.

use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::config::DecoderConfig;

/// Standard deviation of the embedding. Larger than the customary 0.02: the residual stream is normalised before every
/// layer, and a tiny model whose stream is mostly block output at first does not learn to copy (lab notes, section 7).
const EMBEDDING: f64 = 0.08;

/// Draws parameters in the order in which they are asked for.
pub(super) struct Init<'a> {
    random: ChaCha8Rng,
    device: &'a Device,
    layers: usize,
}

impl<'a> Init<'a> {
    pub(super) fn new(seed: u64, config: &DecoderConfig, device: &'a Device) -> Self {
        Self { random: ChaCha8Rng::seed_from_u64(seed), device, layers: config.num_hidden_layers }
    }

    /// `[rows, columns]` with the embedding's scale.
    pub(super) fn embedding(&mut self, rows: usize, columns: usize) -> Param<Tensor<2>> {
        self.matrix(rows, columns, EMBEDDING)
    }

    /// A projection with standard deviation `1 / sqrt(input)`.
    pub(super) fn linear(&mut self, input: usize, output: usize, bias: bool) -> Linear {
        let weight = self.matrix(input, output, 1.0 / (input as f64).sqrt());
        let bias = bias.then(|| Param::from_tensor(Tensor::zeros([output], self.device)));
        Linear { weight, bias }
    }

    /// A projection into the residual stream, smaller by `1 / sqrt(2 layers)` (Radford et al. 2019, section 2.3).
    pub(super) fn residual(&mut self, input: usize, output: usize) -> Linear {
        let scale = 1.0 / (input as f64 * 2.0 * self.layers.max(1) as f64).sqrt();
        Linear { weight: self.matrix(input, output, scale), bias: None }
    }

    /// A norm's weight.
    pub(super) fn ones(&mut self, width: usize) -> Param<Tensor<1>> {
        Param::from_tensor(Tensor::ones([width], self.device))
    }

    fn matrix(&mut self, rows: usize, columns: usize, deviation: f64) -> Param<Tensor<2>> {
        let values: Vec<f32> = (0..rows * columns).map(|_| (self.normal() * deviation) as f32).collect();
        Param::from_tensor(Tensor::from_data(TensorData::new(values, [rows, columns]), self.device))
    }

    /// A standard normal number, by Box and Muller.
    fn normal(&mut self) -> f64 {
        let (radius, angle): (f64, f64) = (self.random.random(), self.random.random());
        (-2.0 * (1.0 - radius).ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
    }
}
