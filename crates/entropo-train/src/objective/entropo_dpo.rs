//! EntroPO on preference pairs (arXiv 2509.12434): DPO whose target keeps an entropy bonus of weight `alpha - beta`.
//!
//! With `S = alpha log pi - beta log pi_ref`, Lemma 3.1 makes the difference of `S` between two trajectories of one
//! task the difference of their rewards, and the loss is `-log sigmoid(S_w - S_l)`. The margin is that of DPO at
//! temperature `alpha` plus the offset `(alpha - beta)(log pi_ref(y_w) - log pi_ref(y_l))`, which the policy cannot
//! change and which grows with length: where it is large a pair has no gradient any more. The metrics `offset/*`,
//! `saturated_fraction` and `effective_count` say so, and [`Margin`] has remedies. At `alpha == beta` this is
//! [`Dpo`](super::Dpo).
//!
//! A locally tempered reference (each token's reference logits scaled by `beta / alpha`, log-probabilities `log q`)
//! needs no code here: give `alpha / beta * sum(log q)` as the reference sum.

use serde::{Deserialize, Serialize};

use super::Evaluation;
use super::error::{ObjectiveError, not_negative, positive, smoothing};
use super::logistic::{sigmoid, smoothed};
use super::metrics::{Metrics, as_log_ratio_rewards, mean, of_pairs, of_saturation};
use super::sequence::{Pair, check_pairs};

/// `-log sigmoid(S_w - S_l)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EntropoDpo {
    /// Weight of the policy's entropy; above 0. Default: 0.11, as in the paper.
    pub alpha: f64,
    /// Weight of the cross-entropy to the reference; above 0. Default: 0.1, as in the paper.
    pub beta: f64,
    /// Default: [`Margin::Sum`], as in the paper.
    pub margin: Margin,
    /// Probability that a pair is the wrong way round, in `[0, 0.5)`, as in conservative DPO. Default: 0.
    pub label_smoothing: f64,
    /// Weight of the chosen side's token-mean negative log-likelihood, added to the loss; at least 0. Default: 0.
    pub sft_weight: f64,
}

impl Default for EntropoDpo {
    fn default() -> Self {
        Self { alpha: 0.11, beta: 0.1, margin: Margin::Sum, label_smoothing: 0.0, sft_weight: 0.0 }
    }
}

/// How two sequences are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Margin {
    /// `S_w - S_l`, exact by Lemma 3.1; saturates on long trajectories.
    #[default]
    Sum,
    /// As [`Sum`](Self::Sum), with the offset kept within `-limit..=limit`; a biased target for the pairs it clips.
    Clipped {
        /// Above 0; around 2 keeps every pair in play.
        limit: f64,
    },
    /// `S_w / n_w - S_l / n_l`, `n` action tokens: length-normalised, no longer a decomposition of the reward. `alpha`
    /// and `beta` then are larger by about the number of action tokens.
    PerToken,
}

/// One pair, evaluated.
struct Term {
    loss: f64,
    weight: (f64, f64),
    offset: f64,
    margin: f64,
}

impl EntropoDpo {
    /// Refuses settings out of range.
    pub fn validate(&self) -> Result<(), ObjectiveError> {
        positive("alpha", self.alpha)?;
        positive("beta", self.beta)?;
        smoothing(self.label_smoothing)?;
        not_negative("sft_weight", self.sft_weight)?;
        if let Margin::Clipped { limit } = self.margin { positive("limit", limit) } else { Ok(()) }
    }

    /// The mean loss of `pairs`. Metrics: `rewards/*` with the reward `S`; `log_ratio_rewards/*` with
    /// `alpha * log_ratio`, which compares with DPO's; `logps/*`; `offset/mean`, `offset/sd`, `offset/p95`;
    /// `saturated_fraction` (margins beyond 5 either way); `effective_count` (pairs that carry the gradient).
    ///
    /// # Errors
    /// Settings out of range, an empty batch, or a sequence without action tokens or with sums that are not finite.
    pub fn evaluate(&self, pairs: &[Pair]) -> Result<Evaluation<(f64, f64)>, ObjectiveError> {
        self.validate()?;
        check_pairs(pairs)?;
        let count = pairs.len() as f64;
        let terms: Vec<Term> = pairs.iter().map(|pair| self.pair(pair)).collect();
        let loss = mean(terms.iter().map(|term| term.loss)).ok_or(ObjectiveError::EmptyBatch)?;
        let weights = terms.iter().map(|Term { weight: (chosen, rejected), .. }| (chosen / count, rejected / count));
        let evaluation = Evaluation { loss, weights: weights.collect(), metrics: self.metrics(pairs, &terms) };
        evaluation.with_sft(pairs, self.sft_weight)
    }

    fn pair(&self, (chosen, rejected): &Pair) -> Term {
        let (per_chosen, per_rejected) = match self.margin {
            Margin::PerToken => (chosen.per_token(), rejected.per_token()),
            Margin::Sum | Margin::Clipped { .. } => (1.0, 1.0),
        };
        let rarity = per_chosen * chosen.reference - per_rejected * rejected.reference;
        let offset = match self.margin {
            Margin::Clipped { limit } => ((self.alpha - self.beta) * rarity).clamp(-limit, limit),
            Margin::Sum | Margin::PerToken => (self.alpha - self.beta) * rarity,
        };
        let d = per_chosen * chosen.log_ratio() - per_rejected * rejected.log_ratio();
        let margin = self.alpha * d + offset;
        let (loss, slope) = smoothed(margin, self.label_smoothing);
        let slope = self.alpha * slope;
        Term { loss, weight: (slope * per_chosen, -slope * per_rejected), offset, margin }
    }

    fn metrics(&self, pairs: &[Pair], terms: &[Term]) -> Metrics {
        let Self { alpha, beta, .. } = *self;
        let rewards: Vec<_> = pairs.iter().map(|(w, l)| (w.score(alpha, beta), l.score(alpha, beta))).collect();
        let log_ratios: Vec<_> = pairs.iter().map(|(w, l)| (alpha * w.log_ratio(), alpha * l.log_ratio())).collect();
        let margins: Vec<f64> = terms.iter().map(|term| term.margin).collect();
        let attention: Vec<f64> = margins.iter().map(|margin| sigmoid(-margin)).collect();
        let offsets: Vec<f64> = terms.iter().map(|term| term.offset).collect();
        let mut metrics = of_pairs(pairs, &rewards);
        metrics.extend(as_log_ratio_rewards(&of_pairs(pairs, &log_ratios)));
        metrics.extend(of_saturation(&offsets, &margins, &attention));
        metrics
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::SequenceLogProbs;
    use crate::objective::testing::{PAIR, assert_close};

    fn entropo(alpha: f64) -> EntropoDpo {
        EntropoDpo { alpha, ..EntropoDpo::default() }
    }

    #[test]
    fn golden_losses_and_weights() {
        for (alpha, margin, loss, weight) in [
            (0.11, 0.085, 0.6515500338, -0.0526639064),
            (0.15, 0.025, 0.6807253035, -0.0740625488),
            (0.30, -0.2, 0.7981388694, -0.1649501992),
        ] {
            let evaluation = entropo(alpha).evaluate(&[PAIR]).unwrap();
            assert_close(evaluation.metrics["rewards/margins"], margin, 1e-12);
            assert_close(evaluation.loss, loss, 1e-10);
            assert_close(evaluation.weights[0].0, weight, 1e-10);
            assert_eq!(evaluation.weights[0].1, -evaluation.weights[0].0);
        }
        assert_close(entropo(0.11).evaluate(&[PAIR]).unwrap().metrics["offset/mean"], -0.025, 1e-12);
        assert_close(entropo(0.1).evaluate(&[PAIR]).unwrap().loss, 0.6443966601, 1e-10);
    }

    #[test]
    fn golden_losses_before_the_first_step() {
        let at_reference = |s: SequenceLogProbs| SequenceLogProbs { policy: s.reference, ..s };
        let pair = (at_reference(PAIR.0), at_reference(PAIR.1));
        for (alpha, loss) in [(0.11, 0.7057253035), (0.15, 0.7575990353), (0.30, 0.9740769842)] {
            assert_close(entropo(alpha).evaluate(&[pair]).unwrap().loss, loss, 1e-10);
        }
    }

    #[test]
    fn clipping_keeps_long_pairs_in_play() {
        let long = SequenceLogProbs { policy: -1000.0, reference: -1000.0, tokens: 900 };
        let short = SequenceLogProbs { policy: -100.0, reference: -100.0, tokens: 90 };
        let paper = EntropoDpo { alpha: 0.2, ..EntropoDpo::default() };
        let clipped = EntropoDpo { margin: Margin::Clipped { limit: 2.0 }, ..paper };
        let (paper, clipped) = (paper.evaluate(&[(short, long)]).unwrap(), clipped.evaluate(&[(short, long)]).unwrap());
        assert_close(paper.metrics["offset/mean"], 90.0, 1e-9);
        assert_eq!((paper.metrics["saturated_fraction"], clipped.metrics["saturated_fraction"]), (1.0, 0.0));
        assert!(paper.weights[0].0.abs() < 1e-30);
        assert_close(clipped.weights[0].0, -0.2 * sigmoid(-2.0), 1e-12);
    }

    #[test]
    fn effective_pairs_are_those_with_a_gradient() {
        let near = SequenceLogProbs { policy: -10.0, reference: -10.0, tokens: 10 };
        let far = SequenceLogProbs { policy: -9000.0, reference: -9000.0, tokens: 10 };
        let evaluation = entropo(0.2).evaluate(&[(near, near), (near, near), (near, far)]).unwrap();
        assert_close(evaluation.metrics["effective_count"], 2.0, 1e-12);
        assert_close(evaluation.metrics["saturated_fraction"], 1.0 / 3.0, 1e-12);
    }
}
