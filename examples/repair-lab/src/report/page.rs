//! The template, and the typed context that fills it.
//!
//! The template escapes whatever it prints. Only drawings pass as they are, and no drawing holds text of a run.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::Serialize;

use super::findings::{self, Findings};
use super::number::{compact, duration};
use super::plots::{self, Panel};
use super::tables::{self, Forest, MetricTable};
use super::tasks::{self, TaskView};
use super::{Phase, Report, ReportError};
use crate::results::{Preferences, Results};

#[derive(Serialize)]
struct Page<'a> {
    findings: Findings,
    results: &'a Results,
    legend: Vec<Key<'a>>,
    metrics: MetricTable,
    by_rollouts: Vec<Panel>,
    curve_table: CurveTable,
    forests: Vec<Forest>,
    training: Vec<Panel>,
    trained: Vec<usize>,
    preferences: PreferenceView<'a>,
    tasks: Vec<TaskView<'a>>,
    phases: Vec<PhaseView<'a>>,
    total: String,
}

/// An arm in the legend.
#[derive(Serialize)]
struct Key<'a> {
    name: &'a str,
    training: &'a str,
    mark: &'static str,
    colour: usize,
}

/// The curves over k as numbers.
#[derive(Serialize)]
struct CurveTable {
    ks: Vec<usize>,
    rows: Vec<(String, Vec<String>)>,
}

#[derive(Serialize)]
struct PreferenceView<'a> {
    numbers: &'a Preferences,
    reference_gap_sd: String,
}

#[derive(Serialize)]
struct PhaseView<'a> {
    name: &'a str,
    note: &'a str,
    duration: String,
    percent: f64,
}

/// The whole page.
pub(super) fn render(report: &Report<'_>) -> Result<String, ReportError> {
    let results = report.results;
    let legend = legend(report);
    let number = |name: &str| legend.iter().position(|key| key.name == name).unwrap_or(0);
    let page = Page {
        findings: findings::of(results),
        results,
        metrics: tables::metrics(results),
        by_rollouts: plots::by_rollouts(&results.arms, results.rollouts)?,
        curve_table: curve_table(results),
        forests: tables::forests(results)?,
        training: plots::training(report.curves, number)?,
        trained: report.curves.iter().map(|curve| number(&curve.arm)).collect(),
        preferences: PreferenceView {
            numbers: &results.preferences,
            reference_gap_sd: compact(results.preferences.reference_gap_sd),
        },
        tasks: report.tasks.iter().map(|task| tasks::view(task, number(&task.arm))).collect(),
        phases: phases(report.phases),
        total: duration(seconds(report.phases)),
        legend,
    };
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.set_auto_escape_callback(
        |name| {
            if name.ends_with(".html") { AutoEscape::Html } else { AutoEscape::None }
        },
    );
    environment.add_template("page.css", include_str!("page.css"))?;
    environment.add_template("page.js", include_str!("page.js"))?;
    environment.add_template("candidate.html", include_str!("candidate.html"))?;
    environment.add_template("page.html", include_str!("page.html"))?;
    Ok(environment.get_template("page.html")?.render(Serde(page))?)
}

/// The arms of the results, then any that only curves or tasks name.
fn legend<'a>(report: &Report<'a>) -> Vec<Key<'a>> {
    let results = report.results.arms.iter().map(|arm| (arm.name.as_str(), arm.training.as_str()));
    let curves = report.curves.iter().map(|curve| (curve.arm.as_str(), ""));
    let tasks = report.tasks.iter().map(|task| (task.arm.as_str(), ""));
    let mut legend: Vec<Key<'a>> = Vec::new();
    for (name, training) in results.chain(curves).chain(tasks) {
        if legend.iter().all(|key| key.name != name) {
            let number = legend.len();
            legend.push(Key { name, training, mark: plots::mark(number), colour: number % plots::COLOURS });
        }
    }
    legend
}

fn curve_table(results: &Results) -> CurveTable {
    let ks: Vec<usize> =
        (0..usize::BITS).map(|power| 1 << power).take_while(|k: &usize| *k <= results.rollouts).collect();
    let cells = |values: &[f64]| {
        let value = |k: &usize| values.get(k - 1).map_or("–".to_owned(), |value| format!("{:.1}", 100.0 * value));
        ks.iter().map(value).collect()
    };
    let rows = results.arms.iter().flat_map(|arm| {
        let row = |name: &str, values: &[f64]| (format!("{} {name}", arm.name), cells(values));
        [row("pass@k", &arm.pass_at), row("best@k", &arm.best_at)]
    });
    CurveTable { rows: rows.collect(), ks }
}

fn seconds(phases: &[Phase]) -> f64 {
    phases.iter().map(|phase| phase.seconds).sum()
}

fn phases<'a>(phases: &'a [Phase]) -> Vec<PhaseView<'a>> {
    let total = seconds(phases);
    let view = |phase: &'a Phase| {
        let Phase { name, seconds, note } = phase;
        let percent = if total > 0.0 && total.is_finite() { 100.0 * seconds / total } else { 0.0 };
        PhaseView { name, note, duration: duration(*seconds), percent }
    };
    phases.iter().map(view).collect()
}
