//! A run that survives its process.
//!
//! ```sh
//! cargo run --release --example resume -- --session /tmp/run.jsonl --directory /tmp/place --die-at 2
//! cargo run --release --example resume -- --session /tmp/run.jsonl --directory /tmp/place
//! cargo run --release --example resume -- --session /tmp/run.jsonl --directory /tmp/place --fork /tmp/other.jsonl --turn 1
//! ```
//!
//! The first process dies in its third step, in the middle of a call. The second takes the run up: the call is answered as
//! interrupted, and the model goes on. The third goes another way from the second step on. A script acts, real tools work in a
//! real directory.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use clap::Parser;
use entropo::agent::hook::{BeforeTool, Moment};
use entropo::agent::{Agent, CancellationToken, ChatResponse, Conversation, Hook, ScriptedModel, Session, ToolRules};
use entropo::core::{AssistantMessage, Message, RolloutId, ToolCall};
use entropo::tools::{LocalSandbox, coding_tools};
use serde_json::json;

/// A run that survives its process.
#[derive(Parser, Debug)]
struct Arguments {
    /// The session's file; it is taken up if it is there.
    #[arg(long)]
    session: PathBuf,
    /// Where the agent works; made if it is not there.
    #[arg(long)]
    directory: PathBuf,
    /// Die in the middle of the call of this step, counted from 0.
    #[arg(long)]
    die_at: Option<usize>,
    /// Copy the session to this file and go another way.
    #[arg(long, requires = "turn")]
    fork: Option<PathBuf>,
    /// The step from which on the copy goes another way.
    #[arg(long)]
    turn: Option<usize>,
}

/// Ends the process, as a power cut would, in the middle of a call.
struct Die(usize);

#[async_trait]
impl Hook for Die {
    async fn before_tool(&self, moment: &Moment<'_>, _: &ToolCall) -> BeforeTool {
        if moment.turn > self.0 {
            println!("dies in step {}", self.0);
            std::process::abort();
        }
        BeforeTool::Allow
    }
}

/// Writes a line in each of four steps; if it was interrupted it looks first.
fn script() -> ScriptedModel {
    ScriptedModel::from_fn("script", |request| {
        let interrupted = request.messages.last().is_some_and(|message| message.content().contains("was interrupted"));
        let (name, arguments) = match request.turn {
            _ if interrupted => ("shell", json!({"command": "cat diary"})),
            ..4 => ("shell", json!({"command": format!("echo step {} >> diary", request.turn)})),
            _ => ("finish", json!({})),
        };
        let call = ToolCall { id: String::new(), name: name.to_owned(), arguments };
        ChatResponse {
            message: AssistantMessage { tool_calls: vec![call], ..AssistantMessage::default() },
            ..ChatResponse::default()
        }
    })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    std::fs::create_dir_all(&arguments.directory)?;
    let sandbox = Arc::new(LocalSandbox::new(&arguments.directory)?);
    let tools = coding_tools(sandbox, &arguments.directory)?;
    let episode = Conversation::new(vec![Message::user("Keep a diary.")], tools);
    let mut agent = Agent::new(Arc::new(script())).hook(Arc::new(ToolRules::allowing().refuse("editor", "Not here.")));
    if let Some(step) = arguments.die_at {
        agent = agent.hook(Arc::new(Die(step)));
    }

    let mut session = if arguments.session.exists() {
        let session = Session::open(&arguments.session)?;
        println!("taken up after {} steps", session.run().turns());
        session
    } else {
        Session::create(&arguments.session, agent.begin(RolloutId::new("diary", 0), 0, &episode))?
    };
    if let (Some(path), Some(turn)) = (&arguments.fork, arguments.turn) {
        session = session.fork(path, turn)?;
        session.say("Forget the rest and finish.")?;
        println!("forked before step {turn}");
    }
    let cancel = CancellationToken::new();
    let trajectory = agent.resume(&mut session, Box::new(episode), &cancel, &()).await;
    for message in &trajectory.messages {
        let calls: Vec<String> = match message {
            Message::Assistant(message) => message.tool_calls.iter().map(|call| call.arguments.to_string()).collect(),
            _ => Vec::new(),
        };
        println!("{:>9}: {}{}", message.role(), message.content(), calls.join(" "));
    }
    println!("ended: {:?}", trajectory.exit);
    Ok(())
}
