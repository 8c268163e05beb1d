//! Two hundred rollouts through a server that fails three of ten requests in every way, with tools that fail too: every
//! trajectory is valid, no event is lost, and nothing is left behind. A process of its own, for it counts what it has open.
#![cfg(feature = "openai")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests are tests")]
#![allow(dead_code, reason = "the helpers are shared with the other tests")]

#[path = "it/served/server.rs"]
mod server;
#[path = "it/support.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use entropo_agent::model::http::{Connection, Retry};
use entropo_agent::model::openai::OpenAi;
use entropo_agent::{
    Agent, CallError, CancellationToken, Conversation, DynTool, Environment, EnvironmentError, Episode, Event, Limits,
    Observer, RolloutJob, Rollouts, ToolError, ToolOutput,
};
use entropo_core::condensation::check_pairs;
use entropo_core::{ExitReason, Message, RolloutId, Task, ToolSpec, Trajectory};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use server::{Act, Asked, Server, delta, end, events, head, json_body, pieces, send};

const ROLLOUTS: usize = 200;
/// Bytes that a response may have.
const MOST: usize = 64 << 10;

/// Ways to fail; the last two are final.
fn failure(number: usize) -> Vec<Act> {
    let hm = pieces(&[delta(json!({"content": "Hm"}))]);
    match number % 14 {
        0 => events(&hm),
        1 => [events(&hm), vec![Act::Send(b"data: \xff\n\n".to_vec())]].concat(),
        2 => events("data: {\"choices\": [{\"delta\"\n\n"),
        3 => vec![head(200, "application/json", ""), send("{\"choices\": [{\"mess")],
        4 => json_body(200, &json!({"error": {"message": "Overloaded", "code": 503}})),
        5 => vec![head(429, "text/plain", "retry-after: 0\r\n"), send("Slower")],
        6 => json_body(500, &json!({"error": "broken"})),
        7 => [events(&hm), vec![Act::Reset]].concat(),
        8 => [events(&hm), vec![Act::Hang]].concat(),
        9 => vec![Act::Reset],
        10 => vec![head(200, "application/json", "content-length: 999\r\n"), send("{\"choices\": [")],
        11 => vec![Act::Hang],
        12 => json_body(401, &json!({"error": {"message": "Incorrect API key"}})),
        _ => vec![
            head(200, "text/event-stream", ""),
            Act::Repeat(format!("data: {}\n\n", "x".repeat(4000)).into_bytes()),
        ],
    }
}

/// What the model says in each turn, in the form that was asked for.
fn reply(turn: usize, asked: &Asked) -> Vec<Act> {
    let call = |id: &str, name: &str, arguments: Value| json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments.to_string()}});
    let calls = match turn {
        0 => vec![call("same", "note", json!({"text": "a"})), call("same", "note", json!({"text": "b"}))],
        1 => vec![call("x", "note", json!({"words": 7}))],
        2 => vec![call("x", "panic", json!({})), call("y", "fail", json!({}))],
        3 => vec![], // a server that ignores tools
        4 => vec![call("x", "process", json!({}))],
        5 => vec![call("x", "nothing", json!({}))],
        _ => vec![call("x", "finish", json!({}))],
    };
    let reason = if calls.is_empty() { "stop" } else { "tool_calls" };
    if asked.body["stream"] == json!(true) {
        let numbered = calls.into_iter().enumerate().map(|(index, mut call)| {
            call["index"] = json!(index);
            delta(json!({"content": "Well.", "tool_calls": [call]}))
        });
        let mut all: Vec<Value> = numbered.collect();
        all.push(delta(json!({"content": "Well."})));
        all.push(end(reason));
        return events(&(pieces(&all) + "data: [DONE]\n\n"));
    }
    let message = json!({"role": "assistant", "content": "Well.", "tool_calls": calls});
    json_body(200, &json!({"choices": [{"index": 0, "message": message, "finish_reason": reason}]}))
}

/// Runs a real process that would take minutes, and is given up.
struct Process(ToolSpec);

#[async_trait]
impl DynTool for Process {
    fn spec(&self) -> &ToolSpec {
        &self.0
    }

    async fn call(&self, _: &Value, _: &CancellationToken) -> Result<ToolOutput, CallError> {
        let child = tokio::process::Command::new("sleep").arg("300").kill_on_drop(true).spawn();
        let status = child.map_err(ToolError::new)?.wait().await.map_err(ToolError::new)?;
        Ok(ToolOutput::text(status.to_string()))
    }
}

struct Places;

#[async_trait]
impl Environment for Places {
    async fn open(&self, task: &Task, _: &RolloutId, _: u64) -> Result<Box<dyn Episode>, EnvironmentError> {
        let mut toolbox = support::toolbox();
        let spec = ToolSpec { name: "process".to_owned(), description: String::new(), parameters: json!({}) };
        toolbox.push(Arc::new(Process(spec))).unwrap();
        Ok(Box::new(Conversation::new(vec![Message::user(&task.problem)], toolbox)))
    }
}

#[derive(Default)]
struct Events {
    pieces: bool,
    seen: Mutex<BTreeMap<RolloutId, Counts>>,
}

#[derive(Default)]
struct Counts {
    started: usize,
    replied: usize,
    calls: usize,
    answers: Vec<String>,
    finished: usize,
}

impl Observer for Events {
    fn event(&self, rollout: &RolloutId, event: Event<'_>) {
        let mut seen = self.seen.lock().unwrap();
        let counts = seen.entry(rollout.clone()).or_default();
        match event {
            Event::TurnStarted { .. } => counts.started += 1,
            Event::Replied { .. } => counts.replied += 1,
            Event::CallStarted { .. } => counts.calls += 1,
            Event::CallReturned { result, .. } => counts.answers.push(result.content.clone()),
            Event::Finished { .. } => counts.finished += 1,
            _ => {}
        }
    }

    fn wants_pieces(&self) -> bool {
        self.pieces
    }
}

fn check(trajectory: &Trajectory, counts: &Counts) {
    let id = &trajectory.id;
    check_pairs(&trajectory.messages).unwrap_or_else(|error| panic!("{id}: {error}"));
    let stored = serde_json::to_string(trajectory).unwrap();
    assert_eq!(serde_json::from_str::<Trajectory>(&stored).unwrap(), *trajectory, "{id}");
    match trajectory.exit {
        ExitReason::Agent => assert!(trajectory.error.is_none(), "{id}: {:?}", trajectory.error),
        ExitReason::ModelError => {
            let error = trajectory.error.as_deref().unwrap();
            assert!(error.contains("not authorised") || error.contains("more than"), "{id}: {error}");
        }
        other => panic!("{id}: {other:?}, {:?}", trajectory.error),
    }
    let answers: Vec<_> = trajectory.messages.iter().filter(|message| message.role() == "tool").collect();
    let told: Vec<_> = answers.iter().map(|message| message.content().to_owned()).collect();
    assert_eq!(told, counts.answers, "{id}: no answer is lost or made up");
    assert_eq!((counts.replied, counts.finished), (trajectory.steps(), 1), "{id}");
    assert_eq!((counts.replied, counts.calls), (trajectory.usage.model_calls, trajectory.usage.tool_calls), "{id}");
    assert!(counts.started - counts.replied <= 1, "{id}: only the last turn may have no reply");
}

async fn roll(server: &str, whole: bool) -> (usize, usize) {
    let retry = Retry { attempts: 40, first_wait: Duration::from_millis(1), longest_wait: Duration::from_millis(4) };
    let connection = Connection::new(server)
        .retry(retry)
        .idle_timeout(Duration::from_millis(300))
        .total_timeout(Duration::from_millis(600));
    let mut model = OpenAi::new(connection.max_response_bytes(MOST), "m").unwrap();
    if whole {
        model = model.whole();
    }
    let limits = Limits { max_tool_seconds: Some(0), ..Limits::default() };
    let events = Arc::new(Events { pieces: !whole, ..Events::default() });
    let rollouts = Rollouts::new(Agent::new(Arc::new(model)).limits(limits), Arc::new(Places));
    let rollouts = rollouts.concurrency(32).observer(Arc::clone(&events) as Arc<dyn Observer>);
    let task = Arc::new(Task::new("faults", "Work."));
    let jobs = (0..ROLLOUTS / 2).map(|rollout| RolloutJob::new(&task, rollout, 7)).collect();
    let mut told = BTreeSet::new();
    let trajectories =
        rollouts.run(jobs, &CancellationToken::new(), |done| assert!(told.insert(done.id.clone()))).await;
    assert_eq!((trajectories.len(), told.len()), (ROLLOUTS / 2, ROLLOUTS / 2));
    let seen = events.seen.lock().unwrap();
    trajectories.iter().for_each(|trajectory| check(trajectory, &seen[&trajectory.id]));
    let finished: Vec<_> = trajectories.iter().filter(|trajectory| trajectory.exit.is_finished()).collect();
    for trajectory in &finished {
        assert_eq!((trajectory.steps(), trajectory.usage.tool_calls), (7, 8));
        assert!(trajectory.messages.iter().any(|message| message.content().contains("was given up")));
    }
    (finished.len(), trajectories.len() - finished.len())
}

/// What the process has open.
fn open_files() -> Vec<String> {
    let files = std::fs::read_dir("/proc/self/fd").unwrap();
    // The folder itself is open while it is read.
    let links = files.filter_map(|file| std::fs::read_link(file.unwrap().path()).ok());
    links.map(|link| link.display().to_string()).filter(|link| !link.contains("/fd")).collect()
}

fn children() -> String {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    threads.map(|thread| std::fs::read_to_string(thread.unwrap().path().join("children")).unwrap_or_default()).collect()
}

/// Waits until it holds; what was let go of may take a moment to go.
fn soon(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(10), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn two_hundred_rollouts_survive_everything_and_leave_nothing_behind() {
    // What the runtime opens once for the process, the pipe of its signals, is not a leak.
    Runtime::new().unwrap().block_on(async { tokio::process::Command::new("true").status().await.unwrap() });
    let before = open_files();
    let (requests, failures) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let failed = Arc::clone(&failures);
    let servers = Runtime::new().unwrap();
    let server = servers.block_on(Server::start(move |_, asked| {
        let number = requests.fetch_add(1, Ordering::Relaxed);
        if number * 7 % 10 < 3 {
            return failure(failed.fetch_add(1, Ordering::Relaxed));
        }
        let messages = asked.body["messages"].as_array().unwrap();
        reply(messages.iter().filter(|message| message["role"] == "assistant").count(), asked)
    }));
    let clients = Runtime::new().unwrap();
    let (streamed, whole) = clients.block_on(async {
        let [streamed, whole] = [server.url.clone(), server.url.clone()];
        tokio::join!(async { tokio::spawn(async move { roll(&streamed, false).await }).await.unwrap() }, async {
            tokio::spawn(async move { roll(&whole, true).await }).await.unwrap()
        },)
    });
    let failures = failures.load(Ordering::Relaxed);
    assert!(failures > 14 * 20, "every way more than twenty times: {failures}");
    for (finished, ended) in [streamed, whole] {
        assert!(finished > 30 && ended > 10, "{finished} finished, {ended} met a failure that is final");
    }
    let metrics = clients.handle().metrics();
    soon("a task is left", || metrics.num_alive_tasks() == 0);
    soon("a process is left", || children().is_empty());
    drop((metrics, clients, server, servers));
    soon(&format!("a file is left open: {before:?} before, {:?} now", open_files()), || {
        open_files().len() == before.len()
    });
}
