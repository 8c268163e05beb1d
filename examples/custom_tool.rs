//! Tools of your own: one with typed arguments and a state, one that is known at run time only, and a hook that has a say in
//! when they are used.
//!
//! `cargo run --release --example custom_tool` plays a script; with `--base-url` and `--model` a model acts.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use clap::Parser;
use entropo::agent::hook::{BeforeTool, Moment};
use entropo::agent::model::http::Connection;
use entropo::agent::model::openai::OpenAi;
use entropo::agent::tool::Concurrency;
use entropo::agent::{
    Agent, CallError, CancellationToken, ChatModel, Conversation, DynTool, Hook, ScriptedModel, Tool, ToolError,
    ToolOutput, Toolbox,
};
use entropo::core::{AssistantMessage, Message, RolloutId, ToolCall, ToolSpec};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

/// Shows tools of one's own.
#[derive(Parser, Debug)]
struct Arguments {
    /// An OpenAI-compatible server. Default: none, a script acts.
    #[arg(long, requires = "model")]
    base_url: Option<String>,
    /// The model's name at the server.
    #[arg(long)]
    model: Option<String>,
}

/// Puts money into an account. The state is the tool's own; a toolbox that is cloned shares it.
struct Deposit(Arc<AtomicI64>);

#[derive(Deserialize, JsonSchema)]
struct DepositArguments {
    /// Whole dollars, at least 1.
    #[schemars(range(min = 1))]
    dollars: i64,
}

impl Tool for Deposit {
    const NAME: &'static str = "deposit";
    type Args = DepositArguments;

    fn description(&self) -> String {
        "Puts money into the account.".to_owned()
    }

    async fn call(&self, arguments: DepositArguments, _: &CancellationToken) -> Result<ToolOutput, ToolError> {
        if arguments.dollars > 1_000 {
            return Err(ToolError::new("No more than 1000 dollars at a time; make several deposits."));
        }
        let balance = self.0.fetch_add(arguments.dollars, Ordering::SeqCst) + arguments.dollars;
        Ok(ToolOutput::text(format!("The balance is {balance} dollars.")))
    }
}

/// A tool whose name and schema come from elsewhere, from a file, say.
struct Balance {
    spec: ToolSpec,
    account: Arc<AtomicI64>,
}

#[async_trait]
impl DynTool for Balance {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    /// It only looks, so several may look at once.
    fn concurrency(&self) -> Concurrency {
        Concurrency::Shared
    }

    async fn call(&self, _: &Value, _: &CancellationToken) -> Result<ToolOutput, CallError> {
        Ok(ToolOutput::text(self.account.load(Ordering::SeqCst).to_string()))
    }
}

/// Ends the task.
struct Finish;

#[derive(Deserialize, JsonSchema)]
struct FinishArguments {
    /// What was done.
    summary: String,
}

impl Tool for Finish {
    const NAME: &'static str = "finish";
    type Args = FinishArguments;

    fn description(&self) -> String {
        "Ends the task.".to_owned()
    }

    async fn call(&self, arguments: FinishArguments, _: &CancellationToken) -> Result<ToolOutput, ToolError> {
        Ok(ToolOutput::finish(arguments.summary))
    }
}

/// Nobody is done who has not looked at the balance.
struct LookFirst;

#[async_trait]
impl Hook for LookFirst {
    async fn before_tool(&self, moment: &Moment<'_>, call: &ToolCall) -> BeforeTool {
        let looked =
            moment.messages.iter().any(|message| matches!(message, Message::Tool(tool) if tool.name == "balance"));
        if call.name == "finish" && !looked {
            return BeforeTool::Refuse("Look at the balance before you finish.".to_owned());
        }
        BeforeTool::Allow
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let account = Arc::new(AtomicI64::new(0));
    let mut toolbox = Toolbox::new().with(Deposit(Arc::clone(&account)))?.with(Finish)?;
    let spec = ToolSpec {
        name: "balance".to_owned(),
        description: "Tells how many dollars are in the account.".to_owned(),
        parameters: json!({"type": "object", "properties": {}}),
    };
    toolbox.push(Arc::new(Balance { spec, account }))?;

    let agent = Agent::new(model(&arguments)?).hook(Arc::new(LookFirst));
    let episode = Conversation::new(vec![Message::user("Bring the balance to 30 dollars, then finish.")], toolbox);
    let cancel = CancellationToken::new();
    let trajectory = agent.run(RolloutId::new("deposit", 0), 0, Box::new(episode), &cancel, &()).await;
    for message in &trajectory.messages {
        println!("{:>9}: {}", message.role(), message.content());
        if let Message::Assistant(message) = message {
            message.tool_calls.iter().for_each(|call| println!("{:>9}> {} {}", "", call.name, call.arguments));
        }
    }
    println!("ended: {:?}", trajectory.exit);
    Ok(())
}

fn model(arguments: &Arguments) -> Result<Arc<dyn ChatModel>, Box<dyn Error>> {
    if let (Some(url), Some(model)) = (&arguments.base_url, &arguments.model) {
        return Ok(Arc::new(OpenAi::new(Connection::new(url), model)?));
    }
    let call = |name: &str, arguments: Value| AssistantMessage {
        tool_calls: vec![ToolCall { id: String::new(), name: name.to_owned(), arguments }],
        ..AssistantMessage::default()
    };
    // It does everything wrong first, and reads what it is told.
    let script = vec![
        call("deposit", json!({"dollars": "thirty"})),
        call("deposit", json!({"dollars": "30"})),
        call("finish", json!({"summary": "Done."})),
        call("balance", json!({})),
        call("finish", json!({"summary": "There are 30 dollars."})),
    ];
    Ok(Arc::new(ScriptedModel::new("script", script)))
}
