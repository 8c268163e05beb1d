//! From a data set and a server to a summary.

use std::fs;

use serde_json::{Value, json};

use crate::place::{Place, Ran, json_of};
use crate::server::Server;

fn edit(new: &str) -> (&'static str, Value) {
    let old = "add() { echo $(($1 - $2)); }";
    ("editor", json!({"command": "str_replace", "path": "shop.sh", "old_str": old, "new_str": new}))
}

fn finish() -> (&'static str, Value) {
    ("finish", json!({}))
}

#[test]
fn rollouts_are_made_judged_and_summed_up_and_never_twice() {
    let place = Place::new();
    // Whatever its seed, each rollout repairs the shop.
    let right = || vec![edit("add() { echo $(($1 + $2)); }"), finish()];
    let server = Server::start([right(), right()]);
    let arguments = [
        "--base-url",
        &server.url,
        "--model",
        "org/m",
        "--output",
        "run",
        "-n",
        "3",
        "--jobs",
        "2",
        "--prices",
        "1",
        "10",
    ];
    let ran = place.evaluate("run", &arguments);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(ran.printed.contains("3 of 3 rollouts are made") && ran.printed.contains("1 predictions"), "{ran:?}");
    assert_eq!(server.asked(), 6);

    let lines = fs::read_to_string(place.path("run/predictions.jsonl")).unwrap();
    let prediction: Value = serde_json::from_str(lines.trim_end()).unwrap();
    let keys: Vec<&String> = prediction.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["instance_id", "model_name_or_path", "model_patch"]);
    assert!(prediction["model_patch"].as_str().unwrap().contains("+add() { echo $(($1 + $2)); }"), "{prediction}");

    // The same command makes what is missing: nothing, then two more.
    assert_eq!(place.evaluate("run", &arguments).status, 0);
    assert_eq!(server.asked(), 6);
    let more = arguments.map(|word| if word == "3" { "5" } else { word });
    assert_eq!(place.evaluate("run", &more).status, 0);
    assert_eq!(server.asked(), 10);

    let before = place.program(&["summary", "run"]);
    assert!(before.printed.contains("No task is judged"), "{before:?}");
    let graded = place.evaluate("grade", &["--run", "run"]);
    assert!(graded.status == 0 && graded.printed.contains("shop-1#4: resolved"), "{graded:?}");
    assert_eq!(json_of(&place.path("run/org__m.evaluation.json"))["resolved_ids"], json!(["shop-1"]));
    let again = place.evaluate("grade", &["--run", "run"]);
    assert!(
        again.status == 0 && !again.printed.contains("shop-1#") && again.printed.contains("1 of 1 resolved"),
        "{again:?}"
    );

    let summary = place.program(&["summary", "run", "--json", "summary.json"]);
    assert!(summary.printed.contains("5 rollouts of 1 tasks, 5 judged, 5 resolved"), "{summary:?}");
    let summary = json_of(&place.path("summary.json"));
    assert_eq!(summary["usage"]["prompt_tokens"], json!(1000));
    assert_eq!(summary["exits"], json!({"agent": 5}));
    assert!((summary["cost_usd"].as_f64().unwrap() - (1000.0 + 100.0 * 10.0) / 1e6).abs() < 1e-12, "{summary}");
    let whole = json!({"k": 4, "tasks": 1, "pass": 1.0, "pass_interval": [1.0, 1.0], "best": 1.0,
        "best_interval": [1.0, 1.0], "regret": 0.0, "exact": true});
    assert_eq!(summary["at_k"][2], whole);
    assert_eq!((&summary["selector"], &summary["saved"]), (&json!("hybrid"), &json!(0)));
}

#[test]
fn making_one_rollout_anew_leaves_the_predictions_of_the_others() {
    let place = Place::new();
    let mut other = place.row();
    other["id"] = json!("shop-2");
    place.rows(&[place.row(), other]);
    let right = || vec![edit("add() { echo $(($1 + $2)); }"), finish()];
    let server = Server::start([right(), right()]);
    let arguments = ["--base-url", &server.url, "--model", "m", "--output", "run"];
    assert_eq!(place.evaluate("run", &arguments).status, 0);
    let one = [&arguments[..], &["--instance", "shop-2"]].concat();
    let ran = place.evaluate("run", &one);
    assert!(ran.status == 0 && ran.printed.contains("2 predictions"), "{ran:?}");
    assert_eq!(place.lines("run/predictions.jsonl").len(), 2);
}

#[test]
fn a_summary_is_drawn_with_its_intervals() {
    let place = Place::new();
    let rows = [1, 2, 3].map(|number| {
        let mut row = place.row();
        row["id"] = json!(format!("shop-{number}"));
        row
    });
    place.rows(&rows);
    let server = Server::start([vec![edit("add() { echo $(($1 + $2)); }"), finish()], vec![finish()]]);
    let arguments = ["--base-url", &server.url, "--model", "org/m", "--output", "run", "-n", "4"];
    assert_eq!(place.evaluate("run", &arguments).status, 0);
    assert_eq!(place.evaluate("grade", &["--run", "run"]).status, 0);
    let ran = place.program(&["summary", "run", "--plots", "pictures", "--json", "summary.json"]);
    assert!(ran.status == 0 && ran.printed.contains("plot: pictures/best-at-k.svg"), "{ran:?}");
    let picture = fs::read_to_string(place.path("pictures/best-at-k.svg")).unwrap();
    assert!(
        picture.contains("pass@k") && picture.contains("best@k of hybrid") && picture.contains("org/m"),
        "{picture}"
    );
    // Without a font there are no pixels.
    if ran.printed.contains("best-at-k.png") {
        assert!(fs::read(place.path("pictures/best-at-k.png")).unwrap().starts_with(b"\x89PNG"));
    }
    let summary = json_of(&place.path("summary.json"));
    let one = &summary["at_k"][0];
    let [low, high] = [0, 1].map(|end| one["pass_interval"][end].as_f64().unwrap());
    let pass = one["pass"].as_f64().unwrap();
    assert!(0.0 <= low && low <= pass && pass <= high && high <= 1.0, "{one}");
}

#[test]
fn pass_at_k_counts_what_is_solved_and_idle_rollouts_are_not_run() {
    let place = Place::new();
    // What a rollout does depends on its seed, which depends on its name; nobody knows beforehand how many do what.
    let server = Server::start([vec![edit("add() { echo $(($1 + $2)); }"), finish()], vec![finish()]]);
    let arguments = ["--base-url", &server.url, "--model", "m", "--output", "run", "-n", "8", "--jobs", "4"];
    assert_eq!(place.evaluate("run", &arguments).status, 0);
    assert_eq!(place.evaluate("grade", &["--run", "run"]).status, 0);
    place.program(&["summary", "run", "--json", "summary.json"]);
    let summary = json_of(&place.path("summary.json"));
    let grades = fs::read_to_string(place.path("run/grades.jsonl")).unwrap();
    let solved = grades.matches("\"resolved\":true").count();
    assert!((1..8).contains(&solved), "all seeds are alike: {grades}");
    let pass = summary["at_k"][0]["pass"].as_f64().unwrap();
    assert!((pass - solved as f64 / 8.0).abs() < 1e-12, "{summary}");
    let [best, regret, pass] = ["best", "regret", "pass"].map(|key| summary["at_k"][1][key].as_f64().unwrap());
    assert!((best + regret - pass).abs() < 1e-12, "{summary}");
    let judged = fs::read_dir(place.path("run/logs/run_evaluation/evaluation")).unwrap().count();
    assert_eq!(judged, solved);
}

#[test]
fn rollouts_whose_patches_cannot_be_judged_by_tests_solve_nothing() {
    let place = Place::new();
    let right = || vec![edit("add() { echo $(($1 + $2)); }"), finish()];
    let server = Server::start([right(), right()]);
    let arguments = ["--base-url", &server.url, "--model", "m", "--output", "run", "-n", "2"];
    assert_eq!(place.evaluate("run", &arguments).status, 0);
    // The files are others now: what the rollouts changed is not there.
    fs::write(place.path("shop/shop.sh"), "").unwrap();
    let graded = place.evaluate("grade", &["--run", "run"]);
    assert!(graded.status == 0 && graded.printed.contains("shop-1#1: error, the patch does not apply"), "{graded:?}");
    assert_eq!(json_of(&place.path("run/m.evaluation.json"))["error_ids"], json!(["shop-1"]));
    let summary = place.program(&["summary", "run"]);
    assert!(summary.printed.contains("2 rollouts of 1 tasks, 2 judged, 0 resolved"), "{summary:?}");
    // Kept like other judgements, until the row is another.
    let again = place.evaluate("grade", &["--run", "run"]);
    assert!(again.status == 0 && !again.printed.contains("shop-1#"), "{again:?}");
    fs::rename(place.path("shop"), place.path("empty")).unwrap();
    fs::create_dir(place.path("shop")).unwrap();
    fs::write(place.path("shop/shop.sh"), "add() { echo $(($1 - $2)); }\ntake() { echo $(($1 - $2)); }\n").unwrap();
    let mut row = place.row();
    row["repository"] = json!("./shop");
    row["test"] = json!("sleep 2; sh tests/hidden.sh; echo 1..2");
    place.rows(&[row]);
    // Nobody can judge it now: what was judged before is none of this row's.
    fs::rename(place.path("shop"), place.path("away")).unwrap();
    let nothing = place.evaluate("grade", &["--run", "run", "--test-seconds", "1"]);
    assert!(nothing.status == 1 && nothing.printed.contains("shop-1#1: not judged"), "{nothing:?}");
    assert_eq!(json_of(&place.path("run/m.evaluation.json"))["incomplete_ids"], json!([]));
    assert!(place.program(&["summary", "run"]).printed.contains("0 judged, 0 resolved"));
    fs::rename(place.path("away"), place.path("shop")).unwrap();
    for _ in 0..2 {
        let slow = place.evaluate("grade", &["--run", "run", "--test-seconds", "1"]);
        assert!(slow.status == 0 && slow.printed.contains("0 of 1 resolved"), "{slow:?}");
        assert_eq!(json_of(&place.path("run/m.evaluation.json"))["error_ids"], json!(["shop-1"]));
    }
    assert_eq!(place.lines("run/grades.jsonl").len(), 2);
    let anew = place.evaluate("grade", &["--run", "run", "--test-seconds", "60"]);
    assert!(anew.status == 0 && anew.printed.contains("shop-1#1: resolved"), "{anew:?}");
    let summary = place.program(&["summary", "run"]);
    assert!(summary.printed.contains("2 rollouts of 1 tasks, 2 judged, 2 resolved"), "{summary:?}");
}

#[test]
fn the_agent_never_sees_what_would_give_the_solution_away() {
    let place = Place::new();
    let server = Server::start([
        vec![("shell", json!({"command": "ls -a . tests"})), finish()],
        vec![("shell", json!({"command": "ls -a . tests"})), finish()],
    ]);
    let arguments = ["--base-url", &server.url, "--model", "m", "--output", "run"];
    assert_eq!(place.evaluate("run", &arguments).status, 0);
    let kept = fs::read_to_string(place.path("run/trajectories.jsonl")).unwrap();
    assert!(kept.contains("shop.sh") && kept.contains("The shop cannot add."), "{kept}");
    assert!(!kept.contains("hidden") && !kept.contains("FAIL_TO_PASS") && !kept.contains("$1 + $2"), "{kept}");
}

#[test]
fn a_run_that_was_killed_while_it_wrote_goes_on() {
    let place = Place::new();
    let right = || vec![edit("add() { echo $(($1 + $2)); }"), finish()];
    let server = Server::start([right(), right()]);
    let arguments = ["--base-url", &server.url, "--model", "m", "--output", "run", "-n", "3"];
    assert_eq!(place.evaluate("run", &arguments).status, 0);
    let path = place.path("run/trajectories.jsonl");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 40]).unwrap();
    let again = place.evaluate("run", &arguments);
    assert!(again.status == 0 && again.printed.contains("3 of 3 rollouts are made"), "{again:?}");
    assert_eq!(server.asked(), 8, "two whole rollouts are kept, and one is made again");
    let graded = place.evaluate("grade", &["--run", "run"]);
    assert!(graded.status == 0 && graded.printed.contains("1 of 1 resolved"), "{graded:?}");
}

#[test]
fn what_a_rollout_leaves_is_not_there_for_the_next() {
    let place = Place::new();
    let script = || {
        let command = "ls -a . tests | tr a-z A-Z; touch left.txt tests/left.txt && echo done | tr a-z A-Z";
        vec![("shell", json!({"command": command})), finish()]
    };
    let server = Server::start([script(), script()]);
    let arguments = ["--base-url", &server.url, "--model", "m", "--output", "run", "-n", "3", "--jobs", "1"];
    assert_eq!(place.evaluate("run", &arguments).status, 0);
    let kept = fs::read_to_string(place.path("run/trajectories.jsonl")).unwrap();
    assert!(kept.matches("DONE").count() == 3 && kept.matches("SHOP.SH").count() == 3, "{kept}");
    assert!(!kept.contains("LEFT.TXT"), "{kept}");
}

#[test]
fn ctrl_c_stops_and_the_same_command_goes_on() {
    let place = Place::new();
    let flag = place.path("go");
    let command = format!("while [ ! -e {} ]; do sleep 0.1; done; echo went", flag.display());
    let script = || vec![("shell", json!({"command": command.clone()})), finish()];
    let server = Server::start([script(), script()]);
    let arguments = ["--base-url", &server.url, "--model", "m", "--output", "run"];
    let mut running = place.begin("run", &arguments);
    while server.asked() == 0 {
        assert!(running.try_wait().unwrap().is_none(), "it ended before it asked the model");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let told = std::process::Command::new("kill").args(["-INT", &running.id().to_string()]).status().unwrap();
    assert!(told.success());
    let stopped = Ran::of(&running.wait_with_output().unwrap());
    assert!(stopped.status == 130 && stopped.printed.contains("interrupted; the same command goes on"), "{stopped:?}");
    assert!(stopped.printed.contains("0 of 1 rollouts are made"), "{stopped:?}");
    fs::write(flag, "").unwrap();
    let whole = place.evaluate("run", &arguments);
    assert!(whole.status == 0 && whole.printed.contains("1 of 1 rollouts are made"), "{whole:?}");
    assert!(fs::read_to_string(place.path("run/trajectories.jsonl")).unwrap().contains("\"content\":\"went"));
}
