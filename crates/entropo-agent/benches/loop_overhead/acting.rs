//! Our half.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use entropo_agent::model::http::Connection;
use entropo_agent::model::openai::OpenAi;
use entropo_agent::{
    Agent, CallError, CancellationToken, ChatModel, ChatResponse, DynTool, Environment, EnvironmentError, Episode,
    Limits, RolloutJob, Rollouts, ScriptedModel, ToolError, ToolOutput, Toolbox,
};
use entropo_core::{AssistantMessage, ExitReason, Message, Outcome, RolloutId, Task, ToolCall, ToolSpec, Trajectory};
use serde_json::{Value, json};
use tokio::runtime::Builder;

use crate::process::{cpu_seconds, resident_kib};
use crate::{Failure, MANY, Measured, STEPS};

/// What the agent is told first; the peer is told the same.
const SYSTEM: &str = "You are a helpful assistant that can interact with a computer.";
const TASK: &str = "Please solve this issue: the total of an order is wrong when it has a discount.";

const TEN: usize = 10;

/// Measures one way to make runs, in this process.
pub(crate) fn measure(name: &str, url: &str) -> Result<Measured, Failure> {
    if name == "many" {
        return many(url);
    }
    let runtime = Builder::new_current_thread().enable_all().build()?;
    match name {
        "bare" => runtime.block_on(bare(url)),
        "scripted" => runtime.block_on(runs(Arc::new(scripted()), 600)),
        "whole" => runtime.block_on(runs(Arc::new(served(url)?.whole()), 15)),
        "streamed" => runtime.block_on(runs(Arc::new(served(url)?), 15)),
        other => Err(format!("there is no measurement {other:?}").into()),
    }
}

fn served(url: &str) -> Result<OpenAi, Failure> {
    Ok(OpenAi::new(Connection::new(url), "gpt-4o-mini")?)
}

/// What the server says, without the server.
fn scripted() -> ScriptedModel {
    ScriptedModel::from_fn("scripted", |request| {
        let turn = request.turn;
        let command = if turn + 1 < STEPS {
            format!("true {turn}")
        } else {
            "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT".to_owned()
        };
        let call = ToolCall { id: String::new(), name: "bash".to_owned(), arguments: json!({"command": command}) };
        let content = format!("Step {turn}: I look at the next file to find where the value is computed.");
        let message = AssistantMessage { content, tool_calls: vec![call], raw: None };
        ChatResponse { message, ..ChatResponse::default() }
    })
}

/// Ten runs so many times, one after the other.
async fn runs(model: Arc<dyn ChatModel>, rounds: usize) -> Result<Measured, Failure> {
    let rollouts = Rollouts::new(agent(model), Arc::new(Desk));
    complete(&roll(&rollouts, TEN).await)?;
    let (clock, before) = (Instant::now(), cpu_seconds());
    for _ in 0..rounds {
        complete(&roll(&rollouts, TEN).await)?;
    }
    let (wall_s, cpu_s) = (clock.elapsed().as_secs_f64(), cpu_seconds() - before);
    Ok(Measured { steps: rounds * TEN * STEPS, wall_s, cpu_s, ..Measured::default() })
}

/// All runs at once, in two threads.
fn many(url: &str) -> Result<Measured, Failure> {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let rollouts = Rollouts::new(agent(Arc::new(served(url)?)), Arc::new(Desk)).concurrency(MANY);
    let baseline_kib = resident_kib("VmRSS:");
    let (clock, before) = (Instant::now(), cpu_seconds());
    let done = runtime.block_on(roll(&rollouts, MANY));
    let (wall_s, cpu_s) = (clock.elapsed().as_secs_f64(), cpu_seconds() - before);
    complete(&done)?;
    let peak_kib = resident_kib("VmHWM:");
    Ok(Measured { steps: MANY * STEPS, wall_s, cpu_s, baseline_kib, peak_kib, ..Measured::default() })
}

/// The requests of a run, sent and their replies read, by the HTTP client that we use: what no loop can go below.
async fn bare(url: &str) -> Result<Measured, Failure> {
    complete(&roll(&Rollouts::new(agent(Arc::new(served(url)?.whole())), Arc::new(Desk)), 1).await)?;
    let client = reqwest::Client::new();
    let mut bodies = Vec::new();
    for turn in 0..STEPS {
        bodies.push(client.get(format!("{url}/seen/{turn}")).send().await?.bytes().await?);
    }
    let count = 300;
    let (clock, before) = (Instant::now(), cpu_seconds());
    for _ in 0..count {
        for body in &bodies {
            let request = client.post(format!("{url}/chat/completions")).header("content-type", "application/json");
            let reply = request.body(body.clone()).send().await?.bytes().await?;
            if reply.is_empty() {
                return Err("an empty reply".into());
            }
        }
    }
    let (wall_s, cpu_s) = (clock.elapsed().as_secs_f64(), cpu_seconds() - before);
    Ok(Measured { steps: count * STEPS, wall_s, cpu_s, ..Measured::default() })
}

fn agent(model: Arc<dyn ChatModel>) -> Agent {
    Agent::new(model).limits(Limits { max_steps: STEPS, ..Limits::default() })
}

async fn roll(rollouts: &Rollouts, count: usize) -> Vec<Trajectory> {
    let task = Arc::new(Task::new("task", TASK));
    let jobs = (0..count).map(|number| RolloutJob::new(&task, number, 1)).collect();
    rollouts.run(jobs, &CancellationToken::new(), |_| ()).await
}

fn complete(trajectories: &[Trajectory]) -> Result<(), Failure> {
    match trajectories.iter().find(|one| one.exit != ExitReason::Agent || one.steps() != STEPS) {
        None => Ok(()),
        Some(one) => Err(format!("{:?} after {} steps: {:?}", one.exit, one.steps(), one.error).into()),
    }
}

/// A place where nothing happens.
struct Desk;

struct Seat {
    task: String,
    toolbox: Toolbox,
}

#[async_trait]
impl Environment for Desk {
    async fn open(&self, task: &Task, _: &RolloutId, _: u64) -> Result<Box<dyn Episode>, EnvironmentError> {
        let mut toolbox = Toolbox::new();
        toolbox
            .push(Arc::new(Bash(bash())))
            .map_err(|error| EnvironmentError { task: task.id.clone(), source: error.into() })?;
        Ok(Box::new(Seat { task: task.problem.clone(), toolbox }))
    }
}

#[async_trait]
impl Episode for Seat {
    fn messages(&self) -> Vec<Message> {
        vec![Message::system(SYSTEM), Message::user(&self.task)]
    }

    fn toolbox(&self) -> &Toolbox {
        &self.toolbox
    }

    async fn close(self: Box<Self>, _: ExitReason) -> Result<Outcome, EnvironmentError> {
        Ok(Outcome::default())
    }
}

/// Answers as the peer's shell does, without one.
struct Bash(ToolSpec);

fn bash() -> ToolSpec {
    let command = json!({"type": "string", "description": "The bash command to execute"});
    ToolSpec {
        name: "bash".to_owned(),
        description: "Execute a bash command".to_owned(),
        parameters: json!({"type": "object", "properties": {"command": command}, "required": ["command"]}),
    }
}

#[async_trait]
impl DynTool for Bash {
    fn spec(&self) -> &ToolSpec {
        &self.0
    }

    async fn call(&self, arguments: &Value, _: &CancellationToken) -> Result<ToolOutput, CallError> {
        let command = arguments.get("command").and_then(Value::as_str);
        let command = command.ok_or_else(|| ToolError::new("There is no command."))?;
        if command == "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT" {
            return Ok(ToolOutput::finish(""));
        }
        Ok(ToolOutput::text("<returncode>0</returncode>\n<output>\n</output>"))
    }
}
