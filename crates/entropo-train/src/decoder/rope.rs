//! Rotary positions in the layout of Hugging Face checkpoints: dimension `i` turns with dimension `i + dims/2`.

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::config::RopeConfig;
use super::frequencies::Frequencies;

/// The rotation of every position of a context, made once for a batch.
///
/// A head `x` at position `p` becomes `x * cos(p f) + swap(x) * sin(p f)` with `swap(x) = [-x2, x1]`. The swap is a
/// product with a signed permutation matrix: one operation instead of two slices and a concatenation, and its gradient
/// is one operation too. Dimensions that are not rotated have cosine 1 and sine 0.
#[derive(Clone, Debug)]
pub(crate) struct Rotary {
    cos: Tensor<4>,  // [1, 1, token, head]
    sin: Tensor<4>,  // [1, 1, token, head]
    swap: Tensor<4>, // [1, 1, head, head]
}

impl Rotary {
    /// For positions `0..tokens` of heads of width `head`.
    pub(crate) fn new(tokens: usize, head: usize, rope: &RopeConfig, device: &Device, dtype: DType) -> Self {
        let Frequencies { per_pair, amplitude } = Frequencies::new(rope);
        let still = head - rope.dims;
        let tensor =
            |values: Vec<f32>, shape: [usize; 4]| Tensor::from_data(TensorData::new(values, shape), (device, dtype));
        let table = |f: fn(f64) -> f64, rest: f32| {
            let rows = (0..tokens).flat_map(|position| {
                let turned = per_pair.iter().chain(&per_pair).map(move |w| (f(position as f64 * w) * amplitude) as f32);
                turned.chain(std::iter::repeat_n(rest, still))
            });
            tensor(rows.collect(), [1, 1, tokens, head])
        };
        let half = rope.dims / 2;
        let signs = (0..head * head).map(|at| match (at / head, at % head) {
            (row, column) if row < rope.dims && row == column + half => -1.0,
            (row, column) if column < rope.dims && row + half == column => 1.0,
            _ => 0.0f32,
        });
        Self { cos: table(f64::cos, 1.0), sin: table(f64::sin, 0.0), swap: tensor(signs.collect(), [1, 1, head, head]) }
    }

    /// Rotates `[batch, heads, token, head]`.
    pub(crate) fn apply(&self, x: Tensor<4>) -> Tensor<4> {
        let swapped = x.clone().matmul(self.swap.clone());
        x * self.cos.clone() + swapped * self.sin.clone()
    }
}
