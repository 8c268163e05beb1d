//! EntroPO on preference pairs (arXiv 2509.12434): DPO whose target keeps an entropy bonus of weight `alpha - beta`.
//!
//! With `S = alpha log pi - beta log pi_ref`, Lemma 3.1 makes the difference of `S` between two trajectories of one
//! task the difference of their rewards, and the loss is `-log sigmoid(S_w - S_l)`. The margin is that of DPO at
//! temperature `alpha` plus the offset `(alpha - beta)(log pi_ref(y_w) - log pi_ref(y_l))`, which the policy cannot
//! change and which grows with length: where it is large a pair has no gradient any more. The metrics `offset/*`,
//! `saturated_fraction`, `mean_pull` and `effective_count` say so, [`StepZero`](super::StepZero) warns of it, and
//! [`Margin`], [`Reference`] and `anneal` are remedies. At `alpha == beta` this is [`Dpo`](super::Dpo).

use serde::{Deserialize, Serialize};

use super::Evaluation;
use super::error::{ObjectiveError, not_negative, positive, smoothing};
use super::logistic::smoothed;
use super::metrics::{Metrics, as_log_ratio_rewards, deviation, mean, of_offsets, of_pairs, of_saturation};
use super::sequence::{Pair, SequenceLogProbs, check_pairs};
use super::sigmoid;
use super::tempering::{Reference, Tempering};

/// `-log sigmoid(S_w - S_l)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EntropoDpo {
    /// Weight of the policy's entropy; above 0. Default: 0.11, as in the paper.
    pub alpha: f64,
    /// Weight of the cross-entropy to the reference; above 0. Default: 0.1, as in the paper.
    pub beta: f64,
    /// Instead of `alpha`, which is then ignored: the standard deviation of the offset over all pairs, in nats, above 0.
    /// Alpha becomes `beta + kappa / sd`, `sd` that of `log pi_ref(y_w) - log pi_ref(y_l)` under the margin's
    /// normalisation, so that it means the same for short and long trajectories; around 1. Default: none.
    pub kappa: Option<f64>,
    /// Share of the run over which alpha rises from beta, in `[0, 1]`: early steps then see every pair. Default: 0.
    pub anneal: f64,
    /// Default: [`Reference::Sequence`], as in the paper.
    pub reference: Reference,
    /// Default: [`Margin::Sum`], as in the paper.
    pub margin: Margin,
    /// Probability that a pair is the wrong way round, in `[0, 0.5)`, as in conservative DPO. Default: 0.
    pub label_smoothing: f64,
    /// Weight of the chosen side's token-mean negative log-likelihood, added to the loss; at least 0. Default: 0.
    pub sft_weight: f64,
}

impl Default for EntropoDpo {
    fn default() -> Self {
        Self {
            alpha: 0.11,
            beta: 0.1,
            kappa: None,
            anneal: 0.0,
            reference: Reference::Sequence,
            margin: Margin::Sum,
            label_smoothing: 0.0,
            sft_weight: 0.0,
        }
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
    /// As [`Sum`](Self::Sum), less the mean offset of the batch: pairs keep their order by rarity and lose the bias that
    /// all of them share, such as longer rejected sides. The optimum shifts. Of a single pair nothing but DPO is left.
    Centred,
    /// `S_w / n_w - S_l / n_l`, `n` action tokens: length-normalised, no longer a decomposition of the reward. `alpha`
    /// and `beta` then are larger by about the number of action tokens.
    PerToken,
    /// `S_w / h_w - S_l / h_l`, `h` turns: the mean over turns of each one's sum. Robust to one long message.
    PerTurn,
}

impl Margin {
    /// What a sequence's sums are multiplied with.
    fn scale(self, sequence: &SequenceLogProbs) -> f64 {
        match self {
            Self::PerToken => sequence.per_token(),
            Self::PerTurn => sequence.per_turn(),
            Self::Sum | Self::Clipped { .. } | Self::Centred => 1.0,
        }
    }

    /// `log pi_ref(y_w) - log pi_ref(y_l)`, scaled.
    fn gap(self, (chosen, rejected): &Pair) -> f64 {
        self.scale(chosen) * chosen.reference - self.scale(rejected) * rejected.reference
    }
}

/// One pair, evaluated.
struct Term {
    loss: f64,
    weight: (f64, f64),
    margin: f64,
}

impl EntropoDpo {
    /// Refuses settings out of range, and those that contradict each other.
    pub fn validate(&self) -> Result<(), ObjectiveError> {
        positive("alpha", self.alpha)?;
        positive("beta", self.beta)?;
        smoothing(self.label_smoothing)?;
        not_negative("sft_weight", self.sft_weight)?;
        self.tempering().validate()?;
        if let Some(kappa) = self.kappa {
            positive("kappa", kappa)?;
        }
        if let Margin::Clipped { limit } = self.margin {
            positive("limit", limit)?;
        }
        let without_offset = |second| ObjectiveError::Combination {
            first: "reference = \"local\"",
            second,
            reason: "a local reference has no offset; choose one of the two",
        };
        match (self.reference, self.margin) {
            (Reference::Local, _) if self.kappa.is_some() => Err(without_offset("kappa")),
            (Reference::Local, Margin::Clipped { .. }) => Err(without_offset("margin = clipped")),
            (Reference::Local, Margin::Centred) => Err(without_offset("margin = centred")),
            _ => Ok(()),
        }
    }

    pub(super) fn tempering(&self) -> Tempering {
        let Self { alpha, beta, reference, anneal, .. } = *self;
        Tempering { alpha, beta, reference, anneal }
    }

    /// The objective after a share of the run, in `[0, 1]`: `anneal` has become the alpha of that moment.
    pub fn at(&self, progress: f64) -> Self {
        Self { alpha: self.tempering().alpha_at(progress), anneal: 0.0, ..*self }
    }

    /// The objective with the alpha that `kappa` asks for, given all pairs; only their reference sums and lengths are
    /// read. Without `kappa`, the objective as it is.
    ///
    /// # Errors
    /// [`ObjectiveError::OutOfRange`] if the pairs' references do not vary, so that no alpha would do.
    pub fn scaled(&self, pairs: impl IntoIterator<Item = Pair>) -> Result<Self, ObjectiveError> {
        let Some(kappa) = self.kappa else { return Ok(*self) };
        let gaps: Vec<f64> = pairs.into_iter().map(|pair| self.margin.gap(&pair)).collect();
        let spread = deviation(&gaps).ok_or(ObjectiveError::EmptyBatch)?;
        positive("standard deviation of the pairs' references", spread)?;
        Ok(Self { alpha: self.beta + kappa / spread, kappa: None, ..*self })
    }

    /// The mean loss of `pairs`. Metrics: `rewards/*` with the reward `S`; `log_ratio_rewards/*` with
    /// `alpha * log_ratio`, which compares with DPO's; `logps/*`; `offset/mean`, `offset/sd`, `offset/p95` and
    /// `offset/length_correlation` with the tokens that the rejected side has more; `saturated_fraction` (margins beyond
    /// 5 either way); `mean_pull` (1 where the policy has everything to learn, 0.5 for a pair of margin 0);
    /// `effective_count` (pairs that carry the gradient). With a local reference there is no offset, and `S` itself
    /// compares with DPO's reward.
    ///
    /// # Errors
    /// Settings out of range, `kappa` without [`scaled`](Self::scaled), an empty batch, or a sequence without action
    /// tokens or with sums that are not finite.
    pub fn evaluate(&self, pairs: &[Pair]) -> Result<Evaluation<(f64, f64)>, ObjectiveError> {
        self.validate()?;
        check_pairs(pairs)?;
        if self.kappa.is_some() {
            return Err(ObjectiveError::Unscaled);
        }
        let count = pairs.len() as f64;
        let offsets = self.offsets(pairs);
        let terms: Vec<Term> = pairs.iter().zip(&offsets).map(|(pair, offset)| self.pair(pair, *offset)).collect();
        let loss = mean(terms.iter().map(|term| term.loss)).ok_or(ObjectiveError::EmptyBatch)?;
        let weights = terms.iter().map(|Term { weight: (chosen, rejected), .. }| (chosen / count, rejected / count));
        let metrics = self.metrics(pairs, &terms, &offsets);
        let evaluation = Evaluation { loss, weights: weights.collect(), metrics };
        evaluation.with_sft(pairs, self.sft_weight)
    }

    /// What is added to the margin of DPO at temperature `alpha`.
    fn offsets(&self, pairs: &[Pair]) -> Vec<f64> {
        let mut offsets: Vec<f64> = pairs.iter().map(|pair| (self.alpha - self.beta) * self.margin.gap(pair)).collect();
        match self.margin {
            Margin::Clipped { limit } => {
                offsets.iter_mut().for_each(|offset| *offset = offset.clamp(-limit, limit));
            }
            Margin::Centred => {
                let centre = mean(offsets.iter().copied()).unwrap_or_default();
                offsets.iter_mut().for_each(|offset| *offset -= centre);
            }
            Margin::Sum | Margin::PerToken | Margin::PerTurn => {}
        }
        offsets
    }

    fn pair(&self, (chosen, rejected): &Pair, offset: f64) -> Term {
        let (per_chosen, per_rejected) = (self.margin.scale(chosen), self.margin.scale(rejected));
        let d = per_chosen * chosen.log_ratio() - per_rejected * rejected.log_ratio();
        let margin = self.alpha * d + offset;
        let (loss, slope) = smoothed(margin, self.label_smoothing);
        let slope = self.alpha * slope;
        Term { loss, weight: (slope * per_chosen, -slope * per_rejected), margin }
    }

    fn metrics(&self, pairs: &[Pair], terms: &[Term], offsets: &[f64]) -> Metrics {
        let Self { alpha, beta, .. } = *self;
        let rewards: Vec<_> = pairs.iter().map(|(w, l)| (w.score(alpha, beta), l.score(alpha, beta))).collect();
        let margins: Vec<f64> = terms.iter().map(|term| term.margin).collect();
        let pulls: Vec<f64> = margins.iter().map(|margin| sigmoid(-margin)).collect();
        let mut metrics = of_pairs(pairs, &rewards);
        metrics.extend(of_saturation(&margins, &pulls));
        if self.reference == Reference::Sequence {
            let log_ratios = pairs.iter().map(|(w, l)| (alpha * w.log_ratio(), alpha * l.log_ratio()));
            let extra: Vec<f64> = pairs.iter().map(|(w, l)| l.tokens as f64 - w.tokens as f64).collect();
            metrics.extend(as_log_ratio_rewards(&of_pairs(pairs, &log_ratios.collect::<Vec<_>>())));
            metrics.extend(of_offsets(offsets, &extra));
        }
        metrics
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let long = SequenceLogProbs { policy: -1000.0, reference: -1000.0, tokens: 900, turns: 9 };
        let short = SequenceLogProbs { policy: -100.0, reference: -100.0, tokens: 90, turns: 1 };
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
        let near = SequenceLogProbs { policy: -10.0, reference: -10.0, tokens: 10, turns: 1 };
        let far = SequenceLogProbs { policy: -9000.0, reference: -9000.0, tokens: 10, turns: 1 };
        let evaluation = entropo(0.2).evaluate(&[(near, near), (near, near), (near, far)]).unwrap();
        assert_close(evaluation.metrics["effective_count"], 2.0, 1e-12);
        assert_close(evaluation.metrics["saturated_fraction"], 1.0 / 3.0, 1e-12);
    }

    #[test]
    fn centring_takes_away_what_all_pairs_share() {
        let side = |reference: f64| SequenceLogProbs { policy: reference, reference, tokens: 10, turns: 1 };
        let pairs = [(side(-100.0), side(-300.0)), (side(-100.0), side(-340.0))]; // offsets 20 and 24
        let centred = EntropoDpo { alpha: 0.2, margin: Margin::Centred, ..EntropoDpo::default() };
        let evaluation = centred.evaluate(&pairs).unwrap();
        assert_close(evaluation.weights[0].0, -0.2 * sigmoid(2.0) / 2.0, 1e-12);
        assert_close(evaluation.weights[1].0, -0.2 * sigmoid(-2.0) / 2.0, 1e-12);
        assert_close(evaluation.metrics["offset/mean"], 0.0, 1e-12);
    }

    #[test]
    fn turns_are_averaged() {
        let per_turn = EntropoDpo { margin: Margin::PerTurn, ..EntropoDpo::default() };
        let x = (0.11 * -4.1 - 0.1 * -4.7) / 2.0 - (0.11 * -2.6 - 0.1 * -2.2); // two turns against one
        let evaluation = per_turn.evaluate(&[PAIR]).unwrap();
        assert_close(evaluation.loss, smoothed(x, 0.0).0, 1e-12);
        assert_close(evaluation.weights[0].0, -0.11 * sigmoid(-x) / 2.0, 1e-12);
    }

    /// Given `alpha / beta * sum(log q)`, the score is `alpha (log pi - log q)`.
    #[test]
    fn a_local_reference_is_given_scaled() {
        let local = EntropoDpo { alpha: 0.2, reference: Reference::Local, ..EntropoDpo::default() };
        let q = (-4.4, -2.5);
        let scaled = |s: SequenceLogProbs, q: f64| SequenceLogProbs { reference: q / local.tempering().scale(), ..s };
        let evaluation = local.evaluate(&[(scaled(PAIR.0, q.0), scaled(PAIR.1, q.1))]).unwrap();
        let x = 0.2 * (-4.1 - q.0) - 0.2 * (-2.6 - q.1);
        assert_close(evaluation.loss, smoothed(x, 0.0).0, 1e-12);
        assert_close(evaluation.metrics["rewards/margins"], x, 1e-12);
        assert!(!evaluation.metrics.keys().any(|name| name.starts_with("offset/")), "{:?}", evaluation.metrics);
    }

    #[test]
    fn contradictions_are_named() {
        let local = EntropoDpo { reference: Reference::Local, ..EntropoDpo::default() };
        for (entropo, second) in [
            (EntropoDpo { anneal: 0.5, ..local }, "anneal"),
            (EntropoDpo { kappa: Some(1.0), ..local }, "kappa"),
            (EntropoDpo { margin: Margin::Centred, ..local }, "margin = centred"),
            (EntropoDpo { margin: Margin::Clipped { limit: 2.0 }, ..local }, "margin = clipped"),
        ] {
            let error = entropo.validate().unwrap_err();
            assert!(matches!(&error, ObjectiveError::Combination { second: found, .. } if *found == second), "{error}");
        }
        EntropoDpo { margin: Margin::PerToken, ..local }.validate().unwrap();
    }

    #[test]
    fn kappa_is_the_spread_of_the_offset() {
        let side = |reference: f64| SequenceLogProbs { policy: reference, reference, tokens: 10, turns: 1 };
        let pairs = [(side(-100.0), side(-300.0)), (side(-100.0), side(-340.0))]; // gaps of 200 and 240
        let entropo = EntropoDpo { kappa: Some(1.5), ..EntropoDpo::default() };
        assert_eq!(entropo.evaluate(&pairs), Err(ObjectiveError::Unscaled));
        let scaled = entropo.scaled(pairs).unwrap();
        assert_close(scaled.alpha, 0.1 + 1.5 / 20.0, 1e-12);
        assert_close(scaled.evaluate(&pairs).unwrap().metrics["offset/sd"], 1.5, 1e-12);
        let error = entropo.scaled([pairs[0], pairs[0]]).unwrap_err();
        assert!(matches!(error, ObjectiveError::OutOfRange { value: 0.0, .. }), "{error}");
    }

    #[test]
    fn alpha_rises_over_the_first_steps() {
        let entropo = EntropoDpo { alpha: 0.3, anneal: 0.5, ..EntropoDpo::default() };
        let loss = |progress| entropo.at(progress).evaluate(&[PAIR]).unwrap().loss;
        assert_close(loss(0.0), 0.6443966601, 1e-10); // DPO
        assert_close(loss(0.5), 0.7981388694, 1e-10);
        assert_eq!(loss(0.5), loss(1.0));
        assert_eq!(entropo.at(0.0).at(1.0), entropo.at(0.0), "a moment stays that moment");
    }
}
