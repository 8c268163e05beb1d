//! Which of many rollouts to submit: selectors, verifiers and early stopping on unseen tasks of the repair lab.
//!
//! `cargo run --release -p repair-lab --bin study-selection`; interrupted, the same command goes on where it was.
#![allow(clippy::print_stdout)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use entropo::agent::CancellationToken;
use entropo::train::burn::tensor::Device;
use repair_lab::experiment::Screen;
use repair_lab::policy::Policy;
use repair_lab::study::{self, Settings, StudyError};

/// Compares selectors, verifiers and early stopping on unseen tasks of the repair lab.
#[derive(Parser, Debug)]
struct Arguments {
    /// Where everything goes; an interrupted study in the same place is continued.
    #[arg(long, default_value = "selection-study")]
    out: PathBuf,
    /// A checkpoint directory instead of the embedded policy.
    #[arg(long)]
    checkpoint: Option<PathBuf>,
    /// Governs tasks, sampling, subsets and training: the same seed gives the same results.json.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Unseen tasks on which rollouts are selected.
    #[arg(long, default_value_t = Settings::default().tasks)]
    tasks: usize,
    /// Rollouts of each: the largest N of best@N.
    #[arg(long, default_value_t = Settings::default().rollouts)]
    rollouts: usize,
    /// Other tasks from whose judged rollouts is learned.
    #[arg(long, default_value_t = Settings::default().known_tasks)]
    known_tasks: usize,
    /// Rollouts of each.
    #[arg(long, default_value_t = Settings::default().known_rollouts)]
    known_rollouts: usize,
    /// Passes of the trained judge over its examples.
    #[arg(long, default_value_t = Settings::default().epochs)]
    epochs: usize,
    /// Rollouts at a time; changes no result.
    #[arg(long, default_value_t = 48)]
    jobs: usize,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let cancel = CancellationToken::new();
    let interrupted = cancel.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            interrupted.cancel();
        }
    });
    match run(&arguments, &cancel).await {
        Ok(()) => {
            println!("Tables, plots and numbers: {}", study::page(&arguments.out).display());
            ExitCode::SUCCESS
        }
        Err(_) if cancel.is_cancelled() => {
            println!("Interrupted. What is finished is kept; run the same command again to go on.");
            ExitCode::from(130)
        }
        Err(error) => {
            println!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments, cancel: &CancellationToken) -> Result<(), StudyError> {
    let device = Device::default();
    let policy = match &arguments.checkpoint {
        Some(directory) => Policy::open(directory, &device)?,
        None => Policy::embedded(&device)?,
    };
    let settings = Settings {
        seed: arguments.seed,
        tasks: arguments.tasks,
        rollouts: arguments.rollouts,
        known_tasks: arguments.known_tasks,
        known_rollouts: arguments.known_rollouts,
        epochs: arguments.epochs,
        ..Settings::default()
    };
    study::run(&policy, &settings, &arguments.out, arguments.jobs, &Screen::default(), cancel).await?;
    Ok(())
}
