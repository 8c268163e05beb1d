//! Judgements in rollouts.

use std::collections::BTreeMap;

use entropo_core::TrajectoryStore;
use serde_json::json;

use crate::place::Place;
use crate::server::Server;

#[test]
fn judged_rollouts_are_read_back_with_their_rewards_and_scores() {
    let place = Place::new();
    let (old, new) = ("add() { echo $(($1 - $2)); }", "add() { echo $(($1 + $2)); }");
    let edit = json!({"command": "str_replace", "path": "shop.sh", "old_str": old, "new_str": new});
    let server = Server::start([vec![("editor", edit), ("finish", json!({}))], vec![("finish", json!({}))]]);
    let made = |n: &str| {
        let ran = place.evaluate("run", &["--base-url", &server.url, "--model", "m", "--output", "run", "-n", n]);
        assert_eq!(ran.status, 0, "{ran:?}");
    };
    made("8");
    let early = place.program(&["export", "run", "--to", "judged.jsonl"]);
    assert!(early.status == 1 && early.complaint.contains("is judged; evaluate grade --run does that"), "{early:?}");
    assert_eq!(place.evaluate("grade", &["--run", "run"]).status, 0);
    made("10");
    let row = json!({"rollout": {"task": "shop-1", "rollout": 2}, "name": "verifier", "value": 0.25});
    std::fs::write(place.path("run/scores.jsonl"), format!("{row}\n")).unwrap();
    let ran = place.program(&["export", "run", "--to", "judged.jsonl"]);
    assert!(ran.status == 0 && ran.printed.contains("8 judged rollouts"), "{ran:?}");
    assert!(ran.printed.contains("2 are not judged and left out"), "{ran:?}");

    let judged = TrajectoryStore::open(place.path("judged.jsonl")).unwrap().into_records();
    let grades: BTreeMap<usize, bool> = place
        .lines("run/grades.jsonl")
        .iter()
        .map(|grade| (grade["id"]["rollout"].as_u64().unwrap() as usize, grade["resolved"].as_bool().unwrap()))
        .collect();
    assert_eq!(judged.len(), 8);
    assert!(judged.iter().any(|one| one.is_solved()) && !judged.iter().all(|one| one.is_solved()), "all are alike");
    for one in &judged {
        assert_eq!(one.outcome.reward, Some(f64::from(grades[&one.id.rollout])), "{}", one.id);
        assert_eq!(one.is_solved(), !one.outcome.patch.is_empty());
        let verifier = (one.id.rollout == 2).then_some(0.25);
        assert_eq!(one.outcome.scores.get("verifier").copied(), verifier);
    }
    let over = place.program(&["export", "run", "--to", "run/trajectories.jsonl"]);
    assert!(over.status == 1 && over.complaint.contains("name another file"), "{over:?}");
    assert_eq!(place.lines("run/trajectories.jsonl").len(), 10);
}
