//! Two hundred rollouts over a server that breaks three requests in ten, in every way that there is.
//!
//! A program of its own, for it counts the file descriptors, the children and the tasks of its process.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests are tests")]

mod fault;
mod heard;
mod left;
mod place;
#[allow(dead_code, reason = "shared with the other tests")]
#[path = "../it/served/server.rs"]
mod server;
#[allow(dead_code, reason = "shared with the other tests")]
#[path = "../it/support.rs"]
mod support;
mod valid;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use entropo_agent::model::http::{Connection, Retry};
use entropo_agent::model::openai::OpenAi;
use entropo_agent::{Agent, CancellationToken, Limits, RolloutJob, Rollouts};
use entropo_core::{ExitReason, Task, Trajectory};
use tokio::runtime::{Builder, Runtime};

use self::fault::{Fault, Plan};
use self::heard::Heard;
use self::left::Left;
use self::place::Places;
use self::server::Server;

const ROLLOUTS: usize = 200;

fn runtime(threads: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(threads).enable_all().build().unwrap()
}

fn model(url: &str, streams: bool) -> OpenAi {
    let retry = Retry { attempts: 4, first_wait: Duration::from_millis(2), longest_wait: Duration::from_millis(50) };
    let connection = Connection::new(url)
        .retry(retry)
        .idle_timeout(Duration::from_millis(300))
        .total_timeout(Duration::from_secs(5))
        .max_response_bytes(256 << 10);
    let model = OpenAi::new(connection, "m").unwrap();
    if streams { model } else { model.whole() }
}

async fn roll(model: OpenAi, limits: Limits, heard: Arc<Heard>) -> Vec<Trajectory> {
    let agent = Agent::new(Arc::new(model)).limits(limits);
    let rollouts = Rollouts::new(agent, Arc::new(Places)).concurrency(32).observer(heard);
    let job = |number| RolloutJob::new(&Arc::new(Task::new(format!("task {number}"), "")), 0, 7);
    let mut over = 0;
    let trajectories = rollouts.run((0..ROLLOUTS).map(job).collect(), &CancellationToken::new(), |_| over += 1).await;
    assert_eq!(over, ROLLOUTS, "each is told of");
    trajectories
}

/// Makes all rollouts, and holds each, and what the process has open then, against what is promised. Returns how often each
/// fault was made and how the rollouts ended.
fn survive(streams: bool, limits: Limits) -> (BTreeMap<Fault, usize>, BTreeMap<ExitReason, usize>) {
    let (serving, acting) = (runtime(1), runtime(2));
    let plan = Arc::new(Plan::default());
    let planned = Arc::clone(&plan);
    let server = serving.block_on(Server::start(move |_, asked| planned.acts(asked)));
    let heard = Arc::new(Heard::default());
    // Threads, signals and whatever else is made once is made now.
    acting.block_on(async { tokio::process::Command::new("true").status().await.unwrap() });
    let before = Left::in_process(&acting);

    let rolling = roll(model(&server.url, streams), limits, Arc::clone(&heard));
    let trajectories = acting.block_on(acting.spawn(rolling)).unwrap();

    Left::settles_at(&acting, before);
    assert_eq!(trajectories.len(), ROLLOUTS);
    let mut exits = BTreeMap::new();
    for (number, trajectory) in trajectories.iter().enumerate() {
        assert_eq!(trajectory.id.task, format!("task {number}"));
        valid::check(trajectory);
        heard.check(trajectory);
        *exits.entry(trajectory.exit).or_default() += 1;
    }
    (plan.made(), exits)
}

#[test]
fn nothing_is_lost_and_nothing_stays_whatever_breaks() {
    left::panics_of_tools_are_not_printed();
    // A tool that never returns is given up, or the rollout is over.
    let calls = Limits { max_tool_seconds: Some(1), max_seconds: Some(30), ..Limits::default() };
    let all = Limits { max_tool_seconds: None, max_seconds: Some(2), ..Limits::default() };
    for (streams, limits, timely) in [(true, calls.clone(), true), (false, calls, true), (true, all, false)] {
        let (faults, exits) = survive(streams, limits);
        for fault in Fault::ALL {
            assert!(faults.contains_key(&fault), "{fault:?} was never tried: {faults:?}");
        }
        let count = |exit| exits.get(&exit).copied().unwrap_or(0);
        assert!(count(ExitReason::Agent) > ROLLOUTS / 2 && count(ExitReason::ModelError) > 0, "{exits:?}");
        assert_eq!(count(ExitReason::TimeLimit) == 0, timely, "{exits:?}");
    }
}
