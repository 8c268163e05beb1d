//! One step of learning: log-probabilities, an objective's opinion of them, and its gradient.
//!
//! The objective sees sums over each sequence and answers with a weight for each; what is differentiated is
//! `sum_i weight_i * logp_i`. So the whole batch is judged at once even when it is processed in parts, and parts give the
//! same gradient as the whole. Where the weights of a part are known from the part alone, it is differentiated at once;
//! otherwise log-probabilities are computed twice. An adapter's dropout is the same in both passes over a part.

use std::sync::{Mutex, PoisonError};

use burn::module::Module;
use burn::tensor::Device;

use super::error::TrainError;
use super::judge::{Judge, Judgement, checked};
use super::micro::{Looked, Micro, numbered};
use super::optimizer::{Optimizer, OptimizerConfig, States, finite_norm};
use super::parts::parts;
use super::replicas::{Replicas, on_each, shared_out};
use super::sums::{Asked, sums};
use crate::data::Sequence;
use crate::decoder::trace::Keep;
use crate::decoder::{Decoder, Gradients};
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
    replicas: Replicas,
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
        let (micro_batch, keep, replicas) = (micro_batch.max(1), Keep::default(), Replicas::default());
        Self { decoder, optimizer, device, micro_batch, keep, seed: 0, steps: 0, replicas }
    }

    /// The same with another seed of an adapter's dropout than 0.
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// The same with another choice of what is kept of a forward pass, and of the precision that is computed in.
    pub fn with_keep(self, keep: Keep) -> Self {
        Self { keep, ..self }
    }

    /// The same with more replicas of the decoder, one on each of these devices, which may be the learner's own. The parts
    /// of a batch go round all of them, the learner's decoder first, each in its own thread; gradients are added up in that
    /// order. The result depends on how many there are by rounding only, and not on which is faster.
    pub fn with_replicas(mut self, devices: &[Device]) -> Self {
        self.replicas = Replicas::new(devices, &self.decoder);
        self
    }

    /// Goes to where it was after so many updates.
    pub(super) fn resume(&mut self, decoder: Decoder, states: States, updates: usize) {
        self.replicas.follow(&decoder);
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
        mut judge: impl Judge + Send,
    ) -> Result<StepOutcome, TrainError> {
        if !self.decoder.has_adapter() && self.decoder.is_quantised() {
            return Err(TrainError::Quantised);
        }
        let (judgement, gradients, looked) = self.gradients(sequences, &mut judge)?;
        let grad_norm = self.update(gradients, learning_rate)?;
        self.steps += 1;
        let Judgement { loss, mut metrics, .. } = judgement;
        metrics.extend(looked.metrics());
        Ok(StepOutcome {
            loss,
            grad_norm,
            metrics,
            tokens: sequences.iter().map(|sequence| sequence.ids().len()).sum(),
            action_tokens: sequences.iter().map(|sequence| sequence.action_tokens()).sum(),
            computed_tokens: looked.computed,
        })
    }

    /// The opinion of the batch, and its gradient on the learner's device.
    fn gradients<J: Judge + Send>(
        &self,
        sequences: &[&Sequence],
        judge: &mut J,
    ) -> Result<(Judgement, Gradients, Looked), TrainError> {
        let parts = numbered(parts(sequences, self.micro_batch, judge.together()));
        let (micro, only) = (Micro { keep: self.keep, seed: self.seed, step: self.steps }, parts.len() == 1);
        let decoders = self.replicas.decoders(&self.decoder);
        let judge = Mutex::new(judge);
        let first =
            on_each(shared_out(&decoders, &parts), |(decoder, parts)| micro.first_pass(decoder, parts, &judge, only));
        let mut found = first.into_iter().collect::<Result<Vec<_>, _>>()?;
        let mut whole = Looked::default();
        let known = found.iter_mut().find_map(|found| found.judgement.take());
        whole.extend(found.iter_mut().flat_map(|found| std::mem::take(&mut found.parts)));
        let judgement = match known {
            Some(judgement) => judgement,
            None => checked(judge.into_inner().unwrap_or_else(PoisonError::into_inner).judge(&whole.sums)?)?,
        };
        let later = decoders.iter().zip(found).collect();
        let gradients = on_each(later, |(decoder, found)| micro.second_pass(decoder, found, &judgement));
        let mut gradients = gradients.into_iter();
        let mut sum = gradients.next().unwrap_or_else(|| Gradients::of(&self.decoder));
        gradients.for_each(|other| sum.absorb(other, &self.decoder));
        Ok((judgement, sum, whole))
    }

    fn update(&mut self, gradients: Gradients, learning_rate: f64) -> Result<f64, TrainError> {
        let gradients = gradients.into_params();
        let norm = finite_norm(&self.decoder, &gradients)?;
        // Weights that nobody else holds are changed in place, so the decoder must not be held here either.
        let blank = Decoder::blank(self.decoder.config(), &self.device);
        let decoder = std::mem::replace(&mut self.decoder, blank);
        self.decoder = self.optimizer.step(decoder, gradients, norm, learning_rate);
        self.replicas.follow(&self.decoder);
        Ok(norm)
    }
}
