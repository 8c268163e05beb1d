//! Has a model solve an issue in a repository of yours, on a copy, and applies its changes if you agree.
//!
//! ```sh
//! cargo run --release --example solve                     # the embedded policy on a little broken repository
//! cargo run --release --example solve -- --base-url http://127.0.0.1:8000/v1 --model Qwen/Qwen3-8B \
//!     --repo ~/src/project --issue "Parsing an empty file panics."
//! ```
//!
//! The agent works on a copy of the repository's files (what a `.gitignore` names is left out). Its commands run as you, with
//! a time limit and an environment of their own, but nothing keeps them from the rest of your machine.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, ValueEnum};
use entropo::agent::dialect::{Bash, Glm, Hermes, Llama, Xml};
use entropo::agent::model::anthropic::Anthropic;
use entropo::agent::model::http::{ApiKey, Connection};
use entropo::agent::model::openai::OpenAi;
use entropo::agent::model::{Prices, ToolCalling};
use entropo::agent::{
    Agent, CancellationToken, ChatModel, DropObservations, Event, Limits, Observer, Sampling, rollout_seed,
};
use entropo::core::{RolloutId, Trajectory};
use entropo::tools::workspace::apply_patch;
use entropo::tools::{CodingEpisode, Workspace};
use entropo::train::LocalModel;
use entropo::train::generate::EngineConfig;
use repair_lab::task::{Difficulty, generate};
use repair_lab::{experiment, policy::Policy};

type Failure = Box<dyn Error + Send + Sync>;

/// Has a model solve an issue in a repository, and applies its changes if you agree.
#[derive(Parser, Debug)]
struct Arguments {
    /// The repository. Default: a little one with a bug, made for the occasion.
    #[arg(long, requires = "issue")]
    repo: Option<PathBuf>,
    /// What is to be solved: the text, or @FILE.
    #[arg(long, requires = "repo")]
    issue: Option<String>,
    /// An OpenAI-compatible server, such as http://127.0.0.1:8000/v1. Default: no server.
    #[arg(long, requires = "model")]
    base_url: Option<String>,
    /// The model's name at the server.
    #[arg(long)]
    model: Option<String>,
    /// Ask Anthropic's Messages API; the key is in $ANTHROPIC_API_KEY.
    #[arg(long, requires = "model", conflicts_with = "base_url")]
    anthropic: bool,
    /// The environment variable that holds the server's key, if it wants one.
    #[arg(long, default_value = "OPENAI_API_KEY")]
    api_key_env: String,
    /// How the model writes tool calls: as data, or as text in some dialect.
    #[arg(long, value_enum, default_value_t = Calls::Native)]
    calls: Calls,
    /// A checkpoint directory on this machine. Default: the embedded policy of the repair lab.
    #[arg(long, conflicts_with_all = ["base_url", "anthropic"])]
    checkpoint: Option<PathBuf>,
    /// Assistant turns.
    #[arg(long, default_value_t = 100)]
    max_steps: usize,
    /// Seconds in all.
    #[arg(long, default_value_t = 3600)]
    max_seconds: u64,
    /// US dollars in all, if the model's prices are known.
    #[arg(long)]
    max_cost: Option<f64>,
    /// What a million tokens read and a million tokens written cost, in US dollars.
    #[arg(long, num_args = 2, value_names = ["READ", "WRITTEN"])]
    prices: Vec<f64>,
    /// Leave old tool answers out when the conversation has more tokens than this.
    #[arg(long)]
    context: Option<usize>,
    /// Divides the logits; 0 always takes the likeliest token.
    #[arg(long, default_value_t = 0.6)]
    temperature: f32,
    /// Longest reply in tokens.
    #[arg(long, default_value_t = 4096)]
    max_tokens: usize,
    /// Governs the sampling and the little repository.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Apply the changes without asking.
    #[arg(long)]
    yes: bool,
    /// Write the changes to this file.
    #[arg(long)]
    patch: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Calls {
    Native,
    Hermes,
    Xml,
    Llama,
    Glm,
    Bash,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether the agent says that it is done.
async fn run(arguments: Arguments) -> Result<bool, Failure> {
    let demonstration = tempfile::tempdir()?;
    let (repository, issue) = match (&arguments.repo, &arguments.issue) {
        (Some(repository), Some(issue)) => (repository.clone(), text(issue)?),
        _ => (demonstration.path().to_owned(), demonstrate(demonstration.path(), arguments.seed)?),
    };
    println!("{}\n\n{issue}\n", repository.display());
    let workspace = Workspace::copy_of(&repository).await?;
    let mut episode = CodingEpisode::new(workspace, issue)?;
    if arguments.repo.is_none() {
        episode = episode.instructions(repair_lab::environment::SYSTEM);
    }
    let cancel = CancellationToken::new();
    tokio::spawn({
        let cancel = cancel.clone();
        async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                cancel.cancel();
            }
        }
    });
    let id = RolloutId::new("solve", 0);
    let seed = rollout_seed(arguments.seed, &id);
    let trajectory = agent(&arguments)?.run(id, seed, Box::new(episode), &cancel, &Screen).await;
    conclude(&arguments, &repository, &trajectory).await?;
    Ok(trajectory.exit.is_finished())
}

fn agent(arguments: &Arguments) -> Result<Agent, Failure> {
    let sampling =
        Sampling { temperature: arguments.temperature, max_tokens: arguments.max_tokens, ..Sampling::default() };
    let limits = Limits {
        max_steps: arguments.max_steps,
        max_seconds: Some(arguments.max_seconds),
        max_cost_usd: arguments.max_cost,
        announce_steps: Some(3),
        ..Limits::default()
    };
    let agent = Agent::new(model(arguments)?).sampling(sampling).limits(limits);
    Ok(match arguments.context {
        Some(tokens) => agent.condenser(Arc::new(DropObservations::above(tokens))),
        None => agent,
    })
}

fn model(arguments: &Arguments) -> Result<Arc<dyn ChatModel>, Failure> {
    let name = arguments.model.as_deref().unwrap_or_default();
    let prices = match arguments.prices.as_slice() {
        [read, written] => Some(Prices::new(*read, *written)),
        _ => None,
    };
    if let Some(url) = &arguments.base_url {
        let mut connection = Connection::new(url);
        if std::env::var_os(&arguments.api_key_env).is_some() {
            connection = connection.api_key(ApiKey::environment(&arguments.api_key_env));
        }
        let calling = match arguments.calls {
            Calls::Native => ToolCalling::Native,
            Calls::Hermes => ToolCalling::Text(Arc::new(Hermes)),
            Calls::Xml => ToolCalling::Text(Arc::new(Xml)),
            Calls::Llama => ToolCalling::Text(Arc::new(Llama)),
            Calls::Glm => ToolCalling::Text(Arc::new(Glm)),
            Calls::Bash => ToolCalling::Text(Arc::new(Bash::default())),
        };
        let model = OpenAi::new(connection, name)?.tool_calling(calling);
        return Ok(match prices {
            Some(prices) => Arc::new(model.prices(prices)),
            None => Arc::new(model),
        });
    }
    if arguments.anthropic {
        let model = Anthropic::from_environment(name)?;
        return Ok(match prices {
            Some(prices) => Arc::new(model.prices(prices)),
            None => Arc::new(model),
        });
    }
    Ok(Arc::new(match &arguments.checkpoint {
        Some(directory) => LocalModel::open(directory, EngineConfig::default())?,
        None => Policy::embedded(&experiment::device())?.serve("repair-lab", EngineConfig::default())?,
    }))
}

fn text(issue: &str) -> Result<String, Failure> {
    Ok(match issue.strip_prefix('@') {
        Some(file) => std::fs::read_to_string(file).map_err(|error| format!("cannot read {file}: {error}"))?,
        None => issue.to_owned(),
    })
}

/// Writes a little repository with a bug; what is wrong with it.
fn demonstrate(directory: &Path, seed: u64) -> Result<String, Failure> {
    let task = generate(seed, &Difficulty::standard())?;
    for (path, text) in &task.files {
        std::fs::write(directory.join(path), text)?;
    }
    Ok(task.issue)
}

/// Shows what changed, and applies it if that is wanted.
async fn conclude(arguments: &Arguments, repository: &Path, trajectory: &Trajectory) -> Result<(), Failure> {
    let (patch, usage) = (&trajectory.outcome.patch, &trajectory.usage);
    println!(
        "\nended: {:?}{}",
        trajectory.exit,
        trajectory.error.as_deref().map(|e| format!(", {e}")).unwrap_or_default()
    );
    println!("{} steps, {} tokens read, {} written", trajectory.steps(), usage.prompt_tokens, usage.completion_tokens);
    if let Some(cost) = usage.cost_nano_usd {
        println!("{:.4} US dollars", cost as f64 / 1e9);
    }
    if patch.is_empty() {
        println!("Nothing was changed.");
        return Ok(());
    }
    println!("\n{patch}");
    if let Some(file) = &arguments.patch {
        std::fs::write(file, patch)?;
        println!("The changes are in {}.", file.display());
    }
    if arguments.yes || agreed()? {
        apply_patch(repository, patch).await?;
        println!("Applied to {}.", repository.display());
    } else {
        println!("Nothing was applied.");
    }
    Ok(())
}

/// Asks, if there is somebody to ask.
fn agreed() -> std::io::Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    print!("Apply these changes? [y/N] ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Prints what happens.
struct Screen;

impl Observer for Screen {
    fn event(&self, _: &RolloutId, event: Event<'_>) {
        match event {
            Event::Replied { turn, message, .. } if !message.content.is_empty() => {
                println!("[{turn}] {}", message.content);
            }
            Event::CallStarted { call } => println!("  > {} {}", call.name, call.arguments),
            Event::CallReturned { result, .. } => {
                result.content.lines().take(12).for_each(|line| println!("    {line}"));
            }
            Event::Condensed { .. } => println!("  (old answers were left out)"),
            _ => {}
        }
    }
}
