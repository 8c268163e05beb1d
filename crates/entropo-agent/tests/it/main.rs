//! The crate from outside, by topic.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests are tests")]

mod bad_output;
mod condensing;
mod delegation;
mod hooks;
mod limits;
mod looping;
mod pool;
mod resume;
mod rollouts;
mod select;
mod selection;
#[cfg(all(feature = "openai", feature = "anthropic"))]
mod served;
mod sessions;
mod support;
mod traces;
mod view;
