//! Many rollouts of one task at once, and the one to submit.
//!
//! `cargo run --release --example rollouts` makes sixteen of a repair-lab task with the embedded policy. What is finished is in
//! `--store`, one trajectory a line; the same command makes only what is missing there, whether the last one ended, was stopped
//! with Ctrl-C or killed.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use entropo::agent::model::http::{ApiKey, Connection};
use entropo::agent::model::openai::OpenAi;
use entropo::agent::{CancellationToken, ChatModel, RolloutJob, Rollouts, Selector};
use entropo::core::stats::pass_at_k;
use entropo::core::{ExitReason, Trajectory, TrajectoryStore};
use entropo::train::generate::EngineConfig;
use indicatif::{ProgressBar, ProgressStyle};
use repair_lab::environment::Lab;
use repair_lab::task::{Difficulty, generate};
use repair_lab::{experiment, policy::Policy, rollouts};

/// Many rollouts of one task, and the one to submit.
#[derive(Parser, Debug)]
struct Arguments {
    /// How many.
    #[arg(short, default_value_t = 16)]
    n: usize,
    /// How many run at a time.
    #[arg(long, default_value_t = 8)]
    concurrency: usize,
    /// Which task, and the seed of every rollout.
    #[arg(long, default_value_t = 3)]
    seed: u64,
    /// Where trajectories are kept; one store for each model. Default: nowhere.
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
    /// An OpenAI-compatible server, whose key, if it wants one, is in $OPENAI_API_KEY. Default: the embedded policy.
    #[arg(long, requires = "model")]
    base_url: Option<String>,
    /// The model's name at the server.
    #[arg(long)]
    model: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let lab_task = Arc::new(generate(arguments.seed, &Difficulty::standard())?);
    let (lab, task) = (Lab::new(std::slice::from_ref(&lab_task))?, Lab::task(&lab_task));
    println!("{}\n", task.problem);

    let mut store = arguments.store.as_ref().map(TrajectoryStore::open).transpose()?;
    let known = |id: &_| store.as_ref().is_some_and(|store| store.contains(id));
    let wanted = (0..arguments.n).map(|number| RolloutJob::new(&task, number, arguments.seed));
    let jobs: Vec<RolloutJob> = wanted.filter(|job| !known(&job.id)).collect();
    let bar = ProgressBar::new(arguments.n as u64).with_position((arguments.n - jobs.len()) as u64);
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} rollouts, {eta} left")?);

    let rollouts = Rollouts::new(rollouts::agent(model(arguments)?), Arc::new(lab)).concurrency(arguments.concurrency);
    let (cancel, mut unwritten) = (CancellationToken::new(), None);
    stop_on_ctrl_c(cancel.clone());
    let mut made = rollouts
        .run(jobs, &cancel, |done| {
            bar.inc(1);
            if let Some(store) = &mut store
                && let Err(error) = store.append(done)
            {
                unwritten.get_or_insert(error);
                cancel.cancel();
            }
        })
        .await;
    bar.finish_and_clear();
    if let Some(error) = unwritten {
        return Err(error.into());
    }
    if let Some(store) = store {
        made = store.into_records();
    }
    made.retain(|one| one.id.task == task.id && one.id.rollout < arguments.n && one.exit != ExitReason::Cancelled);
    if cancel.is_cancelled() {
        println!("Interrupted; with --store the same command goes on.");
    }
    report(&made)
}

fn model(arguments: &Arguments) -> Result<Arc<dyn ChatModel>, Box<dyn Error>> {
    if let (Some(url), Some(model)) = (&arguments.base_url, &arguments.model) {
        let key = std::env::var("OPENAI_API_KEY").map_or_else(|_| ApiKey::none(), ApiKey::fixed);
        return Ok(Arc::new(OpenAi::new(Connection::new(url).api_key(key), model)?));
    }
    Ok(Arc::new(Policy::embedded(&experiment::device())?.serve("repair-lab", EngineConfig::default())?))
}

fn stop_on_ctrl_c(cancel: CancellationToken) {
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            cancel.cancel();
        }
    });
}

/// How often it went well, and which rollout the selector submits; it does not look at the hidden tests.
fn report(made: &[Trajectory]) -> Result<(), Box<dyn Error>> {
    let solved = made.iter().filter(|one| one.is_solved()).count();
    println!("{solved} of {} rollouts pass the hidden tests", made.len());
    for k in [1, 2, 4, 8, 16].into_iter().filter(|k| *k <= made.len()) {
        println!("pass@{k}: {:.3}", pass_at_k(made.len(), solved, k)?);
    }
    let candidates: Vec<&Trajectory> = made.iter().collect();
    let selection = Selector::hybrid().select(&candidates)?;
    let Some(chosen) = made.iter().find(|one| Some(&one.id) == selection.chosen.as_ref()) else {
        println!("there is no rollout to submit");
        return Ok(());
    };
    let verdict = if chosen.is_solved() { "pass" } else { "fail" };
    println!("submitted: {}, one of {} that were as good; hidden tests: {verdict}", chosen.id, selection.tied);
    println!("\n{}", chosen.outcome.patch);
    Ok(())
}
