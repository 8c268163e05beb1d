//! The crate against the real system: processes, files and git.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests are tests too; clippy.toml exempts only the test functions themselves"
)]

mod apply_patch;
mod check;
mod editor;
mod multi_edit;
mod processes;
mod sandbox;
mod search;
mod shell;
mod tools;
mod workspace;
