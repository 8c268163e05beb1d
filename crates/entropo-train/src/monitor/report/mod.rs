//! The report: one HTML file that works offline, years later and without scripts.
//!
//! It is made from `metrics.jsonl` alone, so it can be made while the run goes on, after it, or after a crash. Whatever
//! names, settings or warnings say reaches the page through the template's escaping only, never through a drawing.

mod curves;
mod envelope;
mod page;
mod panels;
mod plot;

use std::path::Path;

use serde::{Deserialize, Serialize};

use self::curves::Curves;
use super::error::MonitorError;
use crate::checkpoint::write_file;

/// What the metrics do not tell of a run. All of it is plain text, shown as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Description {
    /// What the run is called.
    pub title: String,
    /// The configuration with every default filled in, in the format of its file.
    pub configuration: String,
    /// What was read and what was left out, and why.
    pub data: String,
    /// Names and values, such as the model, the device and versions; the [`Monitor`](super::Monitor) adds the machine.
    pub facts: Vec<(String, String)>,
}

/// Makes the report of the run whose metrics are in `metrics` and replaces the file at `report` with it.
///
/// # Errors
/// Those of [`read_metrics`](super::read_metrics) and [`MonitorError::Report`]; a report that was there is as it was
/// then. The others mean a mistake in this module.
pub fn write_report(
    metrics: impl AsRef<Path>,
    report: impl AsRef<Path>,
    description: &Description,
) -> Result<(), MonitorError> {
    write_with_warnings(metrics.as_ref(), report.as_ref(), description, &[])
}

/// The same with warnings that are not in the metrics.
pub(super) fn write_with_warnings(
    metrics: &Path,
    report: &Path,
    description: &Description,
    warnings: &[String],
) -> Result<(), MonitorError> {
    let html = page::render(&Curves::read(metrics)?, description, warnings)?;
    write_file(report, html.as_bytes()).map_err(MonitorError::Report)
}

#[cfg(test)]
mod tests;
