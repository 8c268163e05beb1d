//! Rotary positions in the layout of Hugging Face checkpoints: dimension `i` turns with dimension `i + head/2`.

use burn::tensor::{Device, Tensor, TensorData};

/// The rotation of every position of a context, made once for a batch.
///
/// A head `x` at position `p` becomes `x * cos(p f) + swap(x) * sin(p f)` with `swap(x) = [-x2, x1]`. The swap is a
/// product with a signed permutation matrix: one operation instead of two slices and a concatenation, and its gradient
/// is one operation too.
#[derive(Clone, Debug)]
pub(crate) struct Rotary {
    cos: Tensor<4>,  // [1, 1, token, head]
    sin: Tensor<4>,  // [1, 1, token, head]
    swap: Tensor<4>, // [1, 1, head, head]
}

/// Angular frequency of each dimension pair: `theta^(-2 i / head)` for `i` in `0..head/2`.
pub(crate) fn frequencies(head: usize, theta: f64) -> Vec<f64> {
    (0..head / 2).map(|i| theta.powf(-2.0 * i as f64 / head as f64)).collect()
}

impl Rotary {
    /// For positions `0..tokens` of heads of width `head`.
    pub(crate) fn new(tokens: usize, head: usize, theta: f64, device: &Device) -> Self {
        let frequencies = frequencies(head, theta);
        let table = |f: fn(f64) -> f64| {
            let angles = (0..tokens).flat_map(|p| frequencies.iter().chain(&frequencies).map(move |w| p as f64 * w));
            let values: Vec<f32> = angles.map(|angle| f(angle) as f32).collect();
            Tensor::from_data(TensorData::new(values, [1, 1, tokens, head]), device)
        };
        let half = head / 2;
        let signs = (0..head * head).map(|at| match (at / head, at % head) {
            (row, column) if row == column + half => -1.0,
            (row, column) if row + half == column => 1.0,
            _ => 0.0f32,
        });
        let swap = Tensor::from_data(TensorData::new(signs.collect::<Vec<_>>(), [1, 1, head, head]), device);
        Self { cos: table(f64::cos), sin: table(f64::sin), swap }
    }

    /// Rotates `[batch, heads, token, head]`.
    pub(crate) fn apply(&self, x: Tensor<4>) -> Tensor<4> {
        let swapped = x.clone().matmul(self.swap.clone());
        x * self.cos.clone() + swapped * self.sin.clone()
    }
}
