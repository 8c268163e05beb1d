//! Choosing one of many rollouts of a task.
//!
//! A [`Selector`] is a list of [`Stage`]s, each of which keeps or drops candidates and says why. Four rules hold for
//! all of them, and are kept here:
//!
//! * Verdicts and [`Scores`] belong to a rollout's id, never to a position: the order of candidates changes nothing.
//! * A stage that would keep nobody is passed over. One candidate is therefore always chosen.
//! * A score that was never given, or that is no finite number, is missing. It is not 0, and each stage says what it
//!   makes of it.
//! * The hidden judgement, [`Outcome::reward`](entropo_core::Outcome::reward), is no score and is never looked at.
//!
//! Candidates that no stage could tell apart are tied. [`Selector::select`] breaks ties as [`TieBreak`] says, and
//! records that it did; an unbiased estimate of how good a selector is averages over [`Selector::survivors`].
//!
//! | Module | What it holds |
//! |---|---|
//! | [`patch`] | when two patches are the same change |
//! | [`learned`] | scores weighed by a logistic regression |
//! | [`scorer`] | scores from whatever computes them, in whatever order |
//! | [`sampling`] | no more rollouts than the answer needs |
//!
//! `docs/selection.md` has the presets, the maths, and the faults of a published selector that must not come back.

mod agreement;
mod changed;
mod config;
mod finished;
pub mod learned;
mod majority;
mod numbers;
pub mod patch;
mod random;
pub mod sampling;
mod score;
pub mod scorer;
mod scores;
mod selection;
mod selector;
mod steps;
mod threshold;
mod tie;
mod top;
mod vote;
mod within;

use entropo_core::{RolloutId, Trajectory};
use serde::{Deserialize, Serialize};

pub use changed::Changed;
pub use config::{Preset, SelectorConfig, StageConfig};
pub use finished::Finished;
pub use majority::{EmptyPatch, Majority};
pub use random::Random;
pub use score::Score;
pub use scores::{ScoreError, ScoreRow, Scores};
pub use selection::{Decision, Selection, Tie};
pub use selector::{SelectionError, Selector};
pub use steps::{Prefer, Steps};
pub use threshold::Threshold;
pub use tie::TieBreak;
pub use top::Top;
pub use vote::WeightedVote;
pub use within::Within;

/// One rule of a selector.
pub trait Stage: Send + Sync {
    /// The name in decisions.
    fn name(&self) -> String;

    /// Judges the candidates that are left, all of one task. A candidate without a verdict is kept.
    fn apply(&self, candidates: &[&Trajectory], scores: &Scores) -> Vec<Verdict>;
}

/// What a stage thinks of a candidate.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The candidate.
    pub rollout: RolloutId,
    /// Whether it stays.
    pub keep: bool,
    /// Why.
    pub reason: String,
    /// The same as data, if it was a matter of numbers.
    pub measured: Option<Measured>,
}

/// A number that was held against another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// What was measured, such as `regression`.
    pub what: String,
    /// The candidate's number; `None` if it is missing.
    pub value: Option<f64>,
    /// How the number has to lie to the bound.
    pub rule: Rule,
    /// The bound; `None` if no candidate had a number.
    pub bound: Option<f64>,
}

/// How a number has to lie to a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// As high or higher.
    AtLeast,
    /// Higher.
    Above,
    /// As low or lower.
    AtMost,
}

/// What a stage makes of a candidate whose score is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// It goes, unless nobody has the score: then the stage has nothing to say.
    Drop,
    /// It stays.
    Keep,
}

/// A verdict on each candidate.
fn judge(
    candidates: &[&Trajectory],
    verdict: impl Fn(&Trajectory) -> (bool, String, Option<Measured>),
) -> Vec<Verdict> {
    let judged = candidates.iter().map(|candidate| {
        let (keep, reason, measured) = verdict(candidate);
        Verdict { rollout: candidate.id.clone(), keep, reason, measured }
    });
    judged.collect()
}

/// A number as reasons tell it: without the tail of digits that a sum leaves behind.
fn shown(value: f64) -> f64 {
    let rounded = (value * 1e6).round() / 1e6;
    if rounded.is_finite() && (rounded != 0.0 || value == 0.0) { rounded } else { value }
}
