//! Many rollouts of one task at once, and the one to submit.
//!
//! `cargo run --release --example rollouts` makes sixteen of a repair-lab task with the embedded policy. What is finished is in
//! `--store`, one trajectory a line; the same command makes only what is missing there.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Parser;
use entropo::agent::model::http::Connection;
use entropo::agent::model::openai::OpenAi;
use entropo::agent::{Agent, CancellationToken, ChatModel, RolloutJob, Rollouts, Sampling, Selector};
use entropo::core::stats::pass_at_k;
use entropo::core::{Trajectory, TrajectoryStore};
use entropo::train::generate::EngineConfig;
use indicatif::{ProgressBar, ProgressStyle};
use repair_lab::environment::Lab;
use repair_lab::task::{Difficulty, generate};
use repair_lab::{experiment, policy::Policy, transcripts};

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
    /// Where trajectories are kept. Default: nowhere.
    #[arg(long)]
    store: Option<PathBuf>,
    /// An OpenAI-compatible server. Default: the embedded policy.
    #[arg(long, requires = "model")]
    base_url: Option<String>,
    /// The model's name at the server.
    #[arg(long)]
    model: Option<String>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let task = Arc::new(generate(arguments.seed, &Difficulty::standard())?);
    println!("{}\n", task.issue);
    let (lab, task) = (Lab::new(std::slice::from_ref(&task))?, Lab::task(&task));

    let mut store = arguments.store.as_ref().map(TrajectoryStore::open).transpose()?;
    let known = |id: &_| store.as_ref().is_some_and(|store| store.contains(id));
    let jobs = (0..arguments.n).map(|number| RolloutJob::new(&task, number, arguments.seed));
    let jobs: Vec<RolloutJob> = jobs.filter(|job| !known(&job.id)).collect();

    let bar = ProgressBar::new(arguments.n as u64).with_position((arguments.n - jobs.len()) as u64);
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} rollouts, {eta} left")?);
    let agent = Agent::new(model(&arguments)?).limits(transcripts::limits());
    let agent = agent.sampling(Sampling { max_tokens: 512, ..Sampling::default() });
    let rollouts = Rollouts::new(agent, Arc::new(lab)).concurrency(arguments.concurrency);
    let (cancel, mut unwritten) = (CancellationToken::new(), None);
    let mut made = rollouts
        .run(jobs, &cancel, |done| {
            bar.inc(1);
            if let Some(store) = &mut store
                && let Err(error) = store.append(done)
            {
                unwritten = Some(error);
                cancel.cancel();
            }
        })
        .await;
    bar.finish_and_clear();
    if let Some(error) = unwritten {
        return Err(error.into());
    }
    if let Some(store) = store {
        made = store
            .into_records()
            .into_iter()
            .filter(|one| one.id.task == task.id && one.id.rollout < arguments.n)
            .collect();
    }
    report(&made)
}

fn model(arguments: &Arguments) -> Result<Arc<dyn ChatModel>, Box<dyn Error>> {
    if let (Some(url), Some(model)) = (&arguments.base_url, &arguments.model) {
        return Ok(Arc::new(OpenAi::new(Connection::new(url), model)?));
    }
    Ok(Arc::new(Policy::embedded(&experiment::device())?.serve("repair-lab", EngineConfig::default())?))
}

fn report(made: &[Trajectory]) -> Result<(), Box<dyn Error>> {
    let solved = made.iter().filter(|one| one.is_solved()).count();
    for k in [1, 4, 16].into_iter().filter(|k| *k <= made.len()) {
        println!("pass@{k}: {:.3}", pass_at_k(made.len(), solved, k)?);
    }
    let candidates: Vec<&Trajectory> = made.iter().collect();
    let selection = Selector::hybrid().select(&candidates)?;
    let Some(chosen) = made.iter().find(|one| Some(&one.id) == selection.chosen.as_ref()) else {
        println!("no rollout can be submitted");
        return Ok(());
    };
    let verdict = if chosen.is_solved() { "solved" } else { "not solved" };
    println!("chosen: {} ({verdict}; {} were as good)\n\n{}", chosen.id, selection.tied, chosen.outcome.patch);
    Ok(())
}
