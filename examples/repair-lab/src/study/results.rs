//! What the study finds out, as numbers.
//!
//! Nothing in here depends on the clock or on the machine: two runs with the same settings give the same
//! [`StudyResults`].

use std::collections::BTreeMap;

use entropo::core::stats::{Interval, ReliabilityBin};
use serde::{Deserialize, Serialize};

use super::Settings;

/// Everything in the tables and plots. Intervals are 95 %, over tasks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StudyResults {
    /// What was asked for.
    pub settings: Settings,
    /// The share of rollouts that solve their task.
    pub solved: Interval,
    /// The judges.
    pub verifiers: Vec<VerifierResult>,
    /// The one whose probabilities are the score `verifier`: that of the higher AUROC on held-out known tasks.
    pub chosen: String,
    /// The weights of the learned combination.
    pub weights: Vec<Weight>,
    /// Selectors in the order in which they are read.
    pub selectors: Vec<SelectorResult>,
    /// What each stage adds to those before it.
    pub contributions: Vec<Contribution>,
    /// Rules that stop early.
    pub stopping: Vec<StoppingResult>,
}

/// How far a judge can be trusted on the unseen tasks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VerifierResult {
    /// Its name, also that of its score.
    pub name: String,
    /// What it was fitted on, in a few words.
    pub fitted: String,
    /// Its AUROC on held-out known tasks, by which the judge is chosen.
    pub held_out_auroc: f64,
    /// The temperature that was fitted there; 1 if there is none.
    pub temperature: f64,
    /// Why there is none.
    pub without_temperature: Option<String>,
    /// Rollouts with a score.
    pub scored: usize,
    /// Rollouts without one, by reason.
    pub missing: BTreeMap<String, usize>,
    /// Over rollouts of all tasks.
    pub auroc: Option<Interval>,
    /// Within tasks, mean over those with solved and unsolved rollouts: what selection is about.
    pub within: Option<Interval>,
    /// Within tasks, among the rollouts that pass every visible test.
    pub within_visible: Option<Interval>,
    /// Expected calibration error, ten bins of equal mass, before and after the temperature.
    pub calibration_error: [Option<Interval>; 2],
    /// Brier score before and after.
    pub brier: [f64; 2],
    /// The reliability curve before and after.
    pub reliability: [Vec<ReliabilityBin>; 2],
}

/// What a feature weighs in the learned combination.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Weight {
    /// The feature.
    pub feature: String,
    /// The weight of a standardised value.
    pub weight: f64,
    /// What is added where there is no value.
    pub missing: f64,
}

/// What a selector submits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SelectorResult {
    /// Its kind: `reference`, `alone`, `cumulative`, `after tests` or `preset`.
    pub group: String,
    /// Its name.
    pub name: String,
    /// best@N by N.
    pub best_at: BTreeMap<usize, Interval>,
    /// What it loses against the oracle at the largest N.
    pub regret: Interval,
    /// best@N at the largest N minus that of a random choice, paired by task.
    pub over_random: Interval,
}

/// What a stage adds to those before it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contribution {
    /// The stage.
    pub stage: String,
    /// best@N with it minus best@N without it, paired by task, by N.
    pub adds: BTreeMap<usize, Interval>,
}

/// What a rule saves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoppingResult {
    /// The rule, in a few words.
    pub rule: String,
    /// What selects after it.
    pub selector: String,
    /// Rollouts between two looks.
    pub wave: usize,
    /// Mean rollouts drawn.
    pub drawn: Interval,
    /// The share of tasks on which it stopped early.
    pub stopped: f64,
    /// The share of tasks solved by what is submitted.
    pub solved: Interval,
    /// That minus what the same selector submits of all rollouts, paired by task.
    pub over_all: Interval,
}
