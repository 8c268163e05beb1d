//! The vocabulary over slices.

use std::ops::Range;

use burn::tensor::Tensor;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

use super::{Chosen, Into, Owned, Statistics, Values, Vocabulary};
use crate::ops::math::{exp, largest, sum1, sum2};
use crate::ops::parallel::vectorised;

/// Rows, or columns, of a task.
const TASK: usize = 128;

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
    /// The same, each times its distance.
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
            let size = tile.len().max(1);
            let weight = self.weight(tile);
            let rows = prefix_mut(&mut memory, self.part.len() * size).par_chunks_mut(TASK * size);
            let rows = rows.zip(running.par_chunks_mut(TASK)).zip(targets.par_chunks(TASK)).enumerate();
            rows.for_each(|(task, ((logits, running), targets))| {
                self.logits(task * TASK, tile, &weight, logits);
                for ((logits, running), target) in logits.chunks_exact(size).zip(running).zip(targets) {
                    vectorised(
                        #[inline(always)]
                        || running.read(logits, scale),
                    );
                    let at = (*target as usize).checked_sub(tile.start);
                    at.and_then(|at| logits.get(at)).into_iter().for_each(|logit| running.target = *logit);
                }
            });
        }
        let mut statistics = Statistics::default();
        for row in running {
            let log_sum = row.sum.ln();
            statistics.logprobs.push(row.target - row.highest - log_sum);
            statistics.entropies.push((log_sum - row.weighted / row.sum).max(0.0));
            statistics.scaled.push(scale * (row.target - row.highest) - row.scaled.ln());
            statistics.hits.push(row.target >= row.highest);
            statistics.highest.push(row.highest);
            statistics.log_sums.push(log_sum);
        }
        let whole = keep && tiles.len() == 1;
        let logits = whole.then(|| memory.into_tensor([self.part.len(), self.vocabulary.size()]));
        (statistics, logits)
    }

    /// The gradient of the rows; those of the matrix are added where they belong.
    pub(super) fn backward(&self, chosen: &Chosen<'_>, kept: Option<Tensor<2>>, into: &mut Into) -> Tensor<2> {
        let (count, width) = (self.part.len(), self.width.max(1));
        let tiles: Vec<_> = self.vocabulary.tiles(count).collect();
        let computed = kept.is_none();
        let mut memory = kept.map_or_else(|| Owned::zeros(count * tiles.first().map_or(0, Range::len)), Owned::of);
        let mut of_rows = Owned::zeros(count * width);
        let mut of_weight = into.weight.take().map(Owned::of);
        for tile in &tiles {
            let size = tile.len().max(1);
            let weight = self.weight(tile);
            let rows = prefix_mut(&mut memory, count * size).par_chunks_mut(TASK * size);
            let rows = rows.zip(of_rows.as_mut_slice().par_chunks_mut(TASK * width)).enumerate();
            rows.for_each(|(task, (logits, of_rows))| {
                if computed {
                    self.logits(task * TASK, tile, &weight, logits);
                }
                let asked = chosen.targets.iter().zip(chosen.highest.iter().zip(chosen.log_sums)).zip(chosen.weights);
                let asked = asked.skip(task * TASK);
                for (logits, ((target, (highest, log_sum)), weight)) in logits.chunks_exact_mut(size).zip(asked) {
                    let target = (*target as usize).checked_sub(tile.start);
                    let cap = self.vocabulary.cap;
                    vectorised(
                        #[inline(always)]
                        || slopes(logits, target, (*highest, *log_sum), *weight, cap),
                    );
                }
                let count = logits.len() / size;
                let slopes = MatRef::from_row_major_slice(&*logits, count, size);
                let of_rows = MatMut::from_row_major_slice_mut(of_rows, count, width);
                let weight = MatRef::from_row_major_slice(weight.as_slice(), size, width);
                matmul(of_rows, Accum::Add, slopes, weight, 1.0, Par::Seq);
            });
            if let Some(of_weight) = &mut of_weight {
                let slopes = MatRef::from_row_major_slice(prefix_mut(&mut memory, count * size), count, size);
                let place = tile.start * width..tile.end * width;
                let of_tile = of_weight.as_mut_slice().get_mut(place).unwrap_or_default();
                of_tile.par_chunks_mut(TASK * width).enumerate().for_each(|(task, of_tile)| {
                    let columns = of_tile.len() / width;
                    let slopes = slopes.subcols(task * TASK, columns).transpose();
                    let of_tile = MatMut::from_row_major_slice_mut(of_tile, columns, width);
                    matmul(of_tile, Accum::Add, slopes, self.hidden(0, count), 1.0, Par::Seq);
                });
            }
        }
        into.weight = of_weight.map(|of_weight| of_weight.into_tensor([self.vocabulary.size(), width]));
        of_rows.into_tensor([count, width])
    }

    /// `[row, tile]`, from a row on.
    fn logits(&self, first: usize, tile: &Range<usize>, weight: &Weight, logits: &mut [f32]) {
        let count = logits.len() / tile.len().max(1);
        let weight = MatRef::from_row_major_slice(weight.as_slice(), tile.len(), self.width);
        let target = MatMut::from_row_major_slice_mut(&mut *logits, count, tile.len());
        matmul(target, Accum::Replace, self.hidden(first, count), weight.transpose(), 1.0, Par::Seq);
        if let Some(cap) = self.vocabulary.cap {
            let cap = cap as f32;
            logits.iter_mut().for_each(|logit| *logit = cap * (*logit / cap).tanh());
        }
    }

    fn weight(&self, tile: &Range<usize>) -> Weight {
        Weight(Values::of(&self.vocabulary.tile(tile)))
    }

    /// `[row, width]`
    fn hidden(&self, first: usize, count: usize) -> MatRef<'_, f32> {
        let start = (self.part.start + first) * self.width;
        let rows = self.rows.as_slice().get(start..start + count * self.width).unwrap_or_default();
        MatRef::from_row_major_slice(rows, count, self.width)
    }
}

/// A tile of the matrix. It is at hand, since another one was.
struct Weight(Option<Values>);

impl Weight {
    fn as_slice(&self) -> &[f32] {
        self.0.as_ref().map(Values::as_slice).unwrap_or_default()
    }
}

impl Running {
    /// Takes the logits of another tile into account.
    #[inline(always)]
    fn read(&mut self, logits: &[f32], scale: f32) {
        let highest = self.highest.max(largest(logits));
        // Nothing has been read before the first tile.
        let fallen = if self.sum == 0.0 { 0.0 } else { self.highest - highest };
        let before = exp(fallen);
        let (sum, weighted) = sums(logits, highest);
        self.weighted = (self.weighted + self.sum * fallen) * before + weighted;
        self.sum = self.sum * before + sum;
        self.scaled = if scale == 1.0 {
            self.sum
        } else {
            let scaled = sum1(logits, |logit, sum| sum + exp(scale * (logit - highest)));
            self.scaled * exp(scale * fallen) + scaled
        };
        self.highest = highest;
    }
}

/// Sums over `e^d` and `e^d d`, where `d = l - highest`.
#[inline(always)]
fn sums(logits: &[f32], highest: f32) -> (f32, f32) {
    let (mut sum, mut weighted) = (0.0, 0.0);
    // Stretches that stay in registers and the nearest cache.
    for logits in logits.chunks(256) {
        let mut powers = [0.0f32; 256];
        powers.iter_mut().zip(logits).for_each(|(power, logit)| *power = exp(logit - highest));
        let (powers, _) = powers.split_at(logits.len());
        sum += sum1(powers, |power, sum| sum + power);
        weighted += sum2(powers, logits, |power, logit, sum| power.mul_add(logit - highest, sum));
    }
    (sum, weighted)
}

/// Logits of one row to the gradient of `weight * logprob`.
#[inline(always)]
fn slopes(logits: &mut [f32], target: Option<usize>, (highest, log_sum): (f32, f32), weight: f32, cap: Option<f64>) {
    let at = target.and_then(|target| logits.get(target).copied().map(|logit| (target, logit)));
    let bend = |logit: f32| cap.map_or(1.0, |cap| 1.0 - (logit / cap as f32).powi(2));
    match cap {
        None => logits.iter_mut().for_each(|logit| *logit = -weight * exp(*logit - highest - log_sum)),
        Some(_) => {
            logits.iter_mut().for_each(|logit| *logit = -weight * exp(*logit - highest - log_sum) * bend(*logit))
        }
    }
    if let Some((target, logit)) = at
        && let Some(slope) = logits.get_mut(target)
    {
        *slope += weight * bend(logit);
    }
}

fn prefix_mut(memory: &mut Owned, count: usize) -> &mut [f32] {
    memory.as_mut_slice().get_mut(..count).unwrap_or_default()
}
