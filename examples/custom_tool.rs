//! Tools of your own: one with typed arguments and a state, one that is known at run time only, and hooks that have a say in
//! when they are used.
//!
//! `cargo run --release --example custom_tool` plays a script; with `--base-url` and `--model` a model acts.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use clap::Parser;
use entropo::agent::hook::{BeforeTool, Moment};
use entropo::agent::model::http::{ApiKey, Connection};
use entropo::agent::model::openai::OpenAi;
use entropo::agent::{
    Agent, CallError, CancellationToken, ChatModel, Conversation, DynTool, Hook, ScriptedModel, Tool, ToolError,
    ToolOutput, ToolRules, Toolbox,
};
use entropo::core::{AssistantMessage, Message, RolloutId, ToolCall, ToolSpec};
use entropo::tools::Finish;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

/// Gives an article a slug, with tools of its own.
///
/// The exit status is 0 if the agent finished.
#[derive(Parser, Debug)]
struct Arguments {
    /// The article.
    #[arg(long, default_value = "Ten Ways to Brew Coffee")]
    title: String,
    /// How many characters the slug may have.
    #[arg(long, default_value_t = 20)]
    longest: usize,
    /// An OpenAI-compatible server, whose key, if it wants one, is in $OPENAI_API_KEY. Default: none, a script acts.
    #[arg(long, requires = "model")]
    base_url: Option<String>,
    /// The model's name at the server.
    #[arg(long)]
    model: Option<String>,
}

/// What the tools act on. A toolbox that is cloned shares it.
#[derive(Clone, Default)]
struct Slug(Arc<Mutex<String>>);

impl Slug {
    fn lock(&self) -> MutexGuard<'_, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A typed tool: its arguments are a Rust type, and what does not fit their schema never reaches it.
struct Write(Slug);

#[derive(Deserialize, JsonSchema)]
struct WriteArguments {
    /// Small letters, digits and hyphens.
    slug: String,
}

impl Tool for Write {
    const NAME: &'static str = "write";
    type Args = WriteArguments;

    fn description(&self) -> String {
        "Sets the slug, in the place of the one before.".to_owned()
    }

    async fn call(&self, arguments: WriteArguments, _: &CancellationToken) -> Result<ToolOutput, ToolError> {
        if arguments.slug.is_empty() {
            return Err(ToolError::new("A slug cannot be empty; write one."));
        }
        let before = std::mem::replace(&mut *self.0.lock(), arguments.slug);
        Ok(ToolOutput::text(if before.is_empty() { "Set.".to_owned() } else { format!("It was {before}.") }))
    }
}

/// A tool whose name, description and rule are known at run time only, as from a file.
struct Test {
    spec: ToolSpec,
    slug: Slug,
    longest: usize,
}

impl Test {
    fn new(slug: &Slug, longest: usize) -> Self {
        let description = format!("Tests the slug, which may have {longest} characters.");
        let parameters = json!({"type": "object", "properties": {}});
        Self { spec: ToolSpec { name: "test".to_owned(), description, parameters }, slug: slug.clone(), longest }
    }
}

#[async_trait]
impl DynTool for Test {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    async fn call(&self, _: &Value, _: &CancellationToken) -> Result<ToolOutput, CallError> {
        let slug = self.slug.lock();
        let stranger = |letter: &char| !matches!(letter, 'a'..='z' | '0'..='9' | '-');
        Ok(ToolOutput::text(match slug.chars().find(stranger) {
            Some(letter) => format!("not ok: {letter:?} is not allowed"),
            None if slug.len() > self.longest => format!("not ok: {} characters", slug.len()),
            None => "ok".to_owned(),
        }))
    }
}

/// Nobody is done whose last act was not a test that went well. It keeps nothing, so that any number of runs may share it.
struct TestFirst;

#[async_trait]
impl Hook for TestFirst {
    async fn before_tool(&self, moment: &Moment<'_>, call: &ToolCall) -> BeforeTool {
        let last = moment.messages.iter().rev().find_map(|message| match message {
            Message::Tool(tool) if tool.name != "finish" => Some(tool),
            _ => None,
        });
        let tested = last.is_some_and(|last| last.name == "test" && last.content == "ok");
        if call.name == "finish" && !tested {
            return BeforeTool::Refuse("Call test, and finish when it says ok.".to_owned());
        }
        BeforeTool::Allow
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    let slug = Slug::default();
    let mut toolbox = Toolbox::new().with(Write(slug.clone()))?.with(Finish)?;
    toolbox.push(Arc::new(Test::new(&slug, arguments.longest)))?;

    // The first hook that does not let a call pass decides.
    let rules = ToolRules::refusing().allow("write").allow("test").allow("finish");
    let agent = Agent::new(model(arguments)?).hook(Arc::new(rules)).hook(Arc::new(TestFirst));
    let task = format!("Give the article “{}” a slug, then finish.", arguments.title);
    let episode = Conversation::new(vec![Message::user(task)], toolbox);
    let cancel = CancellationToken::new();
    let trajectory = agent.run(RolloutId::new("slug", 0), 0, Box::new(episode), &cancel, &()).await;
    for message in &trajectory.messages {
        println!("{:>9}: {}", message.role(), message.content());
        if let Message::Assistant(message) = message {
            message.tool_calls.iter().for_each(|call| println!("{:>9}> {} {}", "", call.name, call.arguments));
        }
    }
    let error = trajectory.error.map(|error| format!(", {error}")).unwrap_or_default();
    println!("\nended: {:?}{error}; the slug: {}", trajectory.exit, slug.lock());
    Ok(trajectory.exit.is_finished())
}

fn model(arguments: &Arguments) -> Result<Arc<dyn ChatModel>, Box<dyn Error>> {
    if let (Some(url), Some(model)) = (&arguments.base_url, &arguments.model) {
        let key = std::env::var("OPENAI_API_KEY").map_or_else(|_| ApiKey::none(), ApiKey::fixed);
        return Ok(Arc::new(OpenAi::new(Connection::new(url).api_key(key), model)?));
    }
    let call = |name: &str, arguments: Value| AssistantMessage {
        tool_calls: vec![ToolCall { id: String::new(), name: name.to_owned(), arguments }],
        ..AssistantMessage::default()
    };
    // It does everything wrong first, and reads what it is told.
    let script = vec![
        call("shell", json!({"command": "ls"})),
        call("write", json!({"slug": 10})),
        call("write", json!({"slug": "10-Ways-to-Brew-Coffee"})),
        call("finish", json!({})),
        call("test", json!({})),
        call("write", json!({"slug": "10-ways-to-brew"})),
        call("test", json!({})),
        call("finish", json!({})),
    ];
    Ok(Arc::new(ScriptedModel::new("script", script)))
}
