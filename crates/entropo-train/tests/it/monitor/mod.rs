//! Runs as they are seen while they go on and afterwards.

mod events;
mod run;
mod sample;
