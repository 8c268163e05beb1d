//! What a report needs of a run's metrics, read in one pass and in bounded memory.

use std::collections::BTreeMap;
use std::path::Path;

use super::envelope::{Envelope, Point};
use crate::monitor::error::MonitorError;
use crate::monitor::metrics::read_metrics;
use crate::monitor::record::Record;
use crate::monitor::smooth::Smooth;
use crate::monitor::words::printable;

/// Points of a curve.
const POINTS: usize = 2000;
/// Points of a smoothed curve.
const SMOOTH_POINTS: usize = 500;
/// Curves; what a file has beyond them is left out.
const SERIES: usize = 256;
/// Warnings; only counted beyond them.
const NOTES: usize = 200;
/// Characters of a warning.
const NOTE: usize = 1000;
/// Bytes of a metric's name; what has a longer one is left out.
const NAME: usize = 200;
/// A smoothed curve forgets half of a value within this share of the run.
const HALF_LIFE_SHARE: f64 = 0.01;

/// A run's metrics.
#[derive(Debug, Default)]
pub(super) struct Curves {
    pub(super) records: usize,
    pub(super) steps: usize,
    pub(super) last_step: usize,
    pub(super) wall_s: f64,
    pub(super) series: BTreeMap<String, Series>,
    /// Whether there were more curves than are kept.
    pub(super) series_left_out: bool,
    /// Warnings and their steps.
    pub(super) notes: Vec<(usize, String)>,
    pub(super) notes_left_out: usize,
}

/// One metric.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) raw: Envelope,
    pub(super) smoothed: Envelope,
    smooth: Smooth,
    /// Finite values.
    pub(super) count: usize,
    pub(super) not_finite: usize,
    pub(super) sum: f64,
    pub(super) first: Point,
    pub(super) last: Point,
    pub(super) low: Point,
    pub(super) high: Point,
}

impl Curves {
    /// Reads `metrics.jsonl`, which may be growing.
    pub(super) fn read(path: &Path) -> Result<Self, MonitorError> {
        let mut curves = Self::default();
        read_metrics(path, |record| curves.add(record))?;
        Ok(curves)
    }

    fn add(&mut self, record: Record) {
        self.records += 1;
        self.steps = self.steps.max(record.steps);
        self.last_step = self.last_step.max(record.step);
        self.wall_s = self.wall_s.max(record.wall_s);
        for note in record.notes {
            match self.notes.len() < NOTES {
                true => self.notes.push((record.step, printable(&note, NOTE))),
                false => self.notes_left_out += 1,
            }
        }
        for (name, value) in record.scalars {
            if !self.series.contains_key(&name) && (self.series.len() >= SERIES || name.len() > NAME) {
                self.series_left_out = true;
                continue;
            }
            let half_life = (HALF_LIFE_SHARE * self.steps as f64).max(2.0);
            self.series.entry(name).or_insert_with(|| Series::new(half_life)).push(record.step, value);
        }
    }
}

impl Series {
    fn new(half_life: f64) -> Self {
        Self {
            raw: Envelope::new(POINTS),
            smoothed: Envelope::new(SMOOTH_POINTS),
            smooth: Smooth::new(half_life),
            count: 0,
            not_finite: 0,
            sum: 0.0,
            first: (0, 0.0),
            last: (0, 0.0),
            low: (0, f64::INFINITY),
            high: (0, f64::NEG_INFINITY),
        }
    }

    fn push(&mut self, step: usize, value: f64) {
        if !value.is_finite() {
            self.not_finite += 1;
            return;
        }
        let point = (step, value);
        self.first = if self.count == 0 { point } else { self.first };
        self.last = point;
        self.low = if value < self.low.1 { point } else { self.low };
        self.high = if value > self.high.1 { point } else { self.high };
        self.count += 1;
        self.sum += value;
        self.raw.push(step, value);
        self.smooth.push(step, value);
        if let Some(mean) = self.smooth.mean() {
            self.smoothed.push(step, mean);
        }
    }

    /// The smoothed value at the end.
    pub(super) fn smoothed_last(&self) -> Option<f64> {
        self.smooth.mean()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(step: usize, scalars: impl IntoIterator<Item = (String, f64)>) -> Record {
        let notes = vec![format!("note {step}")];
        Record { step, steps: 5000, wall_s: step as f64, scalars: scalars.into_iter().collect(), notes }
    }

    #[test]
    fn a_long_run_stays_small_and_keeps_its_peak() {
        let mut curves = Curves::default();
        for step in 0..5000 {
            let loss = if step == 3333 { 50.0 } else { 1.0 };
            curves.add(record(step, [("loss".to_owned(), loss), ("bad".to_owned(), f64::NAN)]));
        }
        let loss = &curves.series["loss"];
        assert!(loss.raw.points().len() <= POINTS && loss.raw.points().contains(&(3333, 50.0)));
        assert!(loss.smoothed.points().len() <= SMOOTH_POINTS);
        assert_eq!((loss.count, loss.high, loss.last), (5000, (3333, 50.0), (4999, 1.0)));
        assert_eq!((curves.series["bad"].count, curves.series["bad"].not_finite), (0, 5000));
        assert_eq!((curves.notes.len(), curves.notes_left_out), (NOTES, 5000 - NOTES));
        assert_eq!((curves.records, curves.last_step, curves.wall_s), (5000, 4999, 4999.0));
    }

    #[test]
    fn names_without_end_are_left_out() {
        let mut curves = Curves::default();
        curves.add(record(0, [("x".repeat(NAME + 1), 0.0)]));
        assert!(curves.series.is_empty() && curves.series_left_out);
        curves.add(record(0, (0..1000).map(|index| (format!("x{index}"), 0.0))));
        assert_eq!((curves.series.len(), curves.series_left_out), (SERIES, true));
    }
}
