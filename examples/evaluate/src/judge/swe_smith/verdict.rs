//! What a row asks of its tests, and what they say.

use entropo_core::format::swe_bench::{InstanceReport, SweBenchInstance, TestOutcomes, TestsStatus};
use entropo_tools::check::swe_bench::Word;

use super::log::Found;
use crate::failure::Failure;

/// What a row asks of its tests.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) fail_to_pass: Vec<String>,
    pub(super) pass_to_pass: Vec<String>,
}

impl Asked {
    /// Of a row. One without a test that shows the fault is refused, as SWE-smith makes none.
    pub(super) fn of(row: &SweBenchInstance) -> Result<Self, Failure> {
        let missing = |key| move || Failure::task(&row.instance_id, format!("the row has no `{key}`"));
        let fail_to_pass = row.fail_to_pass.as_ref().ok_or_else(missing("FAIL_TO_PASS"))?.names.clone();
        let pass_to_pass = row.pass_to_pass.as_ref().ok_or_else(missing("PASS_TO_PASS"))?.names.clone();
        if fail_to_pass.is_empty() {
            let reason = "the row's `FAIL_TO_PASS` names no test, and nothing could be solved by it";
            return Err(Failure::task(&row.instance_id, reason));
        }
        Ok(Self { fail_to_pass, pass_to_pass })
    }

    /// The report on a run; without one that can be read nothing is solved. A test that is missing failed. Of one that was
    /// skipped nothing is asked if it should go on passing; one that should show the repair failed, or a patch that has all of
    /// them skipped would solve its instance.
    pub(super) fn report(&self, found: Option<&Found>) -> InstanceReport {
        let applied =
            InstanceReport { patch_exists: true, patch_successfully_applied: true, ..InstanceReport::default() };
        let Some(found) = found else { return applied };
        let outcomes = |tests: &[String], must_run: bool| {
            let mut outcomes = TestOutcomes::default();
            for test in tests {
                match found.get(test) {
                    Some(Word::Passed | Word::Xfail) => outcomes.success.push(test.clone()),
                    Some(Word::Failed | Word::Error) | None => outcomes.failure.push(test.clone()),
                    Some(_) if must_run => outcomes.failure.push(test.clone()),
                    Some(_) => {}
                }
            }
            outcomes
        };
        let (fail_to_pass, pass_to_pass) = (outcomes(&self.fail_to_pass, true), outcomes(&self.pass_to_pass, false));
        InstanceReport {
            resolved: fail_to_pass.failure.is_empty() && pass_to_pass.failure.is_empty(),
            tests_status: Some(TestsStatus { fail_to_pass, pass_to_pass, ..TestsStatus::default() }),
            ..applied
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asked(fail_to_pass: &[&str], pass_to_pass: &[&str]) -> Result<Asked, Failure> {
        let row = json!({"instance_id": "a", "repo": "a", "problem_statement": "", "FAIL_TO_PASS": fail_to_pass,
            "PASS_TO_PASS": pass_to_pass});
        Asked::of(&serde_json::from_value(row).unwrap())
    }

    fn found(tests: &[(&str, Word)]) -> Found {
        tests.iter().map(|(test, word)| ((*test).to_owned(), *word)).collect()
    }

    #[test]
    fn what_is_missing_failed_and_what_is_skipped_is_not_asked_for() {
        let asked = asked(&["a"], &["b", "c"]).unwrap();
        let all = [("a", Word::Passed), ("b", Word::Xfail), ("c", Word::Skipped), ("d", Word::Failed)];
        assert!(asked.report(Some(&found(&all))).resolved);
        assert!(asked.report(Some(&found(&[("a", Word::Xfail), ("b", Word::Passed), ("c", Word::Skipped)]))).resolved);
        for (tests, failed) in [
            (vec![("a", Word::Failed), ("b", Word::Passed), ("c", Word::Passed)], "a"),
            (vec![("b", Word::Passed), ("c", Word::Passed)], "a"),
            (vec![("a", Word::Passed), ("b", Word::Error), ("c", Word::Passed)], "b"),
            (vec![("a", Word::Passed), ("b", Word::Passed)], "c"),
            (vec![("a", Word::Skipped), ("b", Word::Passed), ("c", Word::Passed)], "a"),
            (vec![("a", Word::Other), ("b", Word::Passed), ("c", Word::Passed)], "a"),
        ] {
            let report = asked.report(Some(&found(&tests)));
            let tests = report.tests_status.unwrap();
            let all: Vec<String> = tests.fail_to_pass.failure.into_iter().chain(tests.pass_to_pass.failure).collect();
            assert!(!report.resolved && all == [failed], "{all:?}");
        }
    }

    #[test]
    fn a_log_of_nothing_solves_nothing() {
        let asked = asked(&["a"], &[]).unwrap();
        assert!(!asked.report(None).resolved && !asked.report(Some(&Found::new())).resolved);
        assert_eq!(asked.report(None).tests_status, None);
    }

    #[test]
    fn rows_that_ask_for_nothing_are_refused() {
        assert!(super::Asked::of(&SweBenchInstance::default()).unwrap_err().to_string().contains("no `FAIL_TO_PASS`"));
        assert!(asked(&[], &["b"]).unwrap_err().to_string().contains("names no test"));
    }
}
