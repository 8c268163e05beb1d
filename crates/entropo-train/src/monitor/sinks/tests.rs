use std::collections::BTreeMap;
use std::fs::OpenOptions;

use super::*;
use crate::monitor::metrics::read_metrics;

fn options(first_step: usize) -> MonitorOptions {
    MonitorOptions { first_step, output: Output::Nothing, ..MonitorOptions::default() }
}

/// A step with 100 tokens.
fn step(step: usize, wall_s: f64) -> Record {
    let scalars = BTreeMap::from([("loss".to_owned(), 0.5), ("tokens".to_owned(), 100.0)]);
    Record { step, steps: 4, wall_s, scalars, notes: Vec::new() }
}

fn read(directory: &Path) -> Vec<Record> {
    let mut records = Vec::new();
    read_metrics(directory.join(METRICS), |record| records.push(record)).unwrap();
    records
}

#[test]
fn throughput_is_that_since_the_record_before() {
    let folder = tempfile::tempdir().unwrap();
    let mut monitor = Monitor::start(folder.path(), options(0)).unwrap();
    monitor.step(&step(0, 2.0)).unwrap();
    monitor.step(&Record::evaluation(0, 4, 3.0, [("loss", 0.25)])).unwrap();
    monitor.step(&step(1, 3.5)).unwrap();
    monitor.step(&step(2, 1.0)).unwrap(); // a clock that went back
    drop(monitor); // a crash
    let mut monitor = Monitor::start(folder.path(), options(2)).unwrap();
    assert!(monitor.wall_s() >= 3.5);
    monitor.step(&step(2, 5.5)).unwrap();
    let throughput: Vec<_> = read(folder.path()).iter().map(|record| record.scalars.get(THROUGHPUT).copied()).collect();
    assert_eq!(throughput, [Some(50.0), None, Some(200.0), Some(50.0)]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_sink_that_fails_is_closed_with_one_warning_and_training_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut monitor = Monitor::start(folder.path(), options(0)).unwrap();
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    monitor.step(&step(0, 1.0)).unwrap();
    monitor.events = Some(EventLog::broken(full));
    for index in 1..4 {
        monitor.step(&step(index, 1.0 + index as f64)).unwrap();
    }
    let finished = monitor.finish().unwrap();
    assert_eq!(finished.warnings.len(), 1, "{finished:?}");
    assert!(finished.warnings[0].starts_with("event files for TensorBoard: No space left"), "{finished:?}");
    let notes: Vec<usize> = read(folder.path()).iter().map(|record| record.notes.len()).collect();
    assert_eq!(notes, [0, 0, 1, 0]); // kept with the record after
    assert!(fs::read_to_string(finished.report.unwrap()).unwrap().contains("No space left"));
}

#[test]
fn a_report_that_cannot_be_written_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join(REPORT)).unwrap();
    fs::write(folder.path().join(REPORT).join("file"), "").unwrap();
    let mut monitor = Monitor::start(folder.path(), options(0)).unwrap();
    monitor.step(&step(0, 1.0)).unwrap();
    let finished = monitor.finish().unwrap();
    assert_eq!(finished.report, None);
    assert!(finished.warnings[0].starts_with("the report: cannot write the report"), "{finished:?}");
}

#[test]
fn metrics_that_cannot_be_kept_stop_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let mut monitor = Monitor::start(folder.path(), options(0)).unwrap();
    monitor.step(&step(2, 1.0)).unwrap();
    assert!(matches!(monitor.step(&step(1, 2.0)), Err(MonitorError::Order { step: 1, previous: 2, .. })));
    assert!(matches!(Monitor::start(folder.path(), options(0)), Err(MonitorError::Metrics(_)))); // still open
    fs::write(folder.path().join("file"), "").unwrap();
    assert!(matches!(Monitor::start(folder.path().join("file"), options(0)), Err(MonitorError::Directory { .. })));
}

#[test]
fn the_last_warnings_are_kept_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut monitor = Monitor::start(folder.path(), options(0)).unwrap();
    monitor.step(&step(0, 1.0)).unwrap();
    monitor.warn("stopped by a signal");
    monitor.finish().unwrap();
    let records = read(folder.path());
    assert_eq!(records.last().unwrap().notes, ["stopped by a signal"]);
    assert_eq!(records.last().unwrap().step, 0);
}

#[test]
fn the_report_is_made_again_while_the_run_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let options = MonitorOptions { report_every_s: Some(10.0), ..options(0) };
    let mut monitor = Monitor::start(folder.path(), options).unwrap();
    let report = || fs::read_to_string(folder.path().join(REPORT)).ok();
    monitor.step(&step(0, 9.0)).unwrap();
    assert_eq!(report(), None);
    monitor.step(&step(1, 10.0)).unwrap();
    assert!(report().unwrap().contains("2 of 4 steps"));
    monitor.step(&step(2, 19.0)).unwrap();
    assert!(report().unwrap().contains("2 of 4 steps"));
    monitor.step(&step(3, 20.0)).unwrap();
    assert!(report().unwrap().contains("all 4 steps"));
}
