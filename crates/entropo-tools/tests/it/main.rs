//! The crate against the real system: processes, files and git.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "helpers of tests are tests too; clippy.toml exempts only the test functions themselves"
)]

use std::time::Duration;

mod apply_patch;
mod check;
#[cfg(all(feature = "container", target_os = "linux"))]
mod container;
mod editor;
mod hostile;
#[cfg(all(feature = "kubernetes", target_os = "linux"))]
mod kubernetes;
mod multi_edit;
#[cfg(feature = "syntax")]
mod outline;
mod peers;
mod race;
mod reproduction;
mod sandbox;
mod search;
mod search_robust;
mod shell;
mod template;
mod terminal;
mod tools;
mod workspace;

/// What `work` gives, or a failure after so many seconds: for what would wait for ever if it were wrong.
fn within<T, F>(seconds: u64, work: impl FnOnce() -> F + Send + 'static) -> T
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _ = sender.send(runtime.block_on(work()));
    });
    receiver.recv_timeout(Duration::from_secs(seconds)).expect("it failed, or waits for what never comes")
}
