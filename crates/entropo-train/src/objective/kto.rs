//! Kahneman-Tversky optimisation (Ethayarajh et al. 2024): learning from single sequences labelled good or bad.

use serde::{Deserialize, Serialize};

use super::Evaluation;
use super::error::{ObjectiveError, finite, not_negative, positive};
use super::metrics::{mean, of_labelled};
use super::sequence::{Labelled, SequenceLogProbs, check_labelled, check_mismatched};
use super::sigmoid;

/// KTO in TRL's convention: the reward `beta * (log_ratio - kl)` with a `kl` of at least 0, not differentiated.
///
/// A desirable sequence loses `desirable_weight * (1 - sigmoid(reward))`, another `undesirable_weight *
/// (1 - sigmoid(-reward))`. With the assistant tokens of several turns in the sums this is M-KTO. For other reference
/// points use [`EntropoKto`](super::EntropoKto) with `alpha == beta`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Kto {
    /// Scale of the implicit reward; above 0. Default: 0.1.
    pub beta: f64,
    /// At least 0. Default: 1. Keep the ratio of total weights, desirable to undesirable, between 1 and 4/3.
    pub desirable_weight: f64,
    /// At least 0. Default: 1.
    pub undesirable_weight: f64,
}

impl Default for Kto {
    fn default() -> Self {
        Self { beta: 0.1, desirable_weight: 1.0, undesirable_weight: 1.0 }
    }
}

impl Kto {
    /// Refuses settings out of range.
    pub fn validate(&self) -> Result<(), ObjectiveError> {
        positive("beta", self.beta)?;
        not_negative("desirable_weight", self.desirable_weight)?;
        not_negative("undesirable_weight", self.undesirable_weight)
    }

    /// The estimate of `KL(policy || reference)` from completions under other prompts: their mean log-ratio, in nats.
    /// Noise can make it negative.
    ///
    /// # Errors
    /// No mismatched sequences, or one without action tokens or with sums that are not finite.
    pub fn kl_estimate(mismatched: &[SequenceLogProbs]) -> Result<f64, ObjectiveError> {
        check_mismatched(mismatched)?;
        mean(mismatched.iter().map(SequenceLogProbs::log_ratio)).ok_or(ObjectiveError::NoMismatched)
    }

    /// The mean loss of `batch`, given the estimated divergence in nats; a negative estimate counts as 0. Metrics:
    /// `rewards/*` (`beta * log_ratio`; chosen means desirable), `logps/*`, `kl/estimate` and `kl/used`.
    ///
    /// # Errors
    /// Settings or estimate out of range, an empty batch, or a sequence without action tokens or with sums that are not
    /// finite.
    pub fn evaluate(&self, batch: &[Labelled], kl_estimate: f64) -> Result<Evaluation<f64>, ObjectiveError> {
        self.validate()?;
        finite("kl_estimate", kl_estimate)?;
        check_labelled(batch)?;
        let kl = kl_estimate.max(0.0);
        let rewards: Vec<f64> = batch.iter().map(|(sequence, _)| self.beta * sequence.log_ratio()).collect();
        let value = Value {
            z0: self.beta * kl,
            slope: self.beta,
            desirable_weight: self.desirable_weight,
            undesirable_weight: self.undesirable_weight,
        };
        let (loss, weights) = value.evaluate(batch, &rewards)?;
        let mut metrics = of_labelled(batch, &rewards);
        metrics.extend([("kl/estimate", kl_estimate), ("kl/used", kl)]);
        Ok(Evaluation { loss, weights, metrics })
    }
}

/// The value function that KTO and EntroPO-KTO share: gains and losses relative to the reference point `z0`.
pub(super) struct Value {
    /// The reward that counts as neither gain nor loss.
    pub(super) z0: f64,
    /// Derivative of a reward with respect to its policy sum.
    pub(super) slope: f64,
    pub(super) desirable_weight: f64,
    pub(super) undesirable_weight: f64,
}

impl Value {
    /// The mean loss, and its derivatives with respect to the policy sums.
    pub(super) fn evaluate(&self, batch: &[Labelled], rewards: &[f64]) -> Result<(f64, Vec<f64>), ObjectiveError> {
        let count = batch.len() as f64;
        let terms: Vec<(f64, f64)> = batch
            .iter()
            .zip(rewards)
            .map(|((_, desirable), reward)| {
                let (weight, sign) =
                    if *desirable { (self.desirable_weight, 1.0) } else { (self.undesirable_weight, -1.0) };
                let gain = sign * (reward - self.z0);
                // 1 - sigmoid(gain), and its derivative, without cancellation.
                (weight * sigmoid(-gain), -sign * weight * self.slope * sigmoid(gain) * sigmoid(-gain))
            })
            .collect();
        let loss = mean(terms.iter().map(|(loss, _)| *loss)).ok_or(ObjectiveError::EmptyBatch)?;
        Ok((loss, terms.iter().map(|(_, weight)| weight / count).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::testing::{CHOSEN, REJECTED, assert_close};

    fn loss(labelled: Labelled, kl: f64) -> f64 {
        Kto::default().evaluate(&[labelled], kl).unwrap().loss
    }

    #[test]
    fn golden_losses() {
        assert_close(loss((CHOSEN, true), 0.0), 0.4850044984, 1e-10);
        assert_close(loss((REJECTED, false), 0.0), 0.4900013331, 1e-10);
        assert_close(loss((CHOSEN, true), 0.5), 0.4975000208, 1e-10); // z0 = 0.05
        assert_close(loss((REJECTED, false), 0.5), 0.4775151752, 1e-10);
    }

    #[test]
    fn a_negative_estimate_counts_as_zero_and_is_logged() {
        let evaluation = Kto::default().evaluate(&[(CHOSEN, true)], -3.0).unwrap();
        assert_eq!(evaluation.loss, loss((CHOSEN, true), 0.0));
        assert_eq!((evaluation.metrics["kl/estimate"], evaluation.metrics["kl/used"]), (-3.0, 0.0));
        assert!(!evaluation.metrics.contains_key("rewards/rejected"));
    }

    #[test]
    fn the_estimate_is_the_mean_log_ratio() {
        assert_close(Kto::kl_estimate(&[CHOSEN, REJECTED]).unwrap(), 0.1, 1e-12);
        assert_eq!(Kto::kl_estimate(&[]), Err(ObjectiveError::NoMismatched));
    }

    #[test]
    fn an_estimate_that_is_not_a_number_is_refused() {
        let error = Kto::default().evaluate(&[(CHOSEN, true)], f64::NAN).unwrap_err();
        assert!(matches!(error, ObjectiveError::OutOfRange { name: "kl_estimate", .. }));
    }
}
