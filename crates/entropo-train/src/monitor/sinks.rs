//! All sinks of a run behind one value.

use std::fmt::Display;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::error::MonitorError;
use super::machine;
use super::metrics::{MetricsLog, Reopened};
use super::progress::{Output, Progress};
use super::record::{Record, THROUGHPUT};
use super::report::{Description, write_with_warnings};
use super::tensorboard::EventLog;

/// The metrics' file name.
pub const METRICS: &str = "metrics.jsonl";
/// The report's file name.
pub const REPORT: &str = "report.html";
/// Warnings that wait for the next record; more are dropped.
const WAITING: usize = 100;

/// What is written of a run, and where to.
#[derive(Debug)]
pub struct MonitorOptions {
    /// The step that is taken next, counted from 0: more than 0 if the run goes on from a saved state. Whatever is known
    /// of it and of later steps is dropped. Default 0.
    pub first_step: usize,
    /// Where progress goes. Default standard error.
    pub output: Output,
    /// Seconds between lines of progress where there is no terminal. Default 10.
    pub every_s: f64,
    /// Whether there are event files for TensorBoard. Default true.
    pub tensorboard: bool,
    /// Whether there is a report at the end. Default true.
    pub report: bool,
    /// Seconds after which the report is made again while the run goes on. Default none.
    pub report_every_s: Option<f64>,
    /// What the report says besides.
    pub description: Description,
}

impl Default for MonitorOptions {
    fn default() -> Self {
        Self {
            first_step: 0,
            output: Output::default(),
            every_s: 10.0,
            tensorboard: true,
            report: true,
            report_every_s: None,
            description: Description::default(),
        }
    }
}

/// One run's metrics, event file, progress and report; see [the module](super).
pub struct Monitor {
    metrics: MetricsLog,
    events: Option<EventLog<File>>,
    progress: Option<Progress>,
    report: Option<ReportSink>,
    /// When this process began, and the seconds that earlier ones took.
    start: Instant,
    earlier_s: f64,
    /// Of the last record.
    wall_s: f64,
    /// The last record's step and the steps of the run.
    last: Option<(usize, usize)>,
    /// Warnings that are not in the metrics yet.
    waiting: Vec<String>,
    warnings: Vec<String>,
}

/// What is left at the end of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// The report, if there is one.
    pub report: Option<PathBuf>,
    /// Warnings of this process about the sinks and through [`Monitor::warn`].
    pub warnings: Vec<String>,
}

struct ReportSink {
    path: PathBuf,
    description: Description,
    every_s: f64,
    /// When it was made last.
    made_s: f64,
}

impl Monitor {
    /// Opens the sinks in `directory`, which is made if need be. Time counts from here, so this belongs right before the
    /// first step.
    ///
    /// # Errors
    /// [`MonitorError::Directory`], or whatever [`MetricsLog::resume_at`] refuses; nothing was written then.
    pub fn start(directory: impl AsRef<Path>, options: MonitorOptions) -> Result<Self, MonitorError> {
        let MonitorOptions { first_step, output, every_s, tensorboard, report, report_every_s, mut description } =
            options;
        let directory = directory.as_ref();
        fs::create_dir_all(directory)
            .map_err(|source| MonitorError::Directory { path: directory.to_owned(), source })?;
        let metrics = MetricsLog::resume_at(directory.join(METRICS), first_step)?;
        let wall_s = metrics.wall_s();
        description.facts.extend(machine::facts());
        let report = report.then(|| ReportSink {
            path: directory.join(REPORT),
            description,
            every_s: report_every_s.unwrap_or(f64::INFINITY),
            made_s: wall_s,
        });
        let mut monitor = Self {
            metrics,
            events: None,
            progress: Progress::new(output, every_s, first_step, wall_s),
            report,
            start: Instant::now(),
            earlier_s: wall_s,
            wall_s,
            last: None,
            waiting: Vec::new(),
            warnings: Vec::new(),
        };
        if tensorboard {
            match EventLog::create(directory, first_step) {
                Ok((events, _)) => monitor.events = Some(events),
                Err(error) => monitor.warn(&without("event files for TensorBoard", error)),
            }
        }
        let Reopened { repeated, torn_bytes, .. } = monitor.metrics.reopened();
        if torn_bytes > 0 {
            monitor.warn(&format!("{METRICS} ended in a torn line; its {torn_bytes} bytes were cut off"));
        }
        if repeated > 0 {
            let steps = format!("the run goes on at step {first_step}");
            monitor.warn(&format!("{steps}; {repeated} records of steps that are taken again were dropped"));
        }
        Ok(monitor)
    }

    /// Seconds that the run has taken: those of its last record before this process, and those of this process. Time
    /// in which no process ran does not count, and neither do steps that are taken again.
    pub fn wall_s(&self) -> f64 {
        self.earlier_s + self.start.elapsed().as_secs_f64()
    }

    /// Writes a record to every sink. If it has `tokens`, `tokens_per_second` is added, from the time since the record
    /// before.
    ///
    /// # Errors
    /// Those of [`MetricsLog::append`]; no sink has the record then.
    pub fn step(&mut self, record: &Record) -> Result<(), MonitorError> {
        let record = self.complete(record);
        let notes = [record.notes.as_slice(), &self.waiting].concat(); // those that waited were shown already
        self.metrics.append(&Record { notes, ..record.clone() })?;
        self.waiting.clear();
        self.wall_s = record.wall_s;
        self.last = Some((record.step, record.steps));
        let failure = failed(&mut self.events, |events| events.record_now(&record));
        self.settle(failure, "event files for TensorBoard");
        self.show(&record);
        let is_due = self.report.as_ref().is_some_and(|report| record.wall_s - report.made_s >= report.every_s);
        if is_due {
            self.make_report();
        }
        Ok(())
    }

    /// Shows a warning and keeps it with the next record.
    pub fn warn(&mut self, warning: &str) {
        match &mut self.progress {
            Some(progress) => {
                let failure = progress.warn(warning).err();
                if let Some(error) = failure {
                    self.progress = None;
                    self.keep(without("progress", error));
                }
            }
            None => tracing::warn!("{warning}"),
        }
        self.keep(warning.to_owned());
    }

    /// Waits until the disk has the metrics; see [`MetricsLog::sync`].
    ///
    /// # Errors
    /// Those of [`MetricsLog::sync`].
    pub fn sync(&self) -> Result<(), MonitorError> {
        self.metrics.sync()
    }

    /// Makes the report now; returns where it is, or `None` if there is to be none or it cannot be made, with a warning.
    pub fn make_report(&mut self) -> Option<PathBuf> {
        let metrics = self.metrics.path().to_owned();
        let (now, waiting) = (self.wall_s, std::mem::take(&mut self.waiting));
        let failure = failed(&mut self.report, |report| {
            report.made_s = now;
            write_with_warnings(&metrics, &report.path, &report.description, &waiting)
        });
        self.waiting = waiting;
        self.settle(failure, "the report");
        self.report.as_ref().map(|report| report.path.clone())
    }

    /// Keeps the last warnings, makes the report and closes every sink.
    ///
    /// # Errors
    /// Those of [`MetricsLog::append`] and [`MetricsLog::sync`].
    pub fn finish(mut self) -> Result<Finished, MonitorError> {
        if let (Some((step, steps)), false) = (self.last, self.waiting.is_empty()) {
            let notes = std::mem::take(&mut self.waiting);
            self.metrics.append(&Record { step, steps, wall_s: self.wall_s, notes, ..Record::default() })?;
        }
        self.metrics.sync()?;
        let report = self.make_report();
        let place = report.as_deref().unwrap_or(self.metrics.path()).display().to_string();
        let failure = failed(&mut self.progress, |progress| progress.finish(&place));
        self.settle(failure, "progress");
        Ok(Finished { report, warnings: self.warnings })
    }

    /// The record with a clock that never goes back, and throughput.
    fn complete(&self, record: &Record) -> Record {
        let mut record = record.clone();
        record.wall_s = if record.wall_s.is_finite() { record.wall_s.max(self.wall_s) } else { self.wall_s };
        if let Some(tokens) = record.scalars.get("tokens") {
            let rate = tokens / (record.wall_s - self.wall_s);
            if rate.is_finite() && !record.scalars.contains_key(THROUGHPUT) {
                record.scalars.insert(THROUGHPUT.to_owned(), rate);
            }
        }
        record
    }

    /// Shows a record.
    fn show(&mut self, record: &Record) {
        match &self.progress {
            None => record.notes.iter().for_each(|note| tracing::warn!("{note}")),
            Some(_) => {
                let failure = failed(&mut self.progress, |progress| progress.record(record));
                self.settle(failure, "progress");
            }
        }
    }

    /// Warns of a sink that was closed.
    fn settle(&mut self, failure: Option<String>, sink: &str) {
        if let Some(failure) = failure {
            self.warn(&without(sink, failure));
        }
    }

    fn keep(&mut self, warning: String) {
        for kept in [&mut self.waiting, &mut self.warnings] {
            if kept.len() < WAITING {
                kept.push(warning.clone());
            }
        }
    }
}

/// Lets an open sink act; one that fails is closed, and its failure returned.
fn failed<T, E: Display>(sink: &mut Option<T>, act: impl FnOnce(&mut T) -> Result<(), E>) -> Option<String> {
    let failure = act(sink.as_mut()?).err()?;
    *sink = None;
    Some(failure.to_string())
}

fn without(sink: &str, failure: impl Display) -> String {
    format!("{sink}: {failure}; training goes on without")
}

#[cfg(test)]
mod tests;
