//! What mocha prints by itself, and with `--reporter json`.

use serde::Deserialize;

use super::javascript::{Suites, json};
use super::recorder::Recorder;
use super::text::{indented, number, without_duration};
use super::{ParseError, Status, TestReport};

/// Reads a log in either form.
pub(super) fn parse(log: &str) -> Result<TestReport, ParseError> {
    match json::<Report>(log) {
        Some(report) => report?.results(),
        None => tree(log),
    }
}

#[derive(Deserialize)]
struct Report {
    passes: Vec<Test>,
    failures: Vec<Test>,
    pending: Vec<Test>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Test {
    full_title: String,
}

impl Report {
    fn results(self) -> Result<TestReport, ParseError> {
        let mut recorder = Recorder::default();
        let lists = [(self.passes, Status::Passed), (self.failures, Status::Failed), (self.pending, Status::Skipped)];
        for (tests, status) in lists {
            for test in tests {
                recorder.add(test.full_title, status)?;
            }
        }
        Ok(recorder.finish(true))
    }
}

/// A tree of suites and tests, then the totals, then the failures.
fn tree(log: &str) -> Result<TestReport, ParseError> {
    let (mut recorder, mut suites, mut found) = (Recorder::default(), Suites::default(), Counts::default());
    let mut lines = log.lines().map(str::trim_end).enumerate();
    for (line_number, line) in lines.by_ref() {
        let (indent, text) = indented(line);
        if let Some((passing, rest)) = number(text)
            && rest.starts_with(" passing (")
        {
            found.complete = passing == found.passed;
            break;
        }
        if text.is_empty() {
            suites.clear();
        } else if let Some((title, status)) = test(text, found.failed + 1) {
            recorder.add(suites.name(indent, title, " "), status)?;
            match status {
                Status::Passed => found.passed += 1,
                Status::Failed => found.failed += 1,
                _ => found.pending += 1,
            }
        } else if indent > 0 {
            suites.enter(indent, text, line_number)?;
        }
    }
    let totals = lines.map(|(_, line)| indented(line).1).take_while(|text| !text.is_empty());
    let (mut pending, mut failing) = (0, 0);
    for (total, word) in totals.filter_map(number) {
        match word {
            " pending" => pending = total,
            " failing" => failing = total,
            _ => {}
        }
    }
    Ok(recorder.finish(found.complete && (pending, failing) == (found.pending, found.failed)))
}

#[derive(Default)]
struct Counts {
    passed: usize,
    failed: usize,
    pending: usize,
    complete: bool,
}

/// `✔ adds (5ms)`, `1) fails` or `- pends`. Failures are numbered through.
fn test(text: &str, next_failure: usize) -> Option<(&str, Status)> {
    let (mark, title) = text.split_once(' ')?;
    match mark {
        "✔" | "✓" | "√" => Some((without_duration(title), Status::Passed)),
        "-" => Some((title, Status::Skipped)),
        _ => (number(mark)? == (next_failure, ")")).then_some((title, Status::Failed)),
    }
}
