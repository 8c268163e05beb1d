//! Log-probabilities of action tokens.
//!
//! Only the rows that predict an action go through the head, so that observations cost no head work and logits are
//! `[action, vocabulary]` instead of `[token, vocabulary]`.

use burn::tensor::Tensor;

use crate::data::Batch;
use crate::decoder::Decoder;

/// Natural log-probability of every action token of a batch, `[action]`.
pub fn action_logprobs(decoder: &Decoder, batch: &Batch) -> Tensor<1> {
    let hidden = decoder.hidden(batch.ids.clone());
    let [sequences, tokens, width] = hidden.dims();
    let rows = hidden.reshape([sequences * tokens, width]).select(0, batch.rows.clone());
    let logits = decoder.head(rows); // [action, vocabulary]
    let highest = logits.clone().detach().max_dim(1);
    let logits = logits - highest;
    let total = logits.clone().exp().sum_dim(1).log();
    let [actions] = batch.targets.dims();
    (logits.gather(1, batch.targets.clone().reshape([actions, 1])) - total).reshape([actions])
}

/// Sums of log-probabilities by sequence, in f64, `[sequence]`.
pub fn sums(batch: &Batch, logprobs: &[f32]) -> Vec<f64> {
    batch.by_sequence(logprobs).into_iter().map(|values| values.iter().copied().map(f64::from).sum()).collect()
}
