//! An environment with a tool for everything that can happen, and shorthand.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use entropo_agent::{
    Agent, CallError, CancellationToken, ChatModel, DynTool, Environment, EnvironmentError, Episode, ScriptedModel,
    Tool, ToolError, ToolOutput, Toolbox,
};
use entropo_core::{AssistantMessage, ExitReason, Message, Outcome, RolloutId, Task, ToolCall, ToolSpec, Trajectory};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

/// `note`: says back what it is given.
struct Note;

#[derive(Deserialize, JsonSchema)]
struct NoteArgs {
    text: String,
    times: Option<usize>,
}

impl Tool for Note {
    const NAME: &'static str = "note";
    type Args = NoteArgs;

    fn description(&self) -> String {
        "Notes a text.".to_owned()
    }

    async fn call(&self, args: NoteArgs, _: &CancellationToken) -> Result<ToolOutput, ToolError> {
        Ok(ToolOutput::text(args.text.repeat(args.times.unwrap_or(1))))
    }
}

/// A tool that is known at run time only, without arguments: `finish`, `fail`, `panic` or `wait`.
struct Named(ToolSpec);

#[async_trait]
impl DynTool for Named {
    fn spec(&self) -> &ToolSpec {
        &self.0
    }

    async fn call(&self, _: &Value, _: &CancellationToken) -> Result<ToolOutput, CallError> {
        match self.0.name.as_str() {
            "finish" => Ok(ToolOutput::finish("Finished.")),
            "fail" => Err(ToolError::new("It does not work.").into()),
            "panic" => panic!("the tool is broken"),
            _ => std::future::pending().await,
        }
    }
}

pub(crate) fn toolbox() -> Toolbox {
    let mut toolbox = Toolbox::new().with(Note).unwrap();
    for name in ["finish", "fail", "panic", "wait"] {
        let (name, description) = (name.to_owned(), String::new());
        toolbox.push(Arc::new(Named(ToolSpec { name, description, parameters: json!({}) }))).unwrap();
    }
    toolbox
}

/// Opens places; does what the task's id says: `open fails`, `open panics`, `close fails`, `close panics`.
#[derive(Clone, Default)]
pub(crate) struct Bench {
    pub(crate) opened: Arc<AtomicUsize>,
    pub(crate) closed: Arc<AtomicUsize>,
}

pub(crate) struct Place {
    bench: Bench,
    task: String,
    toolbox: Toolbox,
}

impl Bench {
    pub(crate) fn place(&self, task: &str) -> Box<Place> {
        Box::new(Place { bench: self.clone(), task: task.to_owned(), toolbox: toolbox() })
    }

    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.opened.load(Ordering::SeqCst), self.closed.load(Ordering::SeqCst))
    }
}

fn failure(task: &str) -> EnvironmentError {
    EnvironmentError { task: task.to_owned(), source: "no disk".into() }
}

#[async_trait]
impl Environment for Bench {
    async fn open(&self, task: &Task, _: &RolloutId, _: u64) -> Result<Box<dyn Episode>, EnvironmentError> {
        match task.id.as_str() {
            "open fails" => return Err(failure(&task.id)),
            "open panics" => panic!("the environment is broken"),
            _ => {}
        }
        self.opened.fetch_add(1, Ordering::SeqCst);
        Ok(self.place(&task.id))
    }
}

#[async_trait]
impl Episode for Place {
    fn messages(&self) -> Vec<Message> {
        assert_ne!(self.task, "messages panic", "the environment is broken");
        vec![Message::system("Work."), Message::user(&self.task)]
    }

    fn toolbox(&self) -> &Toolbox {
        &self.toolbox
    }

    async fn close(self: Box<Self>, exit: ExitReason) -> Result<Outcome, EnvironmentError> {
        self.bench.closed.fetch_add(1, Ordering::SeqCst);
        match self.task.as_str() {
            "close fails" => Err(failure(&self.task)),
            "close panics" => panic!("the environment is broken"),
            _ => Ok(Outcome { patch: format!("{exit:?}"), ..Outcome::default() }),
        }
    }
}

pub(crate) fn say(content: &str, calls: &[(&str, Value)]) -> AssistantMessage {
    let calls = calls.iter().map(|(name, arguments)| ToolCall {
        id: String::new(),
        name: (*name).to_owned(),
        arguments: arguments.clone(),
    });
    AssistantMessage { content: content.to_owned(), tool_calls: calls.collect(), raw: None }
}

pub(crate) fn note(text: &str) -> AssistantMessage {
    say("", &[("note", json!({"text": text}))])
}

pub(crate) fn call(name: &str) -> AssistantMessage {
    say("", &[(name, json!({}))])
}

pub(crate) fn scripted(replies: Vec<AssistantMessage>) -> Agent {
    Agent::new(Arc::new(ScriptedModel::new("scripted", replies)))
}

pub(crate) fn acting(model: impl ChatModel + 'static) -> Agent {
    Agent::new(Arc::new(model))
}

/// Runs in a fresh place.
pub(crate) async fn run(agent: &Agent) -> Trajectory {
    run_task(agent, "task").await
}

pub(crate) async fn run_task(agent: &Agent, task: &str) -> Trajectory {
    let place = Bench::default().place(task);
    agent.run(RolloutId::new(task, 0), 1, place, &CancellationToken::new(), &()).await
}

/// The messages after the first two, as `role: content`.
pub(crate) fn told(trajectory: &Trajectory) -> Vec<String> {
    let told = trajectory.messages.iter().skip(2);
    told.map(|message| format!("{}: {}", message.role(), message.content())).collect()
}
