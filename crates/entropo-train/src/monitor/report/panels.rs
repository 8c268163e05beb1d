//! Which metrics belong together, and how their panels are read.

use std::collections::BTreeSet;

use serde::Serialize;

use super::curves::{Curves, Series};
use super::plot::{COLOURS, Chart, Line};
use crate::monitor::error::MonitorError;
use crate::monitor::record::{EVALUATION, THROUGHPUT};
use crate::monitor::words::number;

/// Panels of metrics that no panel below knows; the table has all of them.
const OTHERS: usize = 30;
/// Values from which on a smoothed curve says more than the values.
const ENOUGH_TO_SMOOTH: usize = 30;

/// Metrics that share a panel.
struct Kind {
    title: &'static str,
    note: &'static str,
    /// Names and what the legend calls them.
    metrics: &'static [(&'static str, &'static str)],
}

const fn kind(title: &'static str, note: &'static str, metrics: &'static [(&'static str, &'static str)]) -> Kind {
    Kind { title, note, metrics }
}

const KINDS: [Kind; 16] = [
    kind("Loss", "What is minimised.", &[("loss", "training")]),
    kind("Gradient norm", "Of all parameters together, before clipping.", &[("grad_norm", "norm")]),
    kind("Learning rate", "After warm-up and decay.", &[("learning_rate", "rate")]),
    kind(
        "Reward accuracy",
        "Share of pairs whose chosen side has the higher reward.",
        &[("rewards/accuracies", "objective’s reward"), ("log_ratio_rewards/accuracies", "log-ratio reward")],
    ),
    kind(
        "Reward margin",
        "Reward of the chosen minus that of the rejected side.",
        &[("rewards/margins", "objective’s reward"), ("log_ratio_rewards/margins", "log-ratio reward")],
    ),
    kind(
        "Rewards",
        "As the objective defines them.",
        &[("rewards/chosen", "chosen"), ("rewards/rejected", "rejected")],
    ),
    kind(
        "Log-ratio rewards",
        "Scaled log-ratio of policy to reference, comparable between objectives.",
        &[("log_ratio_rewards/chosen", "chosen"), ("log_ratio_rewards/rejected", "rejected")],
    ),
    kind(
        "Log-probabilities",
        "Of whole sequences under the policy, nats.",
        &[("logps/chosen", "chosen"), ("logps/rejected", "rejected")],
    ),
    kind(
        "Offset",
        "Part of the margin that the policy cannot change, nats.",
        &[("offset/mean", "mean"), ("offset/p95", "95th percentile"), ("offset/sd", "standard deviation")],
    ),
    kind(
        "Saturated pairs",
        "Share of the batch whose gradient has all but vanished.",
        &[("saturated_fraction", "share")],
    ),
    kind("Effective pairs", "How many pairs of a batch carry its gradient.", &[("effective_count", "pairs")]),
    kind("Entropy", "Of the policy at action tokens, nats.", &[("entropy", "entropy")]),
    kind("Negative log-likelihood", "Mean of action tokens, nats.", &[("nll", "mean")]),
    kind("Divergence", "KTO’s reference point, nats.", &[("kl", "estimate"), ("kl_used", "used")]),
    kind("Throughput", "Tokens read per second.", &[(THROUGHPUT, "tokens/s")]),
    kind("Tokens in a step", "", &[("tokens", "all"), ("action_tokens", "actions")]),
];

/// A figure of the page.
#[derive(Debug, Serialize)]
pub(super) struct Panel {
    title: String,
    note: String,
    /// What the curves do, for who does not see them.
    description: String,
    legend: Vec<Key>,
    /// The inside of an SVG.
    svg: String,
}

/// A line of a legend.
#[derive(Debug, Serialize)]
struct Key {
    name: String,
    colour: usize,
    marked: bool,
}

/// One curve to draw.
struct Shown<'a> {
    name: String,
    marked: bool,
    series: &'a Series,
}

/// A panel for every kind of metric that was recorded, then one for each of the others.
pub(super) fn panels(curves: &Curves) -> Result<Vec<Panel>, MonitorError> {
    let mut panels = Vec::new();
    for Kind { title, note, metrics } in KINDS {
        let shown = metrics.iter().flat_map(|(metric, name)| shown(curves, metric, name)).collect();
        panels.extend(panel(curves, title, note, shown)?);
    }
    for metric in others(curves).into_iter().take(OTHERS) {
        panels.extend(panel(curves, metric, "", shown(curves, metric, metric))?);
    }
    Ok(panels)
}

/// Metrics, the prefix of evaluations left out, that no kind knows.
fn others(curves: &Curves) -> BTreeSet<&str> {
    let known = |name: &str| KINDS.iter().flat_map(|kind| kind.metrics).any(|(metric, _)| *metric == name);
    let names = curves.series.keys().map(|name| name.strip_prefix(EVALUATION).unwrap_or(name));
    names.filter(|name| !known(name)).collect()
}

/// A metric's curves in training and in evaluation, as far as they have values.
fn shown<'a>(curves: &'a Curves, metric: &str, name: &str) -> Vec<Shown<'a>> {
    let training = curves.series.get(metric);
    let evaluation = curves.series.get(&format!("{EVALUATION}{metric}"));
    let training = training.map(|series| Shown { name: name.to_owned(), marked: false, series });
    let evaluation = evaluation.map(|series| {
        let name = if name == "training" { "evaluation".to_owned() } else { format!("{name}, evaluation") };
        Shown { name, marked: true, series }
    });
    training.into_iter().chain(evaluation).filter(|shown| shown.series.count > 0).collect()
}

fn panel(curves: &Curves, title: &str, note: &str, shown: Vec<Shown<'_>>) -> Result<Option<Panel>, MonitorError> {
    let mut lines: Vec<Line> = Vec::new();
    for (colour, Shown { marked, series, .. }) in shown.iter().enumerate() {
        let smooth = series.count >= ENOUGH_TO_SMOOTH && smooths(title);
        lines.push(Line { colour, pale: smooth, marked: *marked && !smooth, points: series.raw.points() });
        if smooth {
            lines.push(Line { colour, pale: false, marked: false, points: series.smoothed.points() });
        }
    }
    lines.sort_by_key(|line| !line.pale); // what is pale lies below
    let steps = (first_step(curves), curves.last_step);
    let chart = Chart { steps, may_be_logarithmic: title == "Gradient norm", lines };
    let svg = chart.draw().map_err(|error| MonitorError::Plot { name: title.to_owned(), reason: error.to_string() })?;
    Ok(svg.map(|svg| Panel {
        title: title.to_owned(),
        note: note.to_owned(),
        description: shown.iter().map(describe).collect::<Vec<_>>().join(" "),
        legend: legend(&shown),
        svg,
    }))
}

/// Whether noise is to be expected at all.
fn smooths(title: &str) -> bool {
    title != "Learning rate"
}

/// The legend; a single curve of training needs none.
fn legend(shown: &[Shown<'_>]) -> Vec<Key> {
    if let [Shown { marked: false, .. }] = shown {
        return Vec::new();
    }
    let key = |(index, shown): (usize, &Shown<'_>)| Key {
        name: shown.name.clone(),
        colour: index % COLOURS,
        marked: shown.marked,
    };
    shown.iter().enumerate().map(key).collect()
}

fn first_step(curves: &Curves) -> usize {
    curves.series.values().filter(|series| series.count > 0).map(|series| series.first.0).min().unwrap_or(0)
}

fn describe(shown: &Shown<'_>) -> String {
    let Shown { name, series, .. } = shown;
    let at = |(step, value): (usize, f64)| format!("{} at step {step}", number(value));
    let (first, last, low, high) = (at(series.first), at(series.last), at(series.low), at(series.high));
    match series.count {
        1 => format!("{name}: {last}."),
        _ => format!("{name}: from {first} to {last}, lowest {low}, highest {high}."),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::monitor::metrics::MetricsLog;
    use crate::monitor::record::Record;

    fn curves(path: &Path, steps: usize, names: &[&str]) -> Curves {
        let mut log = MetricsLog::resume_at(path, 0).unwrap();
        for step in 0..steps {
            let scalars = names.iter().map(|name| ((*name).to_owned(), step as f64)).collect();
            log.append(&Record { step, steps, scalars, ..Record::default() }).unwrap();
        }
        Curves::read(path).unwrap()
    }

    #[test]
    fn metrics_that_belong_together_share_a_panel_and_unknown_ones_have_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let names = ["loss", "eval/loss", "rewards/chosen", "rewards/rejected", "eval/<b>new</b>"];
        let curves = curves(&folder.path().join("m"), 3, &names);
        let panels = panels(&curves).unwrap();
        let titles: Vec<_> = panels.iter().map(|panel| (panel.title.as_str(), panel.legend.len())).collect();
        assert_eq!(titles, [("Loss", 2), ("Rewards", 2), ("<b>new</b>", 1)]);
        assert_eq!(
            panels[0].description,
            "training: from 0 at step 0 to 2 at step 2, lowest 0 at step 0, highest 2 at step 2. \
             evaluation: from 0 at step 0 to 2 at step 2, lowest 0 at step 0, highest 2 at step 2."
        );
        assert!(panels.iter().all(|panel| !panel.svg.contains("<b>")));
    }

    #[test]
    fn smoothing_is_shown_beside_the_values_once_there_are_enough() {
        let folder = tempfile::tempdir().unwrap();
        let lines = |steps: usize, name: &str| {
            let curves = curves(&folder.path().join(format!("{steps}-{}", name.len())), steps, &[name]);
            panels(&curves).unwrap()[0].svg.matches("stroke=\"var(--line-0)\"").count()
        };
        assert_eq!((lines(10, "loss"), lines(40, "loss"), lines(40, "learning_rate")), (1, 2, 1));
    }
}
