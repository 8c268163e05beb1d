//! `evaluate run`: a model solves the instances of a data set.

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use entropo_agent::select::sampling::{Budget, StopRule};
use entropo_agent::{Agent, CancellationToken, DropObservations, Limits, RolloutJob, Rollouts, Sampling};
use entropo_core::format::swe_bench::Instance;
use entropo_core::{ExitReason, JsonlStore, RolloutId, StoreError, Task, Trajectory, TrajectoryStore};
use indicatif::{MultiProgress, ProgressBar};
use serde::{Deserialize, Serialize};

use crate::dataset::Choice;
use crate::environment::Instances;
use crate::failure::Failure;
use crate::ground::{Confinement, Grounds};
use crate::live::{self, Live};
use crate::model::ModelOptions;
use crate::settings;
use crate::submit::{Chooser, Choosing, by_task};
use crate::waves::{self, Early, Next};

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

    /// Scores that selectors read, a `ScoreRow` a line.
    pub(crate) fn scores(run: &Path) -> PathBuf {
        run.join("scores.jsonl")
    }

    /// What tests said of the code as it is, by task.
    pub(crate) fn baselines(run: &Path) -> PathBuf {
        run.join("baselines.jsonl")
    }

    pub(crate) fn predictions(run: &Path) -> PathBuf {
        run.join("predictions.jsonl")
    }

    pub(crate) fn selections(run: &Path) -> PathBuf {
        run.join("selections.json")
    }

    /// What chose the predictions.
    pub(crate) fn selector(run: &Path) -> PathBuf {
        run.join("selector.json")
    }

    pub(crate) fn settled(run: &Path) -> PathBuf {
        run.join("settled.json")
    }

    /// The tests that testers wrote, by tester.
    pub(crate) fn tests(run: &Path) -> PathBuf {
        run.join("tests.jsonl")
    }

    /// What testers did.
    pub(crate) fn testers(run: &Path) -> PathBuf {
        run.join("testers.jsonl")
    }

    pub(crate) fn tester_settings(run: &Path) -> PathBuf {
        run.join("tester-settings.json")
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
    /// Make rollouts wave by wave, and no more of an instance once its answer is settled: a budget as TOML
    /// (docs/selection.md), in the place of --rollouts.
    #[arg(long, value_name = "FILE", conflicts_with = "n")]
    budget: Option<PathBuf>,
    /// How many rollouts run at a time.
    #[arg(long, default_value_t = 4)]
    jobs: usize,
    #[command(flatten)]
    choosing: Choosing,
    #[command(flatten)]
    confinement: Confinement,
    #[command(flatten)]
    conduct: Conduct,
}

/// What an agent may do, and how its model draws.
#[derive(Debug, Args, Serialize)]
pub(crate) struct Conduct {
    /// Assistant turns at most.
    #[arg(long, default_value_t = 100)]
    max_steps: usize,
    /// Seconds at most for each rollout.
    #[arg(long, default_value_t = 3600)]
    max_seconds: u64,
    /// US dollars at most for each rollout.
    #[arg(long, requires = "prices")]
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
    pub(crate) seed: u64,
}

/// What rollouts of one directory have in common.
#[derive(Serialize)]
struct Settings<'a> {
    #[serde(flatten)]
    model: &'a ModelOptions,
    #[serde(flatten)]
    conduct: &'a Conduct,
    #[serde(flatten)]
    confinement: &'a Confinement,
}

/// How long a rollout took.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Time {
    pub(crate) id: RolloutId,
    pub(crate) seconds: f64,
}

/// What is being made, and what is there.
struct Work {
    tasks: Vec<Arc<Task>>,
    /// None if nothing is asked for.
    budget: Option<Budget>,
    seed: u64,
    store: TrajectoryStore,
    times: JsonlStore<Time>,
    chooser: Chooser,
    /// What this command began, whatever came of it.
    tried: HashSet<RolloutId>,
    unwritten: Option<StoreError>,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let instances: Vec<Arc<Instance>> = arguments.choice.read()?.into_iter().map(Arc::new).collect();
    let agent = agent(&arguments.model, &arguments.conduct)?;
    let output = &arguments.output;
    std::fs::create_dir_all(output).map_err(Failure::file(output))?;
    let Arguments { model, conduct, confinement, .. } = arguments;
    settings::keep(&files::settings(output), &Settings { model, conduct, confinement }, &instances)?;
    let tasks: Result<Vec<_>, _> = instances.iter().map(|instance| instance.to_task().map(Arc::new)).collect();
    let mut work = Work {
        tasks: tasks?,
        budget: waves::budget(arguments.budget.as_deref(), arguments.n)?,
        seed: conduct.seed,
        store: TrajectoryStore::open(files::trajectories(output))?,
        times: JsonlStore::open(files::times(output))?,
        chooser: arguments.choosing.open(output)?,
        tried: HashSet::new(),
        unwritten: None,
    };
    let lines = MultiProgress::new();
    let bar = lines.add(live::bar(work.whole() as u64, "rollouts"));
    let live = Arc::new(Live::new(lines.clone()));
    let cancel = live::cancelled_by_ctrl_c();
    let grounds = Grounds::new(confinement.clone(), arguments.choice.directory(), arguments.jobs.max(1));
    let rollouts = Rollouts::new(agent, Arc::new(Instances::new(grounds, &instances)))
        .concurrency(arguments.jobs)
        .observer(live.clone());
    let mut waits = false;
    let early = loop {
        let (jobs, early) = work.next();
        bar.set_position((work.there() + saved(&early)) as u64);
        if jobs.is_empty() || cancel.is_cancelled() {
            break early;
        }
        // Scores come from other commands: a second wave would be made whatever became of the first.
        waits = work.needs_scores() && !work.tried.is_empty();
        if waits {
            break early;
        }
        work.make(&rollouts, jobs, &live, &bar, &cancel).await;
    };
    bar.finish_and_clear();
    if let Some(error) = work.unwritten.take() {
        return Err(error.into());
    }
    let (whole, there, saved) = (work.whole(), work.there(), saved(&early));
    let settled = early.len();
    let is_asked = |task: &str| work.tasks.iter().any(|one| one.id == task);
    waves::write(output, is_asked, early)?;
    // Opened anew, as it is known only now what is settled.
    let count = arguments.choosing.open(output)?.write(output, work.store.records())?;
    println!("{there} of {whole} rollouts are made: {}", files::trajectories(output).display());
    if saved > 0 {
        println!("{saved} are not needed: the answers of {settled} tasks are settled");
    }
    if waits {
        println!(
            "a rule of the budget goes by scores: give the rollouts theirs, then the same command makes the next wave"
        );
    }
    let missing = work.tried.iter().filter(|id| !work.store.contains(id)).count();
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

fn saved(early: &[Early]) -> usize {
    early.iter().map(|one| one.saved).sum()
}

impl Work {
    /// How many rollouts there would be if no answer were settled early.
    fn whole(&self) -> usize {
        self.tasks.len() * self.each()
    }

    fn each(&self) -> usize {
        self.budget.as_ref().map_or(0, |budget| budget.rollouts.get())
    }

    /// How many of these there are.
    fn there(&self) -> usize {
        let asked: HashSet<&str> = self.tasks.iter().map(|task| task.id.as_str()).collect();
        let each = self.each();
        self.store.iter().filter(|one| one.id.rollout < each && asked.contains(one.id.task.as_str())).count()
    }

    /// Whether a rule goes by scores.
    fn needs_scores(&self) -> bool {
        let mut rules = self.budget.iter().flat_map(|budget| &budget.rules);
        rules.any(|rule| matches!(rule, StopRule::Accept { .. }))
    }

    /// The rollouts that are to be made next, and the tasks that need no more. What could not be made is not tried again.
    fn next(&self) -> (Vec<RolloutJob>, Vec<Early>) {
        let (mut jobs, mut early) = (Vec::new(), Vec::new());
        let Some(budget) = &self.budget else { return (jobs, early) };
        let mut by_task = by_task(self.store.records());
        for task in &self.tasks {
            let rollouts = by_task.remove(task.id.as_str()).unwrap_or_default();
            match waves::next(budget, &task.id, &rollouts, &self.chooser.scores(&rollouts)) {
                Next::Make(numbers) => {
                    let wanted = numbers.into_iter().map(|number| RolloutJob::new(task, number, self.seed));
                    jobs.extend(wanted.filter(|job| !self.tried.contains(&job.id)));
                }
                Next::Settled(one) => early.push(*one),
                Next::Nothing => {}
            }
        }
        (jobs, early)
    }

    /// Makes rollouts and keeps those that came to something.
    async fn make(
        &mut self,
        rollouts: &Rollouts,
        jobs: Vec<RolloutJob>,
        live: &Live,
        bar: &ProgressBar,
        cancel: &CancellationToken,
    ) {
        self.tried.extend(jobs.iter().map(|job| job.id.clone()));
        let (store, times, unwritten) = (&mut self.store, &mut self.times, &mut self.unwritten);
        let on_done = |done: &Trajectory| {
            bar.inc(1);
            // Nobody acted, or nobody knows what came of it: the next command makes it again.
            if matches!(done.exit, ExitReason::EnvironmentError | ExitReason::ModelError) {
                let error = done.error.as_deref().unwrap_or_default();
                live::say(bar, &format!("{}: {:?}, {error}", done.id, done.exit));
                return;
            }
            let time = Time { id: done.id.clone(), seconds: live.took(&done.id) };
            let kept = match times.append(&time) {
                Ok(()) => store.append(done),
                error => error,
            };
            if let Err(error) = kept {
                unwritten.get_or_insert(error);
                cancel.cancel();
            }
        };
        rollouts.run(jobs, cancel, on_done).await;
    }
}

/// The agent that acts so.
pub(crate) fn agent(model: &ModelOptions, conduct: &Conduct) -> Result<Agent, Failure> {
    let sampling = Sampling { temperature: conduct.temperature, max_tokens: conduct.max_tokens, ..Sampling::default() };
    let limits = Limits {
        max_steps: conduct.max_steps,
        max_seconds: Some(conduct.max_seconds),
        max_cost_usd: conduct.max_cost,
        announce_steps: Some(3),
        ..Limits::default()
    };
    let agent = Agent::new(model.open()?).sampling(sampling).limits(limits);
    Ok(match conduct.context {
        Some(tokens) => agent.condenser(Arc::new(DropObservations::above(tokens))),
        None => agent,
    })
}
