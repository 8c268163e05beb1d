//! The gate of a feed-forward layer: `activation(gate) * up`.

use burn::tensor::Tensor;
use burn::tensor::activation::{gelu_approximate, sigmoid, silu};
use rayon::prelude::*;

use super::host::{Owned, Values};
use super::math::exp;
use super::parallel::{rows_in_task, vectorised, zip2};
use crate::decoder::config::Activation;

/// `[row, width]` of each to the same.
pub(crate) fn forward(activation: Activation, gate: &Tensor<2>, up: &Tensor<2>) -> Tensor<2> {
    let shape = gate.dims();
    let (Some(gates), Some(ups)) = (Values::of(gate), Values::of(up)) else {
        return traced::activate(activation, gate.clone()) * up.clone();
    };
    let [rows, width] = shape;
    let mut result = Owned::zeros(rows * width);
    let inputs = [gates.as_slice(), ups.as_slice()];
    match activation {
        Activation::Silu => zip2(
            result.as_mut_slice(),
            inputs,
            width,
            #[inline(always)]
            |y, gate, up| multiply(y, gate, up, silu_at),
        ),
        Activation::GeluTanh => zip2(
            result.as_mut_slice(),
            inputs,
            width,
            #[inline(always)]
            |y, gate, up| multiply(y, gate, up, gelu_at),
        ),
    }
    result.into_tensor(shape)
}

/// From the gradient of the result to those of `gate` and `up`.
pub(crate) fn backward(activation: Activation, gate: Tensor<2>, up: Tensor<2>, dy: Tensor<2>) -> [Tensor<2>; 2] {
    let shape = gate.dims();
    let Some(gradient) = Values::of(&dy) else { return traced::backward(activation, gate, up, dy) };
    let (mut gate, mut up) = (Owned::of(gate), Owned::of(up));
    let [_, width] = shape;
    match activation {
        Activation::Silu => replace(&mut gate, &mut up, gradient.as_slice(), width, silu_at),
        Activation::GeluTanh => replace(&mut gate, &mut up, gradient.as_slice(), width, gelu_at),
    }
    [gate.into_tensor(shape), up.into_tensor(shape)]
}

#[inline(always)]
fn multiply(y: &mut [f32], gate: &[f32], up: &[f32], activate: impl Fn(f32) -> (f32, f32)) {
    y.iter_mut().zip(gate.iter().zip(up)).for_each(|(y, (gate, up))| *y = activate(*gate).0 * up);
}

/// Puts the gradients in the places of what they belong to.
fn replace(
    gate: &mut Owned,
    up: &mut Owned,
    dy: &[f32],
    width: usize,
    activate: impl Fn(f32) -> (f32, f32) + Copy + Send + Sync,
) {
    let size = rows_in_task(width) * width.max(1);
    let parts = gate.as_mut_slice().par_chunks_mut(size).zip(up.as_mut_slice().par_chunks_mut(size));
    parts.zip(dy.par_chunks(size)).for_each(|((gate, up), dy)| {
        vectorised(
            #[inline(always)]
            || {
                gate.iter_mut().zip(up.iter_mut()).zip(dy).for_each(|((gate, up), dy)| {
                    let (value, slope) = activate(*gate);
                    (*gate, *up) = (dy * *up * slope, dy * value);
                });
            },
        );
    });
}

/// `x sigmoid(x)` and its derivative.
#[inline(always)]
fn silu_at(x: f32) -> (f32, f32) {
    let s = 1.0 / (1.0 + exp(-x));
    let y = x * s;
    (y, s + y * (1.0 - s))
}

/// `x / 2 (1 + tanh(u)) = x sigmoid(2 u)` with `u = sqrt(2 / pi) (x + 0.044715 x^3)`, and its derivative.
#[inline(always)]
fn gelu_at(x: f32) -> (f32, f32) {
    const SLOPE: f32 = 1.595_769_2; // 2 sqrt(2 / pi)
    let s = 1.0 / (1.0 + exp(-SLOPE * (0.044_715 * x * x).mul_add(x, x)));
    let y = x * s;
    (y, s + y * (1.0 - s) * SLOPE * (0.134_145 * x).mul_add(x, 1.0))
}

/// The same as tensor operations.
mod traced {
    use super::*;

    pub(super) fn activate(activation: Activation, gate: Tensor<2>) -> Tensor<2> {
        match activation {
            Activation::Silu => silu(gate),
            Activation::GeluTanh => gelu_approximate(gate),
        }
    }

    pub(super) fn backward(activation: Activation, gate: Tensor<2>, up: Tensor<2>, dy: Tensor<2>) -> [Tensor<2>; 2] {
        const SLOPE: f64 = 1.595_769_121_605_730_7;
        let (inner, inner_slope) = match activation {
            Activation::Silu => (gate.clone(), gate.ones_like()),
            Activation::GeluTanh => {
                let square = gate.clone() * gate.clone();
                let inner = gate.clone() * square.clone().mul_scalar(0.044_715 * SLOPE).add_scalar(SLOPE);
                (inner, square.mul_scalar(0.134_145 * SLOPE).add_scalar(SLOPE))
            }
        };
        let s = sigmoid(inner);
        let y = gate * s.clone();
        let slope = s.clone() + y.clone() * s.neg().add_scalar(1.0) * inner_slope;
        [dy.clone() * up * slope, dy * y]
    }
}
