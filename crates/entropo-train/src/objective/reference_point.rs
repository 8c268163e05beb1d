//! The reference point `z0` of EntroPO-KTO: the score that counts as neither gain nor loss.
//!
//! KTO asks for the policy's expected reward, `beta KL(pi || pi_ref) - (alpha - beta) H(pi)`, which is negative where
//! `alpha > beta`. The usual estimate from completions under other prompts, clamped at 0, cannot be that; it is here to
//! compare with other implementations. The means of the batch's own scores are the better stand-in as long as the
//! sequences were sampled by something like the policy.

use serde::{Deserialize, Serialize};

use super::error::{ObjectiveError, within};
use super::metrics::mean;

/// How `z0` is found. It is never differentiated.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum ReferencePoint {
    /// Exponential moving average of the batches' mean scores, beginning with the first. Works with small batches.
    Ema {
        /// Share of the previous value that is kept, in `[0, 1)`.
        decay: f64,
    },
    /// Mean score of the batch. In a batch of one sequence it equals the sequence's score, whatever the label.
    BatchMean,
    /// Mean score of completions under other prompts, of either sign.
    Mismatch,
    /// The same, but at least 0: what TRL and LLaMA-Factory do.
    MismatchClamped,
    /// Always 0.
    Zero,
}

impl Default for ReferencePoint {
    /// A moving average over about ten batches.
    fn default() -> Self {
        Self::Ema { decay: 0.9 }
    }
}

impl ReferencePoint {
    /// Refuses a decay out of range.
    pub fn validate(&self) -> Result<(), ObjectiveError> {
        match *self {
            Self::Ema { decay } => within("decay", decay, (0.0..1.0).contains(&decay), "at least 0 and below 1"),
            _ => Ok(()),
        }
    }

    /// Whether [`estimate`](Self::estimate) reads scores of mismatched sequences, which cost a forward pass.
    pub fn needs_mismatched(&self) -> bool {
        matches!(self, Self::Mismatch | Self::MismatchClamped)
    }

    /// `z0` from the batch's `scores`, from those of `mismatched` sequences (may be empty unless needed) and from the
    /// `previous` batch's `z0` (`None` for the first). It keeps no state: to resume a run, store the last value.
    ///
    /// # Errors
    /// [`ObjectiveError::EmptyBatch`] or [`ObjectiveError::NoMismatched`] if there is nothing to average.
    pub fn estimate(&self, scores: &[f64], mismatched: &[f64], previous: Option<f64>) -> Result<f64, ObjectiveError> {
        let batch = || mean(scores.iter().copied()).ok_or(ObjectiveError::EmptyBatch);
        let other = || mean(mismatched.iter().copied()).ok_or(ObjectiveError::NoMismatched);
        match *self {
            Self::Ema { decay } => {
                let current = batch()?;
                Ok(previous.map_or(current, |previous| decay * previous + (1.0 - decay) * current))
            }
            Self::BatchMean => batch(),
            Self::Mismatch => other(),
            Self::MismatchClamped => Ok(other()?.max(0.0)),
            Self::Zero => Ok(0.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes() {
        let (scores, mismatched) = ([-1.0, -3.0], [-8.0, -4.0]);
        let estimate = |mode: ReferencePoint, previous| mode.estimate(&scores, &mismatched, previous);
        assert_eq!(estimate(ReferencePoint::BatchMean, Some(9.0)), Ok(-2.0));
        assert_eq!(estimate(ReferencePoint::Mismatch, Some(9.0)), Ok(-6.0));
        assert_eq!(estimate(ReferencePoint::MismatchClamped, Some(9.0)), Ok(0.0));
        assert_eq!(estimate(ReferencePoint::Zero, Some(9.0)), Ok(0.0));
        assert_eq!(estimate(ReferencePoint::Ema { decay: 0.75 }, None), Ok(-2.0));
        assert_eq!(estimate(ReferencePoint::Ema { decay: 0.75 }, Some(2.0)), Ok(1.0));
    }

    #[test]
    fn nothing_to_average_is_refused() {
        assert_eq!(ReferencePoint::BatchMean.estimate(&[], &[1.0], None), Err(ObjectiveError::EmptyBatch));
        assert_eq!(ReferencePoint::MismatchClamped.estimate(&[1.0], &[], None), Err(ObjectiveError::NoMismatched));
    }
}
