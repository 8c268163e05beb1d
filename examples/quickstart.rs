//! The whole of entropo on one page: an agent repairs little shell repositories, learns from its own rollouts with
//! EntroPO, and is compared with where it started and with M-DPO at the same strength.
//!
//! `cargo run --release --example quickstart`: no arguments, no network, no key. Stop it with Ctrl-C; the same command
//! goes on where it was.
#![allow(clippy::print_stdout)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use entropo::agent::{CancellationToken, Event, Observer};
use entropo::core::RolloutId;
use repair_lab::experiment::{self, ExperimentError, Files, Screen, Settings};
use repair_lab::policy::Policy;
use repair_lab::results::Results;
use repair_lab::rollouts::RolloutError;

/// An agent repairs little shell repositories, learns from its own rollouts, and is compared with its control.
#[derive(Parser, Debug)]
struct Arguments {
    /// Governs tasks, sampling, pairs and order: the same seed gives the same results.json.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Where everything goes; an interrupted run in the same place is continued.
    #[arg(long, default_value = "quickstart-report")]
    out: PathBuf,
    /// A checkpoint directory instead of the embedded policy.
    #[arg(long)]
    checkpoint: Option<PathBuf>,
    /// Tasks whose rollouts become preferences.
    #[arg(long, default_value_t = Settings::default().training_tasks)]
    training_tasks: usize,
    /// Rollouts of each of these tasks.
    #[arg(long, default_value_t = Settings::default().training_rollouts)]
    training_rollouts: usize,
    /// Unseen tasks on which the policies are compared.
    #[arg(long, default_value_t = Settings::default().evaluation_tasks)]
    evaluation_tasks: usize,
    /// Rollouts of each unseen task: the N of pass@N and best@N.
    #[arg(long, default_value_t = Settings::default().rollouts)]
    rollouts: usize,
    /// Passes over the preference pairs.
    #[arg(long, default_value_t = Settings::default().epochs)]
    epochs: usize,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let cancel = CancellationToken::new();
    stop_on_ctrl_c(cancel.clone());
    match run(&arguments, &cancel).await {
        Ok(results) => {
            print_table(&results);
            println!("\nThe page with plots and trajectories: {}", Files::new(&arguments.out).page().display());
            ExitCode::SUCCESS
        }
        Err(ExperimentError::Rollout(RolloutError::Interrupted)) => {
            println!("Interrupted. What is finished is kept; run the same command again to go on.");
            ExitCode::from(130)
        }
        Err(error) => {
            println!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments, cancel: &CancellationToken) -> Result<Results, ExperimentError> {
    let device = experiment::device();
    let policy = match &arguments.checkpoint {
        Some(directory) => Policy::open(directory, &device)?,
        None => Policy::embedded(&device)?,
    };
    let settings = Settings {
        seed: arguments.seed,
        training_tasks: arguments.training_tasks,
        training_rollouts: arguments.training_rollouts,
        evaluation_tasks: arguments.evaluation_tasks,
        rollouts: arguments.rollouts,
        epochs: arguments.epochs,
        ..Settings::default()
    };
    let files = Files::new(&arguments.out);
    experiment::run(&policy, &settings, &files, &Screen::default(), &Live, cancel).await
}

fn stop_on_ctrl_c(cancel: CancellationToken) {
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            cancel.cancel();
        }
    });
}

/// Prints a rollout as it happens.
struct Live;

impl Observer for Live {
    fn event(&self, rollout: &RolloutId, event: Event<'_>) {
        match event {
            Event::TurnStarted { turn: 0 } => println!("\n{rollout}"),
            Event::Replied { message, .. } if !message.content.is_empty() => println!("\n  {}", message.content),
            Event::CallReturned { call, result } => {
                let arguments = call.arguments.as_object().into_iter().flatten();
                let arguments: Vec<String> = arguments.map(|(name, value)| format!("{name}={value}")).collect();
                println!("  > {} {}", call.name, arguments.join(" "));
                result.content.lines().for_each(|line| println!("    {line}"));
            }
            Event::Finished { trajectory } => {
                let verdict = if trajectory.is_solved() { "pass" } else { "fail" };
                println!("\n  ended: {:?}; hidden tests: {verdict}", trajectory.exit);
                trajectory.outcome.patch.lines().for_each(|line| println!("    {line}"));
                println!();
            }
            _ => {}
        }
    }
}

fn print_table(results: &Results) {
    let n = results.rollouts;
    let columns = [
        "pass@1".to_owned(),
        format!("pass@{n}"),
        format!("best@{n}"),
        "patches".to_owned(),
        "visible".to_owned(),
        "bad_calls".to_owned(),
    ];
    println!("\n{} unseen tasks, {n} rollouts each; means with 95 % intervals over tasks", results.evaluation_tasks);
    println!("{:<10}{}", "", columns.iter().map(|column| format!("{column:>22}")).collect::<String>());
    for arm in &results.arms {
        let cells = columns.iter().filter_map(|column| arm.metrics.get(column)).map(|interval| {
            format!("{:>22}", format!("{:.3} [{:.3}, {:.3}]", interval.mean, interval.low, interval.high))
        });
        println!("{:<10}{}   {}", arm.name, cells.collect::<String>(), arm.training);
    }
    println!("\nDifferences on the same tasks and seeds ({} preference pairs):", results.preferences.pairs);
    for difference in results
        .differences
        .iter()
        .filter(|difference| columns.iter().take(3).any(|column| *column == difference.metric))
    {
        let interval = &difference.interval;
        let verdict = if interval.low > 0.0 || interval.high < 0.0 { "" } else { "  not resolved" };
        println!(
            "  {:<8} - {:<6} {:<8} {:+.3} [{:+.3}, {:+.3}]{verdict}",
            difference.arm, difference.control, difference.metric, interval.mean, interval.low, interval.high
        );
    }
}
