//! Why training stops.

use std::path::PathBuf;

use entropo_core::StoreError;

use crate::adapter::AdapterError;
use crate::checkpoint::CheckpointError;
use crate::data::{DataError, SequenceError};
use crate::objective::ObjectiveError;

/// Why training cannot go on. What was saved before stays as it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// Data that cannot be learned from.
    #[error(transparent)]
    Sequence(#[from] SequenceError),
    /// Data that cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A checkpoint that cannot be read or written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// An adapter that cannot be written.
    #[error(transparent)]
    Adapter(Box<AdapterError>),
    /// A file of reference log-probabilities that cannot be read or written.
    #[error(transparent)]
    Store(Box<StoreError>),
    /// A setting out of range.
    #[error("`{name}` is {value}, but must be {expected}")]
    Setting {
        /// The name, as in a configuration file.
        name: &'static str,
        /// What it is.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
    /// The objective refused a batch.
    #[error("step {step}: {source}; sequences: {sequences}")]
    Objective {
        /// The step, counted from 0.
        step: usize,
        /// The objective's words.
        source: ObjectiveError,
        /// The batch's sequences in order.
        sequences: String,
    },
    /// A loss or gradient that is not a number.
    #[error("the {what} is {value}; lower the learning rate or look for broken data; nothing was updated")]
    NotFinite {
        /// What is not finite.
        what: &'static str,
        /// Its value.
        value: f64,
    },
    /// Too many steps in a row without a finite loss and gradient.
    #[error(
        "step {step}: {bad} steps in a row could not be taken, the last one because: {source}; the last good state is \
         as it was saved: lower the learning rate and start from there"
    )]
    Diverged {
        /// The last of them, counted from 0.
        step: usize,
        /// How many.
        bad: usize,
        /// Why the last one could not be taken.
        source: Box<TrainError>,
    },
    /// A reference log-probability that is not a number.
    #[error("{id}: the reference's log-probabilities sum to {value}; its weights are broken")]
    Reference {
        /// The sequence.
        id: String,
        /// The sum.
        value: f64,
    },
    /// A decoder whose weights are quantised and that has no adapter.
    #[error(
        "quantised weights cannot learn; attach an adapter with `with_adapter`, or train the `dequantised()` decoder"
    )]
    Quantised,
    /// Nothing to train on.
    #[error("no examples to {purpose} on; look at the report of dropped rows if there was data")]
    Empty {
        /// `train` or `evaluate`.
        purpose: &'static str,
    },
    /// An example of a kind that the objective does not take.
    #[error("{id}: the objective {objective} does not take this kind of example; it takes {wanted}")]
    Kind {
        /// The example's first sequence.
        id: String,
        /// The objective.
        objective: &'static str,
        /// What it takes.
        wanted: &'static str,
    },
    /// A pair whose sides are the same.
    #[error("{chosen} and {rejected}: both sides of the pair are the same tokens; drop it, for it prefers nothing")]
    EqualSides {
        /// The chosen sequence.
        chosen: String,
        /// The rejected one.
        rejected: String,
    },
    /// A pair of answers of which neither is the affirmative one.
    #[error("{id}: neither answer begins with token {positive}, which `positive` says the affirmative one does")]
    Answer {
        /// The right answer.
        id: String,
        /// The token.
        positive: u32,
    },
    /// A metric to watch that evaluations do not have.
    #[error("evaluations have no metric {name:?} to watch; there are: {known}")]
    Metric {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// Reference log-probabilities of something else.
    #[error("the reference's log-probabilities are of other weights, sequences or masks; compute them from this start")]
    OtherReference,
    /// A saved state of another run.
    #[error("{path}: {reason}; delete the directory to start anew, or give the settings it was made with")]
    OtherRun {
        /// The file.
        path: PathBuf,
        /// What differs.
        reason: String,
    },
}

impl TrainError {
    /// Whether it is about the numbers of one step, so that the next step may be taken.
    pub(super) fn is_of_one_step(&self) -> bool {
        let policy = |error: &ObjectiveError| matches!(error, ObjectiveError::NotFinite { model: "policy", .. });
        match self {
            Self::NotFinite { .. } => true,
            Self::Objective { source, .. } => policy(source),
            _ => false,
        }
    }
}

/// Refuses a number that is not finite or not `allowed`.
pub(super) fn setting(name: &'static str, value: f64, allowed: bool, expected: &'static str) -> Result<(), TrainError> {
    if value.is_finite() && allowed {
        Ok(())
    } else {
        Err(TrainError::Setting { name, value: value.to_string(), expected })
    }
}

/// Refuses 0 where something is counted.
pub(super) fn at_least_one(name: &'static str, value: usize) -> Result<(), TrainError> {
    setting(name, value as f64, value >= 1, "at least 1")
}

impl From<StoreError> for TrainError {
    fn from(error: StoreError) -> Self {
        Self::Store(Box::new(error))
    }
}

impl From<AdapterError> for TrainError {
    fn from(error: AdapterError) -> Self {
        Self::Adapter(Box::new(error))
    }
}
