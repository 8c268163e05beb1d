//! The two tables: policies by metrics, and differences with their forest plot.

use std::collections::BTreeSet;

use entropo::core::stats::Interval;
use serde::Serialize;

use super::findings::{is_resolved, metric_name};
use super::number::{Unit, range};
use super::plots::{self, PlotError};
use crate::results::{Difference, Results};

/// The metrics in the order in which they are read, and what they mean.
const METRICS: [(&str, &str); 7] = [
    ("pass@1", "a rollout solves the task: all hidden tests pass"),
    ("pass@N", "at least one of the task’s rollouts solves it"),
    ("best@N", "the rollout that the hybrid selector picks solves it; the selector never sees the hidden tests"),
    ("patches", "effective number of different patches among the rollouts of a task"),
    ("visible", "a rollout passes the tests that the agent could run itself"),
    ("finished", "the agent ended the rollout itself"),
    ("bad_calls", "tool calls that failed or could not be read"),
];

/// Policies by metrics.
#[derive(Debug, Serialize)]
pub(super) struct MetricTable {
    /// The metrics.
    pub(super) columns: Vec<Column>,
    /// A row of cells for each policy, in the policies' order.
    pub(super) rows: Vec<Vec<Option<Cell>>>,
}

/// A metric.
#[derive(Debug, Serialize)]
pub(super) struct Column {
    /// Its name.
    pub(super) name: String,
    /// `%`, or nothing for counts.
    pub(super) unit: &'static str,
    /// What it means; empty for metrics that this page does not know.
    pub(super) meaning: &'static str,
}

/// A number with its interval.
#[derive(Debug, Serialize)]
pub(super) struct Cell {
    /// The mean.
    pub(super) mean: String,
    /// `low to high`.
    pub(super) range: String,
}

/// Differences of one unit, which can share an axis.
#[derive(Debug, Serialize)]
pub(super) struct Forest {
    /// What the axis counts.
    pub(super) unit: &'static str,
    /// The axis.
    pub(super) axis: String,
    /// The differences.
    pub(super) rows: Vec<ForestRow>,
}

/// One difference.
#[derive(Debug, Serialize)]
pub(super) struct ForestRow {
    /// The metric.
    pub(super) metric: String,
    /// Whose.
    pub(super) arm: String,
    /// Compared with whom.
    pub(super) control: String,
    /// The numbers.
    pub(super) cell: Cell,
    /// Whether the interval lies on one side of 0.
    pub(super) resolved: bool,
    /// Its strip of the forest plot.
    pub(super) strip: String,
}

impl Cell {
    fn new(interval: &Interval, write: impl Fn(f64) -> String) -> Self {
        Self { mean: write(interval.mean), range: range(interval, write) }
    }
}

/// The policies by metrics: those that are known in reading order, then any others.
pub(super) fn metrics(results: &Results) -> MetricTable {
    let recorded: BTreeSet<&str> = results.arms.iter().flat_map(|arm| arm.metrics.keys()).map(String::as_str).collect();
    let known = METRICS.into_iter().map(|(metric, meaning)| (spelled(metric, results, &recorded), meaning));
    let mut columns: Vec<(String, &str)> = known.filter(|(metric, _)| recorded.contains(metric.as_str())).collect();
    for metric in recorded {
        if columns.iter().all(|(known, _)| known != metric) {
            columns.push((metric.to_owned(), ""));
        }
    }
    let cell = |metric: &str, interval: &Interval| Cell::new(interval, |value| Unit::of(metric).plain(value));
    let row = |arm: &crate::results::Arm| {
        columns.iter().map(|(metric, _)| Some(cell(metric, arm.metrics.get(metric)?))).collect()
    };
    MetricTable {
        rows: results.arms.iter().map(row).collect(),
        columns: columns
            .iter()
            .map(|(metric, meaning)| Column {
                name: metric_name(metric, results.rollouts),
                unit: if Unit::of(metric) == Unit::Share { "%" } else { "" },
                meaning,
            })
            .collect(),
    }
}

/// The metric as the results spell it: `pass@N`, or `pass@16` where that is what was recorded.
fn spelled(metric: &str, results: &Results, recorded: &BTreeSet<&str>) -> String {
    let numbered = metric_name(metric, results.rollouts);
    if !recorded.contains(metric) && recorded.contains(numbered.as_str()) { numbered } else { metric.to_owned() }
}

/// The differences, shares before counts, each kind over its own axis.
pub(super) fn forests(results: &Results) -> Result<Vec<Forest>, PlotError> {
    let units = [(Unit::Share, "percentage points"), (Unit::Count, "different patches")];
    let mut forests = Vec::new();
    for (unit, name) in units {
        let differences: Vec<&Difference> =
            results.differences.iter().filter(|difference| Unit::of(&difference.metric) == unit).collect();
        if differences.is_empty() {
            continue;
        }
        let domain = plots::domain(differences.iter().map(|difference| &difference.interval));
        let row = |difference: &&Difference| {
            let resolved = is_resolved(difference);
            Ok(ForestRow {
                metric: metric_name(&difference.metric, results.rollouts),
                arm: difference.arm.clone(),
                control: difference.control.clone(),
                cell: Cell::new(&difference.interval, |value| unit.signed(value)),
                resolved,
                strip: plots::strip(&difference.interval, resolved, &domain)?.inline(),
            })
        };
        let rows = differences.iter().map(row).collect::<Result<_, PlotError>>()?;
        let axis = plots::axis(&domain, |value| tick(unit, value))?.inline();
        forests.push(Forest { unit: name, axis, rows });
    }
    Ok(forests)
}

/// A difference on the axis, where digits that are 0 only take room.
fn tick(unit: Unit, value: f64) -> String {
    let text = unit.signed(value);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn columns_come_in_reading_order_and_strangers_last() {
        let mut results = sample::results();
        let cost = Interval { mean: 0.1, low: 0.0, high: 0.2 };
        results.arms.first_mut().unwrap().metrics.insert("abandoned".to_owned(), cost);
        let table = metrics(&results);
        let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["pass@1", "pass@16", "best@16", "patches", "visible", "finished", "bad calls", "abandoned"]);
        assert!(table.rows[0][7].is_some() && table.rows[1][7].is_none());
        assert_eq!(table.rows[0][0].as_ref().unwrap().range, "34.1 to 46.0");
    }

    #[test]
    fn shares_and_counts_have_axes_of_their_own() {
        let forests = forests(&sample::results()).unwrap();
        assert_eq!(
            forests.iter().map(|forest| forest.unit).collect::<Vec<_>>(),
            ["percentage points", "different patches"]
        );
        assert!(forests[0].rows.iter().all(|row| row.metric != "patches"));
        assert!(forests[0].axis.contains("+10") && !forests[0].axis.contains("+10.0"), "{}", forests[0].axis);
    }
}
