//! `evaluate run`: a model solves the instances of a data set.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use entropo_agent::{Agent, DropObservations, Limits, RolloutJob, Rollouts, Sampling};
use entropo_core::format::swe_bench::{Instance, Prediction};
use entropo_core::{ExitReason, JsonlStore, RolloutId, TrajectoryStore};
use indicatif::MultiProgress;
use serde::{Deserialize, Serialize};

use crate::dataset::Choice;
use crate::environment::Instances;
use crate::failure::Failure;
use crate::ground::{Confinement, Grounds};
use crate::live::{self, Live};
use crate::model::ModelOptions;
use crate::{report, submit};

/// What is in the directory of a run.
pub(crate) mod files {
    use std::path::{Path, PathBuf};

    pub(crate) fn trajectories(run: &Path) -> PathBuf {
        run.join("trajectories.jsonl")
    }

    pub(crate) fn times(run: &Path) -> PathBuf {
        run.join("times.jsonl")
    }

    pub(crate) fn grades(run: &Path) -> PathBuf {
        run.join("grades.jsonl")
    }

    pub(crate) fn predictions(run: &Path) -> PathBuf {
        run.join("predictions.jsonl")
    }

    pub(super) fn settings(run: &Path) -> PathBuf {
        run.join("settings.json")
    }
}

/// Has a model solve instances, several times each, and writes the predictions that SWE-bench's harness takes.
///
/// What is finished is kept: the same command makes only what is missing. Stop it with Ctrl-C, or kill it.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    choice: Choice,
    #[command(flatten)]
    model: ModelOptions,
    /// Where trajectories and predictions go.
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// Rollouts of each instance.
    #[arg(short, long = "rollouts", value_name = "N", default_value_t = 1)]
    n: usize,
    /// How many rollouts run at a time.
    #[arg(long, default_value_t = 4)]
    jobs: usize,
    #[command(flatten)]
    confinement: Confinement,
    /// Assistant turns at most.
    #[arg(long, default_value_t = 100)]
    max_steps: usize,
    /// Seconds at most for each rollout.
    #[arg(long, default_value_t = 3600)]
    max_seconds: u64,
    /// US dollars at most for each rollout; needs --prices.
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
    /// Every rollout's seed follows from this and the rollout's name.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// What rollouts of one directory have in common.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Settings {
    model: String,
    temperature: f32,
    max_tokens: usize,
    max_steps: usize,
    seed: u64,
}

/// How long a rollout took.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Time {
    pub(crate) id: RolloutId,
    pub(crate) seconds: f64,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let instances: Vec<Arc<Instance>> = arguments.choice.read()?.into_iter().map(Arc::new).collect();
    let agent = agent(arguments)?;
    let output = &arguments.output;
    std::fs::create_dir_all(output).map_err(Failure::file(output))?;
    settings(arguments)?;
    let mut store = TrajectoryStore::open(files::trajectories(output))?;
    let mut times = JsonlStore::<Time>::open(files::times(output))?;

    let mut jobs = Vec::new();
    for instance in &instances {
        let task = Arc::new(instance.to_task()?);
        let wanted = (0..arguments.n).map(|number| RolloutJob::new(&task, number, arguments.seed));
        jobs.extend(wanted.filter(|job| !store.contains(&job.id)));
    }
    let (left, whole) = (jobs.len(), instances.len() * arguments.n);
    let lines = MultiProgress::new();
    let bar = lines.add(live::bar(whole as u64, "rollouts").with_position((whole - left) as u64));
    let live = Arc::new(Live::new(lines.clone()));
    let cancel = live::cancelled_by_ctrl_c();
    let grounds = Grounds::new(arguments.confinement.clone(), arguments.choice.directory(), arguments.jobs.max(1));
    let rollouts = Rollouts::new(agent, Arc::new(Instances::new(grounds, &instances)))
        .concurrency(arguments.jobs)
        .observer(live.clone());
    let mut unwritten = None;
    let made = rollouts
        .run(jobs, &cancel, |done| {
            bar.inc(1);
            // Nobody acted, or nobody knows what came of it: the next command makes it again.
            if matches!(done.exit, ExitReason::EnvironmentError | ExitReason::ModelError) {
                let error = done.error.as_deref().unwrap_or_default();
                live::say(&bar, &format!("{}: {:?}, {error}", done.id, done.exit));
                return;
            }
            let time = Time { id: done.id.clone(), seconds: live.took(&done.id) };
            let mut keep = |error| {
                unwritten.get_or_insert(error);
                cancel.cancel();
            };
            match times.append(&time) {
                Ok(()) => store.append(done).unwrap_or_else(keep),
                Err(error) => keep(error),
            }
        })
        .await;
    bar.finish_and_clear();
    if let Some(error) = unwritten {
        return Err(error.into());
    }
    let count = predictions(output, &instances, &store)?;
    let missing = made.iter().filter(|one| !store.contains(&one.id)).count();
    println!("{} of {whole} rollouts are made: {}", whole - missing, files::trajectories(output).display());
    if missing > 0 {
        println!("{missing} could not be made; the same command tries them again");
    }
    println!("{count} predictions: {}", files::predictions(output).display());
    if cancel.is_cancelled() {
        println!("interrupted; the same command goes on from there");
        return Ok(ExitCode::from(130));
    }
    Ok(if missing == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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
    let agent = Agent::new(arguments.model.open()?).sampling(sampling).limits(limits);
    Ok(match arguments.context {
        Some(tokens) => agent.condenser(Arc::new(DropObservations::above(tokens))),
        None => agent,
    })
}

/// Refuses to mix rollouts of different settings.
fn settings(arguments: &Arguments) -> Result<(), Failure> {
    let Arguments { temperature, max_tokens, max_steps, seed, .. } = *arguments;
    let now = Settings { model: arguments.model.model.clone(), temperature, max_tokens, max_steps, seed };
    let path = files::settings(&arguments.output);
    if !path.exists() {
        return report::put(&path, &serde_json::to_string_pretty(&now).map_err(Failure::json(&path))?);
    }
    let text = std::fs::read_to_string(&path).map_err(Failure::file(&path))?;
    let then: Settings = serde_json::from_str(&text).map_err(Failure::json(&path))?;
    if now == then {
        return Ok(());
    }
    Err(Failure::Asked(format!(
        "{} was begun with other settings ({then:?}); go on with those, or name another --output",
        arguments.output.display()
    )))
}

/// Writes the rollout of each instance that the selector submits.
fn predictions(output: &Path, instances: &[Arc<Instance>], store: &TrajectoryStore) -> Result<usize, Failure> {
    let path = files::predictions(output);
    let chosen = submit::choose(store.records())?;
    let wanted = chosen.into_iter().filter(|one| instances.iter().any(|instance| instance.id() == one.id.task));
    let lines: Vec<String> = wanted.map(|one| Prediction::of(one).to_value().to_string() + "\n").collect();
    report::put(&path, &lines.concat())?;
    Ok(lines.len())
}
