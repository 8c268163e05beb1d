//! Statistics over tasks and rollouts: pass@k, best@k, regret, intervals, diversity, and how far scores can be trusted.
//!
//! Experiments with coding agents have few tasks, so two habits are built in. Every number over tasks comes with an
//! interval from resampling *tasks* ([`Bootstrap`]), since tasks are what a new data set would change. And two arms are
//! compared on the same tasks ([`Bootstrap::difference`]), which removes the large variation between easy and hard
//! ones.
//!
//! ```
//! use entropo_core::stats::{Bootstrap, pass_at_k};
//!
//! let solved = [0, 1, 3, 8]; // of 8 rollouts each, on four tasks
//! let per_task: Vec<f64> = solved.iter().map(|&c| pass_at_k(8, c, 4)).collect::<Result<_, _>>()?;
//! let interval = Bootstrap::default().mean(&per_task)?;
//! assert!(interval.low <= interval.mean && interval.mean <= interval.high);
//! # Ok::<(), entropo_core::stats::StatsError>(())
//! ```

mod auroc;
mod best_at_k;
mod bootstrap;
mod calibration;
mod diversity;
mod logistic;
mod pass_at_k;
mod predictions;
mod regret;
mod temperature;
mod wilson;

pub use auroc::auroc;
pub use best_at_k::{BestAtK, Subsets, best_at_k};
pub use bootstrap::{Bootstrap, Interval};
pub use calibration::{Bins, ReliabilityBin, brier_score, expected_calibration_error, reliability};
pub use diversity::{count_patches, effective_number, normalise_patch};
pub use logistic::{logit, negative_log_sigmoid, sigmoid};
pub use pass_at_k::{Samples, mean_pass_at_k, pass_at_k};
pub use predictions::{Calibration, Prediction, Predictions};
pub use regret::{SelectorRegret, best_by_score_at_k, selector_regret};
pub use temperature::{Temperature, TemperatureError};
pub use wilson::wilson_interval;

/// Why a statistic is not defined for what was given.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StatsError {
    /// More samples asked for, or solved, than there are.
    #[error("{what} is {value}, but there are only {samples} samples; lower it or draw more samples")]
    MoreThanSamples {
        /// Which number.
        what: &'static str,
        /// The number.
        value: usize,
        /// How many samples there are.
        samples: usize,
    },
    /// Nothing to compute from.
    #[error("{what} is empty or 0; at least one is needed")]
    Nothing {
        /// What is missing.
        what: &'static str,
    },
    /// Two arms that do not have the same tasks.
    #[error("{left} values against {right}; a paired difference needs both arms on the same tasks in the same order")]
    Unpaired {
        /// Values of the first arm.
        left: usize,
        /// Values of the second arm.
        right: usize,
    },
    /// A value that is NaN or infinite.
    #[error("value {index} is {value}, not a finite number")]
    NotFinite {
        /// Position of the value, from 0.
        index: usize,
        /// The value.
        value: f64,
    },
    /// A value that is no probability.
    #[error("value {index} is {value}, not a probability between 0 and 1")]
    NotProbability {
        /// Position of the value, from 0.
        index: usize,
        /// The value.
        value: f64,
    },
    /// Values and labels that do not belong together.
    #[error("{values} values, but {labels} labels; give each value its label, in the same order")]
    Labels {
        /// How many values.
        values: usize,
        /// How many labels.
        labels: usize,
    },
    /// Nothing to rank against.
    #[error("all labels are equal; both solved and unsolved samples are needed")]
    OneClass,
    /// A likelihood without a greatest value.
    #[error("no temperature fits best: {why}; fit on more samples")]
    NoTemperature {
        /// Why not.
        why: &'static str,
    },
    /// A statistic that no resample had.
    #[error("the statistic is undefined on all {resamples} resamples; it needs more tasks")]
    Undefined {
        /// How many were tried.
        resamples: usize,
    },
    /// A confidence level that is no probability.
    #[error("the confidence level is {level}; it must lie strictly between 0 and 1")]
    Level {
        /// The level.
        level: f64,
    },
    /// A selector that chose something it was not offered.
    #[error("the selector chose sample {choice}, which is not among {subset:?}; it must return one of the indices")]
    NotOffered {
        /// What it chose.
        choice: usize,
        /// What it was offered.
        subset: Vec<usize>,
    },
}

/// Refuses an empty slice (named by `what`) and values that are not finite.
fn check_values(what: &'static str, values: &[f64]) -> Result<(), StatsError> {
    if values.is_empty() {
        return Err(StatsError::Nothing { what });
    }
    match values.iter().copied().enumerate().find(|(_, value)| !value.is_finite()) {
        Some((index, value)) => Err(StatsError::NotFinite { index, value }),
        None => Ok(()),
    }
}

/// [`check_values`], and that each value has a label.
fn check_labelled(what: &'static str, values: &[f64], labels: &[bool]) -> Result<(), StatsError> {
    check_values(what, values)?;
    if values.len() == labels.len() {
        return Ok(());
    }
    Err(StatsError::Labels { values: values.len(), labels: labels.len() })
}

/// [`check_labelled`], and that each value is a probability.
fn check_probabilities(probabilities: &[f64], labels: &[bool]) -> Result<(), StatsError> {
    check_labelled("the list of predictions", probabilities, labels)?;
    match probabilities.iter().copied().enumerate().find(|(_, value)| !(0.0..=1.0).contains(value)) {
        Some((index, value)) => Err(StatsError::NotProbability { index, value }),
        None => Ok(()),
    }
}
