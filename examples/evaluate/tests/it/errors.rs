//! What is wrong is said, and what to do.

use serde_json::json;

use crate::place::Place;

#[test]
fn a_row_that_is_none_is_told_with_its_file_and_line() {
    let place = Place::new();
    place.rows(&[place.row(), json!({"id": 1})]);
    let ran = place.evaluate("grade", &["--gold"]);
    assert!(ran.status == 1 && ran.complaint.contains("tasks.jsonl: line 2"), "{ran:?}");
    place.rows(&[place.row(), place.row()]);
    let ran = place.evaluate("grade", &["--gold"]);
    assert!(ran.complaint.contains("is there twice"), "{ran:?}");
}

#[test]
fn what_is_asked_for_and_is_not_there_is_named() {
    let place = Place::new();
    for (arguments, word) in [
        (vec!["--gold", "--instance", "shop-9"], "has no instance \"shop-9\""),
        (vec![], "--predictions, --run, --gold or --empty"),
        (vec!["--predictions", "nowhere.jsonl"], "nowhere.jsonl"),
        (vec!["--gold", "--sandbox", "local", "--limit", "0"], "nothing to judge"),
    ] {
        let ran = place.evaluate("grade", &arguments);
        assert!(ran.status != 0 && ran.complaint.contains(word), "{arguments:?}: {ran:?}");
    }
    let ran = place.program(&["summary", "."]);
    assert!(ran.status == 1 && ran.complaint.contains("no directory of `evaluate run`"), "{ran:?}");
}

#[test]
fn rows_that_cannot_be_judged_say_why() {
    let place = Place::new();
    let without = |key: &str| {
        let mut row = place.row();
        row.as_object_mut().unwrap().remove(key);
        row
    };
    let old = json!({"instance_id": "pallets__flask-1", "repo": "pallets/flask", "problem_statement": "", "patch": "x", "FAIL_TO_PASS": [], "PASS_TO_PASS": []});
    for (row, word) in [
        (without("test"), "no `test`"),
        (without("log"), "`log` is missing"),
        (old, "no `eval_script`; take the data set as SWE-bench's harness 5 does"),
    ] {
        place.rows(&[row]);
        let ran = place.evaluate("grade", &["--gold"]);
        assert!(ran.status == 1 && ran.printed.contains(word), "{ran:?}");
    }
}

#[test]
fn rollouts_of_an_instance_that_cannot_be_opened_are_told_and_left_to_be_made() {
    let place = Place::new();
    let mut row = place.row();
    row["repository"] = json!("nowhere");
    place.rows(&[row]);
    let arguments = ["--base-url", "http://127.0.0.1:9/v1", "--model", "m", "--output", "run"];
    let ran = place.evaluate("run", &arguments);
    assert!(ran.status == 1 && ran.printed.contains("shop-1#0: EnvironmentError"), "{ran:?}");
    assert!(ran.printed.contains("nowhere") && ran.printed.contains("1 could not be made"), "{ran:?}");
    assert_eq!(std::fs::read_to_string(place.path("run/trajectories.jsonl")).unwrap(), "");
}

#[test]
fn a_log_of_tests_that_cannot_be_read_is_refused_before_anything_is_made() {
    let place = Place::new();
    let nonsense = ["--gold", "--test-command", "x", "--test-log", "nonsense", "--output", "new"];
    let ran = place.evaluate("grade", &nonsense);
    assert!(ran.status == 1 && ran.complaint.contains("\"nonsense\""), "{ran:?}");
    assert!(!place.path("new").exists());
}
