//! Why a verifier is not trained, asked or measured.

use std::path::PathBuf;

use entropo_agent::model::http::BuildError;
use entropo_agent::select::ScoreError;
use entropo_agent::verifier::PromptError;
use entropo_core::format::export::ExportError;
use entropo_core::plot::PlotError;
use entropo_core::stats::StatsError;
use entropo_core::{RolloutId, StoreError};
use entropo_train::adapter::AdapterError;
use entropo_train::checkpoint::{CheckpointError, write_file};
use entropo_train::text::EncodeError;
use entropo_train::verifier::{BalanceError, HeadError, HeadFileError, JudgingError};

use crate::attempts::AttemptsError;
use crate::failure::Failure;

/// Why there are no rows, no scores or no report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JudgeError {
    /// What training can fail with, too: files, models, devices.
    #[error(transparent)]
    Run(Box<Failure>),
    /// Attempts, or scores of them, that cannot be read.
    #[error(transparent)]
    Attempts(Box<AttemptsError>),
    /// A file of scores of a name that another's may be mistaken for.
    #[error("{path}: a file of scores is named NAME.jsonl, and whose they are is in NAME.verifier.json; name it so")]
    Named {
        /// The file.
        path: PathBuf,
    },
    /// A file that would be written, and is read.
    #[error("{path} is one of the files that are measured; write to another")]
    Input {
        /// The file.
        path: PathBuf,
    },
    /// A store that cannot be read or written.
    #[error(transparent)]
    Store(Box<StoreError>),
    /// Attempts of which nothing can be made.
    #[error("{what}; {hint}")]
    Nothing {
        /// What is missing.
        what: String,
        /// What to do.
        hint: &'static str,
    },
    /// A prompt file that is wrong.
    #[error("{path}: {source}")]
    PromptFile {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        source: Box<toml::de::Error>,
    },
    /// A prompt that nobody can answer.
    #[error(transparent)]
    Prompt(#[from] PromptError),
    /// A prompt that the model cannot be asked.
    #[error(transparent)]
    Judging(Box<JudgingError>),
    /// Attempts that cannot be chosen from.
    #[error(transparent)]
    Balance(#[from] BalanceError),
    /// Rows that cannot be written.
    #[error(transparent)]
    Export(Box<ExportError>),
    /// A head that cannot be fitted.
    #[error(transparent)]
    Fit(#[from] HeadError),
    /// A head that cannot be read or written, or is another model's.
    #[error(transparent)]
    Head(Box<HeadFileError>),
    /// An option that is no field of a request.
    #[error("--field {field}: {reason}; write it as NAME=JSON")]
    Field {
        /// The option.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A server that cannot be asked.
    #[error(transparent)]
    Build(Box<BuildError>),
    /// A server that answers nothing.
    #[error(
        "the server gave no reply to {attempts} attempts in a row, last: {reason}; what has a score is kept, and the same \
             command goes on"
    )]
    Server {
        /// How many attempts.
        attempts: usize,
        /// The last one's error.
        reason: String,
    },
    /// Scores of another verifier.
    #[error("{path} holds scores of another verifier ({differences}), which would be mixed; name a new file")]
    OtherScores {
        /// The scores.
        path: PathBuf,
        /// What differs.
        differences: String,
    },
    /// Scores of nobody knows which verifier.
    #[error("{path} holds verifier scores, but there is no {identity} that says of which verifier; name a new file")]
    NobodysScores {
        /// The scores.
        path: PathBuf,
        /// Where it would be said.
        identity: PathBuf,
    },
    /// A file that is none of ours, or of another version.
    #[error("{path} is no {what}: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What it should be.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A temperature that was fitted to another verifier.
    #[error(
        "{path} was fitted to another verifier ({differences}); fit it to scores of this one with `judge report --fit`"
    )]
    OtherCalibration {
        /// The calibration.
        path: PathBuf,
        /// What differs.
        differences: String,
    },
    /// No temperature can be fitted.
    #[error("{path} is not written, for there is no temperature: {reason}")]
    NoTemperature {
        /// The file that was asked for.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Two scores of a rollout.
    #[error("{path}: {source}")]
    Scores {
        /// The scores.
        path: PathBuf,
        /// What is wrong.
        source: ScoreError,
    },
    /// A score that is no probability.
    #[error("{path}: the verifier score of {rollout} is {value}, not a probability between 0 and 1; score it again")]
    NotProbability {
        /// The scores.
        path: PathBuf,
        /// Whose.
        rollout: RolloutId,
        /// The score.
        value: f64,
    },
    /// Numbers that cannot be had.
    #[error(transparent)]
    Stats(#[from] StatsError),
    /// A plot that cannot be drawn.
    #[error(transparent)]
    Plot(#[from] PlotError),
}

macro_rules! boxed {
    ($($variant:ident($source:ty)),+ $(,)?) => {
        $(impl From<$source> for JudgeError {
            fn from(source: $source) -> Self {
                Self::$variant(Box::new(source))
            }
        })+
    };
}

boxed! {
    Run(Failure), Attempts(AttemptsError), Store(StoreError), Judging(JudgingError), Export(ExportError), Head(HeadFileError), Build(BuildError),
}

macro_rules! through_failure {
    ($($source:ty),+ $(,)?) => {
        $(impl From<$source> for JudgeError {
            fn from(source: $source) -> Self {
                Failure::from(source).into()
            }
        })+
    };
}

through_failure!(CheckpointError, EncodeError, AdapterError);

impl JudgeError {
    pub(super) fn file(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Failure::File { path: path.to_owned(), source }.into()
    }
}

/// Writes a value as JSON, in the place of what is there.
pub(super) fn write_json(path: &std::path::Path, value: &impl serde::Serialize) -> Result<(), JudgeError> {
    let text = serde_json::to_string_pretty(value).map_err(|error| JudgeError::file(path)(error.into()))?;
    Ok(write_file(path, (text + "\n").as_bytes())?)
}
