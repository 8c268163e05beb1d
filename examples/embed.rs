//! An agent in a web server: what it does is streamed to a page, which is asked before a command is run.
//!
//! `cargo run --release --example embed`, then open the address that it prints. A script acts unless `--base-url` and
//! `--model` name a model. Whoever leaves the page ends the run; a question that nobody answers in two minutes is a no.
//! The server listens on this machine only, and takes JSON only, which other pages in the same browser cannot send.
#![allow(clippy::print_stdout)]

use std::collections::HashMap;
use std::convert::Infallible;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{self, Sse};
use axum::response::{Html, IntoResponse};
use axum::routing::{get, post};
use axum::{Json, Router};
use clap::Parser;
use entropo::agent::hook::{Answer, Approver, Question};
use entropo::agent::model::http::{ApiKey, Connection};
use entropo::agent::model::openai::OpenAi;
use entropo::agent::{
    Agent, CancellationToken, ChatModel, Conversation, Event, Observer, ScriptedModel, ToolRules, Toolbox,
};
use entropo::core::{AssistantMessage, Message, RolloutId, ToolCall};
use entropo::tools::{LocalSandbox, coding_tools};
use futures::Stream;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

/// How long the page may take to answer.
const PATIENCE: Duration = Duration::from_secs(120);

/// An agent in a web server.
#[derive(Parser, Debug)]
struct Arguments {
    /// Listen there; 0 takes a free port.
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// Where the agent works.
    #[arg(long, default_value = ".")]
    directory: PathBuf,
    /// An OpenAI-compatible server, whose key, if it wants one, is in $OPENAI_API_KEY. Default: none, a script acts.
    #[arg(long, requires = "model")]
    base_url: Option<String>,
    /// The model's name at the server.
    #[arg(long)]
    model: Option<String>,
}

/// What all runs share.
struct App {
    agent: Agent,
    toolbox: Toolbox,
    runs: AtomicUsize,
    questions: Arc<Questions>,
}

/// The questions that wait for an answer, by run and call.
#[derive(Default)]
struct Questions(Mutex<HashMap<Key, oneshot::Sender<bool>>>);

/// The number of a run, and the id of a call in it.
type Key = (usize, String);

impl Questions {
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, oneshot::Sender<bool>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Approver for Questions {
    async fn answer(&self, question: &Question<'_>) -> Answer {
        let (answer, answered) = oneshot::channel();
        let key = (question.moment.rollout.rollout, question.call.id.clone());
        self.lock().insert(key, answer);
        match answered.await {
            Ok(true) => Answer::Allow,
            _ => Answer::Refuse("The user does not want this. Do it another way, or ask.".to_owned()),
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match serve(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let sandbox = Arc::new(LocalSandbox::new(&arguments.directory)?);
    let questions = Arc::new(Questions::default());
    let agent = Agent::new(model(arguments)?)
        .hook(Arc::new(ToolRules::allowing().ask("shell", "it runs a command").ask("editor", "it may change files")))
        .approver(Arc::clone(&questions) as Arc<dyn Approver>, PATIENCE);
    let toolbox = coding_tools(sandbox, &arguments.directory)?;
    let app = Arc::new(App { agent, toolbox, runs: AtomicUsize::new(0), questions });
    let router = Router::new()
        .route("/", get(|| async { Html(include_str!("embed.html")) }))
        .route("/run", post(run))
        .route("/answer", post(answer))
        .with_state(app);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", arguments.port)).await;
    let listener = listener
        .map_err(|error| format!("cannot listen on port {}: {error}; choose another with --port", arguments.port))?;
    println!("http://{}", listener.local_addr()?);
    axum::serve(listener, router).await?;
    Ok(())
}

/// Sends what happens in a run, as JSON with the run's number.
struct Page(mpsc::UnboundedSender<String>);

impl Observer for Page {
    fn event(&self, rollout: &RolloutId, event: Event<'_>) {
        if let Ok(Value::Object(mut event)) = serde_json::to_value(event) {
            event.insert("run".to_owned(), json!(rollout.rollout));
            let _ = self.0.send(Value::Object(event).to_string()); // nobody may be there any more
        }
    }

    fn wants_pieces(&self) -> bool {
        true
    }
}

#[derive(Deserialize)]
struct Asked {
    task: String,
}

/// Starts a run and streams it. When the page goes away the stream is dropped, and with it the guard that ends the run.
async fn run(
    State(app): State<Arc<App>>,
    Json(asked): Json<Asked>,
) -> Sse<impl Stream<Item = Result<sse::Event, Infallible>>> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let cancel = CancellationToken::new();
    let guard = cancel.clone().drop_guard();
    tokio::spawn(async move {
        let id = RolloutId::new("page", app.runs.fetch_add(1, Ordering::Relaxed));
        let episode = Conversation::new(vec![Message::user(asked.task)], app.toolbox.clone());
        let trajectory = app.agent.run(id, 0, Box::new(episode), &cancel, &Page(sender)).await;
        app.questions.lock().retain(|(run, _), _| *run != trajectory.id.rollout); // nobody waits for them any more
        println!("{} ended: {:?}", trajectory.id, trajectory.exit);
    });
    let events = futures::stream::unfold((receiver, guard), |(mut receiver, guard)| async {
        let event = receiver.recv().await?;
        Some((Ok(sse::Event::default().data(event)), (receiver, guard)))
    });
    Sse::new(events).keep_alive(sse::KeepAlive::default())
}

#[derive(Deserialize)]
struct Decision {
    run: usize,
    call: String,
    allow: bool,
}

async fn answer(State(app): State<Arc<App>>, Json(decision): Json<Decision>) -> impl IntoResponse {
    let key = (decision.run, decision.call);
    let waiting = app.questions.lock().remove(&key);
    match waiting.map(|waiting| waiting.send(decision.allow)) {
        Some(Ok(())) => StatusCode::NO_CONTENT,
        _ => StatusCode::GONE,
    }
}

fn model(arguments: &Arguments) -> Result<Arc<dyn ChatModel>, Box<dyn Error>> {
    if let (Some(url), Some(model)) = (&arguments.base_url, &arguments.model) {
        let key = std::env::var("OPENAI_API_KEY").map_or_else(|_| ApiKey::none(), ApiKey::fixed);
        return Ok(Arc::new(OpenAi::new(Connection::new(url).api_key(key), model)?));
    }
    let say = |content: &str, name: &str, arguments: Value| AssistantMessage {
        content: content.to_owned(),
        tool_calls: vec![ToolCall { id: String::new(), name: name.to_owned(), arguments }],
        raw: None,
    };
    let script =
        vec![say("Let me look.", "shell", json!({"command": "ls"})), say("I have seen enough.", "finish", json!({}))];
    Ok(Arc::new(ScriptedModel::new("script", script)))
}
