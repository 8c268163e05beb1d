//! What `go test -v` and `go test -json` print.
//!
//! The plain form names the package only after its tests, so they wait for it. A result counts only for a test that was
//! said to run: what tests print stands in between.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::recorder::Recorder;
use super::{ParseError, Status, TestReport};

/// Reads a log in either form.
pub(super) fn parse(log: &str) -> Result<TestReport, ParseError> {
    let event = |line: &str| line.starts_with('{') && line.contains("\"Action\":\"");
    let json = log.lines().any(event) && !log.lines().any(|line| line.starts_with("=== RUN "));
    if json { events(log) } else { lines(log) }
}

/// The tests of a package until its end is told; nothing for one that still runs.
type Tests<'a> = BTreeMap<&'a str, Option<Status>>;

/// Takes over the tests of a package that came to its end. What began and did not end broke; a package that failed
/// without a test that did is noted by its own name.
fn close(recorder: &mut Recorder, package: &str, tests: Tests<'_>, failed: bool) -> Result<(), ParseError> {
    let mut explained = false;
    for (test, status) in tests {
        let status = status.unwrap_or(Status::Errored);
        explained |= status.is_failure();
        recorder.add(format!("{package}.{test}"), status)?;
    }
    if failed && !explained { recorder.add(package, Status::Errored) } else { Ok(()) }
}

fn lines(log: &str) -> Result<TestReport, ParseError> {
    let (mut recorder, mut tests, mut last) = (Recorder::default(), Tests::new(), "");
    let (mut packages, mut ended) = (0, false);
    for line in log.lines().map(str::trim_end) {
        if let Some(test) = line.strip_prefix("=== RUN ") {
            last = test.trim_start();
            tests.entry(last).or_insert(None);
            ended = false;
        } else if let Some((package, failed)) = package(line) {
            close(&mut recorder, package, std::mem::take(&mut tests), failed)?;
            (packages, ended) = (packages + 1, true);
        } else if let Some((test, status)) = result(line, last)
            && let Some(known) = tests.get_mut(test)
        {
            *known = (*known).max(Some(status));
        }
    }
    let complete = packages > 0 && ended && tests.is_empty();
    close(&mut recorder, "", tests, false)?;
    Ok(recorder.finish(complete))
}

/// `ok  <tab>package<tab>0.1s`, `FAIL<tab>package<tab>0.1s` or `FAIL<tab>package [build failed]`, and whether it failed.
fn package(line: &str) -> Option<(&str, bool)> {
    let (word, rest) = line.split_once('\t')?;
    let package = rest.split(['\t', ' ']).next().filter(|package| !package.is_empty())?;
    match word.trim_end() {
        "FAIL" => Some((package, true)),
        "ok" | "?" => Some((package, false)),
        _ => None,
    }
}

/// `--- PASS: TestAdds (0.00s)`, indented under a test for its subtests. After output that did not end its line, only
/// the test that began last can be meant.
fn result<'a>(line: &'a str, last: &str) -> Option<(&'a str, Status)> {
    let at = line.find("--- ")?;
    let (before, rest) = line.split_at_checked(at)?;
    let (word, rest) = rest.strip_prefix("--- ")?.split_once(": ")?;
    let (test, _) = rest.rsplit_once(" (")?;
    let status = match word {
        "PASS" => Status::Passed,
        "FAIL" => Status::Failed,
        "SKIP" => Status::Skipped,
        _ => return None,
    };
    let own = before.len() % 4 == 0 && before.trim_start_matches(' ').is_empty();
    (own || (test == last && !before.starts_with(' '))).then_some((test, status))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Event {
    action: String,
    #[serde(default)]
    package: String,
    test: Option<String>,
}

fn events(log: &str) -> Result<TestReport, ParseError> {
    let mut recorder = Recorder::default();
    let mut packages: BTreeMap<String, BTreeMap<String, Option<Status>>> = BTreeMap::new();
    let mut ended = 0;
    for line in log.lines() {
        // Go before 1.24 tells in plain words what cannot be built.
        if let Some((package, true)) = package(line).filter(|_| line.ends_with(" failed]")) {
            close(&mut recorder, package, Tests::new(), true)?;
        }
        let Ok(Event { action, package, test }) = serde_json::from_str(line) else { continue };
        let status = match action.as_str() {
            "start" | "run" => None,
            "pass" => Some(Status::Passed),
            "fail" => Some(Status::Failed),
            "skip" => Some(Status::Skipped),
            _ => continue,
        };
        if let Some(test) = test {
            recorder.claim(package.len() + test.len())?;
            let known = packages.entry(package).or_default().entry(test).or_default();
            *known = (*known).max(status);
        } else if let Some(status) = status {
            let tests = packages.remove(&package).unwrap_or_default();
            let tests = tests.iter().map(|(test, status)| (test.as_str(), *status)).collect();
            close(&mut recorder, &package, tests, status == Status::Failed)?;
            ended += 1;
        } else {
            packages.entry(package).or_default();
        }
    }
    let complete = ended > 0 && packages.is_empty();
    for (package, tests) in &packages {
        let tests = tests.iter().map(|(test, status)| (test.as_str(), *status)).collect();
        close(&mut recorder, package, tests, false)?;
    }
    Ok(recorder.finish(complete))
}
