//! `evaluate grade`: patches, judged by running tests.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use entropo_core::format::swe_bench::{
    Instance, InstanceReport, Prediction, Verdict, read_instance_reports, read_predictions,
};
use entropo_core::{JsonlStore, RolloutId, Trajectory, TrajectoryStore};
use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use crate::dataset::Choice;
use crate::failure::Failure;
use crate::gold::gold;
use crate::grade_log::{in_words, is_timed_out};
use crate::grades::{self, Bases, Basis, Grade};
use crate::ground::{Confinement, Grounds};
use crate::judge::{Fault, OwnTests, Runner, judge};
use crate::live;
use crate::report;
use crate::run::files;
use crate::submit::Choosing;

/// The file with the patch that a report is on.
const PATCH: &str = "patch.diff";

/// The file that tells what a report rests on.
const BASIS: &str = "basis.json";

/// The largest file of predictions that is read.
const PREDICTIONS: usize = 1 << 30;

/// Judges patches by running tests, those for SWE-bench, SWE-smith and R2E-Gym as their own programs do, and writes the reports
/// that SWE-bench's harness writes.
///
/// What has a report is not run again, unless its row, its patch or how tests are run is not the same: the same command goes
/// on where it was. The exit status is 0 if everything has a judgement, and 1 if something could not be judged.
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

/// One patch to be judged.
struct Job {
    instance: Arc<Instance>,
    rollout: Option<RolloutId>,
    model: String,
    patch: String,
    basis: Basis,
}

/// What is to be judged, and of which predictions the final report is.
struct Work {
    jobs: Vec<Job>,
    predictions: Vec<Prediction>,
    /// Which rollout each prediction is, by instance, if they are of rollouts.
    submitted: BTreeMap<String, RolloutId>,
    /// Under which model's name these are judged.
    judged_as: BTreeMap<String, String>,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let instances: Vec<Arc<Instance>> = arguments.choice.read()?.into_iter().map(Arc::new).collect();
    // First, as nothing is to be made for what cannot be judged.
    let runner = arguments.tests.runner()?;
    let output = arguments.output.clone().or_else(|| arguments.run.clone()).unwrap_or_else(|| ".".into());
    std::fs::create_dir_all(&output).map_err(Failure::file(&output))?;
    let bases = Bases::new(&arguments.confinement, &arguments.tests, &instances)?;
    let work = work(arguments, &instances, &bases)?;
    let mut grades = match &arguments.run {
        Some(run) => Some(JsonlStore::<Grade>::open(files::grades(run))?),
        None => None,
    };
    if let Some(grades) = &mut grades {
        // First, so that nobody takes what no longer holds for a judgement if there is no other in the end.
        let left: HashSet<&RolloutId> = work.jobs.iter().filter_map(|job| job.rollout.as_ref()).collect();
        grades.retain(|grade| !left.contains(&grade.id))?;
    }

    let cancel = live::cancelled_by_ctrl_c();
    let grounds = Grounds::new(arguments.confinement.clone(), arguments.choice.directory(), arguments.jobs.max(1));
    let bar = live::bar(work.jobs.len() as u64, "judged");
    let (mut verdicts, mut wrong) = (BTreeMap::new(), 0);
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
        let found = match result {
            Ok(found) => found,
            Err(error) => {
                live::say(&bar, &format!("{name}: not judged, {error}"));
                verdicts.insert(name, Verdict::Error);
                wrong += 1;
                continue;
            }
        };
        live::say(&bar, &format!("{name}: {}", found.in_words()));
        match (&mut grades, found.grade(job)) {
            (Some(grades), Some(grade)) => grades.append(&grade)?,
            _ => wrong += usize::from(found.report.is_none()),
        }
        verdicts.insert(name, found.verdict());
    }
    drop(judged);
    drop(grades); // read by what is left to do
    bar.finish_and_clear();
    if cancel.is_cancelled() {
        println!("interrupted; the same command goes on from there");
        return Ok(ExitCode::from(130));
    }
    let verdicts = match &arguments.run {
        Some(run) => by_instance(&work, &grades::read(run)?),
        None => verdicts,
    };
    let judged_as = &work.judged_as;
    let run = report::Run { output: &output, run_id: &arguments.run_id, instances: &instances, judged_as };
    println!("{}", run.write(&work.predictions, &verdicts)?);
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What the final report says of each instance: of rollouts, what became of the one that was submitted.
fn by_instance(work: &Work, grades: &HashMap<RolloutId, Grade>) -> BTreeMap<String, Verdict> {
    let submitted = work.submitted.iter().filter_map(|(instance, id)| {
        let verdict = match grades.get(id)? {
            Grade { resolved: true, .. } => Verdict::Resolved,
            Grade { error: true, .. } => Verdict::Error,
            _ => Verdict::Unresolved,
        };
        Some((instance.clone(), verdict))
    });
    submitted.collect()
}

/// What is left to be judged.
fn work(arguments: &Arguments, instances: &[Arc<Instance>], bases: &Bases) -> Result<Work, Failure> {
    let by_id: BTreeMap<&str, &Arc<Instance>> = instances.iter().map(|one| (one.id(), one)).collect();
    let job = |instance: &str, rollout: Option<RolloutId>, model: &str, patch: &str| {
        let instance = Arc::clone(by_id.get(instance)?);
        let basis = bases.of(&instance, patch);
        Some(Job { instance, rollout, model: model.to_owned(), patch: patch.to_owned(), basis })
    };
    let prediction = |instance: &Instance, model: &str, patch: &str| Prediction {
        instance_id: instance.id().to_owned(),
        model_name_or_path: model.to_owned(),
        model_patch: Some(patch.to_owned()),
    };
    if let Some(run) = &arguments.run {
        let store = TrajectoryStore::open(files::trajectories(run))?;
        let known = grades::read(run)?;
        let all = store.iter().filter_map(|rollout| {
            job(&rollout.id.task, Some(rollout.id.clone()), &judged_as(rollout), &rollout.outcome.patch)
        });
        let is_judged =
            |job: &Job| job.rollout.as_ref().and_then(|id| known.get(id)).is_some_and(|grade| grade.holds(&job.basis));
        let jobs = all.filter(|job| !is_judged(job)).collect();
        let chosen = arguments.choosing.open(run)?.choose(store.records())?;
        let predictions = chosen.iter().map(|(_, rollout)| Prediction::of(rollout)).collect();
        let submitted = chosen.iter().map(|(_, rollout)| (rollout.id.task.clone(), rollout.id.clone())).collect();
        let judged_as = chosen.iter().map(|(_, rollout)| (rollout.id.task.clone(), judged_as(rollout))).collect();
        return Ok(Work { jobs, predictions, submitted, judged_as });
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
    Ok(Work { jobs: jobs.collect(), predictions, submitted: BTreeMap::new(), judged_as: BTreeMap::new() })
}

/// Rollouts of one model are told apart in the names of directories.
fn judged_as(rollout: &Trajectory) -> String {
    format!("{}.rollout-{}", rollout.model, rollout.id.rollout)
}

/// What is known of one job.
struct Found {
    report: Option<InstanceReport>,
    fault: Option<Fault>,
    notes: String,
    directory: PathBuf,
}

impl Found {
    /// The judgement that is kept of a rollout, if there is one.
    fn grade(&self, job: &Job) -> Option<Grade> {
        let resolved = match (&self.report, self.fault) {
            (Some(report), _) => report.resolved,
            (None, Some(_)) => false,
            (None, None) => return None,
        };
        let timed_out = self.fault == Some(Fault::TimedOut);
        let (id, error, basis) = (job.rollout.clone()?, self.report.is_none(), Some(job.basis.clone()));
        Some(Grade { id, resolved, error, timed_out, basis })
    }

    fn verdict(&self) -> Verdict {
        match &self.report {
            Some(report) if report.resolved => Verdict::Resolved,
            Some(_) => Verdict::Unresolved,
            None => Verdict::Error,
        }
    }

    fn in_words(&self) -> String {
        let place = self.directory.display();
        match (&self.report, self.fault) {
            (Some(report), _) => in_words(report),
            (None, Some(Fault::Rejected)) => format!("error, the patch does not apply ({place})"),
            (None, Some(Fault::TimedOut)) => {
                format!("error, the tests timed out; --test-seconds gives them more ({place})")
            }
            (None, None) => format!("not judged, {} ({place})", self.notes.lines().next().unwrap_or_default()),
        }
    }
}

/// What judgements are made with.
struct Means<'a> {
    arguments: &'a Arguments,
    grounds: &'a Grounds,
    runner: Option<&'a Runner>,
    output: &'a Path,
}

impl Means<'_> {
    /// The report that is there, if it still holds, or a new one.
    async fn judged(&self, job: &Job, cancel: &CancellationToken) -> Result<Found, Failure> {
        let id = job.instance.id();
        let directory = report::directory(self.output, &self.arguments.run_id, &job.model, id);
        if let Some(report) = kept(&directory, job)? {
            let fault = is_timed_out(&report).then_some(Fault::TimedOut);
            return Ok(Found { report: Some(report), fault, notes: String::new(), directory });
        }
        if job.rollout.is_some() && job.patch.is_empty() {
            // Nothing was changed, so nothing is solved.
            let report = InstanceReport { patch_exists: true, ..InstanceReport::default() };
            return Ok(Found { report: Some(report), fault: None, notes: String::new(), directory });
        }
        if cancel.is_cancelled() {
            return Ok(Found { report: None, fault: None, notes: "cancelled".to_owned(), directory });
        }
        std::fs::create_dir_all(&directory).map_err(Failure::file(&directory))?;
        let path = directory.join(report::REPORT);
        if path.exists() {
            // First, so that no report ever stands beside what it does not rest on.
            std::fs::remove_file(&path).map_err(Failure::file(&path))?;
        }
        report::put(&directory.join(PATCH), &job.patch)?;
        report::put_json(&directory.join(BASIS), &job.basis)?;
        let judged = judge(self.grounds, self.runner, &job.instance, &job.patch, cancel).await;
        let judged = judged.inspect_err(|error| {
            let _ = report::put(&directory.join(report::NOTES), &error.to_string()); // it is told anyway
        })?;
        report::put(&directory.join(report::LOG), &judged.log)?;
        report::put(&directory.join(report::NOTES), &judged.notes)?;
        if let Some(found) = &judged.report {
            report::put_json(&path, &BTreeMap::from([(id, found)]))?;
        }
        Ok(Found { report: judged.report, fault: judged.fault, notes: judged.notes, directory })
    }
}

/// The report in a directory, if it is on what is to be judged.
fn kept(directory: &Path, job: &Job) -> Result<Option<InstanceReport>, Failure> {
    let path = directory.join(report::REPORT);
    if !path.exists() {
        return Ok(None);
    }
    let value = serde_json::from_str(&read(&path)?).map_err(Failure::json(&path))?;
    let Some(report) = read_instance_reports(&value)?.remove(job.instance.id()) else { return Ok(None) };
    let basis = directory.join(BASIS);
    let holds = if basis.exists() {
        let basis: Basis = serde_json::from_str(&read(&basis)?).map_err(Failure::json(&basis))?;
        basis.holds(&job.basis, is_timed_out(&report))
    } else {
        // An older version noted the patch alone.
        std::fs::read_to_string(directory.join(PATCH)).is_ok_and(|patch| patch == job.patch)
    };
    Ok(holds.then_some(report))
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(Failure::file(path))
}
