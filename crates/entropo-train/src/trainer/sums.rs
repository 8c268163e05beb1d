//! What a decoder that does not learn says of sequences.

use burn::tensor::DType;

use super::parts::parts;
use crate::data::{Batch, Sequence};
use crate::decoder::Decoder;
use crate::logprob::score;

/// How it is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// As in [`Learner::new`](super::Learner::new).
    pub(super) micro_batch: usize,
    /// What logits are multiplied by first.
    pub(super) scale: f64,
    /// As in [`Keep`](crate::decoder::Keep).
    pub(super) compute: Option<DType>,
}

/// Summed log-probabilities of the sequences' actions, `[sequence]`.
pub(super) fn sums(decoder: &Decoder, sequences: &[&Sequence], asked: Asked) -> Vec<f64> {
    let Asked { micro_batch, scale, compute } = asked;
    let of_part = |part: &[&Sequence]| {
        let batch = Batch::new(part, &decoder.device());
        let scores = score(decoder, &batch, scale, compute);
        batch.sums(if scale == 1.0 { &scores.logprobs } else { &scores.scaled })
    };
    parts(sequences, micro_batch, 1).into_iter().flat_map(of_part).collect()
}

/// Summed log-probabilities under a decoder without gradients, in its weights' precision, `[sequence]`; `micro_batch` as
/// in [`Learner::new`](super::Learner::new).
pub fn frozen_sums(decoder: &Decoder, sequences: &[&Sequence], micro_batch: usize) -> Vec<f64> {
    sums(decoder, sequences, Asked { micro_batch, scale: 1.0, compute: None })
}
