//! A judge of finished attempts: asked whether an attempt is right, it answers with one of two words.
//!
//! Both answers follow the same prompt, so the difference of their log-probabilities is that of their logits at the place
//! of the judgement, and `-log sigmoid` of it is the binary cross-entropy of "the right answer is given". An answer of
//! several tokens works the same. There is no reference.

use serde::{Deserialize, Serialize};

use super::Evaluation;
use super::error::{ObjectiveError, SequenceIndex, not_negative};
use super::metrics::{collect, mean};
use super::sequence::{Pair, SequenceLogProbs};
use super::{negative_log_sigmoid, sigmoid};

/// `-log sigmoid(log pi(right answer) - log pi(wrong answer))`, weighed by which answer is right.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Verifier {
    /// The id of the token that begins the affirmative answer where the two answers part. Needed only if the weights
    /// differ. Default: none.
    pub positive: Option<u32>,
    /// Weight of attempts whose right answer is the affirmative one; at least 0. Default: 1.
    pub positive_weight: f64,
    /// Weight of the others; at least 0. Default: 1.
    pub negative_weight: f64,
}

/// The right answer and the wrong one, and whether the right one is the affirmative one.
pub type Answered = (Pair, bool);

impl Default for Verifier {
    fn default() -> Self {
        Self { positive: None, positive_weight: 1.0, negative_weight: 1.0 }
    }
}

impl Verifier {
    /// Refuses settings out of range, and weights that differ where nothing tells the answers apart.
    pub fn validate(&self) -> Result<(), ObjectiveError> {
        not_negative("positive_weight", self.positive_weight)?;
        not_negative("negative_weight", self.negative_weight)?;
        if self.positive.is_none() && self.positive_weight != self.negative_weight {
            return Err(ObjectiveError::Combination {
                first: "positive_weight",
                second: "negative_weight",
                reason: "they differ, but `positive`, the token id of the affirmative answer, is not given",
            });
        }
        Ok(())
    }

    /// The mean over the batch of weighed losses; the reference's values are ignored. Metrics: `verifier/accuracy` (the
    /// right answer is the likelier one) and `verifier/probability` (of the right answer, given one of the two), each
    /// also for one class alone if [`positive`](Self::positive) tells the classes apart (`_positive`, `_negative`); `logps/*`,
    /// where chosen means right.
    ///
    /// # Errors
    /// Settings out of range, an empty batch, or a sequence without action tokens or with a policy sum that is not
    /// finite.
    pub fn evaluate(&self, batch: &[Answered]) -> Result<Evaluation<(f64, f64)>, ObjectiveError> {
        self.validate()?;
        for (index, ((right, wrong), _)) in batch.iter().enumerate() {
            SequenceLogProbs { reference: 0.0, ..*right }.check(SequenceIndex::Chosen(index))?;
            SequenceLogProbs { reference: 0.0, ..*wrong }.check(SequenceIndex::Rejected(index))?;
        }
        let count = batch.len() as f64;
        let weight = |positive: bool| if positive { self.positive_weight } else { self.negative_weight };
        let logit = |(right, wrong): &Pair| right.policy - wrong.policy;
        let losses = batch.iter().map(|(pair, positive)| weight(*positive) * negative_log_sigmoid(logit(pair)));
        let weights = batch.iter().map(|(pair, positive)| {
            let slope = -weight(*positive) * sigmoid(-logit(pair)) / count;
            (slope, -slope)
        });
        let known = |class: Option<bool>| class.is_none() || self.positive.is_some();
        let of = |class, score: fn(f64) -> f64| {
            let scores = of_class(batch, class).filter(|_| known(class)).map(|pair| score(logit(pair)));
            mean(scores)
        };
        let accuracy = |class| of(class, |logit| f64::from(logit > 0.0));
        let probability = |class| of(class, sigmoid);
        Ok(Evaluation {
            loss: mean(losses).ok_or(ObjectiveError::EmptyBatch)?,
            weights: weights.collect(),
            metrics: collect([
                ("logps/chosen", mean(of_class(batch, None).map(|(right, _)| right.policy))),
                ("logps/rejected", mean(of_class(batch, None).map(|(_, wrong)| wrong.policy))),
                ("verifier/accuracy", accuracy(None)),
                ("verifier/accuracy_negative", accuracy(Some(false))),
                ("verifier/accuracy_positive", accuracy(Some(true))),
                ("verifier/probability", probability(None)),
                ("verifier/probability_negative", probability(Some(false))),
                ("verifier/probability_positive", probability(Some(true))),
            ]),
        })
    }
}

/// The pairs of one class, or all of them.
fn of_class(batch: &[Answered], class: Option<bool>) -> impl Iterator<Item = &Pair> {
    batch.iter().filter(move |(_, positive)| class.is_none_or(|class| class == *positive)).map(|(pair, _)| pair)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::testing::assert_close;

    fn answer(policy: f64) -> SequenceLogProbs {
        SequenceLogProbs { policy, reference: f64::NAN, tokens: 1, turns: 1 }
    }

    /// Logits 1.3 of YES and -0.4 of NO, whatever else the vocabulary holds.
    #[test]
    fn golden_loss() {
        let pair = (answer(1.3 - 2.0), answer(-0.4 - 2.0));
        let evaluation = Verifier::default().evaluate(&[(pair, true)]).unwrap();
        assert_close(evaluation.loss, 0.1677860294, 1e-10);
        assert_close(evaluation.metrics["verifier/probability"], 0.8455347349, 1e-10);
        assert!(!evaluation.metrics.contains_key("verifier/accuracy_positive"), "nobody told the classes apart");
        let (right, wrong) = evaluation.weights[0];
        assert_close(right, 0.8455347349 - 1.0, 1e-10);
        assert_eq!(wrong, -right);
    }

    #[test]
    fn classes_are_weighed_and_told_apart() {
        let verifier = Verifier { positive: Some(7), positive_weight: 3.0, negative_weight: 0.5 };
        let (sure, unsure) = ((answer(-0.1), answer(-3.0)), (answer(-2.0), answer(-0.2)));
        let evaluation = verifier.evaluate(&[(sure, true), (unsure, false)]).unwrap();
        let loss = (3.0 * negative_log_sigmoid(2.9) + 0.5 * negative_log_sigmoid(-1.8)) / 2.0;
        assert_close(evaluation.loss, loss, 1e-12);
        assert_close(evaluation.weights[1].0, -0.25 * sigmoid(1.8), 1e-12);
        let metric = |name: &str| evaluation.metrics[name];
        assert_eq!(metric("verifier/accuracy"), 0.5);
        assert_eq!((metric("verifier/accuracy_positive"), metric("verifier/accuracy_negative")), (1.0, 0.0));
    }

    #[test]
    fn weights_need_something_to_tell_classes_by() {
        let verifier = Verifier { positive_weight: 2.0, ..Verifier::default() };
        let error = verifier.validate().unwrap_err().to_string();
        assert!(error.contains("`positive`"), "{error}");
        assert_eq!(Verifier::default().evaluate(&[]), Err(ObjectiveError::EmptyBatch));
    }
}
