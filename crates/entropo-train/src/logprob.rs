//! Log-probabilities of action tokens.
//!
//! Only the rows that predict an action go through the head, so that observations cost no head work and logits are
//! `[action, vocabulary]` instead of `[token, vocabulary]`.

use burn::tensor::{Int, Tensor};

use crate::data::Batch;
use crate::decoder::Decoder;

/// Natural log-probability of every action token of a batch, `[action]`.
pub fn action_logprobs(decoder: &Decoder, batch: &Batch) -> Tensor<1> {
    let hidden = decoder.hidden(batch.ids.clone());
    let [sequences, tokens, width] = hidden.dims();
    let rows = hidden.reshape([sequences * tokens, width]).select(0, batch.rows.clone());
    logprobs_of(decoder.head(rows), batch.targets.clone())
}

/// Natural log-probability of one target a row: logits `[row, vocabulary]` and targets `[row]` to `[row]`.
pub fn logprobs_of(logits: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    let [rows] = targets.dims();
    let highest = logits.clone().detach().max_dim(1);
    let logits = logits - highest;
    let total = logits.clone().exp().sum_dim(1).log();
    (logits.gather(1, targets.reshape([rows, 1])) - total).reshape([rows])
}

/// Sums of log-probabilities by sequence, in f64, `[sequence]`.
pub fn sums(batch: &Batch, logprobs: &[f32]) -> Vec<f64> {
    batch.by_sequence(logprobs).into_iter().map(|values| values.iter().copied().map(f64::from).sum()).collect()
}
