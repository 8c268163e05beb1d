//! Rollouts that survive being interrupted: what is finished is on disk, what is not is made on the next run.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use entropo::agent::{Agent, CancellationToken, ChatModel, EnvironmentError, RolloutJob, Rollouts, Sampling};
use entropo::core::{RolloutId, StoreError, Trajectory, TrajectoryStore};
use indicatif::ProgressBar;

use crate::environment::Lab;
use crate::task::LabTask;
use crate::transcripts::limits;

/// Longest reply of an agent in the lab, tokens.
const REPLY: usize = 160;

/// Rollouts at a time for each core: while some wait for their tools, others fill the batch.
const ROLLOUTS_PER_CORE: usize = 24;

/// Why there are no rollouts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RolloutError {
    /// The store cannot be used.
    #[error(transparent)]
    Store(Box<StoreError>),
    /// A task cannot be prepared.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// Somebody interrupted; what was finished is kept.
    #[error("interrupted; run the same command again to go on")]
    Interrupted,
}

impl From<StoreError> for RolloutError {
    fn from(error: StoreError) -> Self {
        Self::Store(Box::new(error))
    }
}

/// How an agent of the lab samples.
pub fn sampling(temperature: f32) -> Sampling {
    Sampling { temperature, max_tokens: REPLY, ..Sampling::default() }
}

/// An agent of the lab.
pub fn agent(model: Arc<dyn ChatModel>) -> Agent {
    Agent::new(model).sampling(sampling(1.0)).limits(limits())
}

/// [`roll_out_at_once`] of as many as keep every core busy.
pub async fn roll_out(
    agent: Agent,
    tasks: &[Arc<LabTask>],
    count: usize,
    seed: u64,
    path: &Path,
    bar: &ProgressBar,
    cancel: &CancellationToken,
) -> Result<Vec<Vec<Trajectory>>, RolloutError> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    roll_out_at_once(cores * ROLLOUTS_PER_CORE, agent, tasks, [count as u64, seed], path, bar, cancel).await
}

/// `count` rollouts of every task, task by task. The store at `path` is read first and only what it lacks is made; the
/// same `seed` gives the same rollouts whatever was there and however many run at a time.
pub async fn roll_out_at_once(
    at_once: usize,
    agent: Agent,
    tasks: &[Arc<LabTask>],
    [count, seed]: [u64; 2],
    path: &Path,
    bar: &ProgressBar,
    cancel: &CancellationToken,
) -> Result<Vec<Vec<Trajectory>>, RolloutError> {
    let count = count as usize;
    let mut store = TrajectoryStore::open(path)?;
    if store.recovery().torn_bytes > 0 {
        bar.println(format!("{}: cut off a half-written line", path.display()));
    }
    let wanted = tasks.iter().flat_map(|task| {
        let task = Lab::task(task);
        (0..count).map(move |rollout| RolloutJob::new(&task, rollout, seed))
    });
    let jobs: Vec<RolloutJob> = wanted.filter(|job| !store.contains(&job.id)).collect();
    bar.set_length((tasks.len() * count) as u64);
    bar.set_position((tasks.len() * count - jobs.len()) as u64);
    let rollouts = Rollouts::new(agent, Arc::new(Lab::new(tasks)?)).concurrency(at_once.max(1));
    let failure = Mutex::new(None);
    rollouts
        .run(jobs, cancel, |trajectory| {
            bar.inc(1);
            if let Err(error) = store.append(trajectory) {
                cancel.cancel();
                failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
        })
        .await;
    if let Some(error) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error.into());
    }
    if cancel.is_cancelled() {
        return Err(RolloutError::Interrupted);
    }
    let mut made: BTreeMap<RolloutId, Trajectory> =
        store.into_records().into_iter().map(|trajectory| (trajectory.id.clone(), trajectory)).collect();
    let of_task = |task: &Arc<LabTask>| (0..count).map(|rollout| RolloutId::new(&task.id, rollout)).collect::<Vec<_>>();
    Ok(tasks.iter().map(|task| of_task(task).iter().filter_map(|id| made.remove(id)).collect()).collect())
}
