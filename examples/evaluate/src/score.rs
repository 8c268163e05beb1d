//! `evaluate score`: rollouts, scored by the tests that a repository has itself.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use entropo_agent::CancellationToken;
use entropo_agent::select::ScoreRow;
use entropo_agent::select::scorer::Scorer;
use entropo_core::format::swe_bench::Instance;
use entropo_core::{JsonlStore, RolloutId, Trajectory, TrajectoryStore};
use entropo_tools::Command;
use entropo_tools::check::{Check, Checker, RegressionScorer, TestReport};
use futures::{Stream, StreamExt};
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};

use crate::dataset::{self, Choice};
use crate::digest::{self, digest};
use crate::failure::Failure;
use crate::ground::{Confinement, Grounds, Places};
use crate::live;
use crate::run::files;
use crate::submit::Choosing;

/// Scores the rollouts of a run by their repository's own tests: `regression` is how many of the tests that pass on the code
/// as it is pass on the rollout's patch, too.
///
/// A row's `test` command is run without its hidden tests, so a selector may go by the scores. Rows are those of our own
/// format. What has a score is not run again; predictions are written anew in the end.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    choice: Choice,
    /// The directory of `evaluate run`.
    #[arg(long, value_name = "DIR")]
    run: PathBuf,
    /// How often tests run on the code as it is: those that do not always end alike are left out.
    #[arg(long, value_name = "N", default_value = "2")]
    repetitions: NonZeroUsize,
    /// How many rollouts are scored at a time.
    #[arg(long, default_value_t = 4)]
    jobs: usize,
    #[command(flatten)]
    choosing: Choosing,
    #[command(flatten)]
    confinement: Confinement,
}

/// What tests said of the code as it is. It is kept, so that all rollouts of a task are held against the same.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Baseline {
    task: String,
    report: TestReport,
    /// A hash of how they were run; not known of those that older versions kept.
    #[serde(default)]
    basis: Option<String>,
}

/// What is needed to score.
struct Range<'a> {
    grounds: Arc<Grounds>,
    repetitions: NonZeroUsize,
    /// How the tests of each task are run now.
    bases: BTreeMap<String, String>,
    jobs: usize,
    bar: &'a ProgressBar,
    cancel: &'a CancellationToken,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let instances: BTreeMap<String, Arc<Instance>> =
        arguments.choice.read()?.into_iter().map(|one| (one.id().to_owned(), Arc::new(one))).collect();
    let directory = &arguments.run;
    let rollouts = rollouts(directory)?;
    let bases = bases(arguments, instances.values())?;
    let mut scores = JsonlStore::<ScoreRow>::open(files::scores(directory))?;
    let outdated = forget(&files::baselines(directory), &bases, &mut scores)?;
    if outdated > 0 {
        println!("the tests of {outdated} tasks are run otherwise than before: their scores are made anew");
    }
    let scored: HashSet<&RolloutId> =
        scores.iter().filter(|row| row.name == RegressionScorer::NAME).map(|row| &row.rollout).collect();
    let asked: Vec<(&Arc<Instance>, &Trajectory)> =
        rollouts.iter().filter_map(|one| Some((instances.get(&one.id.task)?, one))).collect();
    if asked.is_empty() {
        let words = format!("{} has no rollout of these instances", directory.display());
        return Err(Failure::Asked(words));
    }
    let left: Vec<_> = asked.iter().copied().filter(|(_, one)| !scored.contains(&one.id)).collect();

    let cancel = live::cancelled_by_ctrl_c();
    let bar = live::bar(left.len() as u64, "scored");
    let jobs = arguments.jobs.max(1);
    let grounds = Arc::new(Grounds::new(arguments.confinement.clone(), arguments.choice.directory(), jobs));
    let range = Range { grounds, repetitions: arguments.repetitions, bases, jobs, bar: &bar, cancel: &cancel };
    let baselines = range.baselines(directory, &left).await?;
    let mut made = range.scores(&left, &baselines);
    let mut count = 0;
    while let Some(row) = made.next().await {
        if let Some(row) = row {
            scores.append(&row)?;
            count += 1;
        }
    }
    drop(made);
    bar.finish_and_clear();
    drop(scores); // read by the selector
    let predictions = arguments.choosing.open(directory)?.write(directory, &rollouts)?;
    let missing = left.len() - count;
    println!(
        "{} of {} rollouts are scored: {}",
        asked.len() - missing,
        asked.len(),
        files::scores(directory).display()
    );
    println!("{predictions} predictions: {}", files::predictions(directory).display());
    if cancel.is_cancelled() {
        println!("interrupted; the same command goes on from there");
        return Ok(ExitCode::from(130));
    }
    Ok(if missing == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// How the tests of each instance are run, as a hash.
fn bases<'a>(
    arguments: &Arguments,
    instances: impl Iterator<Item = &'a Arc<Instance>>,
) -> Result<BTreeMap<String, String>, Failure> {
    let repetitions = arguments.repetitions.to_string();
    let basis = |instance: &Arc<Instance>| {
        let (row, place) = (digest::row(instance)?, arguments.confinement.basis(instance)?);
        Ok((instance.id().to_owned(), digest(&[&row, &place, &repetitions])))
    };
    instances.map(basis).collect()
}

/// Takes away what is known of tasks whose tests are run otherwise now, and their scores. Says how many these are.
fn forget(
    baselines: &Path,
    bases: &BTreeMap<String, String>,
    scores: &mut JsonlStore<ScoreRow>,
) -> Result<usize, Failure> {
    let mut store = JsonlStore::<Baseline>::open(baselines)?;
    let is_other =
        |one: &Baseline| one.basis.is_some() && bases.get(&one.task).is_some_and(|now| one.basis.as_ref() != Some(now));
    let outdated: BTreeSet<String> = store.iter().filter(|one| is_other(one)).map(|one| one.task.clone()).collect();
    // Scores first: without a baseline nobody would know that they are of another one.
    scores.retain(|row| row.name != RegressionScorer::NAME || !outdated.contains(&row.rollout.task))?;
    store.retain(|one| !outdated.contains(&one.task))?;
    Ok(outdated.len())
}

/// The rollouts of a run.
pub(crate) fn rollouts(directory: &Path) -> Result<Vec<Trajectory>, Failure> {
    let path = files::trajectories(directory);
    if !path.exists() {
        let words = format!("{} is no directory of `evaluate run`: it has no trajectories.jsonl", directory.display());
        return Err(Failure::Asked(words));
    }
    Ok(TrajectoryStore::open(path)?.into_records())
}

impl Range<'_> {
    /// What passes on the code as it is, of each task that rollouts are of. A task of which that cannot be told is not in it.
    async fn baselines(
        &self,
        directory: &Path,
        rollouts: &[(&Arc<Instance>, &Trajectory)],
    ) -> Result<BTreeMap<String, TestReport>, Failure> {
        let mut store = JsonlStore::<Baseline>::open(files::baselines(directory))?;
        let mut known: BTreeMap<String, TestReport> =
            store.iter().map(|one| (one.task.clone(), one.report.clone())).collect();
        let tasks: BTreeMap<&str, &Arc<Instance>> =
            rollouts.iter().map(|(instance, _)| (instance.id(), *instance)).collect();
        let left: Vec<_> = tasks.into_values().filter(|one| !known.contains_key(one.id())).collect();
        let mut found = futures::stream::iter(left)
            .map(|instance| async move { (instance, self.baseline(instance).await) })
            .buffer_unordered(self.jobs);
        while let Some((instance, report)) = found.next().await {
            match report {
                Ok(report) => {
                    let (task, basis) = (instance.id().to_owned(), self.bases.get(instance.id()).cloned());
                    store.append(&Baseline { task, report: report.clone(), basis })?;
                    known.insert(instance.id().to_owned(), report);
                }
                Err(_) if self.cancel.is_cancelled() => {}
                Err(reason) => live::say(self.bar, &format!("{}: no scores, {reason}", instance.id())),
            }
        }
        Ok(known)
    }

    async fn baseline(&self, instance: &Arc<Instance>) -> Result<TestReport, String> {
        let (checker, check) = self.tests(instance).await.map_err(|error| error.to_string())?;
        let report = RegressionScorer::before(&checker.repetitions(self.repetitions), &check, self.cancel).await;
        report.map_err(|error| format!("of the code as it is: {error}"))
    }

    /// The score of each rollout; none where there is none, which is told.
    fn scores<'a>(
        &'a self,
        rollouts: &'a [(&'a Arc<Instance>, &'a Trajectory)],
        baselines: &'a BTreeMap<String, TestReport>,
    ) -> impl Stream<Item = Option<ScoreRow>> + Unpin + 'a {
        let scored = futures::stream::iter(rollouts).map(move |(instance, rollout)| async move {
            let before = baselines.get(instance.id())?;
            let score = self.score(instance, rollout, before).await;
            self.bar.inc(1);
            match score {
                Ok(value) => {
                    let name = RegressionScorer::NAME.to_owned();
                    live::say(self.bar, &format!("{}: {value} of {}", rollout.id, passing(before)));
                    Some(ScoreRow { rollout: rollout.id.clone(), name, value })
                }
                Err(_) if self.cancel.is_cancelled() => None,
                Err(reason) => {
                    live::say(self.bar, &format!("{}: no score, {reason}", rollout.id));
                    None
                }
            }
        });
        Box::pin(scored.buffer_unordered(self.jobs))
    }

    async fn score(&self, instance: &Arc<Instance>, rollout: &Trajectory, before: &TestReport) -> Result<f64, String> {
        if self.cancel.is_cancelled() {
            return Err("cancelled".to_owned());
        }
        let (checker, check) = self.tests(instance).await.map_err(|error| error.to_string())?;
        let scorer = RegressionScorer::new(checker, check, before.clone());
        let score = scorer.score(rollout, self.cancel).await.map_err(|error| error.to_string())?;
        score.ok_or_else(|| "the scorer has none".to_owned())
    }

    /// A row's own tests, and where they run.
    async fn tests(&self, instance: &Arc<Instance>) -> Result<(Checker, Check), Failure> {
        let Instance::Local(row) = &**instance else {
            let reason = "only rows of our own format say how their tests are run";
            return Err(Failure::task(instance.id(), reason));
        };
        let test = row.test.as_deref().ok_or_else(|| Failure::task(&row.id, "the row has no `test`"))?;
        let command = Command::script(test).timeout(self.grounds.test_time());
        let check = Check::new(RegressionScorer::NAME, command, dataset::format(row)?);
        let files = self.grounds.files(instance).await?;
        let places = Places { grounds: Arc::clone(&self.grounds), instance: Arc::clone(instance) };
        Ok((Checker::new((*files).clone()).sandboxes(places), check))
    }
}

fn passing(report: &TestReport) -> usize {
    report.tests.values().filter(|status| status.is_success()).count()
}
