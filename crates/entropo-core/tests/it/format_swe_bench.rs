//! SWE-bench's files.

use std::collections::BTreeMap;

use entropo_core::format::swe_bench::{
    Instance, Prediction, PredictionsError, RunReport, Tests, Verdict, read_instance_reports, read_predictions,
};
use entropo_core::format::{Items, Writer};
use entropo_core::{ExitReason, RolloutId, Trajectory};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::fixture::{self, rows, value, with};

fn instances() -> Vec<Instance> {
    let text = fixture::text("foreign/instances.jsonl");
    Items::new(text.as_bytes(), Instance::read).collect::<Result<_, _>>().unwrap()
}

#[test]
fn instances_of_every_data_set_are_read_and_written_as_they_were() {
    let read = instances();
    let names: Vec<&str> = read.iter().map(Instance::id).collect();
    let smith = "lab__stats.3f1c.func_pm_remove_cond__x1";
    assert_eq!(names, ["lab__stats-7", "lab__stats-8", smith, "lab/stats:3f1c", "median"]);
    for (instance, row) in read.iter().zip(rows("foreign/instances.jsonl")) {
        let written = serde_json::to_value(instance).unwrap();
        let with_open_tests = |row: &Value| {
            let mut row = row.clone();
            for key in ["FAIL_TO_PASS", "PASS_TO_PASS"] {
                if let Some(Value::String(text)) = row.get(key).cloned() {
                    row[key] = serde_json::from_str(&text).unwrap();
                }
            }
            row
        };
        assert_eq!(written["FAIL_TO_PASS"].is_string(), row["FAIL_TO_PASS"].is_string());
        assert_eq!(with_open_tests(&written), with_open_tests(&row));
        assert_eq!(&Instance::read(&written).unwrap(), instance);
    }
    let images: Vec<Option<&str>> = read.iter().map(Instance::image).collect();
    assert_eq!(images, [None, None, Some("example/swesmith.x86_64.lab_1776_stats.3f1c"), Some("lab/stats:3f1c"), None]);
    let Instance::SweBench(verified) = &read[0] else { panic!("{:?}", read[0]) };
    assert_eq!(verified.difficulty.as_deref(), Some("<15 min fix"));
    assert_eq!(verified.fail_to_pass, Some(Tests::text(["tests/test_stats.py::test_empty"])));
}

#[test]
fn a_task_keeps_for_its_environment_what_the_model_must_not_see() {
    let tasks: Vec<_> = instances().iter().map(|instance| instance.to_task().unwrap()).collect();
    assert_eq!((tasks[0].id.as_str(), tasks[0].problem.as_str()), ("lab__stats-7", "The median of nothing fails."));
    assert_eq!(tasks[0].metadata["base_commit"], "3f1c");
    assert!(tasks[0].metadata["test_patch"].as_str().unwrap().starts_with("diff"));
    assert_eq!(tasks[3].metadata["expected_output_json"], "{\"test_empty\": \"PASSED\"}");
    assert_eq!((tasks[4].id.as_str(), &tasks[4].metadata["repository"]), ("median", &json!("./stats")));
    assert!(tasks.iter().all(|task| !task.metadata.contains_key("problem_statement")));
}

#[test]
fn the_row_in_the_documentation_is_one() {
    let page = include_str!("../../../../docs/formats.md");
    let blocks = page.split("```json\n").skip(1).map(|block| block.split("```").next().unwrap());
    let read: Vec<Instance> = blocks
        .flat_map(|block| Items::new(block.as_bytes(), Instance::read).collect::<Vec<_>>())
        .collect::<Result<_, _>>()
        .unwrap();
    assert!(matches!(&read[..], [Instance::Local(local)] if local.id == "median"), "{read:?}");
}

#[test]
fn broken_instances_are_refused_with_their_field() {
    let rows = rows("foreign/instances.jsonl");
    let error = |row: usize, pointer, other| Instance::read(&with(&rows[row], pointer, other)).unwrap_err().to_string();
    assert_eq!(error(0, "/repo", None), "the row does not fit: missing field `repo`");
    assert!(
        error(0, "/FAIL_TO_PASS", Some(json!("[x"))).starts_with("FAIL_TO_PASS does not fit: the string is no JSON")
    );
    assert!(
        error(0, "/FAIL_TO_PASS", Some(json!([1]))).starts_with("FAIL_TO_PASS does not fit: a list of names of tests")
    );
    assert!(error(2, "/instance_id", None).starts_with("the row has no `instance_id, or docker_image"));
    assert!(error(4, "/format", Some(json!("entropo-task/2"))).contains("entropo-task/2"));
    assert!(
        error(4, "/comit", Some(json!("x"))).contains("unknown field `comit`"),
        "a slip of ours is not passed over"
    );
    let text = format!("{}\n{}\n", rows[0], with(&rows[1], "/patch", Some(json!(1))));
    let last = Items::new(text.as_bytes(), Instance::read).last().unwrap().unwrap_err();
    assert_eq!(last.to_string(), "line 2: patch does not fit: invalid type: integer `1`, expected a string");
}

#[test]
fn predictions_are_what_the_harness_takes() {
    let lines = read_predictions(fixture::text("foreign/preds.jsonl").as_bytes(), 1 << 20).unwrap();
    let object = read_predictions(fixture::text("foreign/preds.json").as_bytes(), 1 << 20).unwrap();
    let list = json!(rows("foreign/preds.jsonl")).to_string();
    assert_eq!((&lines, &lines), (&object, &read_predictions(list.as_bytes(), 1 << 20).unwrap()));
    assert_eq!(lines[1].model_patch, None);
    let single = lines[0].to_value().to_string();
    assert_eq!(read_predictions(single.as_bytes(), 1 << 20).unwrap(), lines[..1]);

    let mut rollout = Trajectory::empty(RolloutId::new("a__b-1", 5), "org/m", 0, ExitReason::Agent);
    rollout.outcome.patch = "diff".to_owned();
    let expected = json!({"instance_id": "a__b-1", "model_name_or_path": "org/m", "model_patch": "diff"});
    assert_eq!(Prediction::of(&rollout).to_value(), expected);
}

#[test]
fn predictions_that_the_harness_would_take_otherwise_are_refused() {
    let read = |text: &str| read_predictions(text.as_bytes(), 1000).unwrap_err();
    let one = json!({"instance_id": "a", "model_name_or_path": "m", "model_patch": "p"});
    assert!(matches!(read(&format!("{one}\n{one}")), PredictionsError::Duplicate { id } if id == "a"));
    assert!(matches!(read(&json!({"b": one}).to_string()), PredictionsError::Key { .. }));
    let error = read(&json!({"a": {"instance_id": "a"}}).to_string()).to_string();
    assert_eq!(error, "the entry \"a\": the row does not fit: missing field `model_name_or_path`");
    assert!(read("{\"instance_id\": \"a\"}").to_string().starts_with("line 1: the row does not fit"));
    assert!(matches!(read(&" ".repeat(2000)), PredictionsError::Document(_)));
}

#[test]
fn reports_are_read_and_written() {
    let file = value("foreign/run_report.json");
    let report = RunReport::read(&file).unwrap();
    assert_eq!(serde_json::to_value(&report).unwrap(), file);
    let rewards = ["lab__stats-7", "lab__stats-8", "lab__stats-9"].map(|id| report.reward(id));
    assert_eq!((rewards, report.resolved_share()), ([Some(1.0), Some(0.0), None], 1.0 / 3.0));
    let error = |pointer, other| RunReport::read(&with(&file, pointer, other)).unwrap_err().to_string();
    assert_eq!(
        error("/resolved_instances", Some(json!(2))),
        "resolved_instances does not fit: it is 2, and the list has 1 names"
    );
    assert!(error("/schema_version", Some(json!(1))).contains("format 1"));
    assert!(error("/resolved_ids/0", Some(json!(1))).starts_with("resolved_ids[0] does not fit"));

    let file = value("foreign/report.json");
    let reports = read_instance_reports(&file).unwrap();
    assert_eq!(serde_json::to_value(&reports).unwrap(), file);
    let seven = &reports["lab__stats-7"];
    assert!(seven.resolved && seven.tests_status.as_ref().unwrap().pass_to_pass.success.len() == 2);
    // what the harness leaves of a patch that did not apply
    let bare = json!({"a": {"patch_is_None": false, "patch_exists": true, "patch_successfully_applied": false, "resolved": false}});
    assert_eq!(serde_json::to_value(read_instance_reports(&bare).unwrap()).unwrap(), bare);
}

#[test]
fn a_report_of_our_own_is_like_that_of_the_harness() {
    let predictions = read_predictions(fixture::text("foreign/preds.json").as_bytes(), 1 << 20).unwrap();
    let verdicts = BTreeMap::from([("lab__stats-7".to_owned(), Verdict::Resolved)]);
    let ids = ["lab__stats-9", "lab__stats-8", "lab__stats-7"];
    let mut expected = RunReport::read(&value("foreign/run_report.json")).unwrap();
    expected.others.clear();
    (expected.infra_failure_instances, expected.infra_failure_ids) = (None, None);
    (expected.ambiguous_failure_instances, expected.ambiguous_failure_ids) = (None, None);
    expected.failure_reasons = None;
    assert_eq!(RunReport::new(ids, &predictions, &verdicts), expected);
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-c]{1,2}", any::<String>()]
}

proptest! {
    #[test]
    fn predictions_survive_in_every_form(patches in prop::collection::btree_map(name(), prop::option::of(any::<String>()), 0..5), model in name()) {
        let predictions: Vec<Prediction> = patches
            .into_iter()
            .map(|(instance_id, model_patch)| Prediction { instance_id, model_name_or_path: model.clone(), model_patch })
            .collect();
        for mut writer in [Writer::lines(Vec::new()), Writer::list(Vec::new())] {
            predictions.iter().for_each(|one| writer.write(&one.to_value()).unwrap());
            let text = writer.finish().unwrap();
            prop_assert_eq!(&read_predictions(&*text, 1 << 20).unwrap(), &predictions);
        }
        let object: serde_json::Map<_, _> = predictions.iter().map(|one| (one.instance_id.clone(), one.to_value())).collect();
        prop_assert_eq!(&read_predictions(Value::Object(object).to_string().as_bytes(), 1 << 20).unwrap(), &predictions);
    }

    #[test]
    fn every_instance_is_in_one_list_of_a_report(
        predicted in prop::collection::btree_map(0..9_u8, "p?", 0..9),
        judged in prop::collection::btree_map(0..9_u8, 0..3_u8, 0..9),
    ) {
        let predictions: Vec<Prediction> = predicted.iter().map(|(id, patch)| Prediction {
            instance_id: id.to_string(), model_name_or_path: "m".into(), model_patch: Some(patch.clone()),
        }).collect();
        let verdict = |kind| [Verdict::Resolved, Verdict::Unresolved, Verdict::Error][usize::from(kind)];
        let verdicts = judged.iter().map(|(id, kind)| (id.to_string(), verdict(*kind))).collect();
        let ids: Vec<String> = (0..9).map(|id: u8| id.to_string()).collect();
        let report = RunReport::new(ids.iter().map(String::as_str), &predictions, &verdicts);
        let lists = [&report.incomplete_ids, &report.empty_patch_ids, &report.resolved_ids, &report.unresolved_ids, &report.error_ids];
        let mut all: Vec<String> = lists.into_iter().flatten().cloned().collect();
        all.sort();
        prop_assert_eq!(all, ids);
        let again = RunReport::read(&serde_json::to_value(&report).unwrap());
        prop_assert_eq!(again, Ok(report));
    }
}
