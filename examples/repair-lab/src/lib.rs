//! An experiment small enough for a laptop: does an agent get better at repairing code from its own attempts?
//!
//! Everything in the lab is real but small. A [`task`] is a repository of a few `sh` files on disk with a seeded bug, an
//! issue that several fixes satisfy, visible tests, and hidden tests that accept one of the fixes. Agents act through
//! entropo's own shell, editor, search and finish tools, with real processes. A scripted [`teacher`] that errs on purpose
//! shows how it is done; the [`policy`], a transformer of less than a million parameters, was trained from scratch on the
//! teacher's [`transcripts`] by the program `train-policy` and is embedded in this crate.
//!
//! [`experiment`] is what `cargo run --release --example quickstart` runs: rollouts of the policy become preferences,
//! EntroPO and its control (M-DPO at the same `alpha`) are trained from the same start, all are evaluated on unseen tasks
//! with the same seeds ([`evaluate`], [`results`]), and a [`report`] page is written. Its long steps are on disk when they
//! are done, so an interrupted experiment goes on where it was.
//!
//! [`study`] is what the program `study-selection` runs: which of many rollouts to submit, by tests, votes, verifiers and
//! their combinations, and how many rollouts that needs.
//!
//! ```
//! use repair_lab::task::{Difficulty, generate};
//!
//! let task = generate(7, &Difficulty::standard())?;
//! assert!(task.issue.contains("expected"));
//! assert_eq!(task.fixes.len(), 4);
//! # Ok::<(), repair_lab::task::LabError>(())
//! ```

pub mod environment;
pub mod evaluate;
pub mod experiment;
pub mod policy;
pub mod report;
pub mod results;
pub mod rollouts;
pub mod study;
pub mod task;
pub mod teacher;
pub mod transcripts;
pub mod vocabulary;

use std::sync::Arc;

use task::{Difficulty, LabError, LabTask, generate};

/// First seed of the tasks that the embedded policy was trained on; disjoint from all others.
pub const TRAINING_TASKS: u64 = 1 << 32;
/// First seed of the tasks whose rollouts become preferences.
pub const PREFERENCE_TASKS: u64 = 2 << 40;
/// First seed of the tasks from whose judged rollouts the [`study`] learns what a good attempt is.
pub const JUDGEMENT_TASKS: u64 = 4 << 40;
/// First seed of the tasks that policies are evaluated on.
pub const EVALUATION_TASKS: u64 = 3 << 40;
/// Distance between the tasks of two seeds.
const SEED_STRIDE: u64 = 1 << 20;

/// `count` tasks of one of the ranges; the same seed draws the same tasks.
///
/// # Errors
/// A difficulty that cannot be met, or a `sh` that does not run.
pub async fn draw_tasks(
    range: u64,
    seed: u64,
    count: usize,
    difficulty: &Difficulty,
) -> Result<Vec<Arc<LabTask>>, LabError> {
    let first = range + (seed % SEED_STRIDE) * SEED_STRIDE;
    let difficulty = difficulty.clone();
    let draw = move || (first..).take(count).map(|seed| generate(seed, &difficulty).map(Arc::new)).collect();
    tokio::task::spawn_blocking(draw).await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}
