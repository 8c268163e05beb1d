//! Has a model solve an issue in a repository of yours, on a copy, and applies its changes if you agree.
//!
//! ```sh
//! cargo run --release --example solve -- --demo           # the embedded policy on a little broken repository
//! cargo run --release --example solve -- --base-url http://127.0.0.1:8000/v1 --model Qwen/Qwen3-8B \
//!     --repo ~/src/project --issue "Parsing an empty file panics."
//! ```
//!
//! The agent works on a copy of the files that git tracks. Its commands run as you, with a time limit and an environment of
//! their own, but nothing keeps them from the rest of your machine.
#![allow(clippy::print_stdout)]

mod model;
mod repository;

use std::error::Error;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use entropo::agent::{
    Agent, CancellationToken, Delta, DropObservations, Event, Limits, Observer, Sampling, Session, rollout_seed,
};
use entropo::core::{RolloutId, Trajectory};
use entropo::tools::workspace::apply_patch;
use entropo::tools::{CodingEpisode, LocalSandbox, coding_tools};
use repair_lab::task::{Difficulty, LabTask, generate};
use tempfile::TempDir;

use model::ModelOptions;

type Failure = Box<dyn Error + Send + Sync>;

/// Has a model solve an issue in a repository, on a copy, and applies its changes if you agree.
///
/// The exit status is 0 if the agent says that it is done.
#[derive(Parser, Debug)]
struct Arguments {
    /// The repository; its tracked files are copied, changes that are not committed included.
    #[arg(long, requires = "issue", required_unless_present = "demo")]
    repo: Option<PathBuf>,
    /// What is to be solved: the text, or @FILE.
    #[arg(long, requires = "repo")]
    issue: Option<String>,
    /// Make a little repository with a bug in the place of --repo and --issue.
    #[arg(long, conflicts_with = "repo")]
    demo: bool,
    #[command(flatten)]
    model: ModelOptions,
    /// Assistant turns at most.
    #[arg(long, default_value_t = 100)]
    max_steps: usize,
    /// Seconds at most.
    #[arg(long, default_value_t = 3600)]
    max_seconds: u64,
    /// US dollars at most; needs --prices.
    #[arg(long)]
    max_cost: Option<f64>,
    /// Leave old tool answers out when the conversation has more tokens than this.
    #[arg(long, value_name = "TOKENS")]
    context: Option<usize>,
    /// Divides the logits; 0 always takes the likeliest token.
    #[arg(long, default_value_t = 0.6)]
    temperature: f32,
    /// Longest reply in tokens.
    #[arg(long, default_value_t = 4096)]
    max_tokens: usize,
    /// Governs the sampling, and which repository --demo makes.
    #[arg(long, default_value_t = 2)]
    seed: u64,
    /// Write all that happens to this new file, as it happens.
    #[arg(long, value_name = "FILE")]
    session: Option<PathBuf>,
    /// Write the changes to this file.
    #[arg(long, value_name = "FILE")]
    patch: Option<PathBuf>,
    /// Apply the changes without asking.
    #[arg(long, conflicts_with = "no")]
    yes: bool,
    /// Do not apply the changes, and do not ask. So it is, too, if there is no terminal.
    #[arg(long)]
    no: bool,
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
    let demo = if arguments.demo { Some(Demo::new(arguments.seed)?) } else { None };
    let (repository, issue) = match (&demo, &arguments.repo, &arguments.issue) {
        (Some(demo), _, _) => (demo.place.path(), demo.task.issue.clone()),
        (None, Some(repository), Some(issue)) => (repository.as_path(), text(issue)?),
        _ => return Err("name a repository with --repo and what is wrong with it with --issue, or try --demo".into()),
    };
    if demo.is_none() && arguments.model.is_embedded() {
        return Err("the embedded policy knows the tasks of --demo only; name a model with --base-url and --model, \
                    --anthropic and --model, or --checkpoint"
            .into());
    }
    if arguments.max_cost.is_some() && !arguments.model.has_prices() {
        return Err("nobody knows what this model costs; --max-cost needs --prices".into());
    }
    println!("{}\n\n{issue}\n", repository.display());
    let workspace = repository::copy(repository).await?;
    // The user's own search path: what builds and tests the repository may lie anywhere.
    let sandbox = LocalSandbox::new(workspace.root())?.with_path(std::env::var_os("PATH").unwrap_or_default())?;
    let tools = coding_tools(Arc::new(sandbox), workspace.root())?;
    let mut episode = CodingEpisode::new(workspace, issue)?.tools(tools);
    if demo.is_some() {
        episode = episode.instructions(repair_lab::environment::SYSTEM);
    }

    let agent = agent(&arguments)?;
    let id = RolloutId::new("solve", 0);
    let begun = agent.begin(id.clone(), rollout_seed(arguments.seed, &id), &episode);
    let mut session = match &arguments.session {
        Some(file) => Session::create(file, begun)?,
        None => Session::from(begun),
    };
    let cancel = CancellationToken::new();
    stop_on_ctrl_c(cancel.clone());
    let trajectory = agent.resume(&mut session, Box::new(episode), &cancel, &Screen).await;
    show(&trajectory);
    conclude(&arguments, repository, &trajectory.outcome.patch).await?;
    if let Some(demo) = &demo {
        println!("Hidden tests: {}.", if demo.is_solved()? { "pass" } else { "fail" });
    }
    Ok(trajectory.exit.is_finished())
}

fn agent(arguments: &Arguments) -> Result<Agent, Failure> {
    let sampling =
        Sampling { temperature: arguments.temperature, max_tokens: arguments.max_tokens, ..Sampling::default() };
    let limits = Limits {
        max_steps: arguments.max_steps,
        max_seconds: Some(arguments.max_seconds),
        max_cost_usd: arguments.max_cost,
        announce_steps: (!arguments.demo).then_some(3), // the embedded policy never read such words
        ..Limits::default()
    };
    let agent = Agent::new(arguments.model.open()?).sampling(sampling).limits(limits);
    Ok(match arguments.context {
        Some(tokens) => agent.condenser(Arc::new(DropObservations::above(tokens))),
        None => agent,
    })
}

fn text(issue: &str) -> Result<String, Failure> {
    Ok(match issue.strip_prefix('@') {
        Some(file) => std::fs::read_to_string(file).map_err(|error| format!("cannot read {file}: {error}"))?,
        None => issue.to_owned(),
    })
}

fn stop_on_ctrl_c(cancel: CancellationToken) {
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            cancel.cancel();
        }
    });
}

/// Tells how it ended, and what was changed.
fn show(trajectory: &Trajectory) {
    let error = trajectory.error.as_deref().map(|error| format!(", {error}")).unwrap_or_default();
    println!("\nended: {:?}{error}", trajectory.exit);
    let usage = &trajectory.usage;
    let cost = usage.cost_nano_usd.map(|cost| format!(", {:.4} US dollars", cost as f64 / 1e9)).unwrap_or_default();
    println!(
        "{} steps, {} tokens read, {} written{cost}",
        trajectory.steps(),
        usage.prompt_tokens,
        usage.completion_tokens
    );
    println!("\n{}", trajectory.outcome.patch);
}

/// Keeps and applies the changes, if that is wanted.
async fn conclude(arguments: &Arguments, repository: &Path, patch: &str) -> Result<(), Failure> {
    if patch.is_empty() {
        println!("Nothing was changed.");
        return Ok(());
    }
    if let Some(file) = &arguments.patch {
        std::fs::write(file, patch).map_err(|error| format!("cannot write {}: {error}", file.display()))?;
        println!("The changes are in {}.", file.display());
    }
    if arguments.yes || (!arguments.no && agreed()?) {
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

/// A little repository with a bug, gone in the end.
struct Demo {
    place: TempDir,
    task: LabTask,
}

impl Demo {
    fn new(seed: u64) -> Result<Self, Failure> {
        let (place, task) = (tempfile::tempdir()?, generate(seed, &Difficulty::standard())?);
        repository::make(place.path(), &task)?;
        Ok(Self { place, task })
    }

    /// Whether what is applied is the fix that was meant; others may pass the tests that the agent sees.
    fn is_solved(&self) -> std::io::Result<bool> {
        let mut tests = std::process::Command::new("sh");
        let tests = tests.arg("-c").arg(&self.task.hidden).current_dir(self.place.path()).output()?;
        Ok(tests.status.success())
    }
}

/// Prints what happens, as it happens.
struct Screen;

impl Observer for Screen {
    fn event(&self, _: &RolloutId, event: Event<'_>) {
        match event {
            Event::TurnStarted { turn } => print!("[{turn}] "),
            Event::Writing { piece: Delta::Text(text) } => print!("{text}"),
            Event::Writing { piece: Delta::Restart } => print!("\n(broken off, asked again) "),
            Event::Replied { .. } => println!(),
            Event::CallStarted { call } => println!("  > {} {}", call.name, call.arguments),
            Event::CallReturned { result, .. } => {
                result.content.lines().take(12).for_each(|line| println!("    {line}"));
            }
            Event::Condensed { .. } => println!("(old answers are left out from here on)"),
            Event::NotCondensed { why } => println!("(the context could not be made shorter: {why})"),
            _ => {}
        }
        let _ = std::io::stdout().flush(); // who closed the screen misses nothing else
    }

    fn wants_pieces(&self) -> bool {
        true
    }
}
