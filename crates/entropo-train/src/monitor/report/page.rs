//! The template and what fills it. The template escapes whatever it prints; only drawings pass as they are, and no
//! drawing holds a word of the run's.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::Serialize;

use super::Description;
use super::curves::Curves;
use super::panels::{self, Panel};
use super::plot::{HEIGHT, SCALE, WIDTH};
use crate::monitor::error::MonitorError;
use crate::monitor::record::THROUGHPUT;
use crate::monitor::words::{NONE, count, duration, number, printable};

#[derive(Serialize)]
struct Page<'a> {
    title: &'a str,
    state: String,
    tiles: Vec<Tile>,
    warnings: Vec<Warning>,
    warnings_left_out: usize,
    panels: Vec<Panel>,
    view_box: String,
    table: Vec<Row>,
    left_out: bool,
    configuration: &'a str,
    data: &'a str,
    facts: &'a [(String, String)],
}

/// A number at the top.
#[derive(Serialize)]
struct Tile {
    name: &'static str,
    value: String,
    note: String,
}

#[derive(Serialize)]
struct Warning {
    step: Option<usize>,
    text: String,
}

/// One metric's numbers.
#[derive(Serialize)]
struct Row {
    name: String,
    last: String,
    smoothed: String,
    low: String,
    high: String,
    count: usize,
    not_finite: usize,
}

/// The whole page; `warnings` are those that the metrics do not have.
pub(super) fn render(curves: &Curves, description: &Description, warnings: &[String]) -> Result<String, MonitorError> {
    let of_steps = curves.notes.iter().map(|(step, text)| Warning { step: Some(*step), text: text.clone() });
    let of_run = warnings.iter().map(|text| Warning { step: None, text: printable(text, 1000) });
    let page = Page {
        title: if description.title.is_empty() { "Training run" } else { &description.title },
        state: state(curves),
        tiles: tiles(curves),
        warnings: of_steps.chain(of_run).collect(),
        warnings_left_out: curves.notes_left_out,
        panels: panels::panels(curves)?,
        view_box: format!("0 0 {} {}", WIDTH * SCALE, HEIGHT * SCALE),
        table: table(curves),
        left_out: curves.series_left_out,
        configuration: &description.configuration,
        data: &description.data,
        facts: &description.facts,
    };
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    let escape = |name: &str| if name.ends_with(".html") { AutoEscape::Html } else { AutoEscape::None };
    environment.set_auto_escape_callback(escape);
    environment.add_template("page.css", include_str!("page.css"))?;
    environment.add_template("page.html", include_str!("page.html"))?;
    Ok(environment.get_template("page.html")?.render(Serde(page))?)
}

/// How far the run is, in words.
fn state(curves: &Curves) -> String {
    let done = curves.last_step.saturating_add(1);
    match curves.steps {
        _ if curves.records == 0 => "no step yet".to_owned(),
        0 => format!("{done} steps"),
        steps if done >= steps => format!("all {steps} steps"),
        steps => format!("{done} of {steps} steps"),
    }
}

fn tiles(curves: &Curves) -> Vec<Tile> {
    let series = |name: &str| curves.series.get(name).filter(|series| series.count > 0);
    let mut tiles = Vec::new();
    for (name, metric) in
        [("Loss", "loss"), ("Evaluation loss", "eval/loss"), ("Reward accuracy", "rewards/accuracies")]
    {
        let Some(series) = series(metric) else { continue };
        let last =
            if metric.starts_with("eval/") { series.last.1 } else { series.smoothed_last().unwrap_or(series.last.1) };
        tiles.push(Tile { name, value: number(last), note: format!("from {}", number(series.first.1)) });
    }
    tiles.push(Tile { name: "Time", value: duration(curves.wall_s), note: "while a process ran".to_owned() });
    if let Some(tokens) = series("tokens") {
        let actions = series("action_tokens").map(|actions| actions.sum / tokens.sum).filter(|share| share.is_finite());
        let note = actions.map_or_else(String::new, |share| format!("{:.0} % actions", 100.0 * share));
        tiles.push(Tile { name: "Tokens read", value: count(tokens.sum), note });
    }
    if let Some(rate) = series(THROUGHPUT) {
        let value = count(rate.smoothed_last().unwrap_or(rate.last.1));
        tiles.push(Tile { name: "Tokens per second", value, note: format!("highest {}", count(rate.high.1)) });
    }
    tiles
}

fn table(curves: &Curves) -> Vec<Row> {
    let row = |(name, series): (&String, &super::curves::Series)| {
        let write = |value: f64| if series.count > 0 { number(value) } else { NONE.to_owned() };
        Row {
            name: printable(name, 100),
            last: write(series.last.1),
            smoothed: series.smoothed_last().map_or(NONE.to_owned(), number),
            low: write(series.low.1),
            high: write(series.high.1),
            count: series.count,
            not_finite: series.not_finite,
        }
    };
    curves.series.iter().map(row).collect()
}
