//! `evaluate grade`: patches, judged by running tests.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use entropo_core::format::swe_bench::{
    Instance, InstanceReport, Prediction, Verdict, read_instance_reports, read_predictions,
};
use entropo_core::{JsonlStore, RolloutId, TrajectoryStore};
use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use crate::dataset::Choice;
use crate::failure::Failure;
use crate::gold::gold;
use crate::grade_log::in_words;
use crate::ground::{Confinement, Grounds};
use crate::judge::{OwnTests, Runner, judge};
use crate::live;
use crate::report;
use crate::run::files;
use crate::submit::Choosing;

/// The file with the patch that a report is on.
const PATCH: &str = "patch.diff";

/// The largest file of predictions that is read.
const PREDICTIONS: usize = 1 << 30;

/// Judges patches by running tests, those for SWE-bench, SWE-smith and R2E-Gym as their own programs do, and writes the reports
/// that SWE-bench's harness writes.
///
/// What has a report on the same patch is not run again: the same command goes on where it was. The exit status is 0 if everything has a
/// judgement, and 1 if something could not be judged.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    choice: Choice,
    /// Judge these predictions: JSON Lines, a list, or an object by instance.
    #[arg(long, value_name = "FILE", group = "what")]
    predictions: Option<PathBuf>,
    /// Judge every rollout of `evaluate run --output DIR`, for `evaluate summary`.
    #[arg(long, value_name = "DIR", group = "what")]
    run: Option<PathBuf>,
    /// Judge the reference solutions: all should be resolved.
    #[arg(long, group = "what")]
    gold: bool,
    /// Judge the files as they are: none should be resolved.
    #[arg(long, group = "what")]
    empty: bool,
    /// Where reports go: MODEL.RUN.json, and what came of each instance in logs/run_evaluation. Default: where you are, or
    /// the directory of --run.
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// What this is called in the names of reports.
    #[arg(long, value_name = "NAME", default_value = "evaluation")]
    run_id: String,
    /// How many are judged at a time.
    #[arg(long, default_value_t = 4)]
    jobs: usize,
    #[command(flatten)]
    choosing: Choosing,
    #[command(flatten)]
    tests: OwnTests,
    #[command(flatten)]
    confinement: Confinement,
}

/// A judgement on one rollout, as it is kept.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Grade {
    /// Which.
    pub(crate) id: RolloutId,
    /// Whether it solves the task.
    pub(crate) resolved: bool,
}

/// One patch to be judged.
struct Job {
    instance: Arc<Instance>,
    rollout: Option<RolloutId>,
    model: String,
    patch: String,
}

/// What is to be judged, and of which predictions the final report is.
struct Work {
    jobs: Vec<Job>,
    predictions: Vec<Prediction>,
    /// Which rollout each prediction is, by instance, if they are of rollouts.
    submitted: BTreeMap<String, RolloutId>,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let instances: Vec<Arc<Instance>> = arguments.choice.read()?.into_iter().map(Arc::new).collect();
    // First, as nothing is to be made for what cannot be judged.
    let runner = arguments.tests.runner()?;
    let output = arguments.output.clone().or_else(|| arguments.run.clone()).unwrap_or_else(|| ".".into());
    std::fs::create_dir_all(&output).map_err(Failure::file(&output))?;
    let mut grades = match &arguments.run {
        Some(run) => Some(JsonlStore::<Grade>::open(files::grades(run))?),
        None => None,
    };
    let work = work(arguments, &instances, grades.as_ref())?;

    let cancel = live::cancelled_by_ctrl_c();
    let grounds = Grounds::new(arguments.confinement.clone(), arguments.choice.directory(), arguments.jobs.max(1));
    let bar = live::bar(work.jobs.len() as u64, "judged");
    let mut verdicts = BTreeMap::new();
    let mut judged = futures::stream::iter(&work.jobs)
        .map(|job| {
            let means = Means { arguments, grounds: &grounds, runner: runner.as_ref(), output: &output };
            let cancel = &cancel;
            async move { (job, means.judged(job, cancel).await) }
        })
        .buffer_unordered(arguments.jobs.max(1));
    while let Some((job, result)) = judged.next().await {
        bar.inc(1);
        if cancel.is_cancelled() {
            continue;
        }
        let name = job.rollout.as_ref().map_or_else(|| job.instance.id().to_owned(), ToString::to_string);
        match result {
            Ok(Found { report: Some(report), .. }) => {
                live::say(&bar, &format!("{name}: {}", in_words(&report)));
                if let (Some(grades), Some(id)) = (&mut grades, &job.rollout) {
                    grades.append(&Grade { id: id.clone(), resolved: report.resolved })?;
                }
                let verdict = if report.resolved { Verdict::Resolved } else { Verdict::Unresolved };
                verdicts.insert(name, verdict);
            }
            Ok(Found { notes: why, directory, .. }) => {
                let first = why.lines().next().unwrap_or_default();
                live::say(&bar, &format!("{name}: not judged, {first} ({})", directory.display()));
                verdicts.insert(name, Verdict::Error);
            }
            Err(error) => {
                live::say(&bar, &format!("{name}: not judged, {error}"));
                verdicts.insert(name, Verdict::Error);
            }
        }
    }
    bar.finish_and_clear();
    if cancel.is_cancelled() {
        println!("interrupted; the same command goes on from there");
        return Ok(ExitCode::from(130));
    }
    let wrong = verdicts.values().filter(|verdict| **verdict == Verdict::Error).count();
    let verdicts = by_instance(&work, verdicts, grades.as_ref());
    let run = report::Run { output: &output, run_id: &arguments.run_id, instances: &instances };
    println!("{}", run.write(&work.predictions, &verdicts)?);
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What the final report says of each instance: of rollouts, what became of the one that was submitted.
fn by_instance(
    work: &Work,
    verdicts: BTreeMap<String, Verdict>,
    grades: Option<&JsonlStore<Grade>>,
) -> BTreeMap<String, Verdict> {
    let Some(grades) = grades else { return verdicts };
    let known: HashMap<String, bool> = grades.iter().map(|grade| (grade.id.to_string(), grade.resolved)).collect();
    let submitted = work.submitted.iter().filter_map(|(instance, id)| {
        let resolved = *known.get(&id.to_string())?;
        Some((instance.clone(), if resolved { Verdict::Resolved } else { Verdict::Unresolved }))
    });
    submitted.collect()
}

/// What is left to be judged.
fn work(
    arguments: &Arguments,
    instances: &[Arc<Instance>],
    grades: Option<&JsonlStore<Grade>>,
) -> Result<Work, Failure> {
    let by_id: BTreeMap<&str, &Arc<Instance>> = instances.iter().map(|one| (one.id(), one)).collect();
    let job = |instance: &str, rollout: Option<RolloutId>, model: &str, patch: &str| {
        let instance = Arc::clone(by_id.get(instance)?);
        Some(Job { instance, rollout, model: model.to_owned(), patch: patch.to_owned() })
    };
    let prediction = |instance: &Instance, model: &str, patch: &str| Prediction {
        instance_id: instance.id().to_owned(),
        model_name_or_path: model.to_owned(),
        model_patch: Some(patch.to_owned()),
    };
    if let (Some(run), Some(grades)) = (&arguments.run, grades) {
        let store = TrajectoryStore::open(files::trajectories(run))?;
        let known: HashSet<&RolloutId> = grades.iter().map(|grade| &grade.id).collect();
        let left = store.iter().filter(|rollout| !known.contains(&rollout.id));
        let jobs = left.filter_map(|rollout| {
            let model = format!("{}.rollout-{}", rollout.model, rollout.id.rollout);
            job(&rollout.id.task, Some(rollout.id.clone()), &model, &rollout.outcome.patch)
        });
        let jobs = jobs.collect();
        let chosen = arguments.choosing.open(run)?.choose(store.records())?;
        let predictions = chosen.iter().map(|(_, rollout)| Prediction::of(rollout)).collect();
        let submitted = chosen.iter().map(|(_, rollout)| (rollout.id.task.clone(), rollout.id.clone())).collect();
        return Ok(Work { jobs, predictions, submitted });
    }
    let mut predictions: Vec<Prediction> = if let Some(path) = &arguments.predictions {
        let file = std::fs::File::open(path).map_err(Failure::file(path))?;
        let read = read_predictions(std::io::BufReader::new(file), PREDICTIONS);
        read.map_err(|source| Failure::Predictions { path: path.clone(), source: Box::new(source) })?
    } else if arguments.gold {
        let known = instances.iter().filter_map(|one| Some(prediction(one, "gold", &gold(one)?)));
        known.collect()
    } else if arguments.empty {
        // The harness passes over empty patches; here they are what is asked for.
        instances.iter().map(|one| prediction(one, "empty", "\n")).collect()
    } else {
        return Err(Failure::Asked("say what is to be judged: --predictions, --run, --gold or --empty".to_owned()));
    };
    predictions.retain(|prediction| by_id.contains_key(&*prediction.instance_id));
    if predictions.is_empty() {
        return Err(Failure::Asked("there is nothing to judge: no patch for any of these instances".to_owned()));
    }
    let jobs = predictions.iter().filter_map(|one| {
        let patch = one.model_patch.as_deref().filter(|patch| !patch.is_empty())?;
        job(&one.instance_id, None, &one.model_name_or_path, if patch == "\n" { "" } else { patch })
    });
    Ok(Work { jobs: jobs.collect(), predictions, submitted: BTreeMap::new() })
}

/// What is known of one job.
struct Found {
    report: Option<InstanceReport>,
    notes: String,
    directory: PathBuf,
}

/// What judgements are made with.
struct Means<'a> {
    arguments: &'a Arguments,
    grounds: &'a Grounds,
    runner: Option<&'a Runner>,
    output: &'a Path,
}

impl Means<'_> {
    /// The report that is there, if it is on this patch, or a new one.
    async fn judged(&self, job: &Job, cancel: &CancellationToken) -> Result<Found, Failure> {
        let id = job.instance.id();
        let directory = report::directory(self.output, &self.arguments.run_id, &job.model, id);
        let path = directory.join(report::REPORT);
        let patch = directory.join(PATCH);
        let is_same = std::fs::read_to_string(&patch).is_ok_and(|judged| judged == job.patch);
        if path.exists() && is_same {
            let text = std::fs::read_to_string(&path).map_err(Failure::file(&path))?;
            let value = serde_json::from_str(&text).map_err(Failure::json(&path))?;
            let report = read_instance_reports(&value)?.remove(id);
            let notes = "the report that is there tells of another instance; remove it".to_owned();
            return Ok(Found { report, notes, directory });
        }
        if job.rollout.is_some() && job.patch.is_empty() {
            // Nothing was changed, so nothing is solved.
            let report = InstanceReport { patch_exists: true, ..InstanceReport::default() };
            return Ok(Found { report: Some(report), notes: String::new(), directory });
        }
        if cancel.is_cancelled() {
            return Ok(Found { report: None, notes: "cancelled".to_owned(), directory });
        }
        std::fs::create_dir_all(&directory).map_err(Failure::file(&directory))?;
        if path.exists() {
            // First, so that no report ever stands beside a patch that it is not on.
            std::fs::remove_file(&path).map_err(Failure::file(&path))?;
        }
        report::put(&patch, &job.patch)?;
        let judged = judge(self.grounds, self.runner, &job.instance, &job.patch, cancel).await;
        let judged = judged.inspect_err(|error| {
            let _ = report::put(&directory.join(report::NOTES), &error.to_string()); // it is told anyway
        })?;
        report::put(&directory.join(report::LOG), &judged.log)?;
        report::put(&directory.join(report::NOTES), &judged.notes)?;
        if let Some(found) = &judged.report {
            let reports = BTreeMap::from([(id, found)]);
            report::put(&path, &serde_json::to_string_pretty(&reports).map_err(Failure::json(&path))?)?;
        }
        Ok(Found { report: judged.report, notes: judged.notes, directory })
    }
}
