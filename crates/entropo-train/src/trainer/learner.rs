//! One step of learning: log-probabilities, an objective's opinion of them, and its gradient.
//!
//! The objective sees sums over each sequence and answers with a weight for each; what is differentiated is
//! `sum_i weight_i * logp_i`. So the whole batch is judged at once even when it is processed in parts, and parts give the
//! same gradient as the whole.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};

use super::error::TrainError;
use super::optimizer::{Optimizer, OptimizerConfig, accumulate};
use crate::data::{Batch, Sequence};
use crate::decoder::Decoder;
use crate::logprob::{action_logprobs, sums};
use crate::objective::Metrics;

/// A decoder that is being trained.
pub struct Learner {
    decoder: Decoder,
    pub(super) optimizer: Optimizer,
    device: Device,
    micro_batch: usize,
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
    /// Trains `decoder`, whose parameters must be on an autodiff device. `micro_batch` is how many sequences are
    /// differentiated at a time: less memory for a second forward pass. The result does not depend on it but for
    /// rounding.
    pub fn new(decoder: Decoder, config: &OptimizerConfig, device: &Device, micro_batch: usize) -> Self {
        let device = if device.is_autodiff() { device.clone() } else { device.clone().autodiff() };
        Self { decoder, optimizer: Optimizer::new(config), device, micro_batch: micro_batch.max(1) }
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
        if sequences.len() <= self.micro_batch {
            let batch = Batch::new(sequences, &self.device);
            let logprobs = action_logprobs(&self.decoder, &batch);
            judgement = checked(judge(&sums(&batch, &host(&logprobs)))?)?;
            gradients = self.differentiate(&batch, logprobs, &judgement.weights);
        } else {
            judgement = checked(judge(&self.log_probs(sequences))?)?;
            let mut total = GradientsParams::new();
            for (part, weights) in sequences.chunks(self.micro_batch).zip(judgement.weights.chunks(self.micro_batch)) {
                let batch = Batch::new(part, &self.device);
                let logprobs = action_logprobs(&self.decoder, &batch);
                accumulate(&self.decoder, &mut total, self.differentiate(&batch, logprobs, weights));
            }
            gradients = total;
        }
        let grad_norm = self.update(gradients, learning_rate)?;
        let Judgement { loss, metrics, .. } = judgement;
        let tokens = sequences.iter().map(|sequence| sequence.ids().len()).sum();
        let action_tokens = sequences.iter().map(|sequence| sequence.action_tokens()).sum();
        Ok(StepOutcome { loss, grad_norm, metrics, tokens, action_tokens })
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

/// Summed log-probabilities under a decoder without gradients, `[sequence]`.
pub fn frozen_sums(decoder: &Decoder, sequences: &[&Sequence], micro_batch: usize) -> Vec<f64> {
    let device = decoder.device();
    let parts = sequences.chunks(micro_batch.max(1));
    parts
        .flat_map(|part| {
            let batch = Batch::new(part, &device);
            sums(&batch, &host(&action_logprobs(decoder, &batch)))
        })
        .collect()
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
