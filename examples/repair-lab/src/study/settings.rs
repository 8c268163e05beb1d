//! What a study is.

use serde::{Deserialize, Serialize};

use crate::task::Difficulty;

/// Everything that the results depend on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Governs tasks, sampling, subsets and training.
    pub seed: u64,
    /// Names in use.
    pub difficulty: Difficulty,
    /// Unseen tasks on which rollouts are selected.
    pub tasks: usize,
    /// Rollouts of each: the largest N of best@N.
    pub rollouts: usize,
    /// Other tasks from whose judged rollouts is learned. Three quarters teach the judges; on the rest temperatures and the
    /// learned combination are fitted, and the judge is chosen.
    pub known_tasks: usize,
    /// Rollouts of each.
    pub known_rollouts: usize,
    /// Subsets of a task's rollouts that stand for all of them in best@N.
    pub subsets: usize,
    /// Passes of the trained judge over its examples.
    pub epochs: usize,
    /// Examples in an update.
    pub batch_size: usize,
    /// Its highest learning rate.
    pub learning_rate: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 0,
            difficulty: Difficulty::standard(),
            tasks: 100,
            rollouts: 32,
            known_tasks: 320,
            known_rollouts: 8,
            subsets: 64,
            epochs: 3,
            batch_size: 16,
            learning_rate: 5e-4,
        }
    }
}

impl Settings {
    /// How many of the known tasks teach the judges.
    pub(super) fn learned_from(&self) -> usize {
        (self.known_tasks * 3 / 4).max(1)
    }

    /// The N of best@N: 1, 2, 4 and so on, and the largest.
    pub(super) fn counts(&self) -> Vec<usize> {
        let doubled = std::iter::successors(Some(1_usize), |count| count.checked_mul(2));
        doubled.take_while(|count| *count < self.rollouts).chain([self.rollouts]).collect()
    }
}
