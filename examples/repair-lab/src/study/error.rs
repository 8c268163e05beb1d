//! What can go wrong.

use entropo::core::plot::PlotError;

/// Why a study has no result. What was finished is kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StudyError {
    /// The output directory holds another study.
    #[error(transparent)]
    Settings(#[from] crate::experiment::SettingsError),
    /// Tasks cannot be drawn.
    #[error(transparent)]
    Lab(#[from] crate::task::LabError),
    /// Rollouts failed or were interrupted.
    #[error(transparent)]
    Rollout(#[from] crate::rollouts::RolloutError),
    /// The policy cannot act.
    #[error(transparent)]
    Model(#[from] entropo::train::LocalModelError),
    /// A file cannot be read or written.
    #[error(transparent)]
    Checkpoint(#[from] entropo::train::checkpoint::CheckpointError),
    /// The judge's words cannot be made tokens.
    #[error(transparent)]
    Encode(#[from] entropo::train::text::EncodeError),
    /// The policy cannot be asked.
    #[error(transparent)]
    Judging(#[from] entropo::train::verifier::JudgingError),
    /// Attempts cannot be chosen from.
    #[error(transparent)]
    Balance(#[from] entropo::train::verifier::BalanceError),
    /// There is no head.
    #[error(transparent)]
    Head(#[from] entropo::train::verifier::HeadError),
    /// Training failed.
    #[error(transparent)]
    Train(#[from] entropo::train::trainer::TrainError),
    /// There is no combination of scores.
    #[error(transparent)]
    Fit(#[from] entropo::agent::select::learned::FitError),
    /// Rollouts cannot be counted.
    #[error(transparent)]
    Stats(#[from] entropo::core::stats::StatsError),
    /// A selector cannot choose.
    #[error(transparent)]
    Selection(#[from] entropo::agent::select::SelectionError),
    /// A plot cannot be drawn.
    #[error("a plot cannot be drawn: {0}")]
    Plot(String),
}

impl From<PlotError> for StudyError {
    fn from(error: PlotError) -> Self {
        Self::Plot(error.to_string())
    }
}
