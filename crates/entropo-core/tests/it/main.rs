//! Tests of the crate from outside, by topic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod fixture;
mod format_export;
mod format_exported;
mod format_foreign_hostile;
mod format_hostile;
mod format_lines;
mod format_openai;
mod format_read;
mod format_runs;
mod format_runs_back;
mod format_swe_bench;
mod format_tokens;
mod make;
mod preference;
mod preference_stream;
mod stats;
mod stats_trust;
mod store;
mod store_kill;
