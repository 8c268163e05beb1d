//! What the reports of JavaScript's test runners have in common.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::recorder::Recorder;
use super::{ParseError, Status, TestReport};

/// Before how many lines the beginning of a JSON report is looked for.
const TRIES: usize = 8;
/// How many suites can hold each other.
const DEPTH: usize = 64;

/// The JSON report in a log, which may have other lines around it; nothing if no line begins one.
pub(super) fn json<T: DeserializeOwned>(log: &str) -> Option<Result<T, ParseError>> {
    let starts = std::iter::once(0).chain(log.match_indices('\n').map(|(at, _)| at + 1));
    let mut result = None;
    for text in starts.filter_map(|at| log.get(at..)).filter(|text| text.starts_with('{')).take(TRIES) {
        match serde_json::Deserializer::from_str(text).into_iter().next() {
            Some(Ok(report)) => return Some(Ok(report)),
            Some(Err(error)) => result = result.or(Some(Err(ParseError::Json(error)))),
            None => {}
        }
    }
    result
}

/// The report of `jest --json`, which vitest writes too.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct JestReport {
    num_total_tests: usize,
    test_results: Vec<JestFile>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JestFile {
    name: String,
    status: String,
    assertion_results: Vec<JestTest>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JestTest {
    ancestor_titles: Vec<String>,
    title: String,
    status: String,
}

impl JestReport {
    /// The results. A file that failed without a test that did is noted by its own name: it could not be loaded.
    pub(super) fn results(self) -> Result<TestReport, ParseError> {
        let (mut recorder, mut tests) = (Recorder::default(), 0);
        for file in self.test_results {
            let mut explained = false;
            for test in file.assertion_results {
                let status = match test.status.as_str() {
                    "passed" => Status::Passed,
                    "failed" => Status::Failed,
                    _ => Status::Skipped,
                };
                explained |= status == Status::Failed;
                let name = [file.name.as_str()].into_iter().chain(test.ancestor_titles.iter().map(String::as_str));
                recorder.add(name.chain([test.title.as_str()]).collect::<Vec<_>>().join(" > "), status)?;
                tests += 1;
            }
            if file.status == "failed" && !explained {
                recorder.add(file.name, Status::Errored)?;
            }
        }
        Ok(recorder.finish(tests == self.num_total_tests))
    }
}

/// The suites around a line, by how far it is indented.
#[derive(Default)]
pub(super) struct Suites<'a>(Vec<(usize, &'a str)>);

impl<'a> Suites<'a> {
    /// Enters a suite whose headline is indented this far.
    pub(super) fn enter(&mut self, indent: usize, title: &'a str, line: usize) -> Result<(), ParseError> {
        self.leave(indent);
        if self.0.len() >= DEPTH {
            return Err(ParseError::TooDeep { line: line + 1, limit: DEPTH });
        }
        self.0.push((indent, title));
        Ok(())
    }

    /// The whole name of a test that is indented this far.
    pub(super) fn name(&mut self, indent: usize, title: &str, separator: &str) -> String {
        self.leave(indent);
        self.0.iter().map(|(_, title)| *title).chain([title]).collect::<Vec<_>>().join(separator)
    }

    /// Leaves them all.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    fn leave(&mut self, indent: usize) {
        while self.0.last().is_some_and(|(outer, _)| *outer >= indent) {
            self.0.pop();
        }
    }
}
