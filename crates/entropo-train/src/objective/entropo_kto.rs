//! EntroPO on labelled sequences (arXiv 2509.12434): KTO with the score `S = alpha log pi - beta log pi_ref`.
//!
//! The gradient is scaled by `s (1 - s)`, `s = sigmoid(S - z0)`, which dies on both sides; the reference point
//! therefore matters more than in [`Kto`], see [`ReferencePoint`]. At `alpha == beta` and `z0 = beta * kl` this is
//! [`Kto`].
//!
//! [`Kto`]: super::Kto

use serde::{Deserialize, Serialize};

use super::Evaluation;
use super::error::{ObjectiveError, finite, not_negative, positive};
use super::kto::Value;
use super::metrics::{as_log_ratio_rewards, of_labelled, of_offsets, of_saturation};
use super::reference_point::ReferencePoint;
use super::sequence::{Labelled, SequenceLogProbs, check_labelled, check_mismatched};
use super::sigmoid;
use super::tempering::{Reference, Tempering};

/// Desirable sequences lose `desirable_weight * (1 - sigmoid(S - z0))`, others `undesirable_weight *
/// (1 - sigmoid(z0 - S))`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EntropoKto {
    /// Weight of the policy's entropy; above 0. Default: 0.11, as in the paper.
    pub alpha: f64,
    /// Weight of the cross-entropy to the reference; above 0. Default: 0.1, as in the paper.
    pub beta: f64,
    /// Share of the run over which alpha rises from beta, in `[0, 1]`. Default: 0.
    pub anneal: f64,
    /// Default: [`Reference::Sequence`], as in the paper.
    pub reference: Reference,
    /// At least 0. Default: 1.
    pub desirable_weight: f64,
    /// At least 0. Default: 1.
    pub undesirable_weight: f64,
    /// How the reference point is found. Default: [`ReferencePoint::Ema`].
    pub z0: ReferencePoint,
}

impl Default for EntropoKto {
    fn default() -> Self {
        Self {
            alpha: 0.11,
            beta: 0.1,
            anneal: 0.0,
            reference: Reference::Sequence,
            desirable_weight: 1.0,
            undesirable_weight: 1.0,
            z0: ReferencePoint::default(),
        }
    }
}

impl EntropoKto {
    /// Refuses settings out of range, and those that contradict each other.
    pub fn validate(&self) -> Result<(), ObjectiveError> {
        positive("alpha", self.alpha)?;
        positive("beta", self.beta)?;
        not_negative("desirable_weight", self.desirable_weight)?;
        not_negative("undesirable_weight", self.undesirable_weight)?;
        self.tempering().validate()?;
        self.z0.validate()
    }

    pub(super) fn tempering(&self) -> Tempering {
        let Self { alpha, beta, reference, anneal, .. } = *self;
        Tempering { alpha, beta, reference, anneal }
    }

    /// The objective after a share of the run, in `[0, 1]`: `anneal` has become the alpha of that moment.
    pub fn at(&self, progress: f64) -> Self {
        Self { alpha: self.tempering().alpha_at(progress), anneal: 0.0, ..*self }
    }

    /// `z0` for a batch, on the scale of `S`, as [`Self::z0`] says. `mismatched` may be empty unless
    /// [`ReferencePoint::needs_mismatched`]; `previous` is the last batch's value.
    ///
    /// # Errors
    /// Settings out of range, an empty batch, mismatched sequences needed but absent, or a sequence without action
    /// tokens or with sums that are not finite.
    pub fn reference_point(
        &self,
        batch: &[Labelled],
        mismatched: &[SequenceLogProbs],
        previous: Option<f64>,
    ) -> Result<f64, ObjectiveError> {
        self.validate()?;
        check_labelled(batch)?;
        if self.z0.needs_mismatched() {
            check_mismatched(mismatched)?;
        }
        let mismatched: Vec<f64> = mismatched.iter().map(|sequence| sequence.score(self.alpha, self.beta)).collect();
        self.z0.estimate(&self.scores(batch), &mismatched, previous)
    }

    /// The mean loss of `batch` at a reference point, which is not differentiated; it may have either sign. Metrics:
    /// `rewards/*` with the reward `S` (chosen means desirable); `log_ratio_rewards/*` with `alpha * log_ratio`;
    /// `logps/*`; `z0`; and of `S - z0` the `offset/*`, `saturated_fraction`, `mean_pull` and `effective_count` of
    /// [`EntropoDpo`](super::EntropoDpo), where a pull of 1 is the largest that KTO has.
    ///
    /// # Errors
    /// Settings or `z0` out of range, an empty batch, or a sequence without action tokens or with sums that are not
    /// finite.
    pub fn evaluate(&self, batch: &[Labelled], z0: f64) -> Result<Evaluation<f64>, ObjectiveError> {
        self.validate()?;
        finite("z0", z0)?;
        check_labelled(batch)?;
        let scores = self.scores(batch);
        let value = Value {
            z0,
            slope: self.alpha,
            desirable_weight: self.desirable_weight,
            undesirable_weight: self.undesirable_weight,
        };
        let (loss, weights) = value.evaluate(batch, &scores)?;
        let gains: Vec<f64> = scores.iter().map(|score| score - z0).collect();
        let pulls: Vec<f64> = gains.iter().map(|gain| 4.0 * sigmoid(*gain) * sigmoid(-gain)).collect();
        let mut metrics = of_labelled(batch, &scores);
        metrics.extend(of_saturation(&gains, &pulls));
        if self.reference == Reference::Sequence {
            let offsets: Vec<f64> = batch.iter().map(|(s, _)| (self.alpha - self.beta) * s.reference - z0).collect();
            let log_ratios: Vec<f64> = batch.iter().map(|(s, _)| self.alpha * s.log_ratio()).collect();
            metrics.extend(of_offsets(&offsets, &[]));
            metrics.extend(as_log_ratio_rewards(&of_labelled(batch, &log_ratios)));
        }
        metrics.insert("z0", z0);
        Ok(Evaluation { loss, weights, metrics })
    }

    fn scores(&self, batch: &[Labelled]) -> Vec<f64> {
        batch.iter().map(|(sequence, _)| sequence.score(self.alpha, self.beta)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::testing::{CHOSEN, REJECTED, assert_close};

    #[test]
    fn golden_losses_and_weight() {
        let desirable = EntropoKto::default().evaluate(&[(CHOSEN, true)], 0.0).unwrap();
        assert_close(desirable.loss, 0.4952501429, 1e-10);
        assert_close(desirable.weights[0], -0.0274975183, 1e-10);
        let undesirable = EntropoKto::default().evaluate(&[(REJECTED, false)], 0.0).unwrap();
        assert_close(undesirable.loss, 0.4835059869, 1e-10);
        assert!(undesirable.weights[0] > 0.0);
    }

    #[test]
    fn a_negative_reference_point_is_used_as_it_is() {
        let score = CHOSEN.score(0.11, 0.1);
        let evaluation = EntropoKto::default().evaluate(&[(CHOSEN, true)], score - 2.0).unwrap();
        assert_close(evaluation.loss, sigmoid(-2.0), 1e-12);
    }

    #[test]
    fn metrics_tell_the_labels_apart_and_show_saturation() {
        let far = SequenceLogProbs { policy: -900.0, reference: -900.0, tokens: 9, turns: 1 }; // S = -9
        let batch = [(CHOSEN, true), (far, false), (REJECTED, false)];
        let metrics = EntropoKto::default().evaluate(&batch, -1.0).unwrap().metrics;
        assert_eq!((metrics["logps/chosen"], metrics["logps/rejected"]), (-4.1, -451.3));
        assert_close(metrics["rewards/chosen"], 0.019, 1e-12);
        assert_close(metrics["rewards/rejected"], (-9.0 - 0.066) / 2.0, 1e-12);
        assert_close(metrics["log_ratio_rewards/margins"], 0.066 - (0.0 - 0.044) / 2.0, 1e-12);
        assert_close(metrics["offset/mean"], 1.0 + (-0.047 - 9.0 - 0.022) / 3.0, 1e-12);
        assert_close(metrics["saturated_fraction"], 1.0 / 3.0, 1e-12);
        assert_close(metrics["effective_count"], 2.0, 0.01); // the far one hardly counts
    }

    #[test]
    fn the_reference_point_is_on_the_scale_of_the_score() {
        let batch = [(CHOSEN, true), (REJECTED, false)];
        let mode = |z0| EntropoKto { z0, ..EntropoKto::default() };
        let middle = (0.019 - 0.066) / 2.0;
        let point = |z0, mismatched: &[_]| mode(z0).reference_point(&batch, mismatched, None);
        assert_close(point(ReferencePoint::BatchMean, &[]).unwrap(), middle, 1e-12);
        assert_close(point(ReferencePoint::Mismatch, &[REJECTED]).unwrap(), -0.066, 1e-12);
        assert_eq!(point(ReferencePoint::MismatchClamped, &[REJECTED]), Ok(0.0));
        assert_eq!(point(ReferencePoint::Mismatch, &[]), Err(ObjectiveError::NoMismatched));
    }
}
