//! What an instance asks for, and what a log says of it.

use entropo_core::format::swe_bench::{InstanceReport, SweBenchInstance, TestOutcomes, TestsStatus};
use serde_json::Value;

use super::failure::{Tier, classify};
use super::log::{self, LIMIT};
use super::python::newlines;
use super::{LogError, LogParser, RulesError, Statuses, Word};

/// What the parser of an instance notes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EvalType {
    /// Tests that pass and tests that fail: one that is missing failed.
    #[default]
    PassAndFail,
    /// Tests that fail: one that is missing passed.
    FailOnly,
}

/// How an instance is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How its logs are read.
    pub parser: LogParser,
    /// What its logs tell.
    pub eval_type: EvalType,
    /// Tests that a solution has to make pass.
    pub fail_to_pass: Vec<String>,
    /// Tests that a solution must not break.
    pub pass_to_pass: Vec<String>,
}

impl Rules {
    /// The rules of a row. Older rows name no parser; then it is the one of the row's repository.
    ///
    /// # Errors
    /// [`RulesError`] with what is missing or not known.
    pub fn of(instance: &SweBenchInstance) -> Result<Self, RulesError> {
        let wrong = |reason: String| RulesError::Field { id: instance.instance_id.clone(), reason };
        let text = |key: &str| match instance.others.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(wrong(format!("`{key}` is no text"))),
        };
        let tests = |key: &str, tests: &Option<entropo_core::format::swe_bench::Tests>| {
            tests.as_ref().map(|tests| tests.names.clone()).ok_or_else(|| wrong(format!("`{key}` is missing")))
        };
        let parser = match text("log_parser")? {
            Some(name) => LogParser::named(name, &instance.instance_id)?,
            None => LogParser::for_repository(&instance.repo, &instance.instance_id)?,
        };
        let eval_type = match text("eval_type")? {
            None | Some("pass_and_fail") => EvalType::PassAndFail,
            Some("fail_only") => EvalType::FailOnly,
            Some(other) => return Err(wrong(format!("`eval_type` is {other:?}, not pass_and_fail or fail_only"))),
        };
        Ok(Self {
            parser,
            eval_type,
            fail_to_pass: tests("FAIL_TO_PASS", &instance.fail_to_pass)?,
            pass_to_pass: tests("PASS_TO_PASS", &instance.pass_to_pass)?,
        })
    }

    /// The report on a patch, from what its run printed. Without a patch there is nothing to report.
    ///
    /// # Errors
    /// [`LogError`] where the harness would have counted an error, or the log is too large.
    pub fn grade(&self, patch: Option<&str>, log: &str) -> Result<InstanceReport, LogError> {
        let mut report = InstanceReport::default();
        report.others.insert("infra_failure".into(), false.into());
        if patch.is_none() {
            report.patch_is_none = true;
            return Ok(report);
        }
        report.patch_exists = true;
        if log.len() > LIMIT {
            return Err(LogError::TooLarge { limit: LIMIT });
        }
        let log = newlines(log);
        let Some(found) = log::read(self.parser, &log)? else {
            if let Some(failure) = classify(&log)? {
                report.others.insert("infra_failure".into(), (failure.tier == Tier::Environment).into());
                report.others.insert("infra_failure_reason".into(), failure.reason.into());
            }
            return Ok(report);
        };
        report.patch_successfully_applied = true;
        let tests = self.outcomes(&found);
        report.resolved = is_resolved(&tests);
        report.tests_status = Some(tests);
        Ok(report)
    }

    fn outcomes(&self, found: &Statuses) -> TestsStatus {
        let sorted = |tests: &[String], passes: &dyn Fn(&str) -> bool, fails: &dyn Fn(&str) -> bool| {
            let mut outcomes = TestOutcomes::default();
            for test in tests {
                if passes(test) {
                    outcomes.success.push(test.clone());
                } else if fails(test) {
                    outcomes.failure.push(test.clone());
                }
            }
            outcomes
        };
        let (fail_to_pass, pass_to_pass) = match self.eval_type {
            EvalType::PassAndFail => {
                let fails = |test: &str| found.fails(test);
                let fail_to_pass = sorted(&self.fail_to_pass, &|test| found.passes(test), &fails);
                (fail_to_pass, sorted(&self.pass_to_pass, &|test| found.is_kept(test), &fails))
            }
            EvalType::FailOnly => {
                let passes = |test: &str| found.exactly(test) != Some(Word::Failed);
                let sorted = |tests| sorted(tests, &passes, &|_| true);
                (sorted(&self.fail_to_pass), sorted(&self.pass_to_pass))
            }
        };
        TestsStatus { fail_to_pass, pass_to_pass, ..TestsStatus::default() }
    }
}

/// Whether nothing failed. Of tests that neither passed nor failed nothing is asked, and of two empty lists neither.
fn is_resolved(tests: &TestsStatus) -> bool {
    tests.fail_to_pass.failure.is_empty() && tests.pass_to_pass.failure.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(fail_to_pass: &[&str], pass_to_pass: &[&str]) -> Rules {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Rules {
            parser: LogParser::Pytest,
            eval_type: EvalType::PassAndFail,
            fail_to_pass: owned(fail_to_pass),
            pass_to_pass: owned(pass_to_pass),
        }
    }

    fn log(lines: &str) -> String {
        format!("{}\n{lines}\n{}\n", log::START, log::END)
    }

    #[test]
    fn a_skipped_test_is_kept_but_solves_nothing() {
        let skipped = log("SKIPPED a\nPASSED b");
        assert!(!rules(&["a"], &["b"]).grade(Some("p"), &skipped).unwrap().resolved);
        assert!(rules(&["b"], &["a"]).grade(Some("p"), &skipped).unwrap().resolved);
    }

    #[test]
    fn a_missing_test_failed_unless_only_failures_are_told() {
        let log = log("PASSED b");
        let both = rules(&["a"], &["b"]);
        assert_eq!(both.grade(Some("p"), &log).unwrap().tests_status.unwrap().fail_to_pass.failure, ["a"]);
        assert!(Rules { eval_type: EvalType::FailOnly, ..both }.grade(Some("p"), &log).unwrap().resolved);
    }

    #[test]
    fn no_patch_is_no_run_and_no_log_no_judgement() {
        let none = rules(&["a"], &[]).grade(None, &log("PASSED a")).unwrap();
        assert!(none.patch_is_none && !none.patch_exists && !none.resolved);
        let broken = rules(&["a"], &[]).grade(Some("p"), "Could not resolve host: x\n").unwrap();
        assert!(broken.patch_exists && !broken.patch_successfully_applied);
        assert_eq!(broken.others["infra_failure_reason"], "network_unreachable");
    }
}
