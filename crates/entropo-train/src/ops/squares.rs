//! Sums of squares.

use burn::tensor::Tensor;
use rayon::prelude::*;

use super::host::Values;
use super::math::sum1;
use super::parallel::vectorised;

/// Numbers that are summed in f32 before they go on in f64.
const TASK: usize = 1 << 12;

/// Sum of the squares of all numbers, if they are at hand.
pub(crate) fn sum<const D: usize>(tensor: &Tensor<D>) -> Option<f64> {
    let values = Values::of(tensor)?;
    let parts = values.as_slice().par_chunks(TASK).with_min_len(16);
    let parts = parts.map(|part| {
        vectorised(
            #[inline(always)]
            || sum1(part, |x, sum| x.mul_add(x, sum)),
        )
    });
    let parts: Vec<f32> = parts.collect();
    Some(parts.into_iter().map(f64::from).sum())
}
