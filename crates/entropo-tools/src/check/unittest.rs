//! What `python -m unittest -v` prints.
//!
//! A test's name comes first, then its docstring's first line if it has one, then ` ... ` and the result. What the test
//! prints can come between, so that the result stands in a line of its own.

use super::recorder::Recorder;
use super::text::number;
use super::{ParseError, Status, TestReport};

/// Reads a log.
pub(super) fn parse(log: &str) -> Result<TestReport, ParseError> {
    let (mut recorder, mut open, mut fresh, mut heading) = (Recorder::default(), None, false, false);
    let (mut ran, mut complete) = (None, false);
    for line in log.lines().map(str::trim_end) {
        let after_rule = std::mem::replace(&mut heading, line.len() >= 70 && line.bytes().all(|byte| byte == b'='));
        let was_fresh = std::mem::take(&mut fresh);
        if let Some(rest) = line.strip_prefix("Ran ").and_then(|rest| number(rest)) {
            (ran, complete) = (Some(rest.0), false);
        } else if ran.is_some() && (line == "OK" || line.starts_with("OK (") || line.starts_with("FAILED (")) {
            complete = true;
        } else if after_rule && let Some((test, status)) = report(line) {
            recorder.add(test, status)?;
        } else if let Some((test, rest)) = started(line).filter(|_| !was_fresh) {
            match rest.strip_prefix(" ... ").or(rest.strip_prefix(" ...")).map(result) {
                Some(Some(status)) => recorder.add(test, status)?,
                Some(None) => open = Some(test),
                None if rest.is_empty() => (open, fresh) = (Some(test), true),
                // A subtest has its parameters after the name, and its test's result comes with it.
                None => {
                    if line.starts_with("  ")
                        && let Some(status) = rest.rsplit_once(" ... ").and_then(|(_, last)| result(last))
                    {
                        recorder.add(test, status)?;
                    }
                }
            }
        } else if let Some(test) = open {
            // The docstring follows at once and holds the result, or the result is alone.
            let found = match (was_fresh, line.rsplit_once(" ... ")) {
                (true, Some((_, last))) => {
                    result(last).or_else(|| line.split_once(" ... ").and_then(|(_, last)| result(last)))
                }
                (true, None) => None,
                (false, _) => result(line),
            };
            if let Some(status) = found {
                recorder.add(test, status)?;
                open = None;
            }
        }
    }
    complete &= ran.is_some_and(|ran| recorder.len() >= ran);
    Ok(recorder.finish(complete))
}

/// `test_adds (shop.ShopTest.test_adds)` and what follows it.
fn started(line: &str) -> Option<(&str, &str)> {
    let line = line.strip_prefix("  ").unwrap_or(line);
    let (method, rest) = line.split_once(" (")?;
    if method.is_empty() || method.contains(char::is_whitespace) {
        return None;
    }
    let class =
        rest.find(')').filter(|end| rest.get(..*end).is_some_and(|class| !class.is_empty() && !class.contains(' ')))?;
    line.split_at_checked(method.len() + " (".len() + class + 1)
}

/// `FAIL: test_adds (shop.ShopTest.test_adds) (i=1)`, above the report of a failure.
fn report(line: &str) -> Option<(&str, Status)> {
    let (kind, rest) = line.split_once(": ")?;
    let status = match kind {
        "FAIL" => Status::Failed,
        "ERROR" => Status::Errored,
        "UNEXPECTED SUCCESS" => Status::UnexpectedPass,
        _ => return None,
    };
    Some((started(rest)?.0, status))
}

fn result(text: &str) -> Option<Status> {
    Some(match text {
        "ok" => Status::Passed,
        "FAIL" => Status::Failed,
        "ERROR" => Status::Errored,
        "expected failure" => Status::ExpectedFailure,
        "unexpected success" => Status::UnexpectedPass,
        _ if text.starts_with("skipped '") || text.starts_with("skipped \"") => Status::Skipped,
        _ => return None,
    })
}
