//! What an experiment is.

use std::path::{Path, PathBuf};

use entropo::train::checkpoint::{CheckpointError, write_file};
use entropo::train::generate::EngineConfig;
use serde::{Deserialize, Serialize};

use crate::task::Difficulty;

/// Everything that the results depend on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Governs tasks, sampling, pairs and order.
    pub seed: u64,
    /// Names in use.
    pub difficulty: Difficulty,
    /// Tasks whose rollouts become preferences.
    pub training_tasks: usize,
    /// Rollouts of each.
    pub training_rollouts: usize,
    /// At most so many pairs of one task.
    pub pairs_per_task: usize,
    /// Unseen tasks that every arm is evaluated on.
    pub evaluation_tasks: usize,
    /// Rollouts of each: the N of pass@N and best@N.
    pub rollouts: usize,
    /// Weight of the reference in EntroPO.
    pub beta: f64,
    /// `(alpha - beta) * sd`, where `sd` is the standard deviation of the pairs' reference log-ratio: how strongly the
    /// entropy term acts, whatever the trajectories' length (method, section 3.6). `alpha` follows from it.
    pub kappa: f64,
    /// Passes over the pairs.
    pub epochs: usize,
    /// Pairs in an update.
    pub batch_size: usize,
    /// Highest learning rate.
    pub learning_rate: f64,
    /// Tasks of each arm on the report's page.
    pub shown_tasks: usize,
    /// Rollouts of each there.
    pub shown_rollouts: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 0,
            difficulty: Difficulty::standard(),
            training_tasks: 160,
            training_rollouts: 8,
            pairs_per_task: 3,
            evaluation_tasks: 64,
            rollouts: 16,
            beta: 0.1,
            kappa: 1.0,
            epochs: 2,
            batch_size: 4,
            learning_rate: 5e-5,
            shown_tasks: 4,
            shown_rollouts: 8,
        }
    }
}

/// Why settings cannot be used with a directory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] CheckpointError),
    /// The directory holds an experiment with other settings or another starting policy.
    #[error(
        "{path} belongs to an experiment with other settings or another starting policy; give another --out, or \
         delete the directory"
    )]
    Other {
        /// The file that differs.
        path: PathBuf,
    },
}

impl Settings {
    /// Seed of the evaluation's sampling: the same for all arms.
    pub(super) fn evaluation_seed(&self) -> u64 {
        self.seed.wrapping_mul(2).wrapping_add(1)
    }
}

/// Writes settings and the starting policy's [`digest`](crate::policy::Policy::digest), or makes sure that those already
/// there are the same.
pub(crate) fn write_or_compare(settings: &impl Serialize, policy: &str, path: &Path) -> Result<(), SettingsError> {
    let effective = serde_json::json!({ "policy": policy, "settings": settings });
    let text = format!("{effective:#}\n");
    if !path.exists() {
        return Ok(write_file(path, text.as_bytes())?);
    }
    let there =
        std::fs::read_to_string(path).map_err(|source| CheckpointError::File { path: path.to_owned(), source })?;
    if there == text { Ok(()) } else { Err(SettingsError::Other { path: path.to_owned() }) }
}

/// How the lab's policies are served.
pub(crate) fn engine() -> EngineConfig {
    // Finished rollouts are never continued: more would only be remembered.
    EngineConfig { cache_bytes: 256 << 20, ..EngineConfig::default() }
}
