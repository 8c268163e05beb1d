//! Many rollouts at once.
//!
//! Each rollout is a task of its own, so that one which panics or cannot be opened is one failed trajectory among the
//! others. Results are in the order of the jobs whatever finishes first.

use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use entropo_core::{ExitReason, RolloutId, Task, Trajectory};
use futures::FutureExt;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::agent::Agent;
use crate::environment::Environment;
use crate::observe::Observer;
use crate::seed::rollout_seed;
use crate::unwind;

/// An agent, an environment and how many rollouts run at a time.
#[derive(Clone)]
pub struct Rollouts {
    crew: Arc<Crew>,
    observer: Arc<dyn Observer>,
    concurrency: NonZeroUsize,
}

struct Crew {
    agent: Agent,
    environment: Arc<dyn Environment>,
}

/// One rollout to make.
#[derive(Clone, Debug)]
pub struct RolloutJob {
    /// What to do.
    pub task: Arc<Task>,
    /// Under which name.
    pub id: RolloutId,
    /// Seed of the place and of every reply.
    pub seed: u64,
}

impl RolloutJob {
    /// Rollout number `rollout` of `task`, its seed from [`rollout_seed`].
    pub fn new(task: &Arc<Task>, rollout: usize, base_seed: u64) -> Self {
        let id = RolloutId::new(&task.id, rollout);
        Self { task: Arc::clone(task), seed: rollout_seed(base_seed, &id), id }
    }
}

impl Rollouts {
    /// One rollout at a time, unobserved.
    pub fn new(agent: Agent, environment: Arc<dyn Environment>) -> Self {
        let crew = Arc::new(Crew { agent, environment });
        Self { crew, observer: Arc::new(()), concurrency: NonZeroUsize::MIN }
    }

    /// Sets how many rollouts, their opening and closing included, run at a time; 0 counts as 1.
    #[must_use]
    pub fn concurrency(self, concurrency: usize) -> Self {
        Self { concurrency: NonZeroUsize::new(concurrency).unwrap_or(NonZeroUsize::MIN), ..self }
    }

    /// Sets who watches.
    #[must_use]
    pub fn observer(self, observer: Arc<dyn Observer>) -> Self {
        Self { observer, ..self }
    }

    /// Makes every rollout and returns the trajectories in the order of `jobs`.
    ///
    /// `on_done` is told each as soon as it is over, in whatever order. On cancellation running rollouts stop, waiting
    /// ones never open, and all of these are returned as [`ExitReason::Cancelled`] but not told to `on_done`: a store
    /// fed by it holds finished work only, and what it lacks is what is left to do. Dropping the future stops
    /// everything.
    pub async fn run(
        &self,
        jobs: Vec<RolloutJob>,
        cancel: &CancellationToken,
        mut on_done: impl FnMut(&Trajectory),
    ) -> Vec<Trajectory> {
        let model = self.crew.agent.model_name();
        let cancelled = |job: &RolloutJob| Trajectory::empty(job.id.clone(), model, job.seed, ExitReason::Cancelled);
        let mut trajectories: Vec<_> = jobs.iter().map(cancelled).collect();
        let places = Arc::new(Semaphore::new(self.concurrency.get().min(Semaphore::MAX_PERMITS)));
        let mut tasks = JoinSet::new();
        for (index, job) in jobs.into_iter().enumerate() {
            let (crew, observer) = (Arc::clone(&self.crew), Arc::clone(&self.observer));
            let (places, cancel) = (Arc::clone(&places), cancel.clone());
            tasks.spawn(async move {
                let _place = tokio::select! {
                    biased;
                    () = cancel.cancelled() => return None,
                    place = places.acquire_owned() => place.ok()?,
                };
                Some((index, crew.rollout(job, &cancel, observer.as_ref()).await))
            });
        }
        while let Some(joined) = tasks.join_next().await {
            // What never started, or was aborted with its runtime, stays cancelled.
            let Ok(Some((index, trajectory))) = joined else { continue };
            tracing::info!(rollout = %trajectory.id, exit = ?trajectory.exit, "a rollout is over");
            if trajectory.exit != ExitReason::Cancelled {
                on_done(&trajectory);
            }
            if let Some(place) = trajectories.get_mut(index) {
                *place = trajectory;
            }
        }
        trajectories
    }
}

impl Crew {
    /// Never fails and never panics.
    async fn rollout(&self, job: RolloutJob, cancel: &CancellationToken, observer: &dyn Observer) -> Trajectory {
        let (id, seed) = (job.id.clone(), job.seed);
        let result = AssertUnwindSafe(self.open_and_run(job, cancel, observer)).catch_unwind().await;
        result.unwrap_or_else(|panic| {
            let error = Some(unwind::message(panic.as_ref()).to_owned());
            tracing::error!(rollout = %id, error, "a rollout panicked");
            Trajectory { error, ..self.empty(id, seed, ExitReason::Panic) }
        })
    }

    async fn open_and_run(&self, job: RolloutJob, cancel: &CancellationToken, observer: &dyn Observer) -> Trajectory {
        let RolloutJob { task, id, seed } = job;
        let opened = tokio::select! {
            biased;
            opened = self.environment.open(&task, &id, seed) => opened,
            () = cancel.cancelled() => return self.empty(id, seed, ExitReason::Cancelled),
        };
        match opened {
            Ok(episode) => self.agent.run(id, seed, episode, cancel, observer).await,
            Err(error) => {
                let error = Some(error.to_string());
                Trajectory { error, ..self.empty(id, seed, ExitReason::EnvironmentError) }
            }
        }
    }

    fn empty(&self, id: RolloutId, seed: u64, exit: ExitReason) -> Trajectory {
        Trajectory::empty(id, self.agent.model_name(), seed, exit)
    }
}
