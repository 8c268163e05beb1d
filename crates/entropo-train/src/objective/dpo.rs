//! Direct preference optimisation and its relatives (Rafailov et al. 2023), in TRL's conventions.

use serde::{Deserialize, Serialize};

use super::Evaluation;
use super::error::{ObjectiveError, not_negative, positive, smoothing};
use super::logistic::smoothed;
use super::metrics::{mean, of_pairs};
use super::sequence::{Pair, SequenceLogProbs, check_pairs};
use super::{negative_log_sigmoid, sigmoid};

/// A loss on the difference `d` between the policy-to-reference log-ratios of a chosen and a rejected sequence.
///
/// With the assistant tokens of several turns in the sums this is M-DPO.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dpo {
    /// Scale of the implicit reward `beta * log_ratio`; above 0. Default: 0.1.
    pub beta: f64,
    /// Default: [`DpoVariant::Sigmoid`].
    pub variant: DpoVariant,
    /// Weight of the chosen side's token-mean negative log-likelihood, added to the loss; at least 0. Default: 0.
    pub sft_weight: f64,
}

impl Default for Dpo {
    fn default() -> Self {
        Self { beta: 0.1, variant: DpoVariant::default(), sft_weight: 0.0 }
    }
}

/// What is asked of `d`. `e` is `label_smoothing`, the probability that a pair is the wrong way round, in `[0, 0.5)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum DpoVariant {
    /// `-log sigmoid(beta d)`.
    #[default]
    Sigmoid,
    /// Conservative DPO: `-(1-e) log sigmoid(beta d) - e log sigmoid(-beta d)`.
    Conservative {
        /// `e`.
        label_smoothing: f64,
    },
    /// Unbiased under flipped labels: `(-(1-e) log sigmoid(beta d) + e log sigmoid(-beta d)) / (1 - 2e)`.
    Robust {
        /// `e`.
        label_smoothing: f64,
    },
    /// `max(0, 1 - beta d)`, with derivative 0 at the kink.
    Hinge,
    /// `(d - 1 / (2 beta))^2`, where `d` compares log-ratios per token.
    Ipo,
    /// `(d - 1 / (2 beta))^2` as first published, with summed log-ratios.
    IpoSum,
    /// `-log sigmoid(beta d)`, where `d` compares log-ratios per token: length-normalised DPO. Its `beta` is larger
    /// than [`Sigmoid`](Self::Sigmoid)'s by about the number of action tokens.
    SigmoidNorm,
    /// `-log sigmoid(beta d)`, where `d` compares log-ratios per turn: a long message counts like a short one.
    SigmoidPerTurn,
}

impl DpoVariant {
    /// What a sequence's log-ratio is multiplied with.
    fn scale(self, sequence: &SequenceLogProbs) -> f64 {
        match self {
            Self::Ipo | Self::SigmoidNorm => sequence.per_token(),
            Self::SigmoidPerTurn => sequence.per_turn(),
            _ => 1.0,
        }
    }

    /// Loss at `d`, and its derivative with respect to `d`.
    fn at(self, beta: f64, d: f64) -> (f64, f64) {
        let x = beta * d;
        match self {
            Self::Sigmoid | Self::SigmoidNorm | Self::SigmoidPerTurn => (negative_log_sigmoid(x), -beta * sigmoid(-x)),
            Self::Conservative { label_smoothing } => {
                let (loss, slope) = smoothed(x, label_smoothing);
                (loss, beta * slope)
            }
            Self::Robust { label_smoothing: e } => {
                let loss = (1.0 - e) * negative_log_sigmoid(x) - e * negative_log_sigmoid(-x);
                let slope = -(1.0 - e) * sigmoid(-x) - e * sigmoid(x);
                (loss / (1.0 - 2.0 * e), beta * slope / (1.0 - 2.0 * e))
            }
            Self::Hinge if x < 1.0 => (1.0 - x, -beta),
            Self::Hinge => (0.0, 0.0),
            Self::Ipo | Self::IpoSum => {
                let distance = d - 0.5 / beta;
                (distance * distance, 2.0 * distance)
            }
        }
    }
}

impl Dpo {
    /// Refuses settings out of range.
    pub fn validate(&self) -> Result<(), ObjectiveError> {
        positive("beta", self.beta)?;
        not_negative("sft_weight", self.sft_weight)?;
        match self.variant {
            DpoVariant::Conservative { label_smoothing } | DpoVariant::Robust { label_smoothing } => {
                smoothing(label_smoothing)
            }
            _ => Ok(()),
        }
    }

    /// The mean loss of `pairs`. Metrics: `rewards/*` (`beta * log_ratio`, summed in every variant), `logps/*`, and
    /// `nll` with an SFT term.
    ///
    /// # Errors
    /// Settings out of range, an empty batch, or a sequence without action tokens or with sums that are not finite.
    pub fn evaluate(&self, pairs: &[Pair]) -> Result<Evaluation<(f64, f64)>, ObjectiveError> {
        self.validate()?;
        check_pairs(pairs)?;
        let count = pairs.len() as f64;
        let terms: Vec<(f64, (f64, f64))> = pairs.iter().map(|pair| self.pair(pair)).collect();
        let rewards: Vec<(f64, f64)> = pairs
            .iter()
            .map(|(chosen, rejected)| (self.beta * chosen.log_ratio(), self.beta * rejected.log_ratio()))
            .collect();
        let evaluation = Evaluation {
            loss: mean(terms.iter().map(|(loss, _)| *loss)).ok_or(ObjectiveError::EmptyBatch)?,
            weights: terms.iter().map(|(_, (chosen, rejected))| (chosen / count, rejected / count)).collect(),
            metrics: of_pairs(pairs, &rewards),
        };
        evaluation.with_sft(pairs, self.sft_weight)
    }

    /// One pair's loss, and its derivatives with respect to the policy sums of the two sides.
    fn pair(&self, (chosen, rejected): &Pair) -> (f64, (f64, f64)) {
        let (per_chosen, per_rejected) = (self.variant.scale(chosen), self.variant.scale(rejected));
        let d = per_chosen * chosen.log_ratio() - per_rejected * rejected.log_ratio();
        let (loss, slope) = self.variant.at(self.beta, d);
        (loss, (slope * per_chosen, -slope * per_rejected))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::testing::{CHOSEN, PAIR, REJECTED, assert_close};

    fn loss(variant: DpoVariant) -> f64 {
        Dpo { variant, ..Dpo::default() }.evaluate(&[PAIR]).unwrap().loss
    }

    #[test]
    fn golden_losses() {
        assert_close(loss(DpoVariant::Sigmoid), 0.6443966601, 1e-10);
        assert_close(loss(DpoVariant::Conservative { label_smoothing: 0.1 }), 0.6543966601, 1e-10);
        assert_close(loss(DpoVariant::Robust { label_smoothing: 0.1 }), 0.6318966601, 1e-10);
        assert_close(loss(DpoVariant::Hinge), 0.9, 1e-10);
        assert_close(loss(DpoVariant::IpoSum), 16.0, 1e-10);
        assert_close(loss(DpoVariant::Ipo), 22.5308444444, 1e-10);
        assert_close(loss(DpoVariant::SigmoidNorm), 0.6805607340, 1e-10);
    }

    /// The chosen side has two turns and a log-ratio of 0.6, the rejected one has one and -0.4.
    #[test]
    fn turns_are_averaged() {
        let per_turn = Dpo { variant: DpoVariant::SigmoidPerTurn, ..Dpo::default() }.evaluate(&[PAIR]).unwrap();
        let x = 0.1 * (0.6 / 2.0 + 0.4);
        assert_close(per_turn.loss, negative_log_sigmoid(x), 1e-12);
        assert_close(per_turn.weights[0].0, -0.1 * sigmoid(-x) / 2.0, 1e-12);
        assert_close(per_turn.weights[0].1, 0.1 * sigmoid(-x), 1e-12);
    }

    #[test]
    fn golden_weight_and_metrics() {
        let evaluation = Dpo::default().evaluate(&[PAIR]).unwrap();
        let (chosen, rejected) = evaluation.weights[0];
        assert_close(chosen, -0.1 * 0.4750208125, 1e-10);
        assert_eq!(rejected, -chosen);
        assert_close(evaluation.metrics["rewards/chosen"], 0.06, 1e-12);
        assert_close(evaluation.metrics["rewards/rejected"], -0.04, 1e-12);
        assert_close(evaluation.metrics["rewards/margins"], 0.1, 1e-12);
        assert_eq!(evaluation.metrics["rewards/accuracies"], 1.0);
        assert_eq!(evaluation.metrics["logps/chosen"], CHOSEN.policy);
        assert_eq!(evaluation.metrics["logps/rejected"], REJECTED.policy);
    }

    #[test]
    fn the_sft_term_is_added_to_the_chosen_side_only() {
        let plain = Dpo::default().evaluate(&[PAIR, PAIR]).unwrap();
        let mixed = Dpo { sft_weight: 0.5, ..Dpo::default() }.evaluate(&[PAIR, PAIR]).unwrap();
        assert_close(mixed.loss, plain.loss + 0.5 * 0.82, 1e-12);
        assert_close(mixed.weights[1].0, plain.weights[1].0 - 0.5 / 10.0, 1e-12);
        assert_eq!(mixed.weights[1].1, plain.weights[1].1);
    }

    #[test]
    fn the_kink_of_the_hinge_is_flat() {
        let mut chosen = CHOSEN;
        (chosen.policy, chosen.reference) = (0.0, -1.0);
        let mut rejected = REJECTED;
        (rejected.policy, rejected.reference) = (-1.0, -1.0);
        let hinge = Dpo { beta: 1.0, variant: DpoVariant::Hinge, sft_weight: 0.0 };
        let evaluation = hinge.evaluate(&[(chosen, rejected)]).unwrap();
        assert_eq!((evaluation.loss, evaluation.weights[0]), (0.0, (0.0, -0.0)));
    }

    #[test]
    fn equal_rewards_are_not_a_success() {
        let evaluation = Dpo::default().evaluate(&[(CHOSEN, CHOSEN)]).unwrap();
        assert_eq!(evaluation.metrics["rewards/accuracies"], 0.0);
    }
}
