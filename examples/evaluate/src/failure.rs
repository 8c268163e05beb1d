//! Why there is no result.

use std::io;
use std::path::{Path, PathBuf};

use entropo_agent::model::ModelError;
use entropo_agent::select::{ScoreError, SelectionError};
use entropo_core::StoreError;
use entropo_core::format::swe_bench::PredictionsError;
use entropo_core::format::{ItemError, RowError};
use entropo_core::plot::PlotError;
use entropo_core::stats::StatsError;
use entropo_tools::check::swe_bench::{LogError, RulesError};
use entropo_tools::sandbox::Status;
use entropo_tools::{SandboxError, WorkspaceError};

/// Why a command has no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A file that cannot be read or written.
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    /// A file that is no JSON.
    #[error("{} is no JSON of the kind that is needed: {source}", path.display())]
    Json { path: PathBuf, source: serde_json::Error },
    /// A file of settings that is none.
    #[error("{} does not say what it should: {source}", path.display())]
    Toml { path: PathBuf, source: Box<toml::de::Error> },
    /// A row of a data set.
    #[error("{}: {source}; a row is one of SWE-bench, SWE-smith, R2E-Gym or entropo-task/1 (docs/evaluation.md)", path.display())]
    Row { path: PathBuf, source: Box<ItemError> },
    /// A row by itself.
    #[error(transparent)]
    Instance(#[from] Box<RowError>),
    /// A file of predictions.
    #[error("{}: {source}", path.display())]
    Predictions { path: PathBuf, source: Box<PredictionsError> },
    /// What is asked for cannot be done.
    #[error("{0}")]
    Asked(String),
    /// An instance that cannot be worked on.
    #[error("{id}: {reason}")]
    Task { id: String, reason: String },
    /// A step before an instance's tests that did not end by itself.
    #[error("{id}: a step before the tests was stopped ({status:?}); see to disk, memory and load, and judge it again")]
    Step { id: String, status: Status },
    /// Rules that are none.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// A log that cannot be judged.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Files that cannot be laid down.
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    /// Commands that cannot be run.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// What was kept cannot be read or written.
    #[error(transparent)]
    Store(#[from] Box<StoreError>),
    /// A model that cannot be asked.
    #[error(transparent)]
    Model(#[from] Box<ModelError>),
    /// Rollouts that cannot be compared.
    #[error(transparent)]
    Selection(#[from] SelectionError),
    /// Scores that contradict each other.
    #[error(transparent)]
    Score(#[from] ScoreError),
    /// A picture that cannot be drawn.
    #[error(transparent)]
    Plot(#[from] PlotError),
    /// A number that is none.
    #[error(transparent)]
    Stats(#[from] StatsError),
}

impl Failure {
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { path: path.to_owned(), source }
    }

    pub(crate) fn json(path: &Path) -> impl FnOnce(serde_json::Error) -> Self {
        move |source| Self::Json { path: path.to_owned(), source }
    }

    pub(crate) fn toml(path: &Path) -> impl FnOnce(toml::de::Error) -> Self {
        move |source| Self::Toml { path: path.to_owned(), source: Box::new(source) }
    }

    pub(crate) fn task(id: &str, reason: impl ToString) -> Self {
        Self::Task { id: id.to_owned(), reason: reason.to_string() }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(Box::new(error))
    }
}

impl From<ModelError> for Failure {
    fn from(error: ModelError) -> Self {
        Self::Model(Box::new(error))
    }
}

impl From<RowError> for Failure {
    fn from(error: RowError) -> Self {
        Self::Instance(Box::new(error))
    }
}
