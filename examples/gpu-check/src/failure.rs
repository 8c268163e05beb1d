//! What can go wrong, panics of the engine below included.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::path::PathBuf;

use entropo_train::adapter::AdapterError;
use entropo_train::checkpoint::{CheckpointError, Problems};
use entropo_train::decoder::ConfigError;
use entropo_train::generate::EngineError;
use entropo_train::objective::ObjectiveError;
use entropo_train::trainer::TrainError;

use crate::device::DeviceError;

/// Why a part could not be finished.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Device(#[from] DeviceError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error("the device's weights: {0}")]
    Weights(Problems),
    #[error(transparent)]
    Adapter(#[from] AdapterError),
    #[error(transparent)]
    Train(#[from] TrainError),
    #[error(transparent)]
    Objective(#[from] ObjectiveError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Sequence(#[from] entropo_train::data::SequenceError),
    #[error("{path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    #[error("{path}: {what}; give the folder with `models` and `training` as --fixtures")]
    Fixture { path: PathBuf, what: String },
    #[error("the bench's checkpoint: {0}")]
    Noise(#[from] safetensors::SafeTensorError),
    #[error("the engine panicked: {0}")]
    Panicked(String),
    #[error("{0}")]
    Case(String),
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self::Weights(problems)
    }
}

/// Runs `work`. burn has no errors for what a device refuses, it panics: at this edge that becomes an error too.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(Failure::Panicked(message(&*panic))))
}

/// Tells of a panic in one line instead of several, whichever thread it is on.
pub(crate) fn panics_in_one_line() {
    set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        eprintln!("panic at {place}: {}", message(info.payload()));
    }));
}

/// The first lines of what a panic says: a backtrace of the engine helps nobody here.
fn message(panic: &(dyn Any + Send)) -> String {
    let whole = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    let lines: Vec<&str> = whole.unwrap_or("without a message").lines().take(4).map(str::trim).collect();
    lines.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_with_its_message() {
        let (plain, number) = ("plain", 7);
        let said = |work: &dyn Fn()| {
            guarded::<()>(|| {
                work();
                Ok(())
            })
            .unwrap_err()
            .to_string()
        };
        assert_eq!(said(&|| panic!("{plain}")), "the engine panicked: plain");
        assert_eq!(said(&|| panic!("constant")), "the engine panicked: constant");
        assert_eq!(said(&|| panic!("number {number}\n  in two lines")), "the engine panicked: number 7 in two lines");
        assert_eq!(said(&|| std::panic::panic_any(5)), "the engine panicked: without a message");
        assert_eq!(guarded(|| Ok(3)).unwrap(), 3);
    }
}
