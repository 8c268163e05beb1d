//! The repair lab.
pub mod environment;
pub mod evaluate;
pub mod experiment;
pub mod policy;
pub mod report;
pub mod results;
pub mod rollouts;
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
/// First seed of the tasks that policies are evaluated on.
pub const EVALUATION_TASKS: u64 = 3 << 40;
/// Distance between the tasks of two seeds.
const SEED_STRIDE: u64 = 1 << 20;

/// `count` tasks of one of the three ranges; the same seed draws the same tasks.
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
