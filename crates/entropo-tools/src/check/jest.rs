//! What `jest --verbose` and `jest --json` print.

use super::javascript::{JestReport, Suites, json};
use super::recorder::Recorder;
use super::text::{count, indented, without_duration};
use super::{ParseError, Status, TestReport};

/// Reads a log in either form.
pub(super) fn parse(log: &str) -> Result<TestReport, ParseError> {
    match json::<JestReport>(log) {
        Some(report) => report?.results(),
        None => tree(log),
    }
}

/// A tree under the name of each file, up to an empty line.
fn tree(log: &str) -> Result<TestReport, ParseError> {
    let (mut recorder, mut suites, mut file, mut in_tree) = (Recorder::default(), Suites::default(), None, false);
    let (mut tests, mut total) = (0, None);
    for (number, line) in log.lines().map(str::trim_end).enumerate() {
        let (indent, text) = indented(line);
        if let Some(path) = line.strip_prefix("PASS ").or(line.strip_prefix("FAIL ")) {
            let path = without_duration(path.trim_start());
            suites.clear();
            suites.enter(0, path, number)?;
            (file, in_tree) = (Some(path), true);
        } else if text == "● Test suite failed to run" {
            if let Some(path) = file {
                recorder.add(path, Status::Errored)?;
            }
        } else if line.is_empty() || indent == 0 {
            in_tree = false;
            total = line.strip_prefix("Tests: ").map(|line| count(line, "total")).or(total);
        } else if in_tree && let Some((title, status)) = test(text) {
            recorder.add(suites.name(indent, title, " > "), status)?;
            tests += 1;
        } else if in_tree {
            suites.enter(indent, text, number)?;
        }
    }
    Ok(recorder.finish(total == Some(tests)))
}

fn test(text: &str) -> Option<(&str, Status)> {
    let (mark, title) = text.split_once(' ')?;
    Some(match mark {
        "✓" | "√" => (without_duration(title), Status::Passed),
        "✕" | "×" => (without_duration(title), Status::Failed),
        "○" => (title.strip_prefix("skipped ").unwrap_or(title), Status::Skipped),
        "✎" => (title.strip_prefix("todo ").unwrap_or(title), Status::Skipped),
        _ => return None,
    })
}
