//! Supervised fine-tuning: the negative log-likelihood of the action tokens.

use serde::{Deserialize, Serialize};

use super::Evaluation;
use super::error::{ObjectiveError, SequenceIndex};
use super::metrics::{Metrics, mean};
use super::sequence::{Pair, SequenceLogProbs};

/// Masked negative log-likelihood.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sft {
    /// How tokens are averaged. Default: [`Reduction::TokenMean`].
    pub reduction: Reduction,
}

/// From one negative log-likelihood per action token to a loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reduction {
    /// Mean over all action tokens of the batch, so that every token counts the same. Where a batch is processed in
    /// parts, weigh each part by its share of the tokens.
    #[default]
    TokenMean,
    /// Sum over all action tokens of the batch.
    Sum,
    /// Mean over sequences of each one's token mean, so that every sequence counts the same.
    SequenceMean,
    /// Mean over sequences of each one's sum.
    SequenceSumMean,
}

impl Sft {
    /// The loss of `batch`; the reference's values are ignored. Metrics: `nll` (token mean), `tokens`, `logps/chosen`.
    ///
    /// # Errors
    /// An empty batch, or a sequence without action tokens or with a policy sum that is not finite.
    pub fn evaluate(&self, batch: &[SequenceLogProbs]) -> Result<Evaluation<f64>, ObjectiveError> {
        for (index, sequence) in batch.iter().enumerate() {
            SequenceLogProbs { reference: 0.0, ..*sequence }.check(SequenceIndex::Single(index))?;
        }
        let sequences = batch.len() as f64;
        let tokens = batch.iter().map(|sequence| sequence.tokens).sum::<usize>() as f64;
        let weight = |sequence: &SequenceLogProbs| match self.reduction {
            Reduction::TokenMean => -1.0 / tokens,
            Reduction::Sum => -1.0,
            Reduction::SequenceMean => -sequence.per_token() / sequences,
            Reduction::SequenceSumMean => -1.0 / sequences,
        };
        let weights: Vec<f64> = batch.iter().map(weight).collect();
        let log_probs = mean(batch.iter().map(|sequence| sequence.policy)).ok_or(ObjectiveError::EmptyBatch)?;
        Ok(Evaluation {
            loss: batch.iter().zip(&weights).map(|(sequence, weight)| weight * sequence.policy).sum(),
            weights,
            metrics: Metrics::from([
                ("logps/chosen", log_probs),
                ("nll", -log_probs * sequences / tokens),
                ("tokens", tokens),
            ]),
        })
    }
}

impl Evaluation<(f64, f64)> {
    /// Adds `weight` times the token-mean negative log-likelihood of the chosen sequences, which keeps a preference
    /// loss from lowering the likelihood of both sides. `weight` 0 adds nothing.
    pub(super) fn with_sft(mut self, pairs: &[Pair], weight: f64) -> Result<Self, ObjectiveError> {
        if weight == 0.0 {
            return Ok(self);
        }
        let chosen: Vec<_> = pairs.iter().map(|(chosen, _)| *chosen).collect();
        let sft = Sft::default().evaluate(&chosen)?;
        self.loss += weight * sft.loss;
        for ((chosen, _), gradient) in self.weights.iter_mut().zip(sft.weights) {
            *chosen += weight * gradient;
        }
        self.metrics.insert("nll", sft.loss);
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::testing::{CHOSEN, REJECTED, assert_close};

    fn loss(reduction: Reduction) -> f64 {
        Sft { reduction }.evaluate(&[CHOSEN, REJECTED]).unwrap().loss
    }

    #[test]
    fn golden_mean() {
        let evaluation = Sft::default().evaluate(&[CHOSEN]).unwrap();
        assert_close(evaluation.loss, 0.82, 1e-12);
        assert_close(evaluation.metrics["nll"], 0.82, 1e-12);
        assert_eq!(evaluation.weights, [-0.2]);
    }

    #[test]
    fn reductions_weigh_tokens_differently() {
        assert_close(loss(Reduction::TokenMean), 6.7 / 8.0, 1e-12);
        assert_close(loss(Reduction::Sum), 6.7, 1e-12);
        assert_close(loss(Reduction::SequenceMean), (4.1 / 5.0 + 2.6 / 3.0) / 2.0, 1e-12);
        assert_close(loss(Reduction::SequenceSumMean), 3.35, 1e-12);
    }

    #[test]
    fn the_reference_is_not_needed() {
        let without = SequenceLogProbs { reference: f64::NAN, ..CHOSEN };
        assert_eq!(Sft::default().evaluate(&[without]), Sft::default().evaluate(&[CHOSEN]));
    }

    #[test]
    fn nothing_to_learn_from_is_refused() {
        assert_eq!(Sft::default().evaluate(&[]), Err(ObjectiveError::EmptyBatch));
        let empty = SequenceLogProbs { tokens: 0, ..CHOSEN };
        assert_eq!(
            Sft::default().evaluate(&[CHOSEN, empty]),
            Err(ObjectiveError::NoActionToken { sequence: SequenceIndex::Single(1) })
        );
    }
}
