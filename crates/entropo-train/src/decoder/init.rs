//! Parameters of a decoder before anything is learned or loaded.

use burn::module::{Param, ParamId};
use burn::tensor::{Device, Shape, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::linear::Linear;
use super::weight::Weight;

/// Standard deviation of the embedding. Larger than the customary 0.02: the residual stream is normalised before every
/// layer, and a tiny model whose stream is mostly block output at first does not learn to copy (lab notes, section 7).
const EMBEDDING: f64 = 0.08;

/// Makes parameters in the order in which they are asked for.
pub(super) struct Init<'a> {
    /// Drawn on the host, so that a seed gives the same weights on every device. Absent where every parameter is about
    /// to be replaced by a checkpoint's: parameters then take no memory until they are.
    random: Option<ChaCha8Rng>,
    device: &'a Device,
    layers: usize,
}

impl<'a> Init<'a> {
    pub(super) fn random(seed: u64, layers: usize, device: &'a Device) -> Self {
        Self { random: Some(ChaCha8Rng::seed_from_u64(seed)), device, layers }
    }

    pub(super) fn blank(layers: usize, device: &'a Device) -> Self {
        Self { random: None, device, layers }
    }

    /// `[rows, columns]` with the embedding's scale.
    pub(super) fn embedding(&mut self, rows: usize, columns: usize) -> Param<Tensor<2>> {
        let values = self.normals(rows * columns, EMBEDDING);
        self.parameter(values, [rows, columns])
    }

    /// A projection with standard deviation `1 / sqrt(input)`.
    pub(super) fn linear(&mut self, input: usize, output: usize, bias: bool) -> Linear {
        self.projection(input, output, 1.0 / (input as f64).sqrt(), bias)
    }

    /// A projection into the residual stream, smaller by `1 / sqrt(2 layers)` (Radford et al. 2019, section 2.3).
    pub(super) fn residual(&mut self, input: usize, output: usize, bias: bool) -> Linear {
        self.projection(input, output, 1.0 / (input as f64 * 2.0 * self.layers.max(1) as f64).sqrt(), bias)
    }

    /// `[width]` of one value.
    pub(super) fn constant(&mut self, width: usize, value: f64) -> Param<Tensor<1>> {
        let values = self.random.is_some().then(|| vec![value as f32; width]);
        self.parameter(values, [width])
    }

    /// `[output, input]` with the standard deviation of a [`linear`](Self::linear) layer's.
    pub(super) fn matrix(&mut self, input: usize, output: usize) -> Param<Tensor<2>> {
        self.scaled_matrix(input, output, 1.0 / (input as f64).sqrt())
    }

    fn projection(&mut self, input: usize, output: usize, deviation: f64, bias: bool) -> Linear {
        let weight = self.scaled_matrix(input, output, deviation);
        let bias = bias.then(|| self.constant(output, 0.0));
        Linear { weight: Weight::Whole(weight), bias, lora: None }
    }

    fn scaled_matrix(&mut self, input: usize, output: usize, deviation: f64) -> Param<Tensor<2>> {
        // Drawn input by input.
        let drawn = self.normals(input * output, deviation);
        let values = drawn.map(|drawn| {
            let column = |column: usize| drawn.iter().skip(column).step_by(output.max(1)).copied();
            (0..output).flat_map(column).collect()
        });
        self.parameter(values, [output, input])
    }

    fn parameter<const D: usize>(&self, values: Option<Vec<f32>>, shape: [usize; D]) -> Param<Tensor<D>> {
        match values {
            Some(values) => Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), self.device)),
            None => {
                let zeros = move |device: &Device, _| Tensor::zeros(shape, device);
                Param::uninitialized(ParamId::new(), zeros, self.device.clone(), true, Shape::from(shape))
            }
        }
    }

    fn normals(&mut self, count: usize, deviation: f64) -> Option<Vec<f32>> {
        let random = self.random.as_mut()?;
        Some((0..count).map(|_| (normal(random) * deviation) as f32).collect())
    }
}

/// A standard normal number, by Box and Muller.
fn normal(random: &mut ChaCha8Rng) -> f64 {
    let (radius, angle): (f64, f64) = (random.random(), random.random());
    (-2.0 * (1.0 - radius).ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}
