//! A report held against the tests that must pass.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Score, TestReport};

/// The tests that a patch must make pass, and those that it must not break, by their whole names. Its JSON has SWE-bench's
/// keys, `FAIL_TO_PASS` and `PASS_TO_PASS`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub struct Grading {
    /// Fail without a right patch, and pass with one.
    pub fail_to_pass: BTreeSet<String>,
    /// Pass without a patch, and with a right one.
    pub pass_to_pass: BTreeSet<String>,
}

impl Grading {
    /// The two lists.
    pub fn new<F: Into<String>, P: Into<String>>(
        fail_to_pass: impl IntoIterator<Item = F>,
        pass_to_pass: impl IntoIterator<Item = P>,
    ) -> Self {
        Self {
            fail_to_pass: fail_to_pass.into_iter().map(Into::into).collect(),
            pass_to_pass: pass_to_pass.into_iter().map(Into::into).collect(),
        }
    }

    /// The lists that a right patch shows, from reports without it and with it.
    pub fn between(before: &TestReport, after: &TestReport) -> Self {
        let mut lists = Self::default();
        for test in after.tests.iter().filter(|(_, status)| status.is_success()).map(|(test, _)| test) {
            match before.get(test) {
                Some(status) if status.is_success() => lists.pass_to_pass.insert(test.clone()),
                Some(status) if !status.is_failure() => false,
                _ => lists.fail_to_pass.insert(test.clone()),
            };
        }
        lists
    }

    /// Looks every test up in a report.
    pub fn grade(&self, report: &TestReport) -> Verdict {
        Verdict {
            fail_to_pass: Score::of(self.fail_to_pass.iter().map(String::as_str), report),
            pass_to_pass: Score::of(self.pass_to_pass.iter().map(String::as_str), report),
            complete: report.complete,
        }
    }
}

/// What a [`Grading`] says of a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Of the tests that should pass now.
    pub fail_to_pass: Score,
    /// Of the tests that should pass still.
    pub pass_to_pass: Score,
    /// Whether the report was complete. Tests that it lost are told as missing in any case.
    pub complete: bool,
}

impl Verdict {
    /// Whether every test of both lists passes. Two empty lists resolve nothing.
    pub fn is_resolved(&self) -> bool {
        self.fail_to_pass.expected + self.pass_to_pass.expected > 0
            && self.fail_to_pass.wrong.is_empty()
            && self.pass_to_pass.wrong.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Found, Status};

    fn report(tests: &[(&str, Status)]) -> TestReport {
        TestReport { tests: tests.iter().map(|(test, status)| ((*test).into(), *status)).collect(), complete: true }
    }

    #[test]
    fn names_are_compared_whole() {
        let grading = Grading::new(["resolved"], ["test_a"]);
        let verdict = grading.grade(&report(&[("unresolved", Status::Passed), ("test_ab", Status::Passed)]));
        assert!(!verdict.is_resolved());
        assert_eq!(verdict.fail_to_pass.wrong, [("resolved".into(), Found::Missing)].into());
        assert_eq!(verdict.pass_to_pass.wrong, [("test_a".into(), Found::Missing)].into());
    }

    #[test]
    fn only_passing_resolves() {
        let grading = Grading::new(["a"], ["b"]);
        for (a, b, resolved) in [
            (Status::Passed, Status::Passed, true),
            (Status::Passed, Status::ExpectedFailure, true),
            (Status::Passed, Status::Skipped, false),
            (Status::Errored, Status::Passed, false),
            (Status::UnexpectedPass, Status::Passed, false),
        ] {
            assert_eq!(grading.grade(&report(&[("a", a), ("b", b)])).is_resolved(), resolved, "{a:?} {b:?}");
        }
        assert!(!Grading::default().grade(&report(&[("a", Status::Passed)])).is_resolved());
    }

    #[test]
    fn the_lists_come_from_a_right_patch() {
        use Status::{Failed, Passed, Skipped};
        let before = report(&[("a", Failed), ("b", Passed), ("c", Passed), ("d", Skipped)]);
        let after = report(&[("a", Passed), ("b", Passed), ("c", Failed), ("d", Passed), ("new", Passed)]);
        assert_eq!(Grading::between(&before, &after), Grading::new(["a", "new"], ["b"]));
    }

    #[test]
    fn the_lists_are_read_with_the_benchmarks_keys() {
        let json = r#"{"FAIL_TO_PASS": ["a"], "PASS_TO_PASS": []}"#;
        assert_eq!(serde_json::from_str::<Grading>(json).unwrap(), Grading::new(["a"], [""; 0]));
    }
}
