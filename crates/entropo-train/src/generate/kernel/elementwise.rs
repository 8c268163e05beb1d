//! Norms, activations and sums: plain loops over fixed-size arrays, which the compiler turns into vector code.

use super::workers::Workers;
use super::{Columns, PANEL, Sheet};
use crate::decoder::config::Activation;
use crate::ops::math::exp;
use crate::ops::parallel::vectorised;

/// Multiplications that one element of a memory-bound loop is worth.
const COST: usize = 8;
/// Rows of panels in a task.
const TASK: usize = 256;

/// A root-mean-square norm.
#[derive(Clone, Debug)]
pub(in crate::generate) struct Norm {
    weight: Vec<Columns>,
    epsilon: f32,
}

impl Norm {
    /// `weight` is what is multiplied by in the end, `[width]`.
    pub(in crate::generate) fn new(weight: &[f32], epsilon: f32) -> Self {
        Self { weight: Columns::pack(weight), epsilon }
    }

    /// `x / sqrt(mean(x^2) + epsilon) * weight`, row by row.
    pub(in crate::generate) fn apply(&self, x: &Sheet, workers: Workers) -> Sheet {
        let rows = x.rows().max(1);
        let mut result = x.clone();
        let mut sums = vec![Columns::ZERO; x.rows()];
        let mut scales = Vec::with_capacity(rows);
        vectorised(
            #[inline(always)]
            || {
                for panel in x.by_panel() {
                    for (sums, x) in sums.iter_mut().zip(panel) {
                        sums.0.iter_mut().zip(&x.0).for_each(|(sum, x)| *sum = x.mul_add(*x, *sum));
                    }
                }
                scales
                    .extend(sums.iter().map(|sums| 1.0 / (tree_sum(&sums.0) / x.width() as f32 + self.epsilon).sqrt()));
            },
        );
        let tasks: Vec<_> = result.panels.chunks_mut(rows).zip(&self.weight).collect();
        workers.each(tasks, x.panels.len() * PANEL * COST, |(panel, weight)| {
            vectorised(
                #[inline(always)]
                || {
                    for (x, scale) in panel.iter_mut().zip(&scales) {
                        x.0.iter_mut().zip(&weight.0).for_each(|(x, weight)| *x = *x * scale * weight);
                    }
                },
            );
        });
        result
    }
}

/// The same norm for one head's query or key.
#[inline(always)]
pub(super) fn normalise(x: &mut [f32], weight: &[f32], epsilon: f32) {
    let mut sums = [0.0; PANEL];
    for part in x.chunks(PANEL) {
        sums.iter_mut().zip(part).for_each(|(sum, x)| *sum = x.mul_add(*x, *sum));
    }
    let scale = 1.0 / (tree_sum(&sums) / x.len() as f32 + epsilon).sqrt();
    x.iter_mut().zip(weight).for_each(|(x, weight)| *x = *x * scale * weight);
}

/// `activation(gate) * up`, element by element, in place of `gate`.
pub(in crate::generate) fn gated(gate: &mut Sheet, up: &Sheet, activation: Activation, workers: Workers) {
    let multiplications = gate.panels.len() * PANEL * COST;
    let tasks: Vec<_> = gate.panels.chunks_mut(TASK).zip(up.panels.chunks(TASK)).collect();
    workers.each(tasks, multiplications, |(gate, up)| match activation {
        Activation::Silu => each_pair(gate, up, |gate, up| gate / (1.0 + exp(-gate)) * up),
        Activation::GeluTanh => each_pair(gate, up, |gate, up| gelu(gate) * up),
    });
}

/// Adds `y` to `x`.
pub(in crate::generate) fn add(x: &mut Sheet, y: &Sheet, workers: Workers) {
    let multiplications = x.panels.len() * PANEL;
    let tasks: Vec<_> = x.panels.chunks_mut(TASK).zip(y.panels.chunks(TASK)).collect();
    workers.each(tasks, multiplications, |(x, y)| each_pair(x, y, |x, y| x + y));
}

fn each_pair(x: &mut [Columns], y: &[Columns], f: impl Fn(f32, f32) -> f32) {
    vectorised(
        #[inline(always)]
        || {
            for (x, y) in x.iter_mut().zip(y) {
                x.0.iter_mut().zip(&y.0).for_each(|(x, y)| *x = f(*x, *y));
            }
        },
    );
}

/// `x / 2 * (1 + tanh(u))` with `u = sqrt(2 / pi) (x + 0.044715 x^3)` is `x / (1 + e^(-2 u))`.
#[inline(always)]
fn gelu(x: f32) -> f32 {
    const SLOPE: f32 = 1.595_769_2; // 2 sqrt(2 / pi)
    let u = SLOPE * (0.044_715 * x * x).mul_add(x, x);
    x / (1.0 + exp(-u))
}

/// Sum of numbers, in pairs of pairs; their number is a multiple of four.
#[inline(always)]
pub(super) fn tree_sum(numbers: &[f32]) -> f32 {
    let (quads, _) = numbers.as_chunks::<4>();
    quads.iter().fold(0.0, |sum, &[a, b, c, d]| sum + ((a + b) + (c + d)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::kernel::Threads;

    /// Rows `0..rows` of numbers that differ.
    fn sheet(rows: usize, width: usize, phase: f32) -> Sheet {
        let mut sheet = Sheet::zeros(rows, width);
        for row in 0..rows {
            let values: Vec<f32> = (0..width).map(|k| 3.0 * ((row * 37 + k) as f32 + phase).sin()).collect();
            sheet.write(row, 0, &values);
        }
        sheet
    }

    #[test]
    fn gelu_is_the_tanh_approximation() {
        for step in -1000..1000 {
            let x = f64::from(step) / 100.0;
            let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
            let exact = 0.5 * x * (1.0 + u.tanh());
            assert!((f64::from(gelu(x as f32)) - exact).abs() < 2e-6, "{x}");
        }
    }

    #[test]
    fn rows_do_not_depend_on_neighbours_or_threads() {
        for (rows, width) in [(1, 20), (5, 64), (700, 100)] {
            let (x, y) = (sheet(rows, width, 0.0), sheet(rows, width, 0.7));
            let weight: Vec<f32> = (0..width).map(|k| 1.0 + k as f32 / 10.0).collect();
            let norm = Norm::new(&weight, 1e-6);
            let all = |x: &Sheet, y: &Sheet, workers| {
                let mut sum = norm.apply(x, workers);
                gated(&mut sum, y, Activation::Silu, workers);
                gated(&mut sum, y, Activation::GeluTanh, workers);
                add(&mut sum, x, workers);
                sum
            };
            let alone = all(&x, &y, Workers::One);
            assert_eq!(Threads::new(3).run(usize::MAX, |workers| all(&x, &y, workers)), alone);
            let last = rows - 1;
            assert_eq!(all(&x.gather(&[last]), &y.gather(&[last]), Workers::One), alone.gather(&[last]));
            let square: f64 = x.row(last).iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / width as f64;
            let normed = norm.apply(&x, Workers::One).row(last);
            let mut head = x.row(last);
            normalise(&mut head, &weight, 1e-6);
            for (k, x) in x.row(last).iter().enumerate() {
                let exact = f64::from(*x) / (square + 1e-6).sqrt() * f64::from(weight[k]);
                assert!((f64::from(normed[k]) - exact).abs() < 1e-5 && (f64::from(head[k]) - exact).abs() < 1e-5);
            }
        }
    }
}
