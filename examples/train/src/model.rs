//! Models by name.

use std::path::PathBuf;

use entropo_train::hub::{self, HubOptions};
use indicatif::ProgressBar;

use crate::failure::Failure;

/// The directory of a model, downloaded if it is one of the hub's that is not here yet.
///
/// # Errors
/// [`Failure::Hub`] for a name of neither, or a download that fails.
pub fn resolve(model: &str) -> Result<PathBuf, Failure> {
    let bar = ProgressBar::no_length();
    let tell = bar.clone();
    let options = HubOptions::default().on_progress(move |progress: hub::Progress<'_>| {
        tell.set_message(progress.file.to_owned());
        tell.set_length(progress.total);
        tell.set_position(progress.done);
    });
    let directory = runtime()?.block_on(hub::resolve(model, &options));
    bar.finish_and_clear();
    Ok(directory?)
}

/// Something to wait on.
///
/// # Errors
/// A system that gives no threads.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Runtime::new().map_err(|source| Failure::File { path: PathBuf::from("the async runtime"), source })
}
