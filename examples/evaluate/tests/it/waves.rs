//! No more rollouts than the answer needs.

use std::fs;

use entropo_agent::Selection;
use serde_json::json;

use crate::place::Place;
use crate::server::Server;

#[test]
fn rollouts_of_a_settled_answer_are_not_made() {
    let place = Place::new();
    let (old, new) = ("add() { echo $(($1 - $2)); }", "add() { echo $(($1 + $2)); }");
    let edit = json!({"command": "str_replace", "path": "shop.sh", "old_str": old, "new_str": new});
    let script = || vec![("editor", edit.clone()), ("finish", json!({}))];
    let server = Server::start([script(), script()]);
    fs::write(place.path("budget.toml"), "rollouts = 6\nwave = 2\nrules = [{ rule = \"majority\" }]").unwrap();
    let run = |more: &[&str]| {
        let mut arguments = vec!["--base-url", &server.url, "--model", "m", "--output", "run"];
        arguments.extend(more);
        let ran = place.evaluate("run", &arguments);
        (ran.status == 0).then_some(ran.printed).ok_or(ran.complaint)
    };
    let budget = ["--budget", "budget.toml"];
    let printed = run(&budget).unwrap();
    assert!(printed.contains("4 of 6 rollouts are made") && printed.contains("2 are not needed"), "{printed}");
    assert_eq!(server.asked(), 8);
    let settled = crate::place::json_of(&place.path("run/settled.json"));
    assert_eq!((&settled[0]["drawn"], &settled[0]["saved"]), (&json!(4), &json!(2)));
    let selections: Vec<Selection> =
        serde_json::from_str(&fs::read_to_string(place.path("run/selections.json")).unwrap()).unwrap();
    assert_eq!(selections[0].decisions[0].stage, "settled by majority");
    let summary = place.program(&["summary", "run"]);
    assert!(summary.printed.contains("saved    2 rollouts, as the answers of 1 tasks were settled"), "{summary:?}");

    // The same command has nothing to do; one that was lost is made again, and no other.
    run(&budget).unwrap();
    assert_eq!(server.asked(), 8);
    let path = place.path("run/trajectories.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let lost: String = text.lines().skip(1).map(|line| format!("{line}\n")).collect();
    fs::write(&path, lost).unwrap();
    let printed = run(&budget).unwrap();
    assert!(server.asked() == 10 && printed.contains("4 of 6 rollouts are made"), "{printed}");

    // Without a budget all are made, and nothing is settled.
    let printed = run(&["-n", "6"]).unwrap();
    assert!(server.asked() == 14 && printed.contains("6 of 6 rollouts are made"), "{printed}");
    assert_eq!(crate::place::json_of(&place.path("run/settled.json")), json!([]));
    assert!(run(&["-n", "6", "--budget", "budget.toml"]).unwrap_err().contains("cannot be used with"));
}

#[test]
fn a_rule_that_goes_by_scores_waits_for_them() {
    let place = Place::new();
    let (old, new) = ("add() { echo $(($1 - $2)); }", "add() { echo $(($1 + $2)); }");
    let edit = json!({"command": "str_replace", "path": "shop.sh", "old_str": old, "new_str": new});
    let script = || vec![("editor", edit.clone()), ("finish", json!({}))];
    let server = Server::start([script(), script()]);
    let budget =
        "rollouts = 6\nwave = 2\n[[rules]]\nrule = \"accept\"\nverifier = { name = \"verifier\", at_least = 0.9 }";
    fs::write(place.path("budget.toml"), budget).unwrap();
    let run = || {
        let arguments = ["--base-url", &server.url, "--model", "m", "--output", "run", "--budget", "budget.toml"];
        let ran = place.evaluate("run", &arguments);
        assert_eq!(ran.status, 0, "{ran:?}");
        ran.printed
    };
    let printed = run();
    assert!(printed.contains("2 of 6 rollouts are made") && printed.contains("goes by scores"), "{printed}");
    let score = |number: u32, value: f64| {
        json!({"rollout": {"task": "shop-1", "rollout": number}, "name": "verifier", "value": value}).to_string() + "\n"
    };
    fs::write(place.path("run/scores.jsonl"), score(0, 0.5) + &score(1, 0.2)).unwrap();
    let printed = run();
    assert!(printed.contains("4 of 6 rollouts are made") && printed.contains("goes by scores"), "{printed}");
    fs::write(place.path("run/scores.jsonl"), score(0, 0.5) + &score(3, 0.95)).unwrap();
    let printed = run();
    assert!(printed.contains("4 of 6 rollouts are made") && printed.contains("2 are not needed"), "{printed}");
    assert!(!printed.contains("goes by scores"), "{printed}");
    assert_eq!(server.asked(), 8);
}
