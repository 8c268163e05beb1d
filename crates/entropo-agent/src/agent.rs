//! A model with its settings, ready to act.
//!
//! [`Agent::run`] drives a [`Run`] through an episode and always returns a trajectory. Whatever goes wrong on the way
//! is an [`ExitReason`], and the episode is closed in every case, so that the changes of an agent that was interrupted
//! are judged and kept like any other's.

use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use entropo_core::{ExitReason, Outcome, RolloutId, ToolCall, ToolResult, ToolStatus, Trajectory};
use futures::FutureExt;
use tokio_util::sync::CancellationToken;

use crate::environment::Episode;
use crate::limit::Limits;
use crate::model::{ChatModel, ChatRequest, Sampling};
use crate::observe::Observer;
use crate::run::{Run, Step};
use crate::tool::Toolbox;
use crate::unwind;

/// A model with its settings.
#[derive(Clone)]
pub struct Agent {
    model: Arc<dyn ChatModel>,
    sampling: Sampling,
    limits: Limits,
}

impl Agent {
    /// An agent with default sampling and limits.
    pub fn new(model: Arc<dyn ChatModel>) -> Self {
        Self { model, sampling: Sampling::default(), limits: Limits::default() }
    }

    /// Sets how replies are sampled.
    #[must_use]
    pub fn sampling(self, sampling: Sampling) -> Self {
        Self { sampling, ..self }
    }

    /// Sets what ends a rollout that does not end itself.
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// The name recorded in trajectories.
    pub fn model_name(&self) -> &str {
        self.model.name()
    }

    /// Acts in `episode` until the rollout is over, then closes it.
    ///
    /// Needs a tokio runtime, with its timer if [`Limits::max_seconds`] is set.
    pub async fn run(
        &self,
        id: RolloutId,
        seed: u64,
        episode: Box<dyn Episode>,
        cancel: &CancellationToken,
        observer: &dyn Observer,
    ) -> Trajectory {
        let told = catch_unwind(AssertUnwindSafe(|| episode.messages()));
        let (messages, panic) = told.map_or_else(|panic| (Vec::new(), Some(panic)), |messages| (messages, None));
        let mut run = Run::new(id, self.model.name(), seed, messages, self.limits.clone());
        if let Some(panic) = panic {
            run.fail(ExitReason::Panic, unwind::message(panic.as_ref()));
        }
        self.resume(run, episode, cancel, observer).await
    }

    /// Goes on with a run that was interrupted between two steps, in an episode that stands where it stood; the run's
    /// own limits hold.
    pub async fn resume(
        &self,
        mut run: Run,
        episode: Box<dyn Episode>,
        cancel: &CancellationToken,
        observer: &dyn Observer,
    ) -> Trajectory {
        // Whoever still computes for this run in another thread notices its end by this token.
        let stop = cancel.child_token();
        let stop_at_the_end = stop.clone().drop_guard();
        let timer = timer(run.limits().max_seconds);
        let driven = AssertUnwindSafe(self.drive(&mut run, episode.toolbox(), &stop, observer)).catch_unwind();
        let ending = tokio::select! {
            biased;
            driven = driven => driven.map_or_else(Ending::Panic, |()| Ending::Done),
            () = cancel.cancelled() => Ending::Cancelled,
            () = timer => Ending::TimeIsUp,
        };
        match ending {
            Ending::Done => {}
            Ending::Cancelled => run.cancel(),
            Ending::TimeIsUp => run.time_is_up(),
            Ending::Panic(panic) => run.fail(ExitReason::Panic, unwind::message(panic.as_ref())),
        }
        drop(stop_at_the_end);
        let trajectory = close(run, episode).await;
        observer.finished(&trajectory);
        trajectory
    }

    async fn drive(&self, run: &mut Run, toolbox: &Toolbox, cancel: &CancellationToken, observer: &dyn Observer) {
        loop {
            match run.next() {
                Step::Done(_) => return,
                Step::CallTools(calls) => {
                    let results = call_tools(run.id(), calls, toolbox, cancel, observer).await;
                    if cancel.is_cancelled() {
                        return run.cancel();
                    }
                    run.tools_returned(results);
                }
                Step::CallModel { messages, trace, turn, seed } => {
                    observer.turn_started(run.id(), turn);
                    let (tools, sampling) = (toolbox.specs(), &self.sampling);
                    match self.model.chat(ChatRequest { messages, tools, trace, sampling, seed, cancel }).await {
                        Ok(response) => {
                            observer.assistant_replied(run.id(), &response.message);
                            run.model_replied(response);
                        }
                        Err(error) => run.model_failed(&error),
                    }
                }
            }
        }
    }
}

enum Ending {
    Done,
    Cancelled,
    TimeIsUp,
    Panic(Box<dyn std::any::Any + Send>),
}

async fn timer(seconds: Option<u64>) {
    match seconds {
        Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
        None => pending().await,
    }
}

/// Carries out the calls in order, up to one that finishes.
async fn call_tools(
    rollout: &RolloutId,
    calls: &[ToolCall],
    toolbox: &Toolbox,
    cancel: &CancellationToken,
    observer: &dyn Observer,
) -> Vec<ToolResult> {
    let mut results = Vec::new();
    for call in calls {
        let result = toolbox.call(call, cancel).await;
        observer.tool_returned(rollout, call, &result);
        let finished = result.status == ToolStatus::Finish;
        results.push(result);
        if finished {
            break;
        }
    }
    results
}

/// Closes the episode. A failure to close is the exit reason of a rollout that ended otherwise, for nobody knows what
/// that rollout achieved; one that was cancelled stays cancelled, so that it is made again.
async fn close(run: Run, episode: Box<dyn Episode>) -> Trajectory {
    let mut trajectory = run.into_trajectory(Outcome::default());
    let closed = AssertUnwindSafe(episode.close(trajectory.exit)).catch_unwind().await;
    let (exit, error) = match closed {
        Ok(Ok(outcome)) => return Trajectory { outcome, ..trajectory },
        Ok(Err(error)) => (ExitReason::EnvironmentError, error.to_string()),
        Err(panic) => (ExitReason::Panic, unwind::message(panic.as_ref()).to_owned()),
    };
    tracing::error!(rollout = %trajectory.id, error, "an episode was not closed");
    let before = trajectory.error.map(|before| format!("{before}; then ")).unwrap_or_default();
    trajectory.error = Some(format!("{before}closing failed: {error}"));
    if trajectory.exit != ExitReason::Cancelled {
        trajectory.exit = exit;
    }
    trajectory
}
