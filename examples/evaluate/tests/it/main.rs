//! The program as it is run: on little repositories, with a scripted server, without network and containers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod container;
mod errors;
mod export;
mod grade;
mod grade_log;
mod graded;
mod place;
mod recorded;
mod reproduce;
mod run;
mod score;
mod server;
mod settings;
mod waves;
