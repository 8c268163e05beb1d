//! Why there is no run.

use std::io;
use std::path::PathBuf;

use entropo_train::adapter::AdapterError;
use entropo_train::checkpoint::CheckpointError;
use entropo_train::data::DataError;
use entropo_train::hub::HubError;
use entropo_train::monitor::MonitorError;
use entropo_train::text::EncodeError;
use entropo_train::trainer::TrainError;

/// Why there is no run, or why it ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// A file that cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A settings file that is wrong.
    #[error("{path}: {source}")]
    Settings {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        source: Box<toml::de::Error>,
    },
    /// Settings that are wrong once they are changed.
    #[error("what --set asks for: {source}")]
    Changed {
        /// What is wrong.
        source: Box<toml::de::Error>,
    },
    /// A change that cannot be made.
    #[error("--set {change}: {reason}")]
    Change {
        /// The change.
        change: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Settings that cannot be written.
    #[error("the settings cannot be written: {source}")]
    Unwritable {
        /// What cannot be written.
        source: Box<toml::ser::Error>,
    },
    /// A setting that has no default.
    #[error("`{key}` is missing; it is {hint}")]
    Missing {
        /// The setting.
        key: &'static str,
        /// What it is.
        hint: &'static str,
    },
    /// A setting out of range.
    #[error("`{key}` is {value}, but must be {range}")]
    Range {
        /// The setting.
        key: &'static str,
        /// What it is.
        value: String,
        /// What it may be.
        range: &'static str,
    },
    /// A device that is not there.
    #[error("device {name:?}: {reason}")]
    Device {
        /// As it was asked for.
        name: String,
        /// Why it is not there, and what to do.
        reason: String,
    },
    /// A model that cannot be had.
    #[error(transparent)]
    Hub(Box<HubError>),
    /// A checkpoint that cannot be read.
    #[error(transparent)]
    Checkpoint(Box<CheckpointError>),
    /// A tokenizer or template that cannot be read.
    #[error(transparent)]
    Encode(Box<EncodeError>),
    /// Rows that cannot be learned from.
    #[error(transparent)]
    Data(Box<DataError>),
    /// An adapter that cannot be made.
    #[error(transparent)]
    Adapter(Box<AdapterError>),
    /// A run that cannot start or go on.
    #[error(transparent)]
    Train(Box<TrainError>),
    /// Metrics that cannot be written.
    #[error(transparent)]
    Monitor(Box<MonitorError>),
}

macro_rules! boxed {
    ($($variant:ident($source:ty)),+ $(,)?) => {
        $(impl From<$source> for Failure {
            fn from(source: $source) -> Self {
                Self::$variant(Box::new(source))
            }
        })+
    };
}

boxed! {
    Hub(HubError), Checkpoint(CheckpointError), Encode(EncodeError), Data(DataError), Adapter(AdapterError),
    Train(TrainError), Monitor(MonitorError),
}
