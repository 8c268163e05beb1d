//! Logs with the verdicts of the `swebench` package, judged here: the agreement that `scripts/check_grading.py` measures, kept
//! without Python.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use entropo_core::format::swe_bench::Instance;
use entropo_tools::check::swe_bench::Rules;
use serde::Deserialize;
use serde_json::{Value, json};

/// What `scripts/check_grading.py --record` writes.
const RECORD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/swebench_gradings.jsonl");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    kind: String,
    name: String,
    instance: Value,
    log: String,
    has_patch: bool,
    /// What the harness reports.
    report: Option<Value>,
    /// The exception with which the harness ends instead.
    raised: Option<String>,
}

impl Case {
    /// The report here, in the shape of the harness's; or what was wrong.
    fn judged(&self) -> Result<Value, String> {
        let Instance::SweBench(instance) = Instance::read(&self.instance).map_err(|error| error.to_string())? else {
            return Err("no row of SWE-bench's shape".to_owned());
        };
        let rules = Rules::of(&instance).map_err(|error| error.to_string())?;
        let report = rules.grade(self.has_patch.then_some(""), &self.log).map_err(|error| error.to_string())?;
        Ok(json!(BTreeMap::from([(instance.instance_id, report)])))
    }

    /// Both verdicts, if they differ.
    fn disagreement(&self) -> Option<String> {
        let ours = self.judged();
        let agreed = match (&ours, &self.report, &self.raised) {
            (Ok(ours), Some(theirs), None) => ours == theirs,
            (Err(_), None, Some(_)) => true,
            _ => false,
        };
        let theirs = self.report.as_ref().map(Value::to_string).or(self.raised.clone()).unwrap_or_default();
        let ours = ours.map_or_else(|error| format!("error: {error}"), |report| report.to_string());
        (!agreed).then(|| format!("{}\n  theirs: {theirs}\n  ours:   {ours}", self.name))
    }

    /// The tests of one of the harness's lists.
    fn listed(&self, list: &str, end: &str) -> BTreeSet<&str> {
        let reports = self.report.iter().filter_map(Value::as_object).flat_map(|reports| reports.values());
        let tests = reports.filter_map(|report| report["tests_status"][list][end].as_array()).flatten();
        tests.filter_map(Value::as_str).collect()
    }

    /// Whether the log tells all these statuses of one test, and the harness lists it so.
    fn decides(&self, statuses: &[&str], list: &str, end: &str) -> bool {
        let tells = |told: String| self.log.lines().any(|line| line == told || line.starts_with(&format!("{told} - ")));
        self.listed(list, end).iter().any(|test| statuses.iter().all(|status| tells(format!("{status} {test}"))))
    }
}

fn cases() -> Vec<Case> {
    let text = fs::read_to_string(RECORD).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_recorded_verdict_of_the_harness_is_ours() {
    let cases = cases();
    let disagreements: Vec<String> = cases.iter().filter_map(Case::disagreement).collect();
    assert!(
        disagreements.is_empty(),
        "{} of {} cases:\n{}",
        disagreements.len(),
        cases.len(),
        disagreements.join("\n")
    );
}

#[test]
fn the_record_has_the_cases_on_which_graders_differ() {
    let cases = cases();
    assert!(cases.len() >= 30, "{}", cases.len());
    let kinds: BTreeSet<&str> = cases.iter().map(|case| case.kind.as_str()).collect();
    assert_eq!(kinds, BTreeSet::from(["made", "pytest", "shuffled"]));

    let some = |what: &str, holds: &dyn Fn(&Case) -> bool| assert!(cases.iter().any(holds), "no case: {what}");
    let lists =
        |case: &Case, end: &str, part: &str| case.listed("FAIL_TO_PASS", end).iter().any(|test| test.contains(part));
    some("a parametrised test that passes", &|case| lists(case, "success", "["));
    some("a parametrised test that fails", &|case| lists(case, "failure", "["));
    some("a skipped test that should pass", &|case| case.decides(&["SKIPPED"], "FAIL_TO_PASS", "failure"));
    some("a skipped test that should be kept", &|case| case.decides(&["SKIPPED"], "PASS_TO_PASS", "success"));
    some("a test that errs", &|case| case.decides(&["ERROR"], "PASS_TO_PASS", "failure"));
    some("a flaky test that passes at last", &|case| {
        case.name == "pass after a failure, and the exit agrees"
            && case.decides(&["FAILED", "PASSED"], "PASS_TO_PASS", "success")
    });
    some("a flaky test that fails at last", &|case| {
        case.name == "failure after a pass" && case.decides(&["FAILED", "PASSED"], "PASS_TO_PASS", "failure")
    });
    some("no patch", &|case| !case.has_patch);
    some("an exception", &|case| case.raised.is_some());
}
