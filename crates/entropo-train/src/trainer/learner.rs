//! One step of learning: log-probabilities, an objective's opinion of them, and its gradient.
//!
//! The objective sees sums over each sequence and answers with a weight for each; what is differentiated is
//! `sum_i weight_i * logp_i`. So the whole batch is judged at once even when it is processed in parts, and parts give the
//! same gradient as the whole. An adapter's dropout is the same in both passes over a part.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};

use super::error::TrainError;
use super::optimizer::{Optimizer, OptimizerConfig, accumulate};
use crate::data::{Batch, Sequence};
use crate::decoder::Decoder;
use crate::decoder::lora::Pass;
use crate::logprob::{action_logprobs, sums};
use crate::objective::Metrics;

/// Attention takes memory with the square of the length, so a sequence longer than this counts for several.
pub const MICRO_TOKENS: usize = 512;

/// A decoder that is being trained.
pub struct Learner {
    decoder: Decoder,
    pub(super) optimizer: Optimizer,
    device: Device,
    micro_batch: usize,
    seed: u64,
    /// Updates made.
    steps: u64,
}

/// What an objective says of a batch, sequence by sequence.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judgement {
    /// The loss.
    pub loss: f64,
    /// `[sequence]`: derivative of the loss with respect to the sequence's summed log-probability.
    pub weights: Vec<f64>,
    /// Numbers to log.
    pub metrics: Metrics,
}

/// What came of one step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepOutcome {
    /// The loss before the update.
    pub loss: f64,
    /// Global norm of the gradient before clipping.
    pub grad_norm: f64,
    /// The objective's numbers.
    pub metrics: Metrics,
    /// Real tokens read, padding left out.
    pub tokens: usize,
    /// Action tokens among them.
    pub action_tokens: usize,
}

impl Learner {
    /// Trains `decoder`, whose parameters must be on an autodiff device. `micro_batch` is how many sequences of up to
    /// [`MICRO_TOKENS`] tokens, or as many tokens in fewer longer ones, are
    /// differentiated at a time: less memory for a second forward pass. The result does not depend on it but for
    /// rounding, unless an adapter has dropout: each part then has its own masks.
    pub fn new(decoder: Decoder, config: &OptimizerConfig, device: &Device, micro_batch: usize) -> Self {
        let device = if device.is_autodiff() { device.clone() } else { device.clone().autodiff() };
        Self { decoder, optimizer: Optimizer::new(config), device, micro_batch: micro_batch.max(1), seed: 0, steps: 0 }
    }

    /// The same with another seed of an adapter's dropout than 0.
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Goes to where it was after so many steps.
    pub(super) fn resume(&mut self, decoder: Decoder, moments: &BTreeMap<String, Vec<f32>>, steps: usize) {
        self.decoder = decoder;
        self.optimizer.restore(moments, steps, &self.device);
        self.steps = steps as u64;
    }

    /// The decoder as it is now.
    pub fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    /// The decoder without gradients, for generation and evaluation.
    pub fn frozen(&self) -> Decoder {
        self.decoder.valid()
    }

    /// Summed log-probabilities of the sequences' action tokens, `[sequence]`, without gradients.
    pub fn log_probs(&self, sequences: &[&Sequence]) -> Vec<f64> {
        frozen_sums(&self.decoder.valid(), sequences, self.micro_batch)
    }

    /// One update. `judge` is asked once, with the summed log-probabilities of the sequences in order.
    pub fn step(
        &mut self,
        sequences: &[&Sequence],
        learning_rate: f64,
        judge: impl FnOnce(&[f64]) -> Result<Judgement, TrainError>,
    ) -> Result<StepOutcome, TrainError> {
        let judgement;
        let gradients;
        let parts = parts(sequences, self.micro_batch);
        if parts.len() <= 1 {
            let batch = Batch::new(sequences, &self.device);
            let logprobs = action_logprobs(&self.under_dropout(0), &batch);
            judgement = checked(judge(&sums(&batch, &host(&logprobs)))?)?;
            gradients = self.differentiate(&batch, logprobs, &judgement.weights);
        } else {
            let policy = parts.iter().enumerate();
            let policy = policy.flat_map(|(index, part)| part_sums(&self.under_dropout(index).valid(), part));
            judgement = checked(judge(&policy.collect::<Vec<_>>())?)?;
            let mut total = GradientsParams::new();
            let mut weights = judgement.weights.as_slice();
            for (index, part) in parts.into_iter().enumerate() {
                let (of_part, rest) = weights.split_at(part.len().min(weights.len()));
                weights = rest;
                let batch = Batch::new(part, &self.device);
                let logprobs = action_logprobs(&self.under_dropout(index), &batch);
                accumulate(&self.decoder, &mut total, self.differentiate(&batch, logprobs, of_part));
            }
            gradients = total;
        }
        let grad_norm = self.update(gradients, learning_rate)?;
        self.steps += 1;
        let Judgement { loss, metrics, .. } = judgement;
        let tokens = sequences.iter().map(|sequence| sequence.ids().len()).sum();
        let action_tokens = sequences.iter().map(|sequence| sequence.action_tokens()).sum();
        Ok(StepOutcome { loss, grad_norm, metrics, tokens, action_tokens })
    }

    /// The decoder as it computes in this step for one part of the batch.
    fn under_dropout(&self, part: usize) -> Decoder {
        self.decoder.with_dropout(Pass { seed: self.seed, step: self.steps, part: part as u64 })
    }

    /// Gradient of `sum_i weight_i * logp_i`.
    fn differentiate(&self, batch: &Batch, logprobs: Tensor<1>, weights: &[f64]) -> GradientsParams {
        let tokens: Vec<f32> = batch
            .action_tokens
            .iter()
            .zip(weights)
            .flat_map(|(&count, &weight)| std::iter::repeat_n(weight as f32, count))
            .collect();
        let length = tokens.len();
        let weights = Tensor::<1>::from_data(TensorData::new(tokens, [length]), &self.device);
        let gradients = (logprobs * weights).sum().backward();
        GradientsParams::from_grads(gradients, &self.decoder)
    }

    fn update(&mut self, gradients: GradientsParams, learning_rate: f64) -> Result<f64, TrainError> {
        // Tensors are shared handles: cloning the decoder copies no weights.
        let (decoder, norm) = self.optimizer.step(self.decoder.clone(), gradients, learning_rate)?;
        self.decoder = decoder;
        Ok(norm)
    }
}

/// Summed log-probabilities under a decoder without gradients, `[sequence]`; `micro_batch` as in [`Learner::new`].
pub fn frozen_sums(decoder: &Decoder, sequences: &[&Sequence], micro_batch: usize) -> Vec<f64> {
    parts(sequences, micro_batch).into_iter().flat_map(|part| part_sums(decoder, part)).collect()
}

/// The same of sequences that are processed together.
fn part_sums(decoder: &Decoder, part: &[&Sequence]) -> Vec<f64> {
    let batch = Batch::new(part, &decoder.device());
    sums(&batch, &host(&action_logprobs(decoder, &batch)))
}

/// Cuts a batch into parts of at most `micro_batch` sequences and, padding included, `micro_batch * MICRO_TOKENS` tokens;
/// a single sequence may be longer.
fn parts<'a, 'b>(sequences: &'a [&'b Sequence], micro_batch: usize) -> Vec<&'a [&'b Sequence]> {
    let micro_batch = micro_batch.max(1);
    let mut parts = Vec::new();
    let mut rest = sequences;
    while !rest.is_empty() {
        let mut longest = 0;
        let fitting = rest.iter().enumerate().take(micro_batch).take_while(|(index, sequence)| {
            longest = longest.max(sequence.ids().len());
            (index + 1) * longest <= micro_batch * MICRO_TOKENS
        });
        let (part, left) = rest.split_at(fitting.count().max(1));
        parts.push(part);
        rest = left;
    }
    parts
}

fn host(values: &Tensor<1>) -> Vec<f32> {
    values.to_data().iter::<f32>().collect()
}

fn checked(judgement: Judgement) -> Result<Judgement, TrainError> {
    if judgement.loss.is_finite() {
        Ok(judgement)
    } else {
        Err(TrainError::NotFinite { what: "loss", value: judgement.loss })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_sequences_make_smaller_parts() {
        let of_length = |tokens: usize| Sequence::new("x", vec![0; tokens], vec![true; tokens]).unwrap();
        let sequences = [10, 500, 512, 1024, 1025, 4000].map(of_length);
        let lengths = |micro_batch: usize| -> Vec<usize> {
            parts(&sequences.iter().collect::<Vec<_>>(), micro_batch).iter().map(|part| part.len()).collect()
        };
        assert_eq!(lengths(1), [1, 1, 1, 1, 1, 1]);
        assert_eq!(lengths(4), [3, 1, 1, 1]);
        assert_eq!(lengths(64), [6]);
        assert!(parts(&[], 4).is_empty());
    }
}
