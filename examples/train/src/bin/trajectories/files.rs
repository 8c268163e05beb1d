//! What is said about files and what was lost on the way.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use entropo_core::format::Carried;
use entropo_core::format::export::Loss;
use train::words::with_sources;

/// An error with the file that it is about.
pub(crate) fn of_file(path: &Path, error: impl Into<Box<dyn Error>>) -> Box<dyn Error> {
    let error = error.into();
    format!("{}: {}", path.display(), with_sources(&*error)).into()
}

/// How many trajectories lost what.
#[derive(Debug, Default)]
pub(crate) struct Losses(BTreeMap<Loss, usize>);

impl Losses {
    /// What was carried, its losses counted.
    pub(crate) fn count<T>(&mut self, Carried { value, lost, .. }: Carried<T>) -> T {
        for loss in lost {
            *self.0.entry(loss).or_default() += 1;
        }
        value
    }
}

/// A line for each kind of loss.
impl std::fmt::Display for Losses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|(loss, count)| write!(f, "\n  {count} lost {loss}"))
    }
}
