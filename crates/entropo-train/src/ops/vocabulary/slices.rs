//! The vocabulary over slices.

use std::ops::Range;

use burn::tensor::Tensor;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use pulp::Arch;
use rayon::prelude::*;

use super::{Chosen, Into, Owned, Statistics, Values, Vocabulary};
use crate::ops::math::{exp, largest, sum1, sum2};

/// Some rows at hand, and the matrix.
pub(super) struct Inputs<'a> {
    vocabulary: &'a Vocabulary,
    rows: Values,
    part: Range<usize>,
    width: usize,
}

/// What is known of one row after some tiles.
#[derive(Clone, Copy)]
struct Running {
    highest: f32,
    /// Of exponentials of the distances from the highest.
    sum: f32,
    /// The same, each times its logit.
    weighted: f32,
    /// The same with the distances scaled.
    scaled: f32,
    target: f32,
}

impl<'a> Inputs<'a> {
    /// `None` where tensor operations have to do it.
    pub(super) fn of(vocabulary: &'a Vocabulary, rows: &Tensor<2>, part: Range<usize>) -> Option<Self> {
        let [_, width] = rows.dims();
        let known = vocabulary.extra.is_none() && Values::of(&vocabulary.tile(&(0..1))).is_some();
        let rows = known.then(|| Values::of(rows)).flatten()?;
        Some(Self { vocabulary, rows, part, width })
    }

    pub(super) fn statistics(&self, targets: &[u32], scale: f64, keep: bool) -> (Statistics, Option<Tensor<2>>) {
        let start = Running { highest: f32::NEG_INFINITY, sum: 0.0, weighted: 0.0, scaled: 0.0, target: 0.0 };
        let mut running = vec![start; self.part.len()];
        let tiles: Vec<_> = self.vocabulary.tiles(self.part.len()).collect();
        let mut memory = Owned::zeros(self.part.len() * tiles.first().map_or(0, Range::len));
        let scale = scale as f32;
        for tile in &tiles {
            self.logits(tile, &mut memory);
            let size = tile.len().max(1);
            let logits = prefix(memory.as_slice(), self.part.len() * size).par_chunks_exact(size);
            let rows = running.par_iter_mut().zip(logits).zip(targets);
            rows.with_min_len(8).for_each(|((running, logits), target)| {
                Arch::new().dispatch(|| running.read(logits, scale));
                let at = (*target as usize).checked_sub(tile.start);
                at.and_then(|at| logits.get(at)).into_iter().for_each(|logit| running.target = *logit);
            });
        }
        let mut statistics = Statistics::default();
        for row in running {
            let log_sum = row.highest + row.sum.ln();
            statistics.logprobs.push(row.target - log_sum);
            statistics.entropies.push((log_sum - row.weighted / row.sum).max(0.0));
            statistics.scaled.push(scale * (row.target - row.highest) - row.scaled.ln());
            statistics.hits.push(row.target >= row.highest);
            statistics.log_sums.push(log_sum);
        }
        let whole = keep && tiles.len() == 1;
        let logits = whole.then(|| memory.into_tensor([self.part.len(), self.vocabulary.size()]));
        (statistics, logits)
    }

    /// The gradient of the rows; those of the matrix are added where they belong.
    pub(super) fn backward(&self, chosen: &Chosen<'_>, kept: Option<Tensor<2>>, into: &mut Into) -> Tensor<2> {
        let count = self.part.len();
        let tiles: Vec<_> = self.vocabulary.tiles(count).collect();
        let computed = kept.is_none();
        let mut memory = kept.map_or_else(|| Owned::zeros(count * tiles.first().map_or(0, Range::len)), Owned::of);
        let mut of_rows = Owned::zeros(count * self.width);
        let mut of_weight = into.weight.take().map(Owned::of);
        for tile in &tiles {
            if computed {
                self.logits(tile, &mut memory);
            }
            let size = tile.len().max(1);
            let rows = memory.as_mut_slice().par_chunks_exact_mut(size).zip(chosen.targets);
            let rows = rows.zip(chosen.log_sums.par_iter().zip(chosen.weights)).with_min_len(8);
            rows.for_each(|((logits, target), (log_sum, weight))| {
                let target = (*target as usize).checked_sub(tile.start);
                Arch::new().dispatch(|| slopes(logits, target, *log_sum, *weight, self.vocabulary.cap));
            });
            let slopes = MatRef::from_row_major_slice(prefix(memory.as_slice(), count * size), count, size);
            let weight = self.vocabulary.tile(tile);
            if let Some(weight) = Values::of(&weight) {
                let weight = MatRef::from_row_major_slice(weight.as_slice(), tile.len(), self.width);
                let of_rows = MatMut::from_row_major_slice_mut(of_rows.as_mut_slice(), count, self.width);
                matmul(of_rows, Accum::Add, slopes, weight, 1.0, Par::rayon(0));
            }
            if let Some(of_weight) = &mut of_weight {
                let place = tile.start * self.width..tile.end * self.width;
                let of_tile = of_weight.as_mut_slice().get_mut(place).unwrap_or_default();
                let of_tile = MatMut::from_row_major_slice_mut(of_tile, tile.len(), self.width);
                matmul(of_tile, Accum::Add, slopes.transpose(), self.hidden(), 1.0, Par::rayon(0));
            }
        }
        into.weight = of_weight.map(|of_weight| of_weight.into_tensor([self.vocabulary.size(), self.width]));
        of_rows.into_tensor([count, self.width])
    }

    /// `[row, tile]` of logits at the beginning of the memory.
    fn logits(&self, tile: &Range<usize>, memory: &mut Owned) {
        let size = self.part.len() * tile.len();
        let (logits, _) = memory.as_mut_slice().split_at_mut(size);
        let weight = self.vocabulary.tile(tile);
        if let Some(weight) = Values::of(&weight) {
            let weight = MatRef::from_row_major_slice(weight.as_slice(), tile.len(), self.width);
            let target = MatMut::from_row_major_slice_mut(&mut *logits, self.part.len(), tile.len());
            matmul(target, Accum::Replace, self.hidden(), weight.transpose(), 1.0, Par::rayon(0));
        }
        if let Some(cap) = self.vocabulary.cap {
            let cap = cap as f32;
            logits.par_iter_mut().with_min_len(4096).for_each(|logit| *logit = cap * (*logit / cap).tanh());
        }
    }

    /// `[row, width]`
    fn hidden(&self) -> MatRef<'_, f32> {
        let place = self.part.start * self.width..self.part.end * self.width;
        let rows = self.rows.as_slice().get(place).unwrap_or_default();
        MatRef::from_row_major_slice(rows, self.part.len(), self.width)
    }
}

impl Running {
    /// Takes the logits of another tile into account.
    #[inline(always)]
    fn read(&mut self, logits: &[f32], scale: f32) {
        let highest = self.highest.max(largest(logits));
        let before = exp(self.highest - highest);
        let (sum, weighted) = sums(logits, highest);
        self.sum = self.sum * before + sum;
        self.weighted = self.weighted * before + weighted;
        self.scaled = if scale == 1.0 {
            self.sum
        } else {
            let scaled = sum1(logits, |logit, sum| sum + exp(scale * (logit - highest)));
            self.scaled * exp(scale * (self.highest - highest)) + scaled
        };
        self.highest = highest;
    }
}

/// Sums over `e^(l - highest)` and `e^(l - highest) l`.
#[inline(always)]
fn sums(logits: &[f32], highest: f32) -> (f32, f32) {
    let (mut sum, mut weighted) = (0.0, 0.0);
    // Stretches that stay in registers and the nearest cache.
    for logits in logits.chunks(256) {
        let mut powers = [0.0f32; 256];
        powers.iter_mut().zip(logits).for_each(|(power, logit)| *power = exp(logit - highest));
        let (powers, _) = powers.split_at(logits.len());
        sum += sum1(powers, |power, sum| sum + power);
        weighted += sum2(powers, logits, |power, logit, sum| power.mul_add(logit, sum));
    }
    (sum, weighted)
}

/// Logits of one row to the gradient of `weight * logprob`.
#[inline(always)]
fn slopes(logits: &mut [f32], target: Option<usize>, log_sum: f32, weight: f32, cap: Option<f64>) {
    let at = target.and_then(|target| logits.get(target).copied().map(|logit| (target, logit)));
    let bend = |logit: f32| cap.map_or(1.0, |cap| 1.0 - (logit / cap as f32).powi(2));
    match cap {
        None => logits.iter_mut().for_each(|logit| *logit = -weight * exp(*logit - log_sum)),
        Some(_) => logits.iter_mut().for_each(|logit| *logit = -weight * exp(*logit - log_sum) * bend(*logit)),
    }
    if let Some((target, logit)) = at
        && let Some(slope) = logits.get_mut(target)
    {
        *slope += weight * bend(logit);
    }
}

fn prefix(values: &[f32], count: usize) -> &[f32] {
    values.get(..count).unwrap_or_default()
}
