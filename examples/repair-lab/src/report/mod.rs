//! The page that quickstart leaves behind: what was found, how sure one may be, and what the agents did.
//!
//! One HTML file that works offline, years later and with scripts switched off. Two rules make it trustworthy: every
//! sentence that compares two policies is derived from an interval (see `findings.rs`), and whatever a model or a tool
//! wrote reaches the page only through the template's escaping, never through a plot.

mod diff;
mod findings;
mod number;
mod page;
mod plots;
mod tables;
mod tasks;

use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

use entropo::agent::Selection;
use entropo::core::Trajectory;

use crate::results::Results;

/// Everything on the page.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// The numbers.
    pub results: &'a Results,
    /// How training went, a curve for each run.
    pub curves: &'a [TrainingCurve],
    /// Rollouts to look at.
    pub tasks: &'a [ShownTask],
    /// Where the time went, in order.
    pub phases: &'a [Phase],
}

/// How one run's training went.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingCurve {
    /// The arm that was trained.
    pub arm: String,
    /// By step.
    pub records: Vec<CurvePoint>,
}

/// One optimiser step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Its number.
    pub step: usize,
    /// The objective's loss.
    pub loss: f64,
    /// Norm of the gradient before clipping.
    pub grad_norm: f64,
    /// Share of pairs whose chosen side has the higher reward.
    pub accuracy: Option<f64>,
    /// Mean reward of the chosen minus that of the rejected side.
    pub margin: Option<f64>,
    /// Mean of the part of the margin that training cannot change, nats.
    pub offset_mean: Option<f64>,
    /// How many pairs of the batch carry the gradient.
    pub effective_count: Option<f64>,
}

/// One arm's rollouts of one task, and which of them the selector would submit.
#[derive(Clone, Debug)]
pub struct ShownTask {
    /// The arm.
    pub arm: String,
    /// What the agent was asked.
    pub issue: String,
    /// The rollouts.
    pub trajectories: Vec<Trajectory>,
    /// The selector's choice among them and its reasons.
    pub selection: Selection,
}

/// Wall time of one part of the run. Clocks differ, so this is on the page only and never in [`Results`].
#[derive(Clone, Debug, PartialEq)]
pub struct Phase {
    /// What was done.
    pub name: String,
    /// How long it took.
    pub seconds: f64,
    /// How much was done, in a few words.
    pub note: String,
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// A plot cannot be drawn.
    #[error("cannot draw a plot of the report: {0}; its numbers are in the results")]
    Plot(#[from] entropo::core::plot::PlotError),
    /// The template and what fills it disagree.
    #[error("cannot fill in the report's template: {0:#}; page.html and page.rs have to agree")]
    Template(#[from] minijinja::Error),
    /// The file cannot be written.
    #[error("cannot write the report to {}: {source}; give a file in a folder that exists", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Writes the page to `path`, over whatever was there.
///
/// # Errors
/// [`ReportError::Write`] if the file cannot be written; the others mean a mistake in this module.
pub fn write(report: &Report<'_>, path: &Path) -> Result<(), ReportError> {
    let html = page::render(report)?;
    std::fs::write(path, html).map_err(|source| ReportError::Write { path: path.to_owned(), source })
}

#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;
