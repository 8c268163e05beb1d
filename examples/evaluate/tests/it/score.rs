//! Scores from a repository's own tests, and what selectors make of them.

use std::fs;

use entropo_agent::Selection;
use serde_json::{Value, json};

use crate::place::Place;
use crate::server::Server;

const OLD: &str = "add() { echo $(($1 - $2)); }\ntake() { echo $(($1 - $2)); }";
const RIGHT: &str = "add() { echo $(($1 + $2)); }\ntake() { echo $(($1 - $2)); }";
const WRONG: &str = "add() { echo $(($1 + $2)); }\ntake() { echo $(($1 + $2)); }";

/// The repository's own test, which sees nothing of what is asked for, and one that passes every other time.
fn place() -> Place {
    let place = Place::new();
    let own =
        "n=${1:-1}; . ./shop.sh\n[ \"$(take 3 2)\" = 1 ] && echo ok $n - still takes || echo not ok $n - still takes\n";
    fs::write(place.path("shop/tests/own.sh"), own).unwrap();
    let count = place.path("count");
    let count = count.display();
    let flaky = format!(
        "n=$(cat {count} 2>/dev/null || echo 0); echo $((n + 1)) >{count}; \
         [ $((n % 2)) = 0 ] && echo ok 2 - flaky || echo not ok 2 - flaky"
    );
    let test = format!(
        "if [ -e tests/hidden.sh ]; then sh tests/hidden.sh; sh tests/own.sh 3; echo 1..3; \
         else sh tests/own.sh; {flaky}; echo 1..2; fi"
    );
    let mut row = place.row();
    row["test"] = json!(test);
    place.rows(&[row]);
    place
}

/// Rollouts that are right take longer than those that break what was whole.
fn server() -> Server {
    let edit =
        |new: &str| ("editor", json!({"command": "str_replace", "path": "shop.sh", "old_str": OLD, "new_str": new}));
    let finish = || ("finish", json!({}));
    let look = ("shell", json!({"command": "cat shop.sh"}));
    Server::start([vec![look, edit(RIGHT), finish()], vec![edit(WRONG), finish()]])
}

/// Ten rollouts, so that seeds are of both kinds.
fn made(place: &Place, server: &Server, more: &[&str]) {
    let mut arguments = vec!["--base-url", &server.url, "--model", "m", "--output", "run", "-n", "10"];
    arguments.extend(more);
    let ran = place.evaluate("run", &arguments);
    assert_eq!(ran.status, 0, "{ran:?}");
}

/// Whether what is submitted is right.
fn is_right(place: &Place) -> bool {
    let [prediction] = &place.lines("run/predictions.jsonl")[..] else { panic!() };
    !prediction["model_patch"].as_str().unwrap().contains("+take()")
}

fn selections(place: &Place) -> Vec<Selection> {
    serde_json::from_str(&fs::read_to_string(place.path("run/selections.json")).unwrap()).unwrap()
}

#[test]
fn tests_that_are_no_secret_decide_what_is_submitted() {
    let (place, server) = (place(), server());
    made(&place, &server, &[]);
    assert!(!is_right(&place), "of rollouts without scores one of the shortest is submitted");
    let scored = place.evaluate("score", &["--run", "run"]);
    assert!(scored.status == 0 && scored.printed.contains("10 of 10 rollouts are scored"), "{scored:?}");
    assert!(is_right(&place), "{scored:?}");

    let rollouts = place.lines("run/trajectories.jsonl");
    let rows = place.lines("run/scores.jsonl");
    assert_eq!(rows.len(), 10);
    for row in &rows {
        let rollout = rollouts.iter().find(|one| one["id"] == row["rollout"]).unwrap();
        let breaks = rollout["outcome"]["patch"].as_str().unwrap().contains("+take()");
        assert_eq!(row, &json!({"rollout": rollout["id"], "name": "regression", "value": f64::from(!breaks)}));
    }
    let baselines = place.lines("run/baselines.jsonl");
    assert_eq!(baselines[0]["report"]["tests"], json!({"still takes": "passed"}), "what is flaky is left out");
    let [selection] = &selections(&place)[..] else { panic!() };
    assert!(selection.decisive_stages().contains("best regression"), "{}", selection.explain());

    // The repository is gone: what has a score is not run again, and nothing is left to run.
    fs::rename(place.path("shop"), place.path("gone")).unwrap();
    let again = place.evaluate("score", &["--run", "run"]);
    assert!(again.status == 0 && !again.printed.contains("shop-1#"), "{again:?}");
    assert_eq!(place.lines("run/scores.jsonl"), rows);
    // A score that is missing is told, and made by the next command.
    let text: String = rows.iter().skip(1).map(|row| format!("{row}\n")).collect();
    fs::write(place.path("run/scores.jsonl"), text).unwrap();
    let broken = place.evaluate("score", &["--run", "run"]);
    assert!(broken.status == 1 && broken.printed.contains("9 of 10 rollouts are scored"), "{broken:?}");
    assert!(broken.printed.contains("no score"), "{broken:?}");
    fs::rename(place.path("gone"), place.path("shop")).unwrap();
    let whole = place.evaluate("score", &["--run", "run"]);
    assert!(whole.status == 0 && whole.printed.matches("shop-1#").count() == 1, "{whole:?}");
    assert_eq!(place.lines("run/scores.jsonl").len(), 10);

    // Judged and summed up by the same scores.
    assert_eq!(place.evaluate("grade", &["--run", "run"]).status, 0);
    let summary = place.program(&["summary", "run", "--json", "summary.json"]);
    assert!(summary.printed.contains(", resolved\n"), "{summary:?}");
    let summary = crate::place::json_of(&place.path("summary.json"));
    assert_eq!(summary["per_task"]["shop-1"]["submitted_resolved"], json!(true));
    assert!(summary["at_k"][2]["regret"].as_f64().unwrap() < 1e-12, "with such tests nothing is lost: {summary}");
}

#[test]
fn a_selector_of_ones_own_is_used_everywhere() {
    let (place, server) = (place(), server());
    fs::write(place.path("longest.toml"), "stages = [{ stage = \"steps\", prefer = \"most\" }]").unwrap();
    let own = ["--selector", "longest.toml"];
    made(&place, &server, &own);
    assert!(is_right(&place), "the longest are right");
    assert_eq!(selections(&place)[0].decisions[0].stage, "most steps");
    let resolved = |report: &Value| report["resolved_ids"] == json!(["shop-1"]);
    let report = || crate::place::json_of(&place.path("run/m.evaluation.json"));
    // What chose the predictions is kept beside them.
    fs::write(place.path("longest.toml"), "stages = [{ stage = \"lengthiest\" }]").unwrap();
    place.evaluate("grade", &["--run", "run"]);
    assert!(resolved(&report()));
    let summary = place.program(&["summary", "run"]);
    assert!(summary.printed.contains("longest") && summary.printed.contains(", resolved\n"), "{summary:?}");
    // Another one tells of itself, and leaves the predictions alone.
    place.evaluate("grade", &["--run", "run", "--selector", "paper_lite"]);
    assert!(!resolved(&report()), "this one takes a short one");
    let summary = place.program(&["summary", "run", "--selector", "paper_lite"]);
    assert!(summary.printed.contains("paper_lite") && summary.printed.contains(", unresolved\n"), "{summary:?}");
    assert!(is_right(&place));
    let scored = place.evaluate("score", &["--run", "run"]);
    assert!(scored.status == 0 && is_right(&place), "{scored:?}");
    let wrong = place.program(&["summary", "run", "--selector", "longest.toml"]);
    assert!(wrong.status == 1 && wrong.complaint.contains("lengthiest"), "{wrong:?}");
    let wrong = place.program(&["summary", "run", "--selector", "paper_light"]);
    assert!(wrong.status == 1 && wrong.complaint.contains("`paper_lite`"), "what there is is named: {wrong:?}");
    assert_eq!(place.evaluate("score", &["--run", "run", "--selector", "paper_lite"]).status, 0);
    assert!(!is_right(&place), "what is chosen anew is chosen by this one");
}

#[test]
fn scores_from_elsewhere_are_read_and_contradictions_refused() {
    let (place, server) = (place(), server());
    made(&place, &server, &[]);
    let row = |name: &str, number: usize, value: f64| {
        format!("{}\n", json!({"rollout": {"task": "shop-1", "rollout": number}, "name": name, "value": value}))
    };
    let text: String = (0..10).map(|number| row("reproduction", number, f64::from(number == 4))).collect();
    fs::write(place.path("run/scores.jsonl"), &text).unwrap();
    made(&place, &server, &[]);
    assert_eq!(selections(&place)[0].chosen.as_ref().unwrap().rollout, 4);
    fs::write(place.path("run/scores.jsonl"), text + &row("reproduction", 4, 0.0)).unwrap();
    let ran = place.program(&["summary", "run"]);
    assert!(ran.status == 1 && ran.complaint.contains("shop-1#4 has a reproduction score already"), "{ran:?}");
}

#[test]
fn what_cannot_be_scored_is_told() {
    let place = place();
    let nothing = place.evaluate("score", &["--run", "run"]);
    assert!(nothing.status == 1 && nothing.complaint.contains("no directory of `evaluate run`"), "{nothing:?}");
    let mut row = place.row();
    row.as_object_mut().unwrap().remove("test");
    place.rows(&[row]);
    made(&place, &server(), &[]);
    let ran = place.evaluate("score", &["--run", "run"]);
    assert!(ran.status == 1 && ran.printed.contains("shop-1: no scores, shop-1: the row has no `test`"), "{ran:?}");
    let other = json!({"instance_id": "shop-1", "repo": "a/b", "problem_statement": ""});
    place.rows(&[other]);
    let ran = place.evaluate("score", &["--run", "run"]);
    assert!(ran.status == 1 && ran.printed.contains("only rows of our own format"), "{ran:?}");
}

#[test]
fn scores_of_tests_that_are_run_otherwise_are_made_anew() {
    let (place, server) = (place(), server());
    made(&place, &server, &[]);
    assert_eq!(place.evaluate("score", &["--run", "run"]).status, 0);
    let other = json!({"rollout": {"task": "shop-1", "rollout": 0}, "name": "verifier", "value": 0.5});
    let rows = fs::read_to_string(place.path("run/scores.jsonl")).unwrap();
    fs::write(place.path("run/scores.jsonl"), format!("{other}\n{rows}")).unwrap();
    // The test has another name now, which no score of the other one may be held against.
    let mut row = place.lines("tasks.jsonl").remove(0);
    let test = row["test"].as_str().unwrap().replace("sh tests/own.sh;", "sh tests/own.sh | sed 's/still/yet/';");
    row["test"] = json!(test);
    place.rows(&[row]);
    let scored = place.evaluate("score", &["--run", "run"]);
    assert!(scored.status == 0 && scored.printed.contains("the tests of 1 tasks are run otherwise"), "{scored:?}");
    let rows = place.lines("run/scores.jsonl");
    assert_eq!((rows.len(), &rows[0]), (11, &other));
    assert!(rows[1..].iter().any(|row| row["value"] == json!(1.0)), "{rows:?}");
    let [baseline] = &place.lines("run/baselines.jsonl")[..] else { panic!() };
    assert_eq!(baseline["report"]["tests"], json!({"yet takes": "passed"}));
    let again = place.evaluate("score", &["--run", "run", "--repetitions", "3"]);
    assert!(again.printed.contains("run otherwise"), "{again:?}");
}
