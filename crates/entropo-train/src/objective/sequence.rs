//! The only thing that an objective sees of a sequence.

use super::error::{ObjectiveError, SequenceIndex};

/// Log-probabilities (natural) of one sequence, summed over its action tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SequenceLogProbs {
    /// Sum under the policy, the quantity that is trained. Finite.
    pub policy: f64,
    /// Sum under the frozen reference. Finite; objectives without a reference ([`Sft`](super::Sft)) ignore its value.
    pub reference: f64,
    /// How many action tokens were summed. At least 1.
    pub tokens: usize,
    /// How many turns they are of: runs of action tokens without anything between them. At least 1.
    pub turns: usize,
}

/// A preference: the chosen sequence, then the rejected one.
pub type Pair = (SequenceLogProbs, SequenceLogProbs);

/// A sequence and whether it is desirable.
pub type Labelled = (SequenceLogProbs, bool);

impl SequenceLogProbs {
    /// Sums per-token values, each slice `[predicted tokens]`, where `mask` is set. Values elsewhere are never read, so
    /// they may be anything. Sums in `f64`, also from `f32`.
    ///
    /// # Errors
    /// [`ObjectiveError::Lengths`] if the slices differ in length.
    pub fn from_tokens<T: Copy + Into<f64>>(
        policy: &[T],
        reference: &[T],
        mask: &[bool],
    ) -> Result<Self, ObjectiveError> {
        if policy.len() != mask.len() || reference.len() != mask.len() {
            let (policy, reference, mask) = (policy.len(), reference.len(), mask.len());
            return Err(ObjectiveError::Lengths { policy, reference, mask });
        }
        let mut sums = Self { policy: 0.0, reference: 0.0, tokens: 0, turns: turns(mask) };
        for ((&policy, &reference), _) in policy.iter().zip(reference).zip(mask).filter(|(_, action)| **action) {
            sums.policy += policy.into();
            sums.reference += reference.into();
            sums.tokens += 1;
        }
        Ok(sums)
    }

    /// `log pi(y) - log pi_ref(y)` over the action tokens.
    pub fn log_ratio(&self) -> f64 {
        self.policy - self.reference
    }

    /// EntroPO's score `S = alpha * policy - beta * reference`, the implicit reward of Lemma 3.1 up to a constant of
    /// the prompt.
    ///
    /// Written as DPO's reward at temperature `alpha` plus an offset, so that it equals `beta * log_ratio` to the last
    /// bit at `alpha == beta`.
    pub fn score(&self, alpha: f64, beta: f64) -> f64 {
        alpha * self.log_ratio() + (alpha - beta) * self.reference
    }

    /// One over the number of action tokens.
    pub(super) fn per_token(&self) -> f64 {
        1.0 / self.tokens as f64
    }

    /// One over the number of turns. The mean over turns of each one's sum is this times the sum over all.
    pub(super) fn per_turn(&self) -> f64 {
        1.0 / self.turns as f64
    }

    /// Refuses a sequence that would make the loss undefined.
    pub(super) fn check(&self, sequence: SequenceIndex) -> Result<(), ObjectiveError> {
        if self.tokens == 0 || self.turns == 0 {
            return Err(ObjectiveError::NoActionToken { sequence });
        }
        for (model, value) in [("policy", self.policy), ("reference", self.reference)] {
            if !value.is_finite() {
                return Err(ObjectiveError::NotFinite { sequence, model, value });
            }
        }
        Ok(())
    }
}

/// How many turns a mask has: its longest runs of `true`.
pub(crate) fn turns(mask: &[bool]) -> usize {
    let before = std::iter::once(&false).chain(mask);
    mask.iter().zip(before).filter(|(action, before)| **action && !**before).count()
}

/// Refuses an empty batch and any sequence that cannot be evaluated.
pub(super) fn check_pairs(pairs: &[Pair]) -> Result<(), ObjectiveError> {
    for (index, (chosen, rejected)) in pairs.iter().enumerate() {
        chosen.check(SequenceIndex::Chosen(index))?;
        rejected.check(SequenceIndex::Rejected(index))?;
    }
    if pairs.is_empty() { Err(ObjectiveError::EmptyBatch) } else { Ok(()) }
}

/// Refuses an empty batch and any sequence that cannot be evaluated.
pub(super) fn check_labelled(batch: &[Labelled]) -> Result<(), ObjectiveError> {
    for (index, (sequence, _)) in batch.iter().enumerate() {
        sequence.check(SequenceIndex::Single(index))?;
    }
    if batch.is_empty() { Err(ObjectiveError::EmptyBatch) } else { Ok(()) }
}

/// Refuses having no mismatched sequences, and any that cannot be evaluated.
pub(super) fn check_mismatched(mismatched: &[SequenceLogProbs]) -> Result<(), ObjectiveError> {
    for (index, sequence) in mismatched.iter().enumerate() {
        sequence.check(SequenceIndex::Mismatched(index))?;
    }
    if mismatched.is_empty() { Err(ObjectiveError::NoMismatched) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_action_tokens_are_read() {
        let sums =
            SequenceLogProbs::from_tokens(&[-1.5_f32, f32::NAN, -0.25], &[-2.0, 7.0, -1.0], &[true, false, true]);
        assert_eq!(sums, Ok(SequenceLogProbs { policy: -1.75, reference: -3.0, tokens: 2, turns: 2 }));
    }

    #[test]
    fn turns_are_runs_of_actions() {
        let masks: [(&[bool], usize); 4] = [
            (&[], 0),
            (&[false, false], 0),
            (&[true, true, false, true], 2),
            (&[false, true, false, true, true, false], 2),
        ];
        for (mask, expected) in masks {
            assert_eq!(turns(mask), expected, "{mask:?}");
        }
    }

    #[test]
    fn slices_of_different_length_are_refused() {
        assert_eq!(
            SequenceLogProbs::from_tokens(&[-1.0], &[-1.0, -2.0], &[true]),
            Err(ObjectiveError::Lengths { policy: 1, reference: 2, mask: 1 })
        );
    }

    #[test]
    fn the_bad_sequence_is_named() {
        let good = SequenceLogProbs { policy: -1.0, reference: -1.0, tokens: 1, turns: 1 };
        let empty = SequenceLogProbs { tokens: 0, ..good };
        let error = check_pairs(&[(good, good), (good, empty)]).unwrap_err();
        assert_eq!(error, ObjectiveError::NoActionToken { sequence: SequenceIndex::Rejected(1) });
        assert!(error.to_string().starts_with("sequence 1 of rejected has no action token"));

        let infinite = SequenceLogProbs { reference: f64::NEG_INFINITY, ..good };
        let error = check_labelled(&[(good, true), (good, false), (infinite, true)]).unwrap_err();
        assert!(error.to_string().starts_with("sequence 2: the reference's log-probabilities sum to -inf"), "{error}");

        assert_eq!(check_pairs(&[]), Err(ObjectiveError::EmptyBatch));
        assert_eq!(check_mismatched(&[]), Err(ObjectiveError::NoMismatched));
    }
}
