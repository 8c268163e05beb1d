//! What `cargo test` prints.
//!
//! Each program of tests is announced, then says how many tests it runs, a line for each, the output of those that
//! failed, and the names of those that failed. The output can look like the lines, so these count only before it.

use std::collections::HashMap;

use super::recorder::Recorder;
use super::text::{count, number};
use super::{ParseError, Status, TestReport};

#[derive(Default)]
struct Log<'a> {
    recorder: Recorder,
    /// The crate under test, with `::`.
    prefix: String,
    /// How many tests the program announced.
    announced: Option<usize>,
    /// What it said of each so far.
    seen: HashMap<&'a str, Option<Status>>,
    open: Option<&'a str>,
    in_failures: bool,
    failed: Vec<&'a str>,
    programs: usize,
    broken: bool,
}

/// Reads a log.
pub(super) fn parse(log: &str) -> Result<TestReport, ParseError> {
    let (mut state, mut stopped, mut all) = (Log::default(), false, false);
    for line in log.lines().map(str::trim_end) {
        if let Some(rest) = line.strip_prefix("     Running ") {
            state.close(false)?;
            state.prefix = program(rest);
        } else if let Some(name) = line.strip_prefix("   Doc-tests ") {
            state.close(false)?;
            state.prefix = format!("{name} (doc)::");
        } else if line.starts_with("error: test failed, to rerun pass") {
            stopped = true;
        } else if line.starts_with("error: ") && (line.ends_with("target failed:") || line.ends_with("targets failed:"))
        {
            all = true;
        } else if line.starts_with("error: could not compile") {
            state.broken = true;
        } else {
            state.line(line)?;
        }
    }
    state.close(false)?;
    let complete = state.programs > 0 && !state.broken && (all || !stopped);
    Ok(state.recorder.finish(complete))
}

impl<'a> Log<'a> {
    fn line(&mut self, line: &'a str) -> Result<(), ParseError> {
        if let Some(tests) = running(line) {
            self.close(false)?;
            self.announced = Some(tests);
        } else if self.announced.is_none() {
            return Ok(());
        } else if line.starts_with("test result: ") {
            let totals = ["passed;", "failed;", "ignored;", "measured;"].map(|word| count(line, word));
            let total = totals.into_iter().fold(0, usize::saturating_add);
            self.close(self.announced == Some(total) && self.announced == Some(self.seen.len()))?;
        } else if line == "failures:" {
            self.in_failures = true;
            self.failed.clear();
        } else if self.in_failures {
            self.failed.extend(line.strip_prefix("    "));
        } else if let Some((test, rest)) = line.strip_prefix("test ").and_then(|line| line.split_once(" ...")) {
            let test = [" - should panic", " - compile fail", " - compile"]
                .iter()
                .find_map(|suffix| test.strip_suffix(suffix))
                .unwrap_or(test);
            let status = result(rest.trim_start());
            let known = self.seen.entry(test).or_insert(status);
            *known = (*known).max(status);
            self.open = status.is_none().then_some(test);
        } else if let (Some(test), Some(status)) = (self.open, result(line)) {
            self.seen.insert(test, Some(status));
            self.open = None;
        }
        Ok(())
    }

    /// Takes over what the program said.
    fn close(&mut self, whole: bool) -> Result<(), ParseError> {
        let announced = self.announced.take().is_some();
        for test in std::mem::take(&mut self.failed) {
            if let Some(status) = self.seen.get_mut(test) {
                *status = Some(Status::Failed);
            }
        }
        let mut whole = whole;
        for (test, status) in std::mem::take(&mut self.seen) {
            match status {
                Some(status) => self.recorder.add(format!("{}{test}", self.prefix), status)?,
                None => whole = false,
            }
        }
        (self.open, self.in_failures) = (None, false);
        self.programs += usize::from(announced);
        self.broken |= announced && !whole;
        Ok(())
    }
}

/// `running 3 tests`.
fn running(line: &str) -> Option<usize> {
    let (tests, rest) = number(line.strip_prefix("running ")?)?;
    matches!(rest, " test" | " tests").then_some(tests)
}

/// `unittests src/lib.rs (target/debug/deps/shop-507999230d6984fa)`: the crate, and the source if it is not the library
/// or a test, as it may share the crate's name.
fn program(text: &str) -> String {
    let (source, path) = text.rsplit_once(" (").unwrap_or((text, text));
    let file = path.trim_end_matches(')').rsplit(['/', '\\']).next().unwrap_or_default();
    let name = file.strip_suffix(".exe").unwrap_or(file).rsplit_once('-').map_or(file, |(name, _)| name);
    match source.strip_prefix("unittests ") {
        Some(source) if source != "src/lib.rs" => format!("{name} ({source})::"),
        _ => format!("{name}::"),
    }
}

fn result(text: &str) -> Option<Status> {
    let (first, rest) = text.split_at_checked(text.find([' ', ',', ':']).unwrap_or(text.len()))?;
    Some(match first {
        "ok" if rest.is_empty() || rest.starts_with(" <") => Status::Passed,
        "FAILED" if rest.is_empty() || rest.starts_with(" <") => Status::Failed,
        "ignored" if rest.is_empty() || rest.starts_with(", ") => Status::Skipped,
        "bench" if rest.starts_with(':') => Status::Passed,
        _ => return None,
    })
}
