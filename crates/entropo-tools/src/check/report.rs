//! What became of each test.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What became of a test, from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Status {
    /// It passed.
    Passed,
    /// It failed, as its author said it would.
    ExpectedFailure,
    /// It was not run, or not to its end, on purpose.
    Skipped,
    /// It passed although its author said it would fail.
    UnexpectedPass,
    /// It broke around the test proper: in its set-up, its clean-up or on being loaded; or it never ended.
    Errored,
    /// It failed.
    Failed,
}

impl Status {
    /// Whether it counts as passing: it passed, or failed as expected. As in SWE-bench, an unexpected pass does not.
    pub fn is_success(self) -> bool {
        matches!(self, Self::Passed | Self::ExpectedFailure)
    }

    /// Whether it failed or broke.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::Errored)
    }
}

/// What became of the tests of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestReport {
    /// Each test by its whole name.
    pub tests: BTreeMap<String, Status>,
    /// Whether the runner came to its end and the report has all that it announced.
    pub complete: bool,
}

impl TestReport {
    /// What became of a test; nothing if the report does not have it.
    pub fn get(&self, test: &str) -> Option<Status> {
        self.tests.get(test).copied()
    }

    /// How many tests have a status.
    pub fn count(&self, status: Status) -> usize {
        self.tests.values().filter(|found| **found == status).count()
    }

    /// The same under other names. Tests whose names become one have the worst of their results.
    #[must_use]
    pub fn renamed(&self, mut name: impl FnMut(&str) -> String) -> Self {
        let mut tests = BTreeMap::new();
        for (test, status) in &self.tests {
            merge(&mut tests, name(test), *status);
        }
        Self { tests, complete: self.complete }
    }
}

/// Notes a result; of two for one test the worse stands.
pub(super) fn merge(tests: &mut BTreeMap<String, Status>, test: String, status: Status) {
    let kept = tests.entry(test).or_insert(status);
    *kept = (*kept).max(status);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_that_become_one_have_the_worst_result() {
        let tests = [("a::x".into(), Status::Failed), ("b::x".into(), Status::Passed)].into();
        let report = TestReport { tests, complete: true }.renamed(|name| name.split("::").last().unwrap().into());
        assert_eq!(report.tests, [("x".into(), Status::Failed)].into());
        assert!(report.complete);
    }
}
