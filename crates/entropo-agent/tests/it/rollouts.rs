//! Many rollouts at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use entropo_agent::{
    Agent, CancellationToken, ChatModel, ChatRequest, ChatResponse, ModelError, RolloutJob, Rollouts, ScriptedModel,
};
use entropo_core::{ExitReason, RolloutId, Task};
use tokio::sync::Barrier;

use crate::support::{Bench, acting, call, note, scripted};

fn jobs(tasks: &[&str]) -> Vec<RolloutJob> {
    let tasks = tasks.iter().enumerate();
    tasks.map(|(number, id)| RolloutJob::new(&Arc::new(Task::new(*id, "")), number, 5)).collect()
}

#[tokio::test]
async fn what_breaks_is_one_failed_trajectory_among_the_others() {
    let (bench, mut done) = (Bench::default(), Vec::new());
    let tasks = ["fine", "open panics", "fine", "open fails", "close panics", "fine"];
    let rollouts = Rollouts::new(scripted(vec![call("panic"), call("finish")]), Arc::new(bench.clone())).concurrency(3);
    let trajectories = rollouts.run(jobs(&tasks), &CancellationToken::new(), |one| done.push(one.id.clone())).await;

    let exits: Vec<_> = trajectories.iter().map(|one| one.exit).collect();
    use ExitReason::{Agent, EnvironmentError, Panic};
    assert_eq!(exits, [Agent, Panic, Agent, EnvironmentError, Panic, Agent]);
    let ids: Vec<_> = jobs(&tasks).into_iter().map(|job| job.id).collect();
    assert_eq!(trajectories.iter().map(|one| one.id.clone()).collect::<Vec<_>>(), ids, "in the order of the jobs");
    assert!(trajectories.iter().zip(jobs(&tasks)).all(|(one, job)| one.seed == job.seed));
    assert_eq!(trajectories[1].error.as_deref(), Some("the environment is broken"));
    assert_eq!(trajectories[3].error.as_deref(), Some("task open fails: no disk"));
    assert_eq!(bench.counts(), (4, 4), "what was opened is closed");
    done.sort_by_key(|id| id.rollout);
    assert_eq!(done, ids, "failed rollouts are over too");
}

/// Replies only when `width` rollouts ask at the same time, and counts how many do.
struct Meeting {
    barrier: Barrier,
    here: AtomicUsize,
    most: Arc<AtomicUsize>,
}

#[async_trait]
impl ChatModel for Meeting {
    fn name(&self) -> &str {
        "meeting"
    }

    async fn chat(&self, _: ChatRequest<'_>) -> Result<ChatResponse, ModelError> {
        self.most.fetch_max(self.here.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        self.barrier.wait().await;
        self.here.fetch_sub(1, Ordering::SeqCst);
        Ok(ChatResponse { message: call("finish"), ..ChatResponse::default() })
    }
}

#[tokio::test]
async fn as_many_run_at_a_time_as_wanted_and_no_more() {
    let most = Arc::new(AtomicUsize::new(0));
    let model = Meeting { barrier: Barrier::new(3), here: AtomicUsize::new(0), most: Arc::clone(&most) };
    let rollouts = Rollouts::new(acting(model), Arc::new(Bench::default())).concurrency(3);
    let trajectories = rollouts.run(jobs(&["task"; 12]), &CancellationToken::new(), |_| ()).await;
    assert!(trajectories.iter().all(|one| one.exit == ExitReason::Agent));
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn on_cancellation_finished_work_is_kept_and_the_rest_is_not_told() {
    // The first rollout finishes, which cancels; the second is waiting then, the others never opened.
    let model = ScriptedModel::from_fn("one of two", |request| {
        let message = if request.messages[1].content() == "first" { call("finish") } else { call("wait") };
        ChatResponse { message, ..ChatResponse::default() }
    });
    let (bench, cancel, mut done) = (Bench::default(), CancellationToken::new(), Vec::new());
    let rollouts = Rollouts::new(acting(model), Arc::new(bench.clone())).concurrency(1);
    let stop = |finished: &entropo_core::Trajectory| {
        done.push(finished.id.clone());
        cancel.cancel();
    };
    let trajectories = rollouts.run(jobs(&["first", "wait", "wait", "wait"]), &cancel, stop).await;
    let exits: Vec<_> = trajectories.iter().map(|one| one.exit).collect();
    use ExitReason::{Agent, Cancelled};
    assert_eq!(exits, [Agent, Cancelled, Cancelled, Cancelled]);
    assert_eq!(done, [RolloutId::new("first", 0)]);
    let (opened, closed) = bench.counts();
    assert!(opened == closed && opened <= 2, "{opened} opened, {closed} closed");
}

#[tokio::test]
async fn what_runs_beside_a_rollout_does_not_change_it() {
    let agent = || -> Agent {
        acting(ScriptedModel::from_fn("random", |request| {
            let message = if request.seed % 4 == 0 { call("finish") } else { note(&request.seed.to_string()) };
            ChatResponse { message, ..ChatResponse::default() }
        }))
    };
    let run = async |concurrency| {
        let rollouts = Rollouts::new(agent(), Arc::new(Bench::default())).concurrency(concurrency);
        rollouts.run(jobs(&["task"; 8]), &CancellationToken::new(), |_| ()).await
    };
    let alone = run(1).await;
    assert_eq!(alone, run(8).await);
    assert_ne!(alone[0].messages, alone[1].messages, "seeds differ");
}
