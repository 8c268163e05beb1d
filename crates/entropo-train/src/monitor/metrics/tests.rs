use std::collections::BTreeMap;
use std::fs;

use proptest::prelude::*;

use super::*;

fn record(step: usize) -> Record {
    let scalars = BTreeMap::from([("loss".to_owned(), 1.0 / (step + 1) as f64), ("é\n\"".to_owned(), f64::NAN)]);
    Record { step, steps: 9, wall_s: step as f64 + 0.5, scalars, notes: vec!["héllo\nthere".to_owned()] }
}

/// A file with the lines of steps 0 to `steps - 1`.
fn file_with(steps: usize) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metrics.jsonl");
    let mut log = MetricsLog::resume_at(&path, 0).unwrap();
    (0..steps).for_each(|step| log.append(&record(step)).unwrap());
    (folder, path)
}

fn steps(path: &Path) -> Vec<usize> {
    let mut steps = Vec::new();
    read_metrics(path, |record| steps.push(record.step)).unwrap();
    steps
}

/// The error of what a file is or was asked to be.
fn store<T: std::fmt::Debug>(result: Result<T, MonitorError>) -> StoreError {
    match result {
        Err(MonitorError::Metrics(error)) => *error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn records_come_back_as_they_were() {
    let (_folder, path) = file_with(3);
    let mut read = Vec::new();
    assert_eq!(read_metrics(&path, |record| read.push(record)).unwrap(), 0);
    let written: Vec<Record> = (0..3).map(record).collect();
    assert_eq!(format!("{read:?}"), format!("{written:?}")); // NaN is not equal to itself
}

#[test]
fn lines_of_steps_that_are_taken_again_are_dropped() {
    let (_folder, path) = file_with(5);
    let whole = fs::read_to_string(&path).unwrap();
    let log = MetricsLog::resume_at(&path, 3).unwrap();
    assert_eq!(log.reopened(), Reopened { kept: 3, repeated: 2, torn_bytes: 0 });
    assert_eq!(log.wall_s(), 2.5);
    drop(log);
    assert_eq!(fs::read_to_string(&path).unwrap(), whole.split_inclusive('\n').take(3).collect::<String>());
    let log = MetricsLog::resume_at(&path, 9).unwrap();
    assert_eq!(log.reopened(), Reopened { kept: 3, repeated: 0, torn_bytes: 0 });
}

#[test]
fn the_clock_never_goes_backwards() {
    let (_folder, path) = file_with(2);
    let mut log = MetricsLog::resume_at(&path, 2).unwrap();
    for (step, wall_s) in [(2, 0.1), (3, f64::NAN), (4, f64::INFINITY), (5, 7.0)] {
        log.append(&Record { wall_s, ..record(step) }).unwrap();
    }
    let mut clock = Vec::new();
    read_metrics(&path, |record| clock.push(record.wall_s)).unwrap();
    assert_eq!(clock, [0.5, 1.5, 1.5, 1.5, 1.5, 7.0]);
}

#[test]
fn steps_may_repeat_but_not_go_back() {
    let (_folder, path) = file_with(2);
    let mut log = MetricsLog::resume_at(&path, 2).unwrap();
    log.append(&record(1)).unwrap(); // an evaluation after the step
    let before = fs::read(&path).unwrap();
    let error = log.append(&record(0)).unwrap_err();
    assert!(matches!(error, MonitorError::Order { line: 4, step: 0, previous: 1, .. }), "{error:?}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn what_is_no_record_is_named_and_nothing_is_changed() {
    let (_folder, path) = file_with(1);
    let good = fs::read_to_string(&path).unwrap();
    let endless = "x".repeat(2 * line::MAX_LINE);
    for bad in ["nonsense\n", "{}\n", "[1]", "\n", endless.as_str()] {
        let text = format!("{good}{bad}");
        fs::write(&path, &text).unwrap();
        let error = MetricsLog::resume_at(&path, 0).unwrap_err();
        assert!(error.to_string().contains("metrics.jsonl, line 2"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    let (_folder, path) = file_with(2);
    let lines = fs::read_to_string(&path).unwrap();
    let turned: String = lines.split_inclusive('\n').rev().collect();
    fs::write(&path, turned).unwrap();
    assert!(matches!(MetricsLog::resume_at(&path, 9), Err(MonitorError::Order { line: 2, step: 0, previous: 1, .. })));
}

#[test]
fn only_one_run_has_the_file() {
    let (_folder, path) = file_with(1);
    let first = MetricsLog::resume_at(&path, 1).unwrap();
    assert!(matches!(store(MetricsLog::resume_at(&path, 1)), StoreError::Locked { .. }));
    drop(first);
    MetricsLog::resume_at(&path, 1).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_a_typed_error() {
    let (_folder, path) = file_with(1);
    let mut log = MetricsLog::resume_at(&path, 1).unwrap();
    log.file = OpenOptions::new().write(true).open("/dev/full").unwrap();
    assert!(matches!(store(log.append(&record(1))), StoreError::Io { action: "write to", .. }));
    assert!(matches!(store(log.append(&record(1))), StoreError::Broken { .. }));
    assert_eq!(steps(&path), [0]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_tail_torn_at_any_byte_is_cut_and_the_run_goes_on(count in 1_usize..4, resume in 0_usize..5) {
        let (_folder, path) = file_with(count);
        let whole = fs::read(&path).unwrap();
        for end in 0..=whole.len() {
            fs::write(&path, &whole[..end]).unwrap();
            let lines = whole[..end].iter().filter(|byte| **byte == b'\n').count();
            let kept = lines.min(resume);
            let tail = whole[..end].rsplit(|byte| *byte == b'\n').next().unwrap().len() as u64;

            prop_assert_eq!(read_metrics(&path, drop).unwrap(), tail);
            let mut log = MetricsLog::resume_at(&path, resume).unwrap();
            prop_assert_eq!(log.reopened(), Reopened { kept, repeated: lines - kept, torn_bytes: tail });
            log.append(&record(resume)).unwrap();
            drop(log);
            let expected: Vec<usize> = (0..kept).chain([resume]).collect();
            prop_assert_eq!(steps(&path), expected);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        fs::write(&path, &bytes).unwrap();
        match MetricsLog::resume_at(&path, 0) {
            Ok(_) => prop_assert!(!bytes.contains(&b'\n')),
            Err(_) => prop_assert_eq!(fs::read(&path).unwrap(), bytes),
        }
    }
}
