//! Why training stops.

use std::path::PathBuf;

use crate::checkpoint::CheckpointError;
use crate::data::SequenceError;
use crate::objective::ObjectiveError;

/// Why training cannot go on. What was saved before stays as it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// Data that cannot be learned from.
    #[error(transparent)]
    Sequence(#[from] SequenceError),
    /// A checkpoint that cannot be read or written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
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
    /// Nothing to train on.
    #[error("no examples to train on")]
    Empty,
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
