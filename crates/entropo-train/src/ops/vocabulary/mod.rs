//! Log-probabilities of one token a row, without `[row, vocabulary]`.
//!
//! The vocabulary is taken a tile at a time. Forward, every row keeps its largest logit and its sums of exponentials, from
//! which come the log-probability of its target, the entropy, and the log-probability under logits times a constant.
//! Backward, logits are computed again, and the gradient is written out: with `p` the probabilities, that of
//! `sum_i w_i log p_i[target_i]` with respect to the logits of row `i` is `w_i (onehot - p_i)`. A tile that is the whole
//! vocabulary is kept instead.

mod slices;
#[cfg(test)]
mod tests;
mod traced;

use std::ops::Range;

use burn::tensor::Tensor;

use super::host::{Owned, Values};

/// Logits that exist at a time: 32 MiB.
const LOGITS: usize = 1 << 23;
/// Rows that share a pass over the vocabulary.
const ROWS: usize = 4096;

/// Rows of the output matrix.
#[derive(Clone, Debug)]
pub(crate) struct Vocabulary {
    /// `[vocabulary, width]`
    pub(crate) weight: Tensor<2>,
    /// More columns for it, `[vocabulary, extra]`.
    pub(crate) extra: Option<Tensor<2>>,
    /// Logits `l` become `cap tanh(l / cap)`.
    pub(crate) cap: Option<f64>,
}

/// What is known of every row.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Statistics {
    /// Natural log-probability of the target.
    pub(crate) logprobs: Vec<f32>,
    /// Entropy in nats.
    pub(crate) entropies: Vec<f32>,
    /// Log-probability of the target where all logits are multiplied by the scale.
    pub(crate) scaled: Vec<f32>,
    /// Whether no token is likelier than the target.
    pub(crate) hits: Vec<bool>,
    /// The largest logit.
    highest: Vec<f32>,
    /// Logarithm of the sum of the exponentials of the distances from it. (Added to it, digits of large logits were lost.)
    log_sums: Vec<f32>,
}

/// What the backward pass may use.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// `[row, vocabulary]`, if that is one tile.
    logits: Option<Tensor<2>>,
}

/// Gradients of the matrix's parts, in f32, that are to be added to; absent for what does not learn.
#[derive(Debug, Default)]
pub(crate) struct Into {
    /// `[vocabulary, width]`
    pub(crate) weight: Option<Tensor<2>>,
    /// `[vocabulary, extra]`
    pub(crate) extra: Option<Tensor<2>>,
}

impl Vocabulary {
    /// `rows` is `[row, width + extra]`, `targets` is `[row]`.
    pub(crate) fn statistics(&self, rows: &Tensor<2>, targets: &[u32], scale: f64, keep: bool) -> (Statistics, Kept) {
        let [count, _] = rows.dims();
        let mut all = Statistics::default();
        let mut kept = Kept::default();
        for part in parts(count) {
            let chosen = targets.get(part.clone()).unwrap_or_default();
            let (statistics, logits) = match slices::Inputs::of(self, rows, part.clone()) {
                Some(inputs) => inputs.statistics(chosen, scale, keep),
                None => traced::statistics(self, rows.clone().narrow(0, part.start, part.len()), chosen, scale),
            };
            all.append(statistics);
            kept.logits = logits.filter(|_| part.len() == count);
        }
        (all, kept)
    }

    /// The gradient of `sum_i weights_i logprobs_i` with respect to `rows`, `[row, width + extra]`.
    pub(crate) fn backward(
        &self,
        rows: &Tensor<2>,
        targets: &[u32],
        statistics: &Statistics,
        mut kept: Kept,
        weights: &[f32],
        into: &mut Into,
    ) -> Tensor<2> {
        let [count, _] = rows.dims();
        let parts = parts(count).map(|part| {
            let chosen = Chosen {
                targets: targets.get(part.clone()).unwrap_or_default(),
                highest: statistics.highest.get(part.clone()).unwrap_or_default(),
                log_sums: statistics.log_sums.get(part.clone()).unwrap_or_default(),
                weights: weights.get(part.clone()).unwrap_or_default(),
            };
            match slices::Inputs::of(self, rows, part.clone()) {
                Some(inputs) => inputs.backward(&chosen, kept.logits.take(), into),
                None => traced::backward(self, rows.clone().narrow(0, part.start, part.len()), &chosen, into),
            }
        });
        let mut parts: Vec<Tensor<2>> = parts.collect();
        match (parts.pop(), parts.is_empty()) {
            (Some(only), true) => only,
            (last, _) => {
                parts.extend(last);
                if parts.is_empty() { rows.zeros_like() } else { Tensor::cat(parts, 0) }
            }
        }
    }

    fn size(&self) -> usize {
        let [size, _] = self.weight.dims();
        size
    }

    /// `[tile, width + extra]`
    fn tile(&self, columns: &Range<usize>) -> Tensor<2> {
        let part = |matrix: &Tensor<2>| matrix.clone().narrow(0, columns.start, columns.len());
        match &self.extra {
            Some(extra) => Tensor::cat(vec![part(&self.weight), part(extra)], 1),
            None => part(&self.weight),
        }
    }

    /// For so many rows.
    fn tiles(&self, rows: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let size = self.size();
        let width = (LOGITS / rows.max(1)).max(256);
        (0..size).step_by(width).map(move |start| start..size.min(start + width))
    }
}

/// What is asked of a part of the rows.
struct Chosen<'a> {
    targets: &'a [u32],
    highest: &'a [f32],
    log_sums: &'a [f32],
    weights: &'a [f32],
}

impl Statistics {
    fn append(&mut self, mut other: Self) {
        self.logprobs.append(&mut other.logprobs);
        self.entropies.append(&mut other.entropies);
        self.scaled.append(&mut other.scaled);
        self.hits.append(&mut other.hits);
        self.highest.append(&mut other.highest);
        self.log_sums.append(&mut other.log_sums);
    }
}

fn parts(rows: usize) -> impl Iterator<Item = Range<usize>> {
    (0..rows).step_by(ROWS).map(move |start| start..rows.min(start + ROWS))
}
