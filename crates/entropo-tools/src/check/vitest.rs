//! What `vitest run` prints with the reporters `verbose` and `json`.

use super::javascript::{JestReport, json};
use super::recorder::Recorder;
use super::text::number;
use super::{ParseError, Status, TestReport};

/// Reads a log in either form.
pub(super) fn parse(log: &str) -> Result<TestReport, ParseError> {
    match json::<JestReport>(log) {
        Some(report) => report?.results(),
        None => lines(log),
    }
}

/// A line for each test with its whole name, then the failures, then the totals.
fn lines(log: &str) -> Result<TestReport, ParseError> {
    let (mut recorder, mut tests, mut total) = (Recorder::default(), 0, None);
    for line in log.lines().map(str::trim) {
        if let Some((name, status)) = test(line) {
            recorder.add(name, status)?;
            tests += 1;
        } else if let Some(failed) = line.strip_prefix("FAIL ") {
            match failed.trim_start().rsplit_once(" [ ") {
                Some((file, _)) => recorder.add(file, Status::Errored)?,
                None => recorder.add(failed.trim_start(), Status::Failed)?,
            }
        } else if let Some(totals) = line.strip_prefix("Tests ") {
            total = totals.rsplit_once('(').and_then(|(_, all)| number(all)).map(|(all, _)| all);
        }
    }
    Ok(recorder.finish(total == Some(tests)))
}

/// `✓ file > suite > test 12ms`. A line without ` > ` sums up a file.
fn test(line: &str) -> Option<(&str, Status)> {
    let (mark, name) = line.split_once(' ')?;
    let status = match mark {
        "✓" | "√" => Status::Passed,
        "×" => Status::Failed,
        "↓" | "□" => Status::Skipped,
        _ => return None,
    };
    let name = match name.rsplit_once(' ') {
        Some((name, time)) if number(time).is_some_and(|(_, unit)| unit == "ms") => name,
        _ => name,
    };
    name.contains(" > ").then_some((name, status))
}
