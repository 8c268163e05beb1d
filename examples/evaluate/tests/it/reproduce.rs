//! Tests of the issue, from the agents that write them to the rollout that is submitted.

use std::fs;

use serde_json::{Value, json};

use crate::place::{Place, Ran};
use crate::server::Server;

fn edit(new: &str) -> (&'static str, Value) {
    let old = "add() { echo $(($1 - $2)); }";
    ("editor", json!({"command": "str_replace", "path": "shop.sh", "old_str": old, "new_str": new}))
}

fn finish() -> (&'static str, Value) {
    ("finish", json!({}))
}

/// A test that five comes out.
fn submit(one: u32, other: u32) -> (&'static str, Value) {
    let content = format!(
        ". ./shop.sh\nif [ \"$(add {one} {other})\" = 5 ]; then echo ok 1 - five; else echo not ok 1 - five; fi\necho 1..1\n"
    );
    ("submit_test", json!({"content": content}))
}

/// Eight rollouts, of which some repair the shop and some make it worse, and a server for them.
fn eight(place: &Place) {
    let server = Server::start([
        vec![edit("add() { echo $(($1 + $2)); }"), finish()],
        vec![edit("add() { echo $(($1 * $2)); }"), finish()],
    ]);
    let arguments = ["--base-url", &server.url, "--model", "m", "--output", "run", "-n", "8"];
    assert_eq!(place.evaluate("run", &arguments).status, 0);
}

fn reproduce(place: &Place, server: &Server, more: &[&str]) -> Ran {
    let mut arguments = vec!["--run", "run", "--base-url", &server.url, "--model", "tester"];
    arguments.extend([
        "--test-command",
        "sh \"$TEST_FILE\"",
        "--test-log",
        "tap",
        "--test-path",
        "tests/issue_{id}.sh",
    ]);
    arguments.extend(more);
    place.evaluate("reproduce", &arguments)
}

fn lines(place: &Place, name: &str) -> Vec<Value> {
    let text = fs::read_to_string(place.path(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The score of each rollout beside whether it adds.
fn scores(place: &Place) -> Vec<(bool, f64)> {
    let rollouts = lines(place, "run/trajectories.jsonl");
    let adds = |number: &Value| {
        let rollout = rollouts.iter().find(|one| one["id"]["rollout"] == *number).unwrap();
        rollout["outcome"]["patch"].as_str().unwrap().contains("$1 + $2")
    };
    let rows = lines(place, "run/scores.jsonl");
    let scored = rows.iter().filter(|row| row["name"] == "reproduction");
    scored.map(|row| (adds(&row["rollout"]["rollout"]), row["value"].as_f64().unwrap())).collect()
}

#[test]
fn tests_of_the_issue_decide_which_rollout_is_submitted() {
    let place = Place::new();
    eight(&place);
    let idle = ("submit_test", json!({"content": "echo ok 1 - nothing; echo 1..1"}));
    let script = || vec![idle.clone(), submit(2, 3), submit(1, 4), finish()];
    let server = Server::start([script(), script()]);
    let ran = reproduce(&place, &server, &[]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(
        ran.printed.contains("shop-1#0: 2 tests are kept") && ran.printed.contains("8 of 8 rollouts are scored"),
        "{ran:?}"
    );
    let found = scores(&place);
    assert_eq!(found.len(), 8);
    assert!(found.iter().all(|(adds, score)| *score == if *adds { 2.0 } else { 0.0 }), "{found:?}");
    assert!(
        found.iter().any(|(adds, _)| *adds) && found.iter().any(|(adds, _)| !adds),
        "all seeds are alike: {found:?}"
    );
    let prediction = &lines(&place, "run/predictions.jsonl")[0];
    assert!(prediction["model_patch"].as_str().unwrap().contains("$1 + $2"), "{prediction}");

    let tester = &lines(&place, "run/testers.jsonl")[0];
    let told = tester["messages"].to_string();
    assert!(told.contains("The shop cannot add.") && told.contains("does not show the issue"), "{told}");
    assert!(!told.contains("hidden") && !told.contains("$1 + $2") && !told.contains("$1 * $2"), "{told}");

    // The same command makes what is missing: nothing, then a tester more, by whose tests all are scored anew.
    let asked = server.asked();
    assert_eq!(reproduce(&place, &server, &[]).status, 0);
    assert_eq!((server.asked(), scores(&place).len()), (asked, 8));
    let more = reproduce(&place, &server, &["--testers", "2"]);
    assert!(more.status == 0 && more.printed.contains("8 of 8 rollouts are scored"), "{more:?}");
    assert_eq!(server.asked(), 2 * asked);
    let found = scores(&place);
    assert_eq!(found.len(), 8);
    assert!(
        found.iter().all(|(adds, score)| *score == if *adds { 2.0 } else { 0.0 }),
        "the same tests count once: {found:?}"
    );
}

#[test]
fn without_a_test_that_shows_the_issue_nobody_is_scored() {
    let place = Place::new();
    eight(&place);
    let server = Server::start([vec![finish()], vec![finish()]]);
    let ran = reproduce(&place, &server, &[]);
    assert!(ran.status == 0 && ran.printed.contains("0 of 0 rollouts are scored"), "{ran:?}");
    assert!(scores(&place).is_empty());
}

#[test]
fn what_cannot_be_run_is_refused_before_anything_is_written() {
    let place = Place::new();
    let server = Server::start([vec![finish()], vec![finish()]]);
    for (more, complaint) in [
        (["--test-log", "xunit"], "--test-log"),
        (["--test-path", "../{id}.sh"], "--test-path"),
        (["--test-path", "tests/x.sh"], "{id}"),
        (["--run", "elsewhere"], "elsewhere is no directory of `evaluate run`"),
    ] {
        let mut arguments = vec!["--base-url", &server.url, "--model", "m"];
        if more[0] != "--run" {
            arguments.extend(["--run", "run"]);
        }
        arguments.extend(more);
        let ran = place.evaluate("reproduce", &arguments);
        assert!(ran.status == 1 && ran.complaint.contains(complaint), "{ran:?}");
    }
    assert!(!place.path("run").exists() && !place.path("elsewhere").exists());
    assert_eq!(server.asked(), 0);
}
