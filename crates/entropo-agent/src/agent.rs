//! A model with its settings, ready to act.
//!
//! [`Agent::run`] drives a [`Run`] through an episode and always returns a trajectory. Whatever goes wrong on the way
//! is an [`ExitReason`], and the episode is closed in every case, so that the changes of an agent that was interrupted
//! are judged and kept like any other's.

use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use entropo_core::{ExitReason, Outcome, RolloutId, Trajectory};
use futures::FutureExt;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

use crate::condense::Condenser;
use crate::drive::{Driver, Means};
use crate::environment::Episode;
use crate::hook::{Approval, Approver, Hook};
use crate::limit::Limits;
use crate::model::{ChatModel, Sampling};
use crate::observe::{Event, Observer};
use crate::run::{Fact, Run};
use crate::session::Session;
use crate::tool::Toolbox;
use crate::{telemetry, unwind};

/// A model with its settings. A clone shares the model, the hooks and the condenser.
#[derive(Clone)]
pub struct Agent {
    means: Means,
    limits: Limits,
}

impl Agent {
    /// An agent with default sampling and limits, without hooks, that never condenses.
    pub fn new(model: Arc<dyn ChatModel>) -> Self {
        let (sampling, approval) = (Sampling::default(), Approval::default());
        let means = Means { model, sampling, hooks: Vec::new(), approval, condenser: None, traces_contents: false };
        Self { means, limits: Limits::default() }
    }

    /// Sets how replies are sampled.
    #[must_use]
    pub fn sampling(mut self, sampling: Sampling) -> Self {
        self.means.sampling = sampling;
        self
    }

    /// Sets what ends a rollout that does not end itself.
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Adds a hook, which is asked after those before it.
    #[must_use]
    pub fn hook(mut self, hook: Arc<dyn Hook>) -> Self {
        self.means.hooks.push(hook);
        self
    }

    /// Sets who is asked about calls that a hook [asks about](crate::hook::BeforeTool::Ask), and for how long at most.
    /// Without, and when nobody answers in time, such calls are refused.
    #[must_use]
    pub fn approver(mut self, approver: Arc<dyn Approver>, patience: Duration) -> Self {
        self.means.approval = Approval::by(approver, patience);
        self
    }

    /// Sets what keeps the conversation within the model's context.
    #[must_use]
    pub fn condenser(mut self, condenser: Arc<dyn Condenser>) -> Self {
        self.means.condenser = Some(condenser);
        self
    }

    /// Sets whether the [spans](crate::telemetry) that it traces hold what was said, and not only how much. Default no.
    #[must_use]
    pub fn trace_contents(mut self, traces_contents: bool) -> Self {
        self.means.traces_contents = traces_contents;
        self
    }

    /// The name recorded in trajectories.
    pub fn model_name(&self) -> &str {
        self.means.model.name()
    }

    /// A run of this agent that has not begun, to be put into a [`Session`].
    pub fn begin(&self, id: RolloutId, seed: u64, episode: &dyn Episode) -> Run {
        Run::new(id, self.means.model.name(), seed, episode.messages(), self.limits.clone())
    }

    /// Acts in `episode` until the rollout is over, then closes it.
    ///
    /// Needs a tokio runtime with its timer.
    pub async fn run(
        &self,
        id: RolloutId,
        seed: u64,
        episode: Box<dyn Episode>,
        cancel: &CancellationToken,
        observer: &dyn Observer,
    ) -> Trajectory {
        let begun = catch_unwind(AssertUnwindSafe(|| self.begin(id.clone(), seed, episode.as_ref())));
        let run = begun.unwrap_or_else(|panic| {
            let mut run = Run::new(id, self.means.model.name(), seed, Vec::new(), self.limits.clone());
            run.fail(ExitReason::Panic, unwind::message(panic.as_ref()));
            run
        });
        let span = telemetry::invoke_agent(self.means.model.name(), run.id());
        let mut session = Session::from(run);
        let trajectory = async {
            self.act(&mut session, episode.toolbox(), cancel, observer).await;
            close(session.into_run(), episode).await
        };
        let trajectory = trajectory.instrument(span.clone()).await;
        finished(&span, trajectory, observer)
    }

    /// Goes on with a session, in an episode that stands where it stood; the run's own limits hold. What happens is written
    /// to the session's file, if it has one, before the next step is taken; a file that cannot be written ends the run.
    ///
    /// The session is what it has become when this returns, and also if this future is dropped.
    pub async fn resume(
        &self,
        session: &mut Session,
        episode: Box<dyn Episode>,
        cancel: &CancellationToken,
        observer: &dyn Observer,
    ) -> Trajectory {
        let span = telemetry::invoke_agent(self.means.model.name(), session.run().id());
        let trajectory = async {
            self.act(session, episode.toolbox(), cancel, observer).await;
            close(session.run().clone(), episode).await
        };
        let trajectory = trajectory.instrument(span.clone()).await;
        finished(&span, trajectory, observer)
    }

    /// Drives the session to its end.
    async fn act(&self, session: &mut Session, toolbox: &Toolbox, cancel: &CancellationToken, observer: &dyn Observer) {
        // Whoever still computes for this run in another thread notices its end by this token.
        let stop = cancel.child_token();
        let _stop_at_the_end = stop.clone().drop_guard();
        let timer = timer(session.run().limits().max_seconds);
        let driver = Driver { means: &self.means, toolbox, cancel: &stop, observer };
        let driven = AssertUnwindSafe(driver.drive(session)).catch_unwind();
        let ending = tokio::select! {
            biased;
            driven = driven => driven.unwrap_or_else(|panic| {
                Some((ExitReason::Panic, Some(unwind::message(panic.as_ref()).to_owned())))
            }),
            () = cancel.cancelled() => Some((ExitReason::Cancelled, None)),
            () = timer => Some((ExitReason::TimeLimit, None)),
        };
        if let Some((exit, error)) = ending {
            end(session, exit, error);
        }
    }
}

/// Tells of the end.
fn finished(span: &Span, trajectory: Trajectory, observer: &dyn Observer) -> Trajectory {
    telemetry::invoked(span, &trajectory);
    observer.event(&trajectory.id, Event::Finished { trajectory: &trajectory });
    trajectory
}

/// Ends the run, on the disk if that can be.
fn end(session: &mut Session, exit: ExitReason, error: Option<String>) {
    let ended = Fact::Ended { exit, error };
    if let Err(error) = session.apply(ended.clone()) {
        tracing::error!(rollout = %session.run().id(), %error, "the end of a run was not written");
        session.apply_unwritten(ended);
    }
}

async fn timer(seconds: Option<u64>) {
    match seconds {
        Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
        None => pending().await,
    }
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
