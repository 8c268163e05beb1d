//! `evaluate reproduce`: tests that agents write of issues, and what rollouts score on them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use clap::Args;
use entropo_agent::select::ScoreRow;
use entropo_agent::select::scorer::Scorer;
use entropo_agent::{CancellationToken, Environment, EnvironmentError, Episode, RolloutJob, Rollouts};
use entropo_core::format::swe_bench::Instance;
use entropo_core::{ExitReason, JsonlStore, RolloutId, Task, Trajectory, TrajectoryStore};
use entropo_tools::check::Checker;
use entropo_tools::reproduction::{
    KeptTests, Reproduction, ReproductionScorer, ReproductionTest, TestRunner, TestingEpisode,
};
use entropo_tools::{Command, Sandbox, Workspace};
use futures::StreamExt;
use indicatif::MultiProgress;
use serde::{Deserialize, Serialize};

use crate::dataset::{self, Choice};
use crate::failure::Failure;
use crate::ground::{Confinement, Grounds, Places};
use crate::live::{self, Live};
use crate::model::ModelOptions;
use crate::run::{Conduct, agent, files};
use crate::score::rollouts;
use crate::settings;
use crate::submit::Choosing;

/// Has a model write tests of each issue, and scores the rollouts of a run by them: `reproduction` is how many of the tests
/// pass that fail on the code as it is.
///
/// The model is told the issue and sees the code, and neither a rollout nor a hidden test. What is written and scored is kept;
/// more --testers write more tests, by which all rollouts are scored anew. Predictions are written anew in the end.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    choice: Choice,
    /// The directory of `evaluate run`.
    #[arg(long, value_name = "DIR")]
    run: PathBuf,
    #[command(flatten)]
    model: ModelOptions,
    /// Agents that write tests of each instance.
    #[arg(long, value_name = "N", default_value_t = 1)]
    testers: usize,
    #[command(flatten)]
    runner: Runner,
    /// How many testers, and then rollouts, are at work at a time.
    #[arg(long, default_value_t = 4)]
    jobs: usize,
    #[command(flatten)]
    choosing: Choosing,
    #[command(flatten)]
    confinement: Confinement,
    #[command(flatten)]
    conduct: Conduct,
}

/// How a file of tests is run.
#[derive(Clone, Debug, Args, Serialize)]
struct Runner {
    /// The command that runs one file of tests; it finds the file's path in TEST_FILE, and its name without the extension in
    /// TEST_NAME.
    #[arg(long, value_name = "COMMAND", default_value = r#"python -m pytest -rA -p no:cacheprovider "$TEST_FILE""#)]
    test_command: String,
    /// How its output is read.
    #[arg(long, value_name = "FORMAT", default_value = "pytest")]
    test_log: String,
    /// Where files of tests lie; {id} stands for what tells them apart.
    #[arg(long, value_name = "PATH", default_value = "tests/test_reproduction_{id}.py")]
    test_path: String,
    /// How often a test must fail on the code as it is, and pass on a rollout's.
    #[arg(long, value_name = "N", default_value = "2")]
    repetitions: NonZeroUsize,
}

/// What one tester wrote.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Written {
    id: RolloutId,
    tests: Vec<ReproductionTest>,
}

/// What all testers of a run must have in common.
#[derive(Serialize)]
struct Settings<'a> {
    #[serde(flatten)]
    model: &'a ModelOptions,
    #[serde(flatten)]
    runner: &'a Runner,
    #[serde(flatten)]
    conduct: &'a Conduct,
    #[serde(flatten)]
    confinement: &'a Confinement,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let instances: Vec<Arc<Instance>> = arguments.choice.read()?.into_iter().map(Arc::new).collect();
    let Arguments { model, runner, conduct, confinement, run: directory, .. } = arguments;
    let range = Arc::new(Range::new(arguments, &instances)?);
    let candidates = rollouts(directory)?;
    let has_rollouts: HashSet<&str> = candidates.iter().map(|one| one.id.task.as_str()).collect();
    let instances: Vec<_> = instances.into_iter().filter(|one| has_rollouts.contains(one.id())).collect();
    if instances.is_empty() {
        return Err(Failure::Asked(format!("{} has no rollout of these instances", directory.display())));
    }
    let settings = Settings { model, runner, conduct, confinement };
    settings::keep(&files::tester_settings(directory), &settings, &instances)?;

    let cancel = live::cancelled_by_ctrl_c();
    let unwritten = write(arguments, &range, &instances, &cancel).await?;
    let unscored = score(arguments, &range, &candidates, &cancel).await?;
    let predictions = arguments.choosing.open(directory)?.write(directory, &candidates)?;
    println!("{predictions} predictions: {}", files::predictions(directory).display());
    if cancel.is_cancelled() {
        println!("interrupted; the same command goes on from there");
        return Ok(ExitCode::from(130));
    }
    Ok(if unwritten + unscored == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Has testers write tests, and says how many could not.
async fn write(
    arguments: &Arguments,
    range: &Arc<Range>,
    instances: &[Arc<Instance>],
    cancel: &CancellationToken,
) -> Result<usize, Failure> {
    let directory = &arguments.run;
    let mut written = JsonlStore::<Written>::open(files::tests(directory))?;
    let mut store = TrajectoryStore::open(files::testers(directory))?;
    let there: HashSet<RolloutId> = written.iter().map(|one| one.id.clone()).collect();
    let mut jobs = Vec::new();
    for instance in instances {
        let task = Arc::new(instance.to_task()?);
        let wanted = (0..arguments.testers).map(|number| RolloutJob::new(&task, number, arguments.conduct.seed));
        jobs.extend(wanted.filter(|job| !there.contains(&job.id)));
    }
    forget(arguments, &jobs)?;
    let lines = MultiProgress::new();
    let bar = lines.add(live::bar(jobs.len() as u64, "testers"));
    let live = Arc::new(Live::new(lines.clone()));
    let testers =
        Rollouts::new(agent(&arguments.model, &arguments.conduct)?, Arc::clone(range) as Arc<dyn Environment>)
            .concurrency(arguments.jobs)
            .observer(live.clone());
    let (mut left, mut unwritten) = (jobs.len(), None);
    let on_done = |done: &Trajectory| {
        bar.inc(1);
        let (tests, failure) = range.take(&done.id);
        if let Some(reason) = failure {
            return live::say(&bar, &format!("{}: a test could not be run, {reason}", done.id));
        }
        if matches!(done.exit, ExitReason::EnvironmentError | ExitReason::ModelError) {
            let error = done.error.as_deref().unwrap_or_default();
            return live::say(&bar, &format!("{}: {:?}, {error}", done.id, done.exit));
        }
        live::say(&bar, &format!("{}: {} tests are kept", done.id, tests.len()));
        // The tests come last: what has them is not made again.
        let kept = if store.contains(&done.id) { Ok(()) } else { store.append(done) };
        let kept = match kept {
            Ok(()) => written.append(&Written { id: done.id.clone(), tests }),
            error => error,
        };
        match kept {
            Ok(()) => left -= 1,
            Err(error) => {
                unwritten.get_or_insert(error);
                cancel.cancel();
            }
        }
    };
    testers.run(jobs, cancel, on_done).await;
    bar.finish_and_clear();
    if let Some(error) = unwritten {
        return Err(error.into());
    }
    let tests: usize = written.iter().map(|one| one.tests.len()).sum();
    println!("{tests} tests: {}", files::tests(directory).display());
    if left > 0 && !cancel.is_cancelled() {
        println!("{left} testers did not come to anything; the same command tries them again");
    }
    Ok(left)
}

/// Takes away the scores of tasks that get new tests, before there are any.
fn forget(arguments: &Arguments, jobs: &[RolloutJob]) -> Result<(), Failure> {
    let tasks: BTreeSet<&str> = jobs.iter().map(|job| job.id.task.as_str()).collect();
    let mut scores = JsonlStore::<ScoreRow>::open(files::scores(&arguments.run))?;
    scores.retain(|row| row.name != ReproductionScorer::NAME || !tasks.contains(row.rollout.task.as_str()))?;
    Ok(())
}

/// Scores the rollouts that have no score yet, and says how many could not be.
async fn score(
    arguments: &Arguments,
    range: &Arc<Range>,
    candidates: &[Trajectory],
    cancel: &CancellationToken,
) -> Result<usize, Failure> {
    let directory = &arguments.run;
    let mut tests = BTreeMap::<String, Vec<ReproductionTest>>::new();
    for one in JsonlStore::<Written>::open(files::tests(directory))?.into_records() {
        tests.entry(one.id.task).or_default().extend(one.tests);
    }
    let mut scores = JsonlStore::<ScoreRow>::open(files::scores(directory))?;
    let scored: HashSet<RolloutId> =
        scores.iter().filter(|row| row.name == ReproductionScorer::NAME).map(|row| row.rollout.clone()).collect();
    let has_tests = |one: &&Trajectory| tests.get(&one.id.task).is_some_and(|tests| !tests.is_empty());
    let asked: Vec<&Trajectory> =
        candidates.iter().filter(|one| range.instances.contains_key(&one.id.task)).filter(has_tests).collect();
    let left: Vec<&Trajectory> = asked.iter().copied().filter(|one| !scored.contains(&one.id)).collect();
    let bar = live::bar(left.len() as u64, "scored");
    let mut missing = left.len();
    let mut made = futures::stream::iter(left)
        .map(|one| {
            let tests = tests.get(&one.id.task).cloned().unwrap_or_default();
            async move { (one, range.score(one, tests, cancel).await) }
        })
        .buffer_unordered(arguments.jobs.max(1));
    while let Some((one, score)) = made.next().await {
        bar.inc(1);
        match score {
            Ok((value, highest)) => {
                live::say(&bar, &format!("{}: {value} of {highest}", one.id));
                let name = ReproductionScorer::NAME.to_owned();
                scores.append(&ScoreRow { rollout: one.id.clone(), name, value })?;
                missing -= 1;
            }
            Err(_) if cancel.is_cancelled() => {}
            Err(reason) => live::say(&bar, &format!("{}: no score, {reason}", one.id)),
        }
    }
    bar.finish_and_clear();
    println!(
        "{} of {} rollouts are scored: {}",
        asked.len() - missing,
        asked.len(),
        files::scores(directory).display()
    );
    Ok(missing)
}

/// Where tests are written and run.
struct Range {
    grounds: Arc<Grounds>,
    instances: HashMap<String, Arc<Instance>>,
    runner: TestRunner,
    repetitions: NonZeroUsize,
    /// The tests of testers that are at work.
    kept: Mutex<HashMap<RolloutId, KeptTests>>,
}

impl Range {
    fn new(arguments: &Arguments, instances: &[Arc<Instance>]) -> Result<Self, Failure> {
        let jobs = arguments.jobs.max(1);
        let grounds = Grounds::new(arguments.confinement.clone(), arguments.choice.directory(), jobs);
        let Runner { test_command, test_log, test_path, repetitions } = &arguments.runner;
        let format = dataset::log_format(test_log)
            .ok_or_else(|| Failure::Asked(format!("--test-log {test_log}: {}", dataset::known_formats())))?;
        let command = Command::script(test_command).timeout(grounds.test_time());
        let runner = TestRunner::new(command, format, test_path)
            .map_err(|error| Failure::Asked(format!("--test-path: {error}")))?;
        let instances = instances.iter().map(|one| (one.id().to_owned(), Arc::clone(one))).collect();
        Ok(Self { grounds: Arc::new(grounds), instances, runner, repetitions: *repetitions, kept: Mutex::default() })
    }

    fn instance(&self, task: &str) -> Result<&Arc<Instance>, Failure> {
        self.instances.get(task).ok_or_else(|| Failure::task(task, "there is no such row"))
    }

    async fn reproduction(&self, instance: &Arc<Instance>) -> Result<Reproduction, Failure> {
        let files = self.grounds.files(instance).await?;
        let places = Places { grounds: Arc::clone(&self.grounds), instance: Arc::clone(instance) };
        let checker = Checker::new((*files).clone()).sandboxes(places).repetitions(self.repetitions);
        Ok(Reproduction::new(checker, self.runner.clone()))
    }

    async fn place(&self, task: &Task) -> Result<TestingEpisode, Box<dyn std::error::Error + Send + Sync>> {
        let instance = self.instance(&task.id)?;
        let files = self.grounds.files(instance).await?;
        let workspace = Workspace::of((*files).clone()).await?;
        let sandbox: Arc<dyn Sandbox> = Arc::from(self.grounds.open(instance, workspace.root()).await?);
        Ok(TestingEpisode::new(&self.reproduction(instance).await?, workspace, sandbox, &task.problem)?)
    }

    /// The tests of a tester that is done, and why one could not be run.
    fn take(&self, id: &RolloutId) -> (Vec<ReproductionTest>, Option<String>) {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).remove(id).unwrap_or_default();
        (kept.tests(), kept.failure())
    }

    /// The score of a rollout, and the highest there is.
    async fn score(
        &self,
        rollout: &Trajectory,
        tests: Vec<ReproductionTest>,
        cancel: &CancellationToken,
    ) -> Result<(f64, usize), String> {
        let instance = self.instance(&rollout.id.task).map_err(|error| error.to_string())?;
        let reproduction = self.reproduction(instance).await.map_err(|error| error.to_string())?;
        let scorer = reproduction.scorer(tests);
        let score = scorer.score(rollout, cancel).await.map_err(|error| error.to_string())?;
        Ok((score.ok_or("there are no tests")?, scorer.highest()))
    }
}

#[async_trait]
impl Environment for Range {
    async fn open(&self, task: &Task, id: &RolloutId, _: u64) -> Result<Box<dyn Episode>, EnvironmentError> {
        let episode = self.place(task).await.map_err(|source| EnvironmentError { task: task.id.clone(), source })?;
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), episode.kept());
        Ok(Box::new(episode))
    }
}
