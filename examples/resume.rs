//! A run that survives its process.
//!
//! ```sh
//! cargo run --release --example resume -- --directory /tmp/diary --die-at 2
//! cargo run --release --example resume -- --directory /tmp/diary
//! cargo run --release --example resume -- --directory /tmp/diary --fork-to /tmp/other --turn 1
//! ```
//!
//! The first process dies in its third step, in the middle of a call. The second takes the run up: the call is answered as
//! interrupted, and the model looks what it did before it goes on. The third goes another way from the second step on.
//!
//! A session is what was said and done; the files that tools changed are yours to keep. A script acts here, real tools write a
//! diary in a real directory, and a fork gets the diary as it was at its turn.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use clap::Parser;
use entropo::agent::hook::{BeforeTool, Moment};
use entropo::agent::{Agent, CancellationToken, ChatResponse, Conversation, Hook, ScriptedModel, Session};
use entropo::core::{AssistantMessage, Message, RolloutId, ToolCall, Trajectory};
use entropo::tools::{LocalSandbox, coding_tools};
use serde_json::json;

/// The files in a directory.
const SESSION: &str = "session.jsonl";
const DIARY: &str = "diary";

/// A run that survives its process.
#[derive(Parser, Debug)]
struct Arguments {
    /// Where the agent works, made if it is not there. A run that is there is taken up.
    #[arg(long)]
    directory: PathBuf,
    /// Die in the middle of the call of this step, counted from 0.
    #[arg(long, value_name = "STEP", conflicts_with = "fork_to")]
    die_at: Option<usize>,
    /// Copy the run to this new directory and go another way there.
    #[arg(long, value_name = "DIRECTORY", requires = "turn")]
    fork_to: Option<PathBuf>,
    /// The step that the copy takes anew, counted from 0.
    #[arg(long, value_name = "STEP", requires = "fork_to")]
    turn: Option<usize>,
    /// What the copy is told there.
    #[arg(long, default_value = "Write in capitals from now on.")]
    say: String,
}

/// Ends the process, as a power cut would, when a call has begun.
struct Die(usize);

#[async_trait]
impl Hook for Die {
    async fn before_tool(&self, moment: &Moment<'_>, _: &ToolCall) -> BeforeTool {
        if moment.turn > self.0 {
            println!("The process dies in step {}.", self.0);
            std::process::abort();
        }
        BeforeTool::Allow
    }
}

/// Writes four lines, one a step. It knows what it reads and no more: it looks at the diary when it begins, when it was
/// interrupted and when it was told something, and writes in capitals if it was told so.
fn script() -> ScriptedModel {
    ScriptedModel::from_fn("script", |request| {
        let shown = match request.messages.last() {
            Some(Message::Tool(tool)) if !tool.content.contains("was interrupted") => Some(lines(&tool.content)),
            _ => None,
        };
        let capitals = request.messages.iter().any(|message| message.content().contains("capitals"));
        let (name, arguments) = match shown.map(|lines| lines.len()) {
            None => ("shell", json!({"command": "touch diary; cat diary"})),
            Some(written @ ..4) => {
                let line = format!("step {}", written + 1);
                let line = if capitals { line.to_uppercase() } else { line };
                ("shell", json!({"command": format!("echo {line} >> diary; cat diary")}))
            }
            Some(_) => ("finish", json!({})),
        };
        let call = ToolCall { id: String::new(), name: name.to_owned(), arguments };
        let message = AssistantMessage { tool_calls: vec![call], ..AssistantMessage::default() };
        ChatResponse { message, ..ChatResponse::default() }
    })
}

/// The lines of the diary in an answer.
fn lines(answer: &str) -> Vec<&str> {
    answer.lines().filter(|line| line.to_lowercase().starts_with("step")).collect()
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
    let directory = arguments.fork_to.as_deref().unwrap_or(&arguments.directory);
    std::fs::create_dir_all(directory).map_err(|error| format!("cannot make {}: {error}", directory.display()))?;
    let tools = coding_tools(Arc::new(LocalSandbox::new(directory)?), directory)?;
    let episode = Conversation::new(vec![Message::user("Keep a diary of four steps.")], tools);
    let mut agent = Agent::new(Arc::new(script()));
    if let Some(step) = arguments.die_at {
        agent = agent.hook(Arc::new(Die(step)));
    }

    let file = arguments.directory.join(SESSION);
    let mut session = match (&arguments.fork_to, arguments.turn) {
        (Some(directory), Some(turn)) => fork(&file, directory, turn, &arguments.say)?,
        _ if file.exists() => {
            let session = Session::open(&file)?;
            println!("Taken up after {} steps.", session.run().turns());
            session
        }
        _ => Session::create(&file, agent.begin(RolloutId::new("diary", 0), 0, &episode))?,
    };
    let cancel = CancellationToken::new();
    let trajectory = agent.resume(&mut session, Box::new(episode), &cancel, &()).await;
    show(&trajectory);
    Ok(trajectory.exit.is_finished())
}

/// A copy of the run as it was before `turn`, and of the diary as the last answer until then showed it.
fn fork(file: &Path, directory: &Path, turn: usize, say: &str) -> Result<Session, Box<dyn Error>> {
    let mut session = Session::open(file)?.fork(directory.join(SESSION), turn)?;
    let mut answers = session.run().messages().iter().filter(|message| matches!(message, Message::Tool(_)));
    let diary = answers.next_back().map(|answer| lines(answer.content())).unwrap_or_default();
    std::fs::write(directory.join(DIARY), diary.iter().map(|line| format!("{line}\n")).collect::<String>())?;
    session.say(say)?;
    println!("Forked before step {turn}.");
    Ok(session)
}

fn show(trajectory: &Trajectory) {
    for message in &trajectory.messages {
        println!("{:>9}: {}", message.role(), message.content().replace('\n', " | "));
        if let Message::Assistant(message) = message {
            message.tool_calls.iter().for_each(|call| println!("{:>9}> {} {}", "", call.name, call.arguments));
        }
    }
    let error = trajectory.error.as_deref().map(|error| format!(", {error}")).unwrap_or_default();
    println!("\nended: {:?}{error}", trajectory.exit);
}
