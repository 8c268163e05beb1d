//! Why an objective refuses: it names the sequence or the setting, so that nobody has to search a batch for a NaN.

use std::fmt;

/// Why an objective cannot be evaluated.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectiveError {
    /// Nothing to take a mean over.
    #[error("the batch is empty; an objective needs at least one sequence")]
    EmptyBatch,
    /// A sequence in which the agent wrote nothing, so that there is nothing to learn from.
    #[error("{sequence} has no action token; drop such sequences when the data is loaded")]
    NoActionToken {
        /// Which sequence.
        sequence: SequenceIndex,
    },
    /// A sum of log-probabilities that is infinite or not a number.
    #[error("{sequence}: the {model}'s log-probabilities sum to {value}; the model's output or its cache is broken")]
    NotFinite {
        /// Which sequence.
        sequence: SequenceIndex,
        /// `policy` or `reference`.
        model: &'static str,
        /// The sum.
        value: f64,
    },
    /// Per-token values that do not belong together.
    #[error("{policy} policy values, {reference} reference values and {mask} mask values; give one of each per token")]
    Lengths {
        /// Policy log-probabilities.
        policy: usize,
        /// Reference log-probabilities.
        reference: usize,
        /// Mask values.
        mask: usize,
    },
    /// A setting, or a number given beside the batch, out of range.
    #[error("`{name}` is {value}, but must be {expected}")]
    OutOfRange {
        /// The name, as in a configuration file.
        name: &'static str,
        /// What it is.
        value: f64,
        /// What it may be.
        expected: &'static str,
    },
    /// Settings that contradict each other.
    #[error("`{first}` does not go with `{second}`: {reason}")]
    Combination {
        /// One setting, as in a configuration file.
        first: &'static str,
        /// The other.
        second: &'static str,
        /// Why, and what to do.
        reason: &'static str,
    },
    /// A coefficient that is to be found from the data, which has not been looked at.
    #[error("`kappa` stands for an alpha that follows from the reference's log-probabilities; find it with `scaled`")]
    Unscaled,
    /// An estimate from mismatched sequences without any.
    #[error(
        "no mismatched sequences were given; pair each prompt with another prompt's completion, or choose another z0"
    )]
    NoMismatched,
}

/// A sequence's place in its batch, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SequenceIndex {
    /// In a batch of single sequences.
    Single(usize),
    /// The preferred sequence of a pair.
    Chosen(usize),
    /// The other one.
    Rejected(usize),
    /// Among the mismatched sequences of KTO's estimate.
    Mismatched(usize),
}

impl fmt::Display for SequenceIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Single(index) => write!(f, "sequence {index}"),
            Self::Chosen(index) => write!(f, "sequence {index} of chosen"),
            Self::Rejected(index) => write!(f, "sequence {index} of rejected"),
            Self::Mismatched(index) => write!(f, "sequence {index} of mismatched"),
        }
    }
}

/// Refuses anything but a finite number above 0.
pub(super) fn positive(name: &'static str, value: f64) -> Result<(), ObjectiveError> {
    within(name, value, value > 0.0, "a finite number above 0")
}

/// Refuses anything but a finite number of at least 0.
pub(super) fn not_negative(name: &'static str, value: f64) -> Result<(), ObjectiveError> {
    within(name, value, value >= 0.0, "a finite number of at least 0")
}

/// Refuses infinities and NaN.
pub(super) fn finite(name: &'static str, value: f64) -> Result<(), ObjectiveError> {
    within(name, value, true, "finite")
}

/// Refuses a probability of flipped labels from one half on, where labels carry no information.
pub(super) fn smoothing(value: f64) -> Result<(), ObjectiveError> {
    within("label_smoothing", value, (0.0..0.5).contains(&value), "at least 0 and below 0.5")
}

/// Refuses `value` if it is not finite or not `allowed`.
pub(super) fn within(
    name: &'static str,
    value: f64,
    allowed: bool,
    expected: &'static str,
) -> Result<(), ObjectiveError> {
    if value.is_finite() && allowed { Ok(()) } else { Err(ObjectiveError::OutOfRange { name, value, expected }) }
}
