//! A log that is there.

use std::fs;

use serde_json::{Value, json};

use crate::place::Place;

const LOG: &str =
    ">>>>> Start Test Output\nPASSED t.py::a\nSKIPPED t.py::b\n>>>>> End Test Output\n>>>>> Test Exit Code: 0\n";

fn row() -> Value {
    json!({
        "instance_id": "pallets__flask-1", "repo": "pallets/flask", "problem_statement": "", "log_parser": "parse_log_flask",
        "eval_type": "pass_and_fail", "FAIL_TO_PASS": "[\"t.py::a\"]", "PASS_TO_PASS": "[\"t.py::b\"]",
    })
}

fn judged(row: &Value, log: &str) -> (i32, String, String) {
    let place = Place::new();
    fs::write(place.path("row.json"), row.to_string()).unwrap();
    fs::write(place.path("log.txt"), log).unwrap();
    let ran = place.program(&["grade-log", "--json", "--instance", "row.json", "--log", "log.txt"]);
    (ran.status, ran.printed, ran.complaint)
}

#[test]
fn the_exit_status_is_the_verdict_and_the_json_is_the_harness_s() {
    let (status, printed, _) = judged(&row(), LOG);
    assert_eq!(status, 0);
    let report: Value = serde_json::from_str(&printed).unwrap();
    let report = &report["pallets__flask-1"];
    assert_eq!((&report["resolved"], &report["infra_failure"]), (&json!(true), &json!(false)));
    assert_eq!(report["tests_status"]["PASS_TO_PASS"]["success"], json!(["t.py::b"]));
    assert_eq!(judged(&row(), &LOG.replace("PASSED", "FAILED")).0, 1);
}

#[test]
fn a_parser_that_is_not_known_is_named() {
    let mut row = row();
    row["log_parser"] = json!("parse_log_quarto_cli");
    let (status, _, complaint) = judged(&row, LOG);
    assert!(status == 2 && complaint.contains("parse_log_quarto_cli"), "{complaint}");
}
