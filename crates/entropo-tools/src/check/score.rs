//! Reports held against each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Status, TestReport};

/// What a report says of a test that one asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// It has this result.
    Reported(Status),
    /// It is not in the report.
    Missing,
}

impl Found {
    /// What `report` says of `test`.
    pub fn of(test: &str, report: &TestReport) -> Self {
        report.get(test).map_or(Self::Missing, Self::Reported)
    }

    /// Whether it is there and counts as passing.
    pub fn is_success(self) -> bool {
        matches!(self, Self::Reported(status) if status.is_success())
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "missing",
            Self::Reported(Status::Passed) => "passed",
            Self::Reported(Status::ExpectedFailure) => "failed as expected",
            Self::Reported(Status::Skipped) => "skipped",
            Self::Reported(Status::UnexpectedPass) => "passed unexpectedly",
            Self::Reported(Status::Errored) => "errored",
            Self::Reported(Status::Failed) => "failed",
        })
    }
}

/// How many of the tests that should pass did, and which did not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Score {
    /// How many tests should pass.
    pub expected: usize,
    /// Those that did not, and what became of them.
    pub wrong: BTreeMap<String, Found>,
}

impl Score {
    /// Looks tests up by their whole names.
    pub fn of<'a>(tests: impl IntoIterator<Item = &'a str>, report: &TestReport) -> Self {
        let tests: BTreeSet<&str> = tests.into_iter().collect();
        let found = tests.iter().map(|test| ((*test).to_owned(), Found::of(test, report)));
        Self { expected: tests.len(), wrong: found.filter(|(_, found)| !found.is_success()).collect() }
    }

    /// How many passed.
    pub fn passed(&self) -> usize {
        self.expected.saturating_sub(self.wrong.len())
    }

    /// The share that passed, from 0 to 1; nothing where there was nothing to pass.
    pub fn share(&self) -> Option<f64> {
        (self.expected > 0).then(|| self.passed() as f64 / self.expected as f64)
    }
}

/// Regression: of the tests that passed before, those that pass after. One that is gone or skipped now is told as wrong.
pub fn regression(before: &TestReport, after: &TestReport) -> Score {
    let passed = before.tests.iter().filter(|(_, status)| status.is_success());
    Score::of(passed.map(|(test, _)| test.as_str()), after)
}

/// Reproduction: of the tests that failed or broke before, and so show the issue, those that pass after.
pub fn reproduction(before: &TestReport, after: &TestReport) -> Score {
    let failed = before.tests.iter().filter(|(_, status)| status.is_failure());
    Score::of(failed.map(|(test, _)| test.as_str()), after)
}

/// Tests that differ between runs of the same code, with how often each result came.
pub fn flaky(reports: &[TestReport]) -> BTreeMap<String, BTreeMap<Found, usize>> {
    let mut results = results(reports);
    results.retain(|_, found| found.len() > 1);
    results
}

/// What is the same in all runs of the same code: a sound `before` for [`regression`]. It is complete if all runs are.
pub fn settled(reports: &[TestReport]) -> TestReport {
    let same = results(reports).into_iter().filter(|(_, found)| found.len() == 1);
    let tests = same.filter_map(|(test, found)| match found.into_keys().next()? {
        Found::Reported(status) => Some((test, status)),
        Found::Missing => None,
    });
    TestReport { tests: tests.collect(), complete: !reports.is_empty() && reports.iter().all(|report| report.complete) }
}

fn results(reports: &[TestReport]) -> BTreeMap<String, BTreeMap<Found, usize>> {
    let names: BTreeSet<&String> = reports.iter().flat_map(|report| report.tests.keys()).collect();
    let counts = |test: &str| {
        let mut counts = BTreeMap::new();
        reports.iter().for_each(|report| *counts.entry(Found::of(test, report)).or_insert(0) += 1);
        counts
    };
    names.into_iter().map(|test| (test.clone(), counts(test))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(tests: &[(&str, Status)]) -> TestReport {
        TestReport { tests: tests.iter().map(|(test, status)| ((*test).into(), *status)).collect(), complete: true }
    }

    #[test]
    fn what_passed_must_pass_and_what_failed_should() {
        use Status::{Errored, ExpectedFailure, Failed, Passed, Skipped};
        let before = report(&[
            ("a", Passed),
            ("b", Passed),
            ("c", ExpectedFailure),
            ("d", Failed),
            ("e", Errored),
            ("f", Skipped),
        ]);
        let after = report(&[("a", Passed), ("bb", Passed), ("c", Failed), ("d", Passed), ("e", Skipped)]);
        let kept = regression(&before, &after);
        assert_eq!((kept.passed(), kept.expected, kept.share()), (1, 3, Some(1.0 / 3.0)));
        assert_eq!(kept.wrong, [("b".into(), Found::Missing), ("c".into(), Found::Reported(Failed))].into());
        let solved = reproduction(&before, &after);
        assert_eq!(solved.wrong, [("e".into(), Found::Reported(Skipped))].into());
        assert_eq!(regression(&after, &report(&[])).passed(), 0);
        assert_eq!(regression(&report(&[]), &after).share(), None);
    }

    #[test]
    fn flaky_tests_are_told_with_their_results_and_the_rest_is_settled() {
        let one = report(&[("a", Status::Passed), ("b", Status::Passed), ("c", Status::Failed)]);
        let two = report(&[("a", Status::Passed), ("b", Status::Failed)]);
        let flaky = flaky(&[one.clone(), two.clone(), one.clone()]);
        assert_eq!(flaky.keys().collect::<Vec<_>>(), ["b", "c"]);
        assert_eq!(flaky["b"], [(Found::Reported(Status::Passed), 2), (Found::Reported(Status::Failed), 1)].into());
        assert_eq!(flaky["c"], [(Found::Reported(Status::Failed), 2), (Found::Missing, 1)].into());
        assert_eq!(settled(&[one.clone(), two]).tests, [("a".into(), Status::Passed)].into());
        assert_eq!(settled(std::slice::from_ref(&one)), one);
        assert!(!settled(&[]).complete);
    }
}
