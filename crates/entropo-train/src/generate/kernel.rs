//! Arithmetic whose result for one row does not depend on the other rows.
//!
//! Plain loops over fixed-size arrays, compiled for the processor's widest vectors by `pulp`. Sums run in one fixed
//! order; multiplication and addition are never fused.

use pulp::Arch;

/// Columns that are computed together.
pub(super) const PANEL: usize = 32;
/// Rows that share a pass over the weights.
const ROWS: usize = 4;
/// Positions that are scored together.
pub(super) const LANES: usize = 16;

/// A matrix `[input, output]` in panels of [`PANEL`] columns, each `[input][PANEL]`, the last filled up with zeros.
#[derive(Clone, Debug)]
pub(super) struct Matrix {
    panels: Vec<Vec<[f32; PANEL]>>,
    bias: Vec<f32>,
    outputs: usize,
}

impl Matrix {
    /// From `[input, output]`, row by row; `bias` is `[output]` or empty.
    pub(super) fn new(weights: &[f32], outputs: usize, bias: Vec<f32>) -> Self {
        let panel = |first: usize| {
            let rows = weights.chunks_exact(outputs.max(1));
            rows.map(move |row| {
                let mut columns = [0.0; PANEL];
                columns.iter_mut().zip(row.iter().skip(first)).for_each(|(column, &weight)| *column = weight);
                columns
            })
        };
        let panels = (0..outputs).step_by(PANEL).map(|first| panel(first).collect()).collect();
        Self { panels, bias, outputs }
    }

    /// Columns of the result.
    pub(super) fn outputs(&self) -> usize {
        self.outputs
    }

    /// `x` `[row, input]` times the matrix, plus the bias: `[row, output]`.
    pub(super) fn apply(&self, x: &[f32], inputs: usize) -> Vec<f32> {
        let rows = x.len() / inputs.max(1);
        let mut result = vec![0.0; rows * self.outputs];
        Arch::new().dispatch(|| {
            let blocks = x.chunks(ROWS * inputs).zip(result.chunks_mut(ROWS * self.outputs));
            for (x, y) in blocks {
                for (index, panel) in self.panels.iter().enumerate() {
                    let bias = self.bias.get(index * PANEL..).unwrap_or_default();
                    multiply(panel, bias, x, inputs, y, self.outputs, index * PANEL);
                }
            }
        });
        result
    }
}

/// One panel for up to [`ROWS`] rows; `y` is `[row, outputs]`, of which the columns from `first` on are written.
#[inline(always)]
fn multiply(
    panel: &[[f32; PANEL]],
    bias: &[f32],
    x: &[f32],
    inputs: usize,
    y: &mut [f32],
    outputs: usize,
    first: usize,
) {
    let mut rows = x.chunks_exact(inputs);
    let mut results = y.chunks_exact_mut(outputs);
    if let (4, [Some(a), Some(b), Some(c), Some(d)]) =
        (x.len() / inputs, [rows.next(), rows.next(), rows.next(), rows.next()])
    {
        for sums in four_rows(panel, [a, b, c, d]) {
            store(results.next(), &sums, bias, first);
        }
    } else {
        for row in x.chunks_exact(inputs) {
            store(results.next(), &one_row(panel, row), bias, first);
        }
    }
}

#[inline(always)]
fn four_rows(panel: &[[f32; PANEL]], [a, b, c, d]: [&[f32]; ROWS]) -> [[f32; PANEL]; ROWS] {
    let mut sums = [[0.0; PANEL]; ROWS];
    let [sum_a, sum_b, sum_c, sum_d] = &mut sums;
    for ((((weights, &a), &b), &c), &d) in panel.iter().zip(a).zip(b).zip(c).zip(d) {
        add_scaled(sum_a, weights, a);
        add_scaled(sum_b, weights, b);
        add_scaled(sum_c, weights, c);
        add_scaled(sum_d, weights, d);
    }
    sums
}

#[inline(always)]
fn one_row(panel: &[[f32; PANEL]], row: &[f32]) -> [f32; PANEL] {
    let mut sums = [0.0; PANEL];
    panel.iter().zip(row).for_each(|(weights, &x)| add_scaled(&mut sums, weights, x));
    sums
}

#[inline(always)]
fn add_scaled<const N: usize>(sums: &mut [f32; N], values: &[f32; N], factor: f32) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += factor * value;
    }
}

#[inline(always)]
fn store(row: Option<&mut [f32]>, sums: &[f32; PANEL], bias: &[f32], first: usize) {
    let Some(columns) = row.and_then(|row| row.get_mut(first..)) else { return };
    columns.iter_mut().zip(sums).for_each(|(column, sum)| *column = *sum);
    columns.iter_mut().zip(bias.iter().take(PANEL)).for_each(|(column, bias)| *column += bias);
}

/// Root-mean-square norm of every row of `[row, width]`.
pub(super) fn norm(x: &[f32], weight: &[f32], epsilon: f32) -> Vec<f32> {
    let mut result = Vec::with_capacity(x.len());
    Arch::new().dispatch(|| {
        for row in x.chunks_exact(weight.len().max(1)) {
            let scale = 1.0 / (sum_of_products(row, row) / row.len() as f32 + epsilon).sqrt();
            result.extend(row.iter().zip(weight).map(|(x, weight)| x * scale * weight));
        }
    });
    result
}

/// `silu(gate) * up`, element by element.
pub(super) fn gated(gate: &[f32], up: &[f32]) -> Vec<f32> {
    let mut result = vec![0.0; gate.len()];
    Arch::new().dispatch(|| {
        for ((y, &gate), &up) in result.iter_mut().zip(gate).zip(up) {
            *y = gate / (1.0 + exp(-gate)) * up;
        }
    });
    result
}

/// Attention of one head's query over the first `positions` positions: `keys` in blocks `[head][LANES]`, `values`
/// `[position, head]`; the query is scaled already.
pub(super) fn attend(query: &[f32], keys: &[[f32; LANES]], values: &[f32], positions: usize, out: &mut [f32]) {
    Arch::new().dispatch(|| attend_inline(query, keys, values, positions, out));
}

#[inline(always)]
fn attend_inline(query: &[f32], keys: &[[f32; LANES]], values: &[f32], positions: usize, out: &mut [f32]) {
    let head = query.len().max(1);
    let mut scores: Vec<[f32; LANES]> = Vec::with_capacity(positions.div_ceil(LANES));
    for block in keys.chunks_exact(head).take(positions.div_ceil(LANES)) {
        let mut sums = [0.0; LANES];
        block.iter().zip(query).for_each(|(keys, &q)| add_scaled(&mut sums, keys, q));
        scores.push(sums);
    }
    let padding = scores.len() * LANES - positions;
    if let Some(last) = scores.last_mut() {
        last.iter_mut().rev().take(padding).for_each(|score| *score = f32::NEG_INFINITY);
    }
    let highest = scores.iter().flatten().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut totals = [0.0; LANES];
    for block in &mut scores {
        for (score, total) in block.iter_mut().zip(&mut totals) {
            *score = if *score == f32::NEG_INFINITY { 0.0 } else { exp(*score - highest) };
            *total += *score;
        }
    }
    let total = tree_sum(totals);
    out.fill(0.0);
    for (&weight, value) in scores.iter().flatten().zip(values.chunks_exact(head)).take(positions) {
        out.iter_mut().zip(value).for_each(|(out, value)| *out += weight * value);
    }
    out.iter_mut().for_each(|out| *out /= total);
}

/// Sum of `a * b` in [`LANES`] interleaved sums.
#[inline(always)]
fn sum_of_products(a: &[f32], b: &[f32]) -> f32 {
    let ((a, rest_a), (b, rest_b)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut sums = [0.0; LANES];
    for (a, b) in a.iter().zip(b) {
        sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum += a * b);
    }
    rest_a.iter().zip(rest_b).fold(tree_sum(sums), |sum, (a, b)| sum + a * b)
}

#[inline(always)]
fn tree_sum(lanes: [f32; LANES]) -> f32 {
    let (pairs, _) = lanes.as_chunks::<4>();
    pairs.iter().map(|&[a, b, c, d]| (a + b) + (c + d)).sum()
}

/// `e^x` to within 2 units in the last place, without branches, so that it is computed for whole vectors at once.
/// Below -87 and above 88 it stays at its value there.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23: adding it leaves no bits after the point
    let x = x.clamp(-87.0, 88.0);
    let n = (x * std::f32::consts::LOG2_E + ROUND) - ROUND;
    let r = (x - n * 0.693_359_4) - n * -2.121_944_4e-4; // ln 2 in two parts (Cody and Waite)
    let p = 1.0 / 5040.0;
    let p = p * r + 1.0 / 720.0;
    let p = p * r + 1.0 / 120.0;
    let p = p * r + 1.0 / 24.0;
    let p = p * r + 1.0 / 6.0;
    let p = p * r + 0.5;
    let p = (p * r + 1.0) * r + 1.0;
    p * f32::from_bits(((n as i32 + 127) as u32) << 23)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn exp_is_accurate() {
        for step in -8_700..8_800 {
            let x = step as f32 / 100.0;
            let exact = f64::from(x).exp();
            assert!((f64::from(exp(x)) / exact - 1.0).abs() < 3e-7, "{x}: {} {exact}", exp(x));
        }
        assert_eq!(exp(0.0), 1.0);
    }

    proptest! {
        #[test]
        fn a_row_does_not_depend_on_its_neighbours(
            rows in prop::collection::vec(prop::collection::vec(-2.0f32..2.0, 10), 1..12),
            weights in prop::collection::vec(-1.0f32..1.0, 10 * 37),
        ) {
            let matrix = Matrix::new(&weights, 37, vec![0.25; 37]);
            let together = matrix.apply(&rows.concat(), 10);
            for (row, result) in rows.iter().zip(together.chunks(37)) {
                prop_assert_eq!(matrix.apply(row, 10), result);
                for (column, value) in result.iter().enumerate() {
                    let exact: f64 = row.iter().enumerate().map(|(k, x)| f64::from(*x) * f64::from(weights[k * 37 + column])).sum();
                    prop_assert!((f64::from(*value) - exact - 0.25).abs() < 1e-5);
                }
            }
        }

        #[test]
        fn attention_is_a_weighted_mean(
            query in prop::collection::vec(-2.0f32..2.0, 6),
            keys in prop::collection::vec(-2.0f32..2.0, 6 * 40),
            values in prop::collection::vec(-2.0f32..2.0, 6 * 40),
            positions in 1usize..40,
        ) {
            let mut blocks = vec![[9.0; LANES]; 6 * 40usize.div_ceil(LANES)];
            for (position, key) in keys.chunks(6).enumerate() {
                for (d, k) in key.iter().enumerate() {
                    blocks[position / LANES * 6 + d][position % LANES] = *k;
                }
            }
            let mut out = [0.0; 6];
            attend(&query, &blocks, &values, positions, &mut out);
            let scores: Vec<f64> = (0..positions).map(|p| (0..6).map(|d| f64::from(query[d] * keys[p * 6 + d])).sum::<f64>().exp()).collect();
            for (d, value) in out.iter().enumerate() {
                let exact: f64 = scores.iter().enumerate().map(|(p, s)| s * f64::from(values[p * 6 + d])).sum::<f64>() / scores.iter().sum::<f64>();
                prop_assert!((f64::from(*value) - exact).abs() < 1e-4);
            }
        }
    }
}
