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
