//! Tests of the crate from outside, by topic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod format_export;
mod format_hostile;
mod format_lines;
mod format_read;
mod format_tokens;
mod make;
mod preference;
mod preference_stream;
mod stats;
mod stats_trust;
mod store;
mod store_kill;
