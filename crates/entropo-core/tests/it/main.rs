//! Tests of the crate from outside, by topic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod make;
mod preference;
mod stats;
mod store;
mod store_kill;
