//! What panics is one failed rollout: its workspace and its processes are gone like those of the others.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use entropo::agent::{
    Agent, CallError, CancellationToken, DynTool, Environment, EnvironmentError, Episode, RolloutJob, Rollouts,
    ScriptedModel, ToolOutput, Toolbox,
};
use entropo::core::{AssistantMessage, ExitReason, Message, Outcome, RolloutId, Task, ToolCall, ToolSpec};
use entropo::tools::{LocalSandbox, Sandbox, Workspace, coding_tools};
use serde_json::{Value, json};

use crate::place::{Place, processes_of, wait};

/// Set in the process that makes the rollouts.
const CHILD: &str = "ENTROPO_TEST_PANICS";
/// Leaves a process behind, if it can, and a file.
const BACKGROUND: &str = "sleep 1000 & echo kept > file; echo started";

/// `explode`: panics while a command of its runs.
struct Explode {
    spec: ToolSpec,
    sandbox: Arc<LocalSandbox>,
}

#[async_trait]
impl DynTool for Explode {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    async fn call(&self, _: &Value, cancel: &CancellationToken) -> Result<ToolOutput, CallError> {
        let running = self.sandbox.exec(entropo::tools::Command::script("sleep 1000"), cancel);
        let (_, ()) = tokio::join!(running, async {
            tokio::time::sleep(Duration::from_millis(30)).await;
            panic!("the tool is broken")
        });
        Ok(ToolOutput::text("unharmed"))
    }
}

/// Real workspaces; the task's id says what panics.
struct Minefield;

struct Attempt {
    task: String,
    workspace: Workspace,
    toolbox: Toolbox,
}

#[async_trait]
impl Environment for Minefield {
    async fn open(&self, task: &Task, _: &RolloutId, _: u64) -> Result<Box<dyn Episode>, EnvironmentError> {
        let workspace = Workspace::from_files([("file", "new\n", false)]).await.unwrap();
        let sandbox = Arc::new(LocalSandbox::new(workspace.root()).unwrap());
        let mut toolbox = coding_tools(sandbox.clone(), workspace.root()).unwrap();
        let spec = ToolSpec { name: "explode".to_owned(), description: String::new(), parameters: json!({}) };
        toolbox.push(Arc::new(Explode { spec, sandbox })).unwrap();
        assert_ne!(task.id, "open", "the environment is broken");
        Ok(Box::new(Attempt { task: task.id.clone(), workspace, toolbox }))
    }
}

#[async_trait]
impl Episode for Attempt {
    fn messages(&self) -> Vec<Message> {
        vec![Message::user(&self.task)]
    }

    fn toolbox(&self) -> &Toolbox {
        &self.toolbox
    }

    async fn close(self: Box<Self>, _: ExitReason) -> Result<Outcome, EnvironmentError> {
        assert_ne!(self.task, "close", "the environment is broken");
        Ok(Outcome { patch: self.workspace.patch().await.unwrap(), ..Outcome::default() })
    }
}

fn say(name: &str, arguments: Value) -> AssistantMessage {
    let call = ToolCall { id: String::new(), name: name.to_owned(), arguments };
    AssistantMessage { tool_calls: vec![call], ..AssistantMessage::default() }
}

/// Works a little, then does what the task says.
fn agent() -> Agent {
    let model = ScriptedModel::from_fn("scripted", |request| {
        let turn = request.messages.iter().filter(|message| message.role() == "assistant").count();
        let message = match (turn, request.messages[0].content()) {
            (0, _) => say("shell", json!({"command": BACKGROUND})),
            (1, "tool") => say("explode", json!({})),
            (_, "model") => panic!("the model is broken"),
            _ => say("finish", json!({})),
        };
        entropo::agent::ChatResponse { message, ..Default::default() }
    });
    Agent::new(Arc::new(model))
}

async fn panicking_rollouts(temporary: &Path) {
    let jobs = |name: &&str| {
        let task = Arc::new(Task::new(*name, *name));
        (0..3).map(move |number| RolloutJob::new(&task, number, 1))
    };
    let jobs: Vec<_> = ["tool", "model", "open", "close", "nothing"].iter().flat_map(jobs).collect();
    let rollouts = Rollouts::new(agent(), Arc::new(Minefield)).concurrency(6);
    let done = rollouts.run(jobs, &CancellationToken::new(), |_| {}).await;
    assert_eq!(done.len(), 15);
    for trajectory in done {
        let task = trajectory.id.task.as_str();
        // An agent reads of a broken tool and goes on.
        let lost = ["model", "open", "close"].contains(&task);
        let exit = if lost { ExitReason::Panic } else { ExitReason::Agent };
        assert_eq!(trajectory.exit, exit, "{}: {:?}", trajectory.id, trajectory.error);
        assert_eq!(trajectory.error.is_some_and(|error| error.contains("is broken")), lost);
        let answers = trajectory.messages.iter().filter(|message| message.role() == "tool");
        let complaints = answers.filter(|answer| answer.content().contains("the tool is broken")).count();
        assert_eq!(complaints, usize::from(task == "tool"));
        let judged = ["tool", "model", "nothing"].contains(&task);
        assert_eq!(trajectory.outcome.patch.contains("+kept"), judged, "{}", trajectory.id);
    }
    // Nothing is left while this process goes on.
    let left: Vec<_> = std::fs::read_dir(temporary).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

/// The rollouts are made in a process of their own, because its `TMPDIR` must be.
#[test]
fn what_panics_leaves_nothing_behind() {
    if std::env::var_os(CHILD).is_some() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        return runtime.block_on(panicking_rollouts(&std::env::temp_dir()));
    }
    let place = Place::new();
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["panics::what_panics_leaves_nothing_behind", "--exact"]);
    let output = child.env(CHILD, "1").env("TMPDIR", place.temporary()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
    place.assert_nothing_left();
    assert!(processes_of(&place.temporary()).is_empty());
}

/// The look at what is left sees what is there.
#[test]
fn what_is_left_behind_is_noticed() {
    let place = Place::new();
    let mut here = Command::new("sleep").arg("1000").current_dir(place.temporary()).spawn().unwrap();
    let mut told = Command::new("sleep").arg("1000").env("TMPDIR", place.temporary()).spawn().unwrap();
    let expected = [&here, &told].map(|child| format!("/proc/{}:", child.id()));
    // A process that was just started shows its environment a moment later.
    let noticed = wait(Duration::from_secs(5), || {
        let found = processes_of(&place.temporary());
        expected.iter().all(|start| found.iter().any(|process| process.starts_with(start))).then_some(())
    });
    for child in [&mut here, &mut told] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(noticed.is_some());
    assert!(processes_of(&place.temporary()).is_empty());
}
