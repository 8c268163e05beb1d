//! Evaluates a checkpoint on unseen tasks of the repair lab.
//!
//! `cargo run --release -p repair-lab --bin evaluate-policy -- [--checkpoint DIR] --tasks 100 --rollouts 16`
#![allow(clippy::print_stdout)]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use clap::Parser;
use entropo::agent::CancellationToken;
use entropo::train::burn::tensor::Device;
use entropo::train::generate::EngineConfig;
use indicatif::ProgressBar;
use repair_lab::evaluate::evaluate;
use repair_lab::policy::Policy;
use repair_lab::rollouts::{agent, roll_out};
use repair_lab::task::Difficulty;
use repair_lab::{EVALUATION_TASKS, draw_tasks};

/// Evaluates a checkpoint on unseen tasks of the repair lab.
#[derive(Parser, Debug)]
struct Arguments {
    /// A directory that train-policy wrote; the embedded checkpoint if it is not given.
    #[arg(long)]
    checkpoint: Option<PathBuf>,
    /// Unseen tasks.
    #[arg(long, default_value_t = 100)]
    tasks: usize,
    /// Rollouts of each.
    #[arg(long, default_value_t = 16)]
    rollouts: usize,
    /// Governs tasks and sampling.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Names in use: narrow, standard or wide.
    #[arg(long, default_value = "standard")]
    difficulty: Difficulty,
    /// Prints this many rollouts.
    #[arg(long, default_value_t = 0)]
    show: usize,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let arguments = Arguments::parse();
    let device = Device::default();
    let policy = match &arguments.checkpoint {
        Some(directory) => Policy::open(directory, &device)?,
        None => Policy::embedded(&device)?,
    };
    let model = Arc::new(policy.serve("policy", EngineConfig::default())?);
    let tasks = draw_tasks(EVALUATION_TASKS, arguments.seed, arguments.tasks, &arguments.difficulty).await?;
    let scratch = tempfile::tempdir()?;
    let (store, bar, start) = (scratch.path().join("rollouts.jsonl"), ProgressBar::new(0), Instant::now());
    let cancel = CancellationToken::new();
    let made = roll_out(agent(model), &tasks, arguments.rollouts, arguments.seed, &store, &bar, &cancel).await?;
    bar.finish_and_clear();
    let seconds = start.elapsed().as_secs_f64();
    for trajectory in made.iter().flatten().take(arguments.show) {
        println!("=== {} {:?} {:?}", trajectory.id, trajectory.exit, trajectory.outcome.reward);
        for message in &trajectory.messages {
            match message {
                entropo::core::Message::Assistant(assistant) => {
                    println!("assistant> {}", assistant.raw.as_deref().unwrap_or_default());
                }
                other => println!("{}> {}", other.role(), other.content()),
            }
        }
    }
    let (arm, _) = evaluate("policy", "", &made)?;
    for (metric, interval) in &arm.metrics {
        println!("{metric:>10} {:.3} [{:.3}, {:.3}]", interval.mean, interval.low, interval.high);
    }
    let written: usize = made.iter().flatten().map(|trajectory| trajectory.usage.completion_tokens).sum();
    let count = made.iter().map(Vec::len).sum::<usize>() as f64;
    println!("{:.1} rollouts/s, {:.0} sampled tokens/s, {seconds:.1} s", count / seconds, written as f64 / seconds);
    Ok(())
}
