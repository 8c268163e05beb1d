//! Patches for a little repository, judged.

use std::fs;

use serde_json::json;

use crate::place::{FIX, Place, SPOIL, json_of};

#[test]
fn the_reference_is_resolved_and_nothing_is_not() {
    let place = Place::new();
    let gold = place.evaluate("grade", &["--gold"]);
    assert_eq!(gold.status, 0, "{gold:?}");
    assert!(gold.printed.contains("shop-1: resolved\n1 of 1 resolved"), "{gold:?}");
    assert_eq!(place.report("gold")["tests_status"]["FAIL_TO_PASS"], json!({"success": ["adds"], "failure": []}));
    let final_report = json_of(&place.path("gold.evaluation.json"));
    assert_eq!(final_report["resolved_ids"], json!(["shop-1"]));
    assert_eq!((&final_report["schema_version"], &final_report["infra_failure_ids"]), (&json!(2), &json!([])));

    let empty = place.evaluate("grade", &["--empty"]);
    assert_eq!(empty.status, 0, "{empty:?}");
    assert_eq!(json_of(&place.path("empty.evaluation.json"))["unresolved_ids"], json!(["shop-1"]));
    assert_eq!(place.report("empty")["tests_status"]["PASS_TO_PASS"], json!({"success": ["takes"], "failure": []}));
}

#[test]
fn a_patch_that_breaks_a_test_is_told_by_its_name() {
    let place = Place::new();
    let predictions = place.predictions("spoiler", SPOIL);
    let ran = place.evaluate("grade", &["--predictions", predictions.to_str().unwrap()]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(ran.printed.contains("shop-1: unresolved\n  broken: takes\n"), "{ran:?}");
    let tests = &place.report("spoiler")["tests_status"];
    assert_eq!(tests["FAIL_TO_PASS"]["success"], json!(["adds"]));
    assert_eq!(tests["PASS_TO_PASS"]["failure"], json!(["takes"]));
}

#[test]
fn a_patch_that_does_not_fit_is_an_error_and_is_tried_again() {
    let place = Place::new();
    let misfit = place.predictions("misfit", &FIX.replace("take()", "give()"));
    let ran = place.evaluate("grade", &["--predictions", misfit.to_str().unwrap()]);
    assert_eq!(ran.status, 1, "{ran:?}");
    assert!(ran.printed.contains("shop-1: error, the patch does not apply"), "{ran:?}");
    assert_eq!(json_of(&place.path("misfit.evaluation.json"))["error_ids"], json!(["shop-1"]));
    place.predictions("misfit", FIX);
    let again = place.evaluate("grade", &["--predictions", misfit.to_str().unwrap()]);
    assert!(again.status == 0 && again.printed.contains("1 of 1 resolved"), "{again:?}");
}

#[test]
fn what_has_a_report_is_not_run_again() {
    let place = Place::new();
    assert_eq!(place.evaluate("grade", &["--gold"]).status, 0);
    // The tests would fail now, if they were run.
    fs::write(place.path("shop/shop.sh"), "").unwrap();
    let again = place.evaluate("grade", &["--gold"]);
    assert!(again.printed.contains("1 of 1 resolved"), "{again:?}");
    let anew = place.evaluate("grade", &["--gold", "--run-id", "anew"]);
    assert!(anew.printed.contains("1 not judged"), "{anew:?}");
}

#[test]
fn a_report_on_another_patch_is_none() {
    let place = Place::new();
    let mut verdicts = Vec::new();
    for patch in [FIX, SPOIL, SPOIL, FIX] {
        let predictions = place.predictions("m", patch);
        let ran = place.evaluate("grade", &["--predictions", predictions.to_str().unwrap()]);
        assert_eq!(ran.status, 0, "{ran:?}");
        assert_eq!(place.report("m")["resolved"], json!(patch == FIX));
        verdicts.push(ran.printed.contains("1 of 1 resolved"));
    }
    assert_eq!(verdicts, [true, false, false, true]);
}

#[test]
fn a_report_on_another_row_is_none() {
    let place = Place::new();
    assert!(place.evaluate("grade", &["--gold"]).printed.contains("1 of 1 resolved"));
    let mut row = place.row();
    row["PASS_TO_PASS"] = json!(["takes", "gives"]);
    place.rows(&[row]);
    let ran = place.evaluate("grade", &["--gold"]);
    assert!(ran.printed.contains("broken: gives"), "{ran:?}");
    assert_eq!(place.report("gold")["resolved"], json!(false));
}

#[test]
fn a_report_that_an_older_version_left_is_read() {
    let place = Place::new();
    assert_eq!(place.evaluate("grade", &["--gold"]).status, 0);
    fs::remove_file(place.path("logs/run_evaluation/evaluation/gold/shop-1/basis.json")).unwrap();
    fs::write(place.path("shop/shop.sh"), "").unwrap();
    assert!(place.evaluate("grade", &["--gold"]).printed.contains("1 of 1 resolved"));
}

#[test]
fn hidden_tests_come_whatever_a_patch_did_to_their_files() {
    let place = Place::new();
    // The file is there in the next row, and brought by the tests in the first.
    let own = "--- /dev/null\n+++ b/tests/hidden.sh\n@@ -0,0 +1 @@\n+echo ok 1 - adds; echo ok 2 - takes\n";
    for (patch, resolved) in [(format!("{FIX}{own}"), true), (own.to_owned(), false)] {
        let predictions = place.predictions("m", &patch);
        let ran = place.evaluate("grade", &["--predictions", predictions.to_str().unwrap()]);
        assert_eq!((ran.status, ran.printed.contains("1 of 1 resolved")), (0, resolved), "{ran:?}");
    }
    let mut row = place.row();
    row["test_patch"] = json!(own);
    fs::write(place.path("shop/tests/hidden.sh"), "").unwrap();
    place.rows(&[row]);
    let ran = place.evaluate("grade", &["--gold"]);
    assert!(ran.status == 1 && ran.printed.contains("the row's `test_patch` does not apply"), "{ran:?}");
}

#[test]
fn tests_that_took_too_long_are_run_again_with_more_time() {
    let place = Place::new();
    let mut row = place.row();
    row["test"] = json!("sleep 2; sh tests/hidden.sh; echo 1..2");
    place.rows(&[row]);
    let ran = place.evaluate("grade", &["--gold", "--test-seconds", "1"]);
    assert!(ran.status == 1 && ran.printed.contains("shop-1: error, the tests timed out"), "{ran:?}");
    let ran = place.evaluate("grade", &["--gold", "--test-seconds", "60"]);
    assert!(ran.status == 0 && ran.printed.contains("1 of 1 resolved"), "{ran:?}");
}

#[test]
fn an_empty_prediction_is_counted_and_not_run() {
    let place = Place::new();
    let none = place.predictions("idler", "");
    let ran = place.evaluate("grade", &["--predictions", none.to_str().unwrap()]);
    assert!(ran.status == 0 && ran.printed.contains("1 empty"), "{ran:?}");
    assert_eq!(json_of(&place.path("idler.evaluation.json"))["empty_patch_ids"], json!(["shop-1"]));
    assert!(!place.path("logs").exists());
}

#[test]
fn setup_commands_make_the_files_ready_and_are_no_part_of_patches() {
    let place = Place::new();
    let mut row = place.row();
    row["setup"] = json!(["echo 'echo ok 3 - is set up' > made.sh"]);
    row["test"] = json!("sh tests/hidden.sh; sh made.sh; echo 1..3");
    row["PASS_TO_PASS"] = json!(["takes", "is set up"]);
    place.rows(&[row.clone()]);
    assert!(place.evaluate("grade", &["--gold"]).printed.contains("1 of 1 resolved"));
    row["setup"] = json!(["echo there is no compiler; exit 3"]);
    place.rows(&[row]);
    let failed = place.evaluate("grade", &["--gold", "--run-id", "b"]);
    assert!(failed.printed.contains("ended with Exited(3): there is no compiler"), "{failed:?}");
}

#[test]
fn archives_and_commits_are_worked_on_like_folders() {
    let place = Place::new();
    let shell = |script: &str| {
        let done = std::process::Command::new("sh").arg("-ec").arg(script).current_dir(place.path("")).status();
        assert!(done.unwrap().success(), "{script}");
    };
    shell("tar czf shop.tar.gz shop");
    shell("cd shop && git init -q && git add . && git -c user.name=a -c user.email=b commit -qm one && rm shop.sh");
    for (repository, commit, id) in [("shop.tar.gz", None, "archive"), ("shop", Some("HEAD"), "commit")] {
        let mut row = place.row();
        row["repository"] = json!(repository);
        if let Some(commit) = commit {
            row["commit"] = json!(commit);
        }
        place.rows(&[row]);
        let ran = place.evaluate("grade", &["--gold", "--run-id", id]);
        assert!(ran.printed.contains("1 of 1 resolved"), "{ran:?}");
    }
}

#[test]
fn names_from_files_stay_in_the_directory() {
    let place = Place::new();
    let mut row = place.row();
    row["id"] = json!("..");
    place.rows(&[row]);
    let line = json!({"instance_id": "..", "model_name_or_path": "..", "model_patch": FIX});
    fs::write(place.path("p.jsonl"), format!("{line}\n")).unwrap();
    let ran = place.evaluate("grade", &["--predictions", "p.jsonl", "--output", "out"]);
    assert!(ran.status == 0 && ran.printed.contains("1 of 1 resolved"), "{ran:?}");
    assert!(place.path("out/logs/run_evaluation/evaluation/__/__/report.json").exists());
}
