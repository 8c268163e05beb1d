//! `evaluate summary`: what rollouts took, and how good they were.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use entropo_core::stats::{Bootstrap, Interval, Subsets, pass_at_k, selector_regret};
use entropo_core::{JsonlStore, RolloutId, Trajectory, Usage};
use serde::{Serialize, Serializer};

use crate::failure::Failure;
use crate::grades::{self, Grade};
use crate::run::{Time, files};
use crate::score::rollouts;
use crate::submit::{Chooser, Choosing, by_task};
use crate::{plots, report, waves};

/// Tells what the rollouts of a run took and how good they were: tokens, cost, time, why they ended, and once they are
/// judged pass@k, best@k of the selector and what it loses, with 95 % bootstrap intervals over tasks.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The directory of `evaluate run`.
    run: PathBuf,
    /// Write it as JSON, too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw pass@k and best@k into this directory, as SVG and PNG.
    #[arg(long, value_name = "DIR")]
    plots: Option<PathBuf>,
    #[command(flatten)]
    choosing: Choosing,
}

#[derive(Debug, Serialize)]
struct Summary {
    model: String,
    selector: String,
    tasks: usize,
    rollouts: usize,
    /// Tasks whose answers were settled before their budget was used up, and the rollouts that this saved.
    settled: usize,
    saved: usize,
    judged: usize,
    resolved: usize,
    exits: BTreeMap<String, usize>,
    usage: Usage,
    /// Of the rollouts whose cost is known.
    cost_usd: Option<f64>,
    /// How many these are.
    priced: usize,
    seconds: f64,
    mean_steps: f64,
    /// Of the tasks whose rollouts are all judged, at least k of them.
    at_k: Vec<AtK>,
    /// Tasks of which some rollouts are judged and not all: they are not in `at_k`.
    half_judged: usize,
    per_task: BTreeMap<String, TaskSummary>,
}

/// Of the rollouts of a task k are drawn.
#[derive(Debug, Serialize)]
pub(crate) struct AtK {
    pub(crate) k: usize,
    tasks: usize,
    pass: f64,
    #[serde(serialize_with = "ends")]
    pub(crate) pass_interval: Interval,
    best: f64,
    #[serde(serialize_with = "ends")]
    pub(crate) best_interval: Interval,
    regret: f64,
    exact: bool,
}

fn ends<S: Serializer>(interval: &Interval, serializer: S) -> Result<S::Ok, S::Error> {
    [interval.low, interval.high].serialize(serializer)
}

#[derive(Debug, Default, Serialize)]
struct TaskSummary {
    rollouts: usize,
    judged: usize,
    resolved: usize,
    submitted: Option<usize>,
    submitted_resolved: Option<bool>,
    usage: Usage,
    seconds: f64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let directory = &arguments.run;
    let rollouts = rollouts(directory)?;
    let chooser = arguments.choosing.open(directory)?;
    let mut summary = summarise(&rollouts, &chooser, &grades::read(directory)?, &times(directory)?)?;
    for early in waves::read(directory)? {
        summary.settled += 1;
        summary.saved += early.saved;
    }
    print!("{}", table(&summary));
    if let Some(directory) = arguments.plots.as_ref().filter(|_| !summary.at_k.is_empty()) {
        for path in plots::write(directory, &summary.model, &summary.selector, &summary.at_k)? {
            println!("plot: {}", path.display());
        }
    }
    if let Some(path) = &arguments.json {
        report::put_json(path, &summary)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn times(run: &Path) -> Result<HashMap<RolloutId, f64>, Failure> {
    let times = JsonlStore::<Time>::open(files::times(run))?;
    Ok(times.into_records().into_iter().map(|time| (time.id, time.seconds)).collect())
}

fn summarise(
    rollouts: &[Trajectory],
    chooser: &Chooser,
    grades: &HashMap<RolloutId, Grade>,
    times: &HashMap<RolloutId, f64>,
) -> Result<Summary, Failure> {
    let tasks = by_task(rollouts);
    let submitted: HashMap<&str, &RolloutId> =
        chooser.choose(rollouts)?.into_iter().map(|(_, one)| (one.id.task.as_str(), &one.id)).collect();
    let mut summary = Summary {
        model: rollouts.first().map_or_else(String::new, |one| one.model.clone()),
        selector: chooser.name().to_owned(),
        tasks: tasks.len(),
        rollouts: rollouts.len(),
        settled: 0,
        saved: 0,
        judged: 0,
        resolved: 0,
        exits: BTreeMap::new(),
        usage: Usage::default(),
        cost_usd: None,
        priced: 0,
        seconds: 0.0,
        mean_steps: 0.0,
        at_k: Vec::new(),
        half_judged: 0,
        per_task: BTreeMap::new(),
    };
    for rollout in rollouts {
        let task = summary.per_task.entry(rollout.id.task.clone()).or_default();
        let grade = grades.get(&rollout.id);
        let (judged, resolved) = (usize::from(grade.is_some()), usize::from(grade.is_some_and(|grade| grade.resolved)));
        let seconds = times.get(&rollout.id).copied().unwrap_or_default();
        task.rollouts += 1;
        task.judged += judged;
        task.resolved += resolved;
        task.usage.add(&rollout.usage);
        task.seconds += seconds;
        summary.judged += judged;
        summary.priced += usize::from(rollout.usage.cost_nano_usd.is_some());
        summary.resolved += resolved;
        summary.usage.add(&rollout.usage);
        summary.seconds += seconds;
        summary.mean_steps += rollout.steps() as f64 / rollouts.len() as f64;
        *summary.exits.entry(exit(rollout)).or_default() += 1;
    }
    summary.cost_usd = summary.usage.cost_nano_usd.map(|cost| cost as f64 / 1e9);
    for (task, id) in submitted {
        if let Some(entry) = summary.per_task.get_mut(task) {
            (entry.submitted, entry.submitted_resolved) =
                (Some(id.rollout), grades.get(id).map(|grade| grade.resolved));
        }
    }
    let half = summary.per_task.values().filter(|task| task.judged > 0 && task.judged < task.rollouts);
    summary.half_judged = half.count();
    summary.at_k = at_k(&tasks, chooser, grades)?;
    Ok(summary)
}

fn exit(rollout: &Trajectory) -> String {
    let written = serde_json::to_value(rollout.exit).ok();
    written.as_ref().and_then(|exit| exit.as_str()).unwrap_or("unknown").to_owned()
}

/// pass@k, best@k and regret for k of 1, 2, 4 and so on.
fn at_k(
    tasks: &BTreeMap<&str, Vec<&Trajectory>>,
    chooser: &Chooser,
    grades: &HashMap<RolloutId, Grade>,
) -> Result<Vec<AtK>, Failure> {
    let judged: Vec<(&Vec<&Trajectory>, Vec<f64>)> = tasks
        .values()
        .filter_map(|rollouts| {
            let rewards =
                rollouts.iter().map(|one| grades.get(&one.id).map(|grade| f64::from(u8::from(grade.resolved))));
            Some((rollouts, rewards.collect::<Option<Vec<_>>>()?))
        })
        .collect();
    let most = judged.iter().map(|(rollouts, _)| rollouts.len()).max().unwrap_or(0);
    let subsets = Subsets { at_most: 1000, ..Subsets::default() };
    let mut all = Vec::new();
    for k in std::iter::successors(Some(1), |k| Some(k * 2)).take_while(|k| *k <= most) {
        let (mut passes, mut bests, mut regret, mut exact) = (Vec::new(), Vec::new(), 0.0, true);
        for (rollouts, rewards) in judged.iter().filter(|(rollouts, _)| rollouts.len() >= k) {
            let solved = rewards.iter().filter(|reward| **reward > 0.0).count();
            passes.push(pass_at_k(rollouts.len(), solved, k)?);
            let found = selector_regret(rewards, k, subsets, |subset| pick(chooser, rollouts, subset))?;
            bests.push(found.selected);
            regret += found.regret;
            exact &= found.exact;
        }
        let bootstrap = Bootstrap::default();
        let (pass, best) = (bootstrap.mean(&passes)?, bootstrap.mean(&bests)?);
        all.push(AtK {
            k,
            tasks: passes.len(),
            pass: pass.mean,
            pass_interval: pass,
            best: best.mean,
            best_interval: best,
            regret: regret / passes.len() as f64,
            exact,
        });
    }
    Ok(all)
}

/// Which of a subset the selector submits.
fn pick(chooser: &Chooser, rollouts: &[&Trajectory], subset: &[usize]) -> Option<usize> {
    let candidates: Vec<&Trajectory> = subset.iter().filter_map(|index| rollouts.get(*index).copied()).collect();
    let chosen = chooser.select(&candidates).ok()?.chosen?;
    subset.iter().copied().find(|index| rollouts.get(*index).is_some_and(|one| one.id == chosen))
}

fn table(summary: &Summary) -> String {
    let Summary { model, tasks, rollouts, judged, resolved, usage, seconds, mean_steps, .. } = summary;
    let mut text = format!("{model}: {rollouts} rollouts of {tasks} tasks, {judged} judged, {resolved} resolved\n");
    let each = |whole: f64| whole / (*rollouts).max(1) as f64;
    let mut cost = summary.cost_usd.map_or("unknown".to_owned(), |cost| format!("{cost:.4} US dollars"));
    if summary.cost_usd.is_some() && summary.priced < *rollouts {
        _ = write!(cost, " for {} of the rollouts, unknown for the others", summary.priced);
    }
    _ = writeln!(text, "  cost     {cost}");
    _ = writeln!(
        text,
        "  tokens   {} read ({} cached), {} written",
        usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens
    );
    _ = writeln!(
        text,
        "  calls    {} of the model, {} of tools, {} of them bad",
        usage.model_calls, usage.tool_calls, usage.bad_calls
    );
    _ = writeln!(text, "  time     {seconds:.0} s in all, {:.0} s and {mean_steps:.1} steps a rollout", each(*seconds));
    let exits: Vec<String> = summary.exits.iter().map(|(exit, count)| format!("{exit} {count}")).collect();
    _ = writeln!(text, "  exits    {}", exits.join(", "));
    if summary.settled > 0 {
        let (saved, settled) = (summary.saved, summary.settled);
        _ = writeln!(text, "  saved    {saved} rollouts, as the answers of {settled} tasks were settled");
    }
    if summary.at_k.is_empty() {
        _ = writeln!(text, "\nNo task is judged; evaluate grade --run does that.");
    } else {
        let selector = &summary.selector;
        _ = writeln!(text, "\n{:>4} {:>6} {:>22} {:>22} {:>8}  {selector}", "k", "tasks", "pass@k", "best@k", "regret");
        let shown = |one: &Interval| format!("{:.3} [{:.3}, {:.3}]", one.mean, one.low, one.high);
        for AtK { k, tasks, pass_interval, best_interval, regret, exact, .. } in &summary.at_k {
            let sampled = if *exact { "" } else { "  (of sampled subsets)" };
            let (pass, best) = (shown(pass_interval), shown(best_interval));
            _ = writeln!(text, "{k:>4} {tasks:>6} {pass:>22} {best:>22} {regret:>8.3}{sampled}");
        }
    }
    if summary.half_judged > 0 {
        let count = summary.half_judged;
        _ = writeln!(
            text,
            "{count} tasks are left out, as not all of their rollouts are judged; these can be the hard ones"
        );
    }
    _ = writeln!(text, "\n{:<40} {:>8} {:>9} {:>10} {:>9}  submitted", "task", "resolved", "of", "tokens", "seconds");
    for (task, one) in &summary.per_task {
        let tokens = one.usage.prompt_tokens + one.usage.completion_tokens;
        let submitted = match (one.submitted, one.submitted_resolved) {
            (Some(number), Some(true)) => format!("#{number}, resolved"),
            (Some(number), Some(false)) => format!("#{number}, unresolved"),
            (Some(number), None) => format!("#{number}"),
            (None, _) => "none".to_owned(),
        };
        let of = format!("{}/{}", one.judged, one.rollouts);
        _ = writeln!(text, "{task:<40} {:>8} {of:>9} {tokens:>10} {:>9.0}  {submitted}", one.resolved, one.seconds);
    }
    text
}
