//! What pytest prints: a line for each test (`-v`) before the reports, and a summary (`-rA`) after them.
//!
//! Between the two stands what tests printed, which can look like either. So the lines count only before the first
//! headline of a section, and the summary only after the last headline of a summary.

use std::collections::HashSet;

use super::recorder::Recorder;
use super::text::{count, number};
use super::{ParseError, Status, TestReport};

const START: &str = " test session starts ";
const SUMMARY: &str = " short test summary info ";
/// In how many places the end of a name in one line is looked for.
const PLACES: usize = 64;

/// Reads a log.
pub(super) fn parse(log: &str) -> Result<TestReport, ParseError> {
    let (mut recorder, mut passed, mut failed) = (Recorder::default(), HashSet::new(), false);
    let mut note = |test: &str, status| {
        recorder.claim(test.len())?;
        failed |= status == Status::Failed;
        if status == Status::Passed {
            passed.insert(test.to_owned());
        }
        recorder.add(test, status)
    };
    let mut verbose = HashSet::new();
    for line in log.lines().take_while(|line| headline(line).is_none_or(|headline| headline == START)) {
        if let Some((test, status)) = verbose_line(line) {
            note(test, status)?;
            verbose.insert(test);
        }
    }
    let mut after = None;
    let mut from = 0;
    for line in log.split_inclusive('\n') {
        from += line.len();
        if headline(line) == Some(SUMMARY) {
            after = log.get(from..);
        }
    }
    for line in after.unwrap_or_default().lines() {
        if total(line).is_some() {
            break;
        }
        if let Some((test, status)) = summary_line(line, &verbose) {
            note(test, status)?;
        }
    }
    let last = log.lines().rev().find(|line| !line.trim().is_empty()).and_then(total);
    let stopped = log.lines().any(|line| line.starts_with("!!!!") && line.ends_with("!!!!"));
    let whole = last.is_some_and(|line| {
        passed.len() >= count(line, "passed") && (failed || count(line, "failed") == 0) && !stopped
    });
    Ok(recorder.finish(whole))
}

/// What stands in a line of `=`, with the spaces around it.
fn headline(line: &str) -> Option<&str> {
    let line = line.trim_end();
    let inside = line.strip_prefix("==")?.trim_start_matches('=').trim_end_matches('=');
    (inside.len() > 2 && inside.starts_with(' ') && inside.ends_with(' ')).then_some(inside)
}

/// The last line, `=== 1 failed, 2 passed in 0.10s ===`, also as `-q` prints it.
fn total(line: &str) -> Option<&str> {
    let line = line.trim().trim_matches('=').trim();
    let (counts, time) = line.rsplit_once(" in ")?;
    let known = counts == "no tests ran" || number(counts).is_some_and(|(_, rest)| rest.starts_with(' '));
    (known && time.starts_with(|c: char| c.is_ascii_digit()) && time.contains('s')).then_some(line)
}

fn word(word: &str) -> Option<Status> {
    Some(match word {
        "PASSED" => Status::Passed,
        "FAILED" => Status::Failed,
        "ERROR" => Status::Errored,
        "SKIPPED" => Status::Skipped,
        "XFAIL" => Status::ExpectedFailure,
        "XPASS" => Status::UnexpectedPass,
        _ => return None,
    })
}

/// `tests/test_a.py::test_b PASSED   [ 50%]`, or `[gw0] [ 50%] PASSED tests/test_a.py::test_b` under xdist.
fn verbose_line(line: &str) -> Option<(&str, Status)> {
    if line.starts_with("[gw") {
        let (_, line) = line.split_once("] ")?;
        let line = if line.starts_with('[') { line.split_once("] ")?.1 } else { line };
        let (first, test) = line.split_once(' ')?;
        return Some((test.trim_end(), word(first)?)).filter(|(test, _)| is_test(test));
    }
    let line = line.trim_end();
    let line = match line.strip_suffix("%]").and_then(|line| line.rsplit_once('[')) {
        Some((line, percent)) if percent.trim().bytes().all(|byte| byte.is_ascii_digit()) => line.trim_end(),
        _ => line,
    };
    if let Some((test, last)) = line.rsplit_once(' ')
        && let Some(status) = word(last)
    {
        return Some((test, status)).filter(|(test, _)| is_test(test));
    }
    let reasons = [" SKIPPED (", " XFAIL (", " XPASS ("].into_iter();
    let (at, reason) = reasons.filter_map(|reason| Some((line.find(reason)?, reason))).min()?;
    let test = line.get(..at).filter(|test| line.ends_with(')') && is_test(test))?;
    Some((test, word(reason.trim_end_matches('(').trim())?))
}

fn is_test(test: &str) -> bool {
    test.contains("::") && !test.starts_with(char::is_whitespace)
}

/// `FAILED tests/test_a.py::test_b[x - y] - assert 1 == 2`. Skipped tests have no name here.
fn summary_line<'a>(line: &'a str, known: &HashSet<&str>) -> Option<(&'a str, Status)> {
    let line = line.trim_end();
    for subtest in ["SUBFAILED", "SUBFAIL"] {
        if let Some(mut rest) = line.strip_prefix(subtest) {
            // Its message and its parameters stand before the name.
            for (open, close) in [("[", "] "), ("(", ") ")] {
                if let Some(inside) = rest.trim_start().strip_prefix(open) {
                    rest = inside.split_once(close)?.1;
                }
            }
            return Some((name(rest.trim_start(), known), Status::Failed));
        }
    }
    let (first, rest) = line.split_once(' ')?;
    let status = word(first).filter(|status| *status != Status::Skipped)?;
    Some((if status == Status::Passed { rest } else { name(rest, known) }, status))
}

/// Where the name ends and the message begins. Names may hold ` - ` too, but only in the brackets of their parameters; and
/// where the lines before the summary have the name, there is no doubt.
fn name<'a>(text: &'a str, known: &HashSet<&str>) -> &'a str {
    let ends = || text.match_indices(" - ").map(|(at, _)| at).take(PLACES).chain([text.len()]);
    let prefixes = || ends().filter_map(|end| text.get(..end));
    if let Some(name) = prefixes().filter(|name| name.len() < 4096 && known.contains(name)).last() {
        return name;
    }
    let path = text.find("::").unwrap_or(0);
    let bracket = text.get(path..).and_then(|rest| rest.find('[')).map(|at| at + path);
    let closed = |name: &&str| bracket.is_none_or(|bracket| name.len() <= bracket) || name.ends_with(']');
    prefixes().find(closed).unwrap_or(text)
}
