//! One step of learning: log-probabilities, an objective's opinion of them, and its gradient.
//!
//! The objective sees sums over each sequence and answers with a weight for each; what is differentiated is
//! `sum_i weight_i * logp_i`. So the whole batch is judged at once even when it is processed in parts, and parts give the
//! same gradient as the whole. Where the weights of a part are known from the part alone, it is differentiated at once;
//! otherwise log-probabilities are computed twice. An adapter's dropout is the same in both passes over a part.

use burn::module::Module;
use burn::tensor::Device;

use super::error::TrainError;
use super::optimizer::{Optimizer, OptimizerConfig, States, finite_norm};
use super::parts::parts;
use super::sums::{Asked, sums};
use crate::data::{Batch, Sequence};
use crate::decoder::lora::Pass;
use crate::decoder::trace::Keep;
use crate::decoder::{Decoder, Gradients};
use crate::logprob::{Scored, Scores, score};
use crate::objective::Metrics;

/// A decoder that is being trained.
pub struct Learner {
    decoder: Decoder,
    pub(super) optimizer: Optimizer,
    device: Device,
    micro_batch: usize,
    keep: Keep,
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

/// Turns summed log-probabilities into a loss and its derivatives.
pub trait Judge {
    /// Consecutive sequences that belong together and are never separated: 2 for pairs.
    fn together(&self) -> usize {
        1
    }

    /// The weights of `count` sequences from the `first` on, given the sums of these alone, if those of the others do not
    /// matter to them.
    fn weights(&mut self, first: usize, sums: &[f64]) -> Option<Result<Vec<f64>, TrainError>> {
        let _ = (first, sums);
        None
    }

    /// The opinion of the whole batch, asked for once, in the end.
    fn judge(&mut self, sums: &[f64]) -> Result<Judgement, TrainError>;
}

impl<F: FnMut(&[f64]) -> Result<Judgement, TrainError>> Judge for F {
    fn judge(&mut self, sums: &[f64]) -> Result<Judgement, TrainError> {
        self(sums)
    }
}

/// What came of one step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepOutcome {
    /// The loss before the update.
    pub loss: f64,
    /// Global norm of the gradient before clipping.
    pub grad_norm: f64,
    /// The objective's numbers, the policy's mean entropy on action tokens in nats (`entropy`) and the share of action
    /// tokens that no other was likelier than (`mean_token_accuracy`).
    pub metrics: Metrics,
    /// Tokens read; a beginning that sequences share counts for each.
    pub tokens: usize,
    /// Action tokens among them.
    pub action_tokens: usize,
    /// Tokens computed: a shared beginning once.
    pub computed_tokens: usize,
}

/// What is gathered while a batch is processed in parts.
#[derive(Default)]
struct Gathered {
    sums: Vec<f64>,
    entropy: f64,
    hits: usize,
    actions: usize,
    computed: usize,
}

impl Gathered {
    fn add(&mut self, batch: &Batch, scores: &Scores) {
        self.sums.extend(batch.sums(&scores.logprobs));
        self.entropy += scores.entropies.iter().copied().map(f64::from).sum::<f64>();
        self.hits += scores.hits.iter().filter(|hit| **hit).count();
        self.actions += batch.actions();
        self.computed += batch.tokens();
    }

    fn metrics(&self) -> Metrics {
        let count = self.actions.max(1) as f64;
        Metrics::from([("entropy", self.entropy / count), ("mean_token_accuracy", self.hits as f64 / count)])
    }
}

impl Learner {
    /// Trains `decoder`. `micro_batch` is how many sequences of up to
    /// [`MICRO_TOKENS`](super::MICRO_TOKENS) tokens, or as many tokens in fewer longer ones, are
    /// differentiated at a time. The result does not depend on it but for
    /// rounding, unless an adapter has dropout: each part then has its own masks.
    pub fn new(decoder: Decoder, config: &OptimizerConfig, device: &Device, micro_batch: usize) -> Self {
        // Gradients are computed without burn's autodiff, on the device beneath it.
        let device = device.clone().inner();
        let decoder = if decoder.device().is_autodiff() { decoder.valid() } else { decoder };
        let optimizer = Optimizer::new(config);
        Self { decoder, optimizer, device, micro_batch: micro_batch.max(1), keep: Keep::default(), seed: 0, steps: 0 }
    }

    /// The same with another seed of an adapter's dropout than 0.
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// The same with another choice of what is kept of a forward pass, and of the precision that is computed in.
    pub fn with_keep(self, keep: Keep) -> Self {
        Self { keep, ..self }
    }

    /// Goes to where it was after so many updates.
    pub(super) fn resume(&mut self, decoder: Decoder, states: States, updates: usize) {
        self.decoder = decoder;
        self.optimizer.restore(states);
        self.steps = updates as u64;
    }

    /// The decoder as it is now.
    pub fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    /// The decoder without gradients, for generation and evaluation.
    pub fn frozen(&self) -> Decoder {
        self.decoder.clone()
    }

    /// Summed log-probabilities of the sequences' action tokens, `[sequence]`, without gradients.
    pub fn log_probs(&self, sequences: &[&Sequence]) -> Vec<f64> {
        let asked = Asked { micro_batch: self.micro_batch, scale: 1.0, compute: self.keep.compute };
        sums(&self.decoder, sequences, asked)
    }

    /// One update.
    ///
    /// # Errors
    /// Those of the judge, [`TrainError::NotFinite`], and [`TrainError::Quantised`]; the decoder is as it was then.
    pub fn step(
        &mut self,
        sequences: &[&Sequence],
        learning_rate: f64,
        mut judge: impl Judge,
    ) -> Result<StepOutcome, TrainError> {
        if !self.decoder().has_adapter() && self.decoder().is_quantised() {
            return Err(TrainError::Quantised);
        }
        let (judgement, gradients, gathered) = self.gradients(sequences, &mut judge)?;
        let grad_norm = self.update(gradients, learning_rate)?;
        self.steps += 1;
        let Judgement { loss, mut metrics, .. } = judgement;
        metrics.extend(gathered.metrics());
        Ok(StepOutcome {
            loss,
            grad_norm,
            metrics,
            tokens: sequences.iter().map(|sequence| sequence.ids().len()).sum(),
            action_tokens: sequences.iter().map(|sequence| sequence.action_tokens()).sum(),
            computed_tokens: gathered.computed,
        })
    }

    fn gradients(
        &self,
        sequences: &[&Sequence],
        judge: &mut impl Judge,
    ) -> Result<(Judgement, Gradients, Gathered), TrainError> {
        let mut gradients = Gradients::of(&self.decoder);
        let mut gathered = Gathered::default();
        let mut later = Vec::new();
        let parts = parts(sequences, self.micro_batch, judge.together());
        let only = parts.len() == 1;
        let mut known: Option<Judgement> = None;
        for (index, part) in parts.into_iter().enumerate() {
            let first = gathered.sums.len();
            let batch = Batch::new(part, &self.device);
            let decoder = self.under_dropout(index);
            if later.is_empty() {
                let scored = Scored::new(&decoder, &batch, self.keep);
                gathered.add(&batch, &scored.scores());
                let sums = gathered.sums.get(first..).unwrap_or_default();
                let weights = if only {
                    let judgement = checked(judge.judge(sums)?)?;
                    Some(known.insert(judgement).weights.clone())
                } else {
                    judge.weights(first, sums).transpose()?
                };
                match weights {
                    Some(weights) => scored.backward(&batch.spread(&weights), &mut gradients),
                    None => later.push((index, first, part)),
                }
            } else {
                gathered.add(&batch, &score(&decoder, &batch, 1.0, self.keep.compute));
                later.push((index, first, part));
            }
        }
        let judgement = match known {
            Some(judgement) => judgement,
            None => checked(judge.judge(&gathered.sums)?)?,
        };
        for (index, first, part) in later {
            let weights = judgement.weights.get(first..first + part.len()).unwrap_or_default();
            let batch = Batch::new(part, &self.device);
            let decoder = self.under_dropout(index);
            Scored::new(&decoder, &batch, self.keep).backward(&batch.spread(weights), &mut gradients);
        }
        Ok((judgement, gradients, gathered))
    }

    /// The decoder as it computes in this step for one part of the batch.
    fn under_dropout(&self, part: usize) -> Decoder {
        self.decoder.with_dropout(Pass { seed: self.seed, step: self.steps, part: part as u64 })
    }

    fn update(&mut self, gradients: Gradients, learning_rate: f64) -> Result<f64, TrainError> {
        let gradients = gradients.into_params();
        let norm = finite_norm(&self.decoder, &gradients)?;
        // Weights that nobody else holds are changed in place, so the decoder must not be held here either.
        let blank = Decoder::blank(self.decoder.config(), &self.device);
        let decoder = std::mem::replace(&mut self.decoder, blank);
        self.decoder = self.optimizer.step(decoder, gradients, norm, learning_rate);
        Ok(norm)
    }
}

fn checked(judgement: Judgement) -> Result<Judgement, TrainError> {
    if judgement.loss.is_finite() {
        Ok(judgement)
    } else {
        Err(TrainError::NotFinite { what: "loss", value: judgement.loss })
    }
}
