//! Where everything is.

use std::path::{Path, PathBuf};

use entropo::train::checkpoint::{CheckpointError, write_file};

use crate::results::Results;

/// The files of an experiment's directory.
#[derive(Clone, Debug)]
pub struct Files {
    directory: PathBuf,
}

impl Files {
    /// In `directory`, which is made when something is written.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The effective settings.
    pub fn settings(&self) -> PathBuf {
        self.directory.join("settings.json")
    }

    /// The rollouts of a phase or arm.
    pub fn rollouts(&self, name: &str) -> PathBuf {
        self.directory.join(format!("rollouts-{name}.jsonl"))
    }

    /// State and log of an arm's training.
    pub fn training(&self, arm: &str) -> PathBuf {
        self.directory.join("training").join(arm)
    }

    /// An arm's trained checkpoint.
    pub fn checkpoint(&self, arm: &str) -> PathBuf {
        self.directory.join("checkpoints").join(arm)
    }

    /// Everything in the table.
    pub fn results(&self) -> PathBuf {
        self.directory.join("results.json")
    }

    /// The page with plots and trajectories.
    pub fn page(&self) -> PathBuf {
        self.directory.join("index.html")
    }

    pub(super) fn write_results(&self, results: &Results) -> Result<(), CheckpointError> {
        let text = serde_json::to_string_pretty(results).unwrap_or_default() + "\n";
        write_file(&self.results(), text.as_bytes())
    }
}
