//! An objective's opinion of a batch.

use super::error::TrainError;
use crate::objective::Metrics;

/// What an objective says of a batch, sequence by sequence.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judgement {
    /// The loss.
    pub loss: f64,
    /// `[sequence]`: derivative of the loss with respect to the sequence's summed log-probability.
    pub weights: Vec<f64>,
    /// Numbers to log.
    pub metrics: Metrics,
}

/// Turns summed log-probabilities into a loss and its derivatives.
pub trait Judge {
    /// Consecutive sequences that belong together and are never separated: 2 for pairs.
    fn together(&self) -> usize {
        1
    }

    /// The weights of `count` sequences from the `first` on, given the sums of these alone, if those of the others do not
    /// matter to them.
    fn weights(&mut self, first: usize, sums: &[f64]) -> Option<Result<Vec<f64>, TrainError>> {
        let _ = (first, sums);
        None
    }

    /// The opinion of the whole batch, asked for once, in the end.
    fn judge(&mut self, sums: &[f64]) -> Result<Judgement, TrainError>;
}

impl<F: FnMut(&[f64]) -> Result<Judgement, TrainError>> Judge for F {
    fn judge(&mut self, sums: &[f64]) -> Result<Judgement, TrainError> {
        self(sums)
    }
}

/// Refuses a loss that is no number.
pub(super) fn checked(judgement: Judgement) -> Result<Judgement, TrainError> {
    if judgement.loss.is_finite() {
        Ok(judgement)
    } else {
        Err(TrainError::NotFinite { what: "loss", value: judgement.loss })
    }
}
