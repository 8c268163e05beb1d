//! What quickstart finds out, as numbers.
//!
//! Nothing in here depends on the clock or on the machine: two runs with the same seed give the same [`Results`].

use std::collections::BTreeMap;

use entropo::core::stats::Interval;
use serde::{Deserialize, Serialize};

/// Everything in the table, and the curves behind it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// Governs everything random.
    pub seed: u64,
    /// Unseen tasks that every arm was evaluated on.
    pub evaluation_tasks: usize,
    /// Rollouts of each, and so the N of pass@N.
    pub rollouts: usize,
    /// Where the preferences came from.
    pub preferences: Preferences,
    /// The policies compared, the starting policy first.
    pub arms: Vec<Arm>,
    /// Differences between arms on the same tasks with the same seeds.
    pub differences: Vec<Difference>,
}

/// Where the preferences came from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Preferences {
    /// Training tasks that were tried.
    pub tasks: usize,
    /// Rollouts of the starting policy on them.
    pub rollouts: usize,
    /// Pairs made of these.
    pub pairs: usize,
    /// Candidates that were dropped, by reason.
    pub dropped: BTreeMap<String, usize>,
    /// Standard deviation of the pairs' reference log-ratio, nats.
    pub reference_gap_sd: f64,
}

/// One policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Arm {
    /// Its name, such as `EntroPO`.
    pub name: String,
    /// How it was trained, in a few words.
    pub training: String,
    /// Named numbers with 95 % intervals over tasks: `pass@1`, `pass@N`, `best@N`, `patches` (effective number of
    /// distinct patches among a task's rollouts), `visible` (share of rollouts that pass the visible tests), `finished`
    /// and `bad_calls` (shares).
    pub metrics: BTreeMap<String, Interval>,
    /// pass@k for k = 1 to N.
    pub pass_at: Vec<f64>,
    /// best@k for k = 1 to N under the hybrid selector.
    pub best_at: Vec<f64>,
}

/// One arm against another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The arm.
    pub arm: String,
    /// What it is compared with.
    pub control: String,
    /// The metric.
    pub metric: String,
    /// Arm minus control, paired by task.
    pub interval: Interval,
}
