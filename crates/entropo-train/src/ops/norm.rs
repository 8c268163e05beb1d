//! Root-mean-square norms.

use burn::tensor::{DType, Tensor};
use rayon::prelude::*;

use super::host::{Owned, Values};
use super::math::{sum1, sum2};
use super::parallel::{rows_in_task, vectorised, zip1};

/// What a norm is made of beside its weight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rms {
    /// Added to the mean square.
    pub(crate) epsilon: f64,
    /// Added to the weight.
    pub(crate) offset: f64,
}

/// `x / sqrt(mean(x^2) + epsilon) * (weight + offset)`, row by row: `[row, width]`.
pub(crate) fn forward(x: &Tensor<2>, weight: &Tensor<1>, rms: Rms) -> Tensor<2> {
    let [rows, width] = x.dims();
    let (Some(values), Some(scales)) = (Values::of(x), Values::of(weight)) else {
        return traced::forward(x.clone(), weight.clone(), rms);
    };
    let (epsilon, offset) = (rms.epsilon as f32, rms.offset as f32);
    let mut y = Owned::zeros(rows * width);
    zip1(
        y.as_mut_slice(),
        values.as_slice(),
        width,
        #[inline(always)]
        |y, x| {
            for (y, x) in y.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
                let scale = inverse(x, epsilon);
                for ((y, x), weight) in y.iter_mut().zip(x).zip(scales.as_slice()) {
                    *y = x * scale * (weight + offset);
                }
            }
        },
    );
    y.into_tensor([rows, width])
}

/// Adds the gradient of the input to `into` and gives that of the weight: `[row, width]` and `[width]`.
pub(crate) fn backward(
    x: &Tensor<2>,
    weight: &Tensor<1>,
    rms: Rms,
    dy: &Tensor<2>,
    into: Tensor<2>,
) -> (Tensor<2>, Tensor<1>) {
    let [rows, width] = x.dims();
    let known = (Values::of(x), Values::of(weight), Values::of(dy));
    let (Some(values), Some(scales), Some(gradient)) = known else {
        return traced::backward(x.clone(), weight.clone(), rms, dy.clone(), into);
    };
    let mut into = Owned::of(into);
    let (epsilon, offset) = (rms.epsilon as f32, rms.offset as f32);
    let size = rows_in_task(width) * width.max(1);
    let parts = into.as_mut_slice().par_chunks_mut(size);
    let parts = parts.zip(values.as_slice().par_chunks(size).zip(gradient.as_slice().par_chunks(size)));
    let of_weight = parts.map(|(into, (x, dy))| {
        let mut sums = vec![0.0f32; width];
        vectorised(
            #[inline(always)]
            || {
                let rows = x.chunks_exact(width).zip(dy.chunks_exact(width)).zip(into.chunks_exact_mut(width));
                for ((x, dy), into) in rows {
                    row(x, dy, scales.as_slice(), (epsilon, offset), into, &mut sums);
                }
            },
        );
        sums
    });
    let of_weight: Vec<Vec<f32>> = of_weight.collect();
    let mut sums = Owned::zeros(width);
    for part in of_weight {
        sums.as_mut_slice().iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
    }
    (into.into_tensor([rows, width]), sums.into_tensor([width]))
}

/// With `r` the inverse root: `dx = r (g - x r^2 mean(g x))`, `g = dy (weight + offset)`; `dweight = dy x r`.
#[inline(always)]
fn row(x: &[f32], dy: &[f32], weight: &[f32], (epsilon, offset): (f32, f32), into: &mut [f32], of_weight: &mut [f32]) {
    let scale = inverse(x, epsilon);
    let mut scaled = 0.0;
    let mut rest = weight;
    for (x, dy) in x.chunks(512).zip(dy.chunks(512)) {
        // The weighted gradient of a stretch, so that sums stay in vectors.
        let (weights, left) = rest.split_at(x.len().min(rest.len()));
        rest = left;
        let mut weighted = [0.0f32; 512];
        weighted.iter_mut().zip(dy.iter().zip(weights)).for_each(|(g, (dy, weight))| *g = dy * (weight + offset));
        let (weighted, _) = weighted.split_at(x.len());
        scaled += sum2(x, weighted, |x, g, sum| x.mul_add(g, sum));
    }
    let mean = scaled * scale * scale / x.len() as f32;
    let gradients = into.iter_mut().zip(of_weight.iter_mut());
    for (((into, of_weight), (x, dy)), weight) in gradients.zip(x.iter().zip(dy)).zip(weight) {
        *into += scale * (-*x).mul_add(mean, dy * (weight + offset));
        *of_weight += dy * x * scale;
    }
}

#[inline(always)]
fn inverse(x: &[f32], epsilon: f32) -> f32 {
    1.0 / (sum1(x, |x, sum| x.mul_add(x, sum)) / x.len() as f32 + epsilon).sqrt()
}

/// The same as tensor operations, in f32 whatever the precision of `x`.
mod traced {
    use super::*;

    pub(super) fn forward(x: Tensor<2>, weight: Tensor<1>, rms: Rms) -> Tensor<2> {
        let dtype = x.dtype();
        let wide = x.cast(DType::F32);
        let normed = wide.clone() * inverse(wide, rms);
        if rms.offset == 0.0 {
            return normed.cast(dtype) * weight.cast(dtype).unsqueeze();
        }
        (normed * weight.cast(DType::F32).add_scalar(rms.offset).unsqueeze()).cast(dtype)
    }

    pub(super) fn backward(
        x: Tensor<2>,
        weight: Tensor<1>,
        rms: Rms,
        dy: Tensor<2>,
        into: Tensor<2>,
    ) -> (Tensor<2>, Tensor<1>) {
        let [_, width] = x.dims();
        let dtype = x.dtype();
        let (x, dy) = (x.cast(DType::F32), dy.cast(DType::F32));
        let scale = inverse(x.clone(), rms);
        let normed = x * scale.clone();
        let of_weight = (dy.clone() * normed.clone()).sum_dim(0).reshape([width]);
        let weighted = dy * weight.cast(DType::F32).add_scalar(rms.offset).unsqueeze();
        let mean = (weighted.clone() * normed.clone()).mean_dim(1);
        let of_input = (weighted - normed * mean) * scale;
        (into + of_input.cast(dtype), of_weight)
    }

    fn inverse(x: Tensor<2>, rms: Rms) -> Tensor<2> {
        (x.clone() * x).mean_dim(1).add_scalar(rms.epsilon).sqrt().recip()
    }
}
