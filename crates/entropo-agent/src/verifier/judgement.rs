//! What is read at the place of the answer.

use std::collections::BTreeMap;

use entropo_core::stats::{Temperature, negative_log_sigmoid};
use entropo_core::{RolloutId, Trajectory};

use super::answer::Answer;
use super::missing::MissingScore;

/// The name under which the stages of a [`Selector`](crate::Selector) look for a verifier's probability.
pub const VERIFIER: &str = "verifier";

/// Servers write this for "very improbable, and not known".
const UNKNOWN: f64 = -9999.0;
/// A log-probability may be so far above 0 by rounding.
const ROUNDING: f64 = 1e-3;

/// The probabilities of both answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judgement {
    /// Natural logarithm of the probability of all tokens that speak for the affirmative answer.
    pub affirmative: f64,
    /// The same of the negative one.
    pub negative: f64,
}

/// A rollout's judgement, or why there is none.
#[derive(Debug)]
pub struct Scored {
    /// The rollout.
    pub rollout: RolloutId,
    /// What the verifier thinks of it.
    pub judgement: Result<Judgement, MissingScore>,
}

impl Judgement {
    /// Sums the tokens that speak for each answer, given with their log-probabilities; `listed` tokens were looked at. Both
    /// answers must have a token, and together at least the probability `least`.
    pub fn of(
        spoken: impl IntoIterator<Item = (Answer, f64)>,
        listed: usize,
        least: f64,
    ) -> Result<Self, MissingScore> {
        let mut logprobs: BTreeMap<Answer, Vec<f64>> = BTreeMap::new();
        for (answer, logprob) in spoken {
            if logprob.is_nan() || logprob > ROUNDING {
                return Err(MissingScore::NotFinite { answer, value: logprob });
            }
            if logprob > UNKNOWN {
                logprobs.entry(answer).or_default().push(logprob);
            }
        }
        let sum = |answer: Answer| {
            let found = logprobs.get(&answer).map(|logprobs| log_sum(logprobs));
            found.ok_or(MissingScore::Unlisted { answer, listed })
        };
        let judgement = Self { affirmative: sum(Answer::Affirmative)?, negative: sum(Answer::Negative)? };
        let mass = judgement.mass();
        if mass < least { Err(MissingScore::Improbable { mass, least }) } else { Ok(judgement) }
    }

    /// The judgement of a model that has nothing else to say than one of two answers.
    pub fn of_logit(logit: f64) -> Self {
        Self { affirmative: -negative_log_sigmoid(logit), negative: -negative_log_sigmoid(-logit) }
    }

    /// `log P(YES) - log P(NO)`.
    pub fn logit(&self) -> f64 {
        self.affirmative - self.negative
    }

    /// `P(YES) / (P(YES) + P(NO))`.
    pub fn probability(&self) -> f64 {
        Temperature::ONE.probability(self.logit())
    }

    /// `P(YES) + P(NO)`: how far the model was about to answer at all.
    pub fn mass(&self) -> f64 {
        self.affirmative.exp() + self.negative.exp()
    }
}

/// Writes probabilities into the trajectories' scores under `name`, by rollout and never by position. A rollout without a
/// judgement loses a score of that name that it had.
pub fn record(name: &str, scored: &[Scored], temperature: Temperature, trajectories: &mut [Trajectory]) {
    let judged: BTreeMap<&RolloutId, Option<f64>> = scored
        .iter()
        .map(|scored| {
            let judgement = scored.judgement.as_ref().ok();
            (&scored.rollout, judgement.map(|judgement| temperature.probability(judgement.logit())))
        })
        .collect();
    for trajectory in trajectories {
        let scores = &mut trajectory.outcome.scores;
        match judged.get(&trajectory.id) {
            Some(Some(probability)) => drop(scores.insert(name.to_owned(), *probability)),
            Some(None) => drop(scores.remove(name)),
            None => {}
        }
    }
}

/// Logarithm of the sum of what these are the logarithms of.
fn log_sum(logprobs: &[f64]) -> f64 {
    let highest = logprobs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    highest + logprobs.iter().map(|logprob| (logprob - highest).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use entropo_core::ExitReason;
    use proptest::prelude::*;

    use super::*;
    use Answer::{Affirmative, Negative};

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-10, "{found} is not {expected}");
    }

    /// Logits 1.3 of YES and -0.4 of NO beside a third token with 0.2.
    #[test]
    fn golden_probability() {
        let total = (1.3f64.exp() + (-0.4f64).exp() + 0.2f64.exp()).ln();
        let judgement = Judgement::of([(Affirmative, 1.3 - total), (Negative, -0.4 - total)], 3, 0.0).unwrap();
        close(judgement.probability(), 0.8455347349);
        close(judgement.logit(), 1.7);
        close(judgement.mass(), 1.0 - (0.2 - total).exp());
    }

    #[test]
    fn a_logit_alone_is_a_judgement() {
        for logit in [-800.0, -1.7, 0.0, 1.7, 800.0] {
            let judgement = Judgement::of_logit(logit);
            close(judgement.logit(), logit);
            close(judgement.mass(), 1.0);
        }
    }

    #[test]
    fn variants_are_summed() {
        let spoken = [(Affirmative, 0.2f64.ln()), (Affirmative, 0.3f64.ln()), (Negative, 0.1f64.ln())];
        close(Judgement::of(spoken, 20, 0.0).unwrap().probability(), 5.0 / 6.0);
    }

    #[test]
    fn a_missing_token_is_a_missing_score_with_a_reason() {
        let of = |spoken: &[(Answer, f64)]| Judgement::of(spoken.iter().copied(), 20, 0.01).unwrap_err();
        for (spoken, reason) in [
            (&[][..], "the affirmative answer is not among the 20 tokens"),
            (&[(Affirmative, -0.1)], "the negative answer is not among the 20 tokens"),
            (&[(Negative, -0.1)], "the affirmative answer is not among"),
            (&[(Affirmative, -0.1), (Negative, -9999.0)], "the negative answer is not among"),
            (&[(Affirmative, -0.1), (Negative, f64::NEG_INFINITY)], "the negative answer is not among"),
            (&[(Affirmative, f64::NAN), (Negative, -1.0)], "the affirmative answer has the log-probability NaN"),
            (&[(Affirmative, -1.0), (Negative, 3.0)], "the negative answer has the log-probability 3"),
            (&[(Affirmative, -9.0), (Negative, -8.0)], "less than 0.01"),
        ] {
            let error = of(spoken).to_string();
            assert!(error.contains(reason), "{spoken:?}: {error}");
        }
    }

    #[test]
    fn scores_go_to_their_rollouts_whatever_the_order() {
        let rollout = |number| {
            let id = RolloutId::new("t", number);
            let mut trajectory = Trajectory::empty(id, "m", 0, ExitReason::Agent);
            trajectory.outcome.scores.insert("verifier".to_owned(), 0.125);
            trajectory
        };
        let scored = |number, logit: Option<f64>| Scored {
            rollout: RolloutId::new("t", number),
            judgement: logit.map(|negative| Judgement { affirmative: -1.0, negative }).ok_or(MissingScore::Nothing),
        };
        let mut trajectories = [0, 1, 2, 3].map(rollout);
        let scored = [scored(2, Some(-1.0)), scored(0, None), scored(1, Some(-2.0))];
        record("verifier", &scored, Temperature::ONE, &mut trajectories);
        let found = trajectories.map(|trajectory| trajectory.outcome.scores.get("verifier").copied());
        assert_eq!((found[0], found[2], found[3]), (None, Some(0.5), Some(0.125)));
        close(found[1].unwrap(), 1.0 / (1.0 + (-1f64).exp()));
    }

    proptest! {
        #[test]
        fn probabilities_are_probabilities_and_swap(a in -700.0..0.0f64, b in -700.0..0.0f64) {
            let of = |a, b| Judgement::of([(Affirmative, a), (Negative, b)], 2, 0.0).unwrap();
            let (judgement, swapped) = (of(a, b), of(b, a));
            prop_assert!((0.0..=1.0).contains(&judgement.probability()));
            prop_assert!((judgement.probability() + swapped.probability() - 1.0).abs() < 1e-12);
        }
    }
}
