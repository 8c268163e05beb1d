//! What the harness found.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Prediction;
use crate::format::RowError;
use crate::format::value::typed;

/// The version of [`RunReport`] that is written.
const SCHEMA_VERSION: u64 = 2;

/// The report on a whole run, `MODEL.RUN.json`, of schema version 2. Lists are sorted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    /// Instances of the data set.
    pub total_instances: usize,
    /// Predictions.
    pub submitted_instances: usize,
    /// Instances whose tests ran.
    pub completed_instances: usize,
    /// Instances that were solved.
    pub resolved_instances: usize,
    /// Instances whose tests ran and that were not solved.
    pub unresolved_instances: usize,
    /// Of the unsolved and broken, those whose environment failed; a remark, not a category.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub infra_failure_instances: Option<usize>,
    /// Of the unsolved and broken, those whose environment may have failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ambiguous_failure_instances: Option<usize>,
    /// Predictions without a patch.
    pub empty_patch_instances: usize,
    /// Instances that could not be judged.
    pub error_instances: usize,
    /// Names of the completed.
    pub completed_ids: Vec<String>,
    /// Names of the instances without a prediction.
    pub incomplete_ids: Vec<String>,
    /// Names of those without a patch.
    pub empty_patch_ids: Vec<String>,
    /// Names of the predictions.
    pub submitted_ids: Vec<String>,
    /// Names of the solved.
    pub resolved_ids: Vec<String>,
    /// Names of the unsolved.
    pub unresolved_ids: Vec<String>,
    /// Names of those whose environment failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub infra_failure_ids: Option<Vec<String>>,
    /// Names of those whose environment may have failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ambiguous_failure_ids: Option<Vec<String>>,
    /// Why, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_reasons: Option<BTreeMap<String, String>>,
    /// Names of those that could not be judged.
    pub error_ids: Vec<String>,
    /// 2.
    pub schema_version: u64,
    /// All other fields, such as containers that still run.
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

/// What became of one prediction with a patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every test that counts passed.
    Resolved,
    /// The tests ran, and one that counts did not pass.
    Unresolved,
    /// There is no judgement.
    Error,
}

/// The report on one instance, an entry of `report.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InstanceReport {
    /// Whether there was no prediction of a patch.
    #[serde(rename = "patch_is_None")]
    pub patch_is_none: bool,
    /// Whether there was a patch.
    pub patch_exists: bool,
    /// Whether it could be applied and the tests ran.
    pub patch_successfully_applied: bool,
    /// Whether the instance is solved.
    pub resolved: bool,
    /// What became of the tests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tests_status: Option<TestsStatus>,
    /// All other fields.
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

/// What became of the tests, by what was expected of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestsStatus {
    /// Those that a solution has to make pass.
    #[serde(rename = "FAIL_TO_PASS")]
    pub fail_to_pass: TestOutcomes,
    /// Those that a solution must not break.
    #[serde(rename = "PASS_TO_PASS")]
    pub pass_to_pass: TestOutcomes,
    /// Those that fail with the reference solution too; not counted.
    #[serde(rename = "FAIL_TO_FAIL", default)]
    pub fail_to_fail: TestOutcomes,
    /// Those that the reference solution breaks; not counted.
    #[serde(rename = "PASS_TO_FAIL", default)]
    pub pass_to_fail: TestOutcomes,
}

/// Names of tests by how they ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestOutcomes {
    /// Those that ended as they should.
    pub success: Vec<String>,
    /// Those that did not.
    pub failure: Vec<String>,
}

impl RunReport {
    /// The report on `predictions` for the instances of a data set, as the harness would write it without a look at logs
    /// and containers. An instance with a patch and no verdict is an error.
    pub fn new<'a>(
        instances: impl IntoIterator<Item = &'a str>,
        predictions: &[Prediction],
        verdicts: &BTreeMap<String, Verdict>,
    ) -> Self {
        let instances: Vec<&str> = instances.into_iter().collect();
        let by_id: BTreeMap<&str, &Prediction> =
            predictions.iter().map(|prediction| (prediction.instance_id.as_str(), prediction)).collect();
        let mut report = Self { total_instances: instances.len(), schema_version: SCHEMA_VERSION, ..Self::default() };
        for id in instances.into_iter().collect::<BTreeSet<_>>() {
            let lists: &mut [&mut Vec<String>] = match (by_id.get(id), verdicts.get(id)) {
                (None, _) => &mut [&mut report.incomplete_ids],
                (Some(prediction), _) if prediction.model_patch.as_deref().unwrap_or_default().is_empty() => {
                    &mut [&mut report.empty_patch_ids]
                }
                (_, Some(Verdict::Resolved)) => &mut [&mut report.completed_ids, &mut report.resolved_ids],
                (_, Some(Verdict::Unresolved)) => &mut [&mut report.completed_ids, &mut report.unresolved_ids],
                (_, Some(Verdict::Error) | None) => &mut [&mut report.error_ids],
            };
            lists.iter_mut().for_each(|list| list.push(id.to_owned()));
        }
        report.submitted_ids = by_id.into_keys().map(str::to_owned).collect();
        report.submitted_instances = report.submitted_ids.len();
        report.completed_instances = report.completed_ids.len();
        report.resolved_instances = report.resolved_ids.len();
        report.unresolved_instances = report.unresolved_ids.len();
        report.empty_patch_instances = report.empty_patch_ids.len();
        report.error_instances = report.error_ids.len();
        report
    }

    /// Reads one. A report whose counts are not those of its lists is refused: one of the two is wrong.
    ///
    /// # Errors
    /// [`RowError`] with the field that is missing or does not fit, or another schema version.
    pub fn read(value: &Value) -> Result<Self, RowError> {
        let report: Self = typed(value)?;
        if report.schema_version != SCHEMA_VERSION {
            return Err(RowError::FormatVersion {
                found: report.schema_version.to_string(),
                expected: "schema version 2",
            });
        }
        let counts = [
            ("submitted_instances", report.submitted_instances, &report.submitted_ids),
            ("completed_instances", report.completed_instances, &report.completed_ids),
            ("resolved_instances", report.resolved_instances, &report.resolved_ids),
            ("unresolved_instances", report.unresolved_instances, &report.unresolved_ids),
            ("empty_patch_instances", report.empty_patch_instances, &report.empty_patch_ids),
            ("error_instances", report.error_instances, &report.error_ids),
        ];
        for (at, count, ids) in counts {
            if count != ids.len() {
                let reason = format!("it is {count}, and the list has {} names", ids.len());
                return Err(RowError::Field { at: at.to_owned(), reason });
            }
        }
        Ok(report)
    }

    /// The share of the data set that was solved; 0 of nothing.
    pub fn resolved_share(&self) -> f64 {
        self.resolved_instances as f64 / self.total_instances.max(1) as f64
    }

    /// The hidden judgement on an instance: 1 if it is solved, 0 if it is not or the patch was empty, none if there was no
    /// prediction or it could not be judged.
    pub fn reward(&self, id: &str) -> Option<f64> {
        let is_in = |ids: &[String]| ids.iter().any(|one| one == id);
        if is_in(&self.resolved_ids) {
            Some(1.0)
        } else if is_in(&self.unresolved_ids) || is_in(&self.empty_patch_ids) {
            Some(0.0)
        } else {
            None
        }
    }
}

/// Reads a `report.json`: reports by instance.
///
/// # Errors
/// [`RowError`] with the field that is missing or does not fit.
pub fn read_instance_reports(value: &Value) -> Result<BTreeMap<String, InstanceReport>, RowError> {
    typed(value)
}
