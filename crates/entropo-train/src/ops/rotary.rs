//! The rotations of rotary positions, in the layout of Hugging Face checkpoints: dimension `i` turns with dimension
//! `i + dims/2`.

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::host::Values;
use crate::decoder::config::RopeConfig;
use crate::decoder::frequencies::Frequencies;

/// Cosines and sines of every token, made once for a batch. Dimensions that are not rotated have cosine 1 and sine 0.
#[derive(Clone, Debug)]
pub(crate) struct Rotary {
    cos: Tensor<2>, // [token, head]
    sin: Tensor<2>, // [token, head]
    /// How many dimensions of a head are rotated.
    dims: usize,
}

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// As positions ask.
    Forward,
    /// The transpose of that: what gradients go through.
    Back,
}

impl Rotary {
    /// For tokens at these positions, heads of width `head`.
    pub(crate) fn new(positions: &[u32], head: usize, rope: &RopeConfig, device: &Device, dtype: DType) -> Self {
        let Frequencies { per_pair, amplitude } = Frequencies::new(rope);
        let still = head - rope.dims;
        let table = |f: fn(f64) -> f64, rest: f32| {
            let mut values = Vec::with_capacity(positions.len() * head);
            for &position in positions {
                let turned = per_pair.iter().map(|w| (f(f64::from(position) * w) * amplitude) as f32);
                let start = values.len();
                values.extend(turned);
                values.extend_from_within(start..);
                values.extend(std::iter::repeat_n(rest, still));
            }
            Tensor::from_data(TensorData::new(values, [positions.len(), head]), (device, dtype))
        };
        Self { cos: table(f64::cos, 1.0), sin: table(f64::sin, 0.0), dims: rope.dims }
    }

    /// Cosines and sines as slices, if they are at hand.
    pub(super) fn values(&self) -> Option<(Values, Values, usize)> {
        Some((Values::of(&self.cos)?, Values::of(&self.sin)?, self.dims / 2))
    }

    /// `x cos + swap(x) sin` with `swap(x) = [-x2, x1]`, and its transpose: `[head, token, width]`.
    pub(super) fn apply(&self, x: Tensor<3>, turn: Turn) -> Tensor<3> {
        let (cos, sin) = (self.cos.clone().unsqueeze::<3>(), self.sin.clone().unsqueeze::<3>());
        match turn {
            Turn::Forward => x.clone() * cos + self.swap(x) * sin,
            Turn::Back => x.clone() * cos - self.swap(x * sin),
        }
    }

    fn swap(&self, x: Tensor<3>) -> Tensor<3> {
        let [_, _, width] = x.dims();
        let half = self.dims / 2;
        let mut parts = vec![x.clone().narrow(2, half, half).neg(), x.clone().narrow(2, 0, half)];
        if width > self.dims {
            parts.push(x.narrow(2, self.dims, width - self.dims).zeros_like());
        }
        Tensor::cat(parts, 2)
    }
}
