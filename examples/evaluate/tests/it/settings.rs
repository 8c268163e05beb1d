//! Rollouts of one directory are made in one way.

use std::fs;

use serde_json::{Value, json};

use crate::place::{Place, Ran, json_of};

/// Runs with some arguments in the place of others.
fn run(place: &Place, other: &[&str]) -> Ran {
    // Nobody listens there: what is not refused fails, and is as quick.
    let usual =
        [("--base-url", "http://127.0.0.1:9/v1"), ("--model", "m"), ("--output", "run"), ("--max-seconds", "1")];
    let mut arguments: Vec<&str> =
        usual.into_iter().filter(|(name, _)| !other.contains(name)).flat_map(|(name, value)| [name, value]).collect();
    arguments.extend(other);
    arguments.extend(["--prices", "1", "1"]); // no setting, and needed by others
    place.evaluate("run", &arguments)
}

fn is_refused(ran: &Ran) -> bool {
    ran.complaint.contains("begun with other settings")
}

#[test]
fn rollouts_of_different_settings_are_not_mixed() {
    let place = Place::new();
    assert!(!is_refused(&run(&place, &[])));
    for (flag, value) in [
        ("--model", Some("other")),
        ("--base-url", Some("http://127.0.0.1:9/v2")),
        ("--dialect", Some("hermes")),
        ("--tokens", None),
        ("--sandbox", Some("landlock")),
        ("--image", Some("other")),
        ("--readable", Some("/nowhere")),
        ("--network", Some("on")),
        ("--max-steps", Some("9")),
        ("--max-seconds", Some("2")),
        ("--max-cost", Some("1")),
        ("--context", Some("1000")),
        ("--temperature", Some("0.7")),
        ("--max-tokens", Some("9")),
        ("--seed", Some("1")),
    ] {
        let other: Vec<&str> = [flag].into_iter().chain(value).collect();
        let ran = run(&place, &other);
        let key = flag.trim_start_matches("--").replace('-', "_");
        assert!(ran.status == 1 && is_refused(&ran), "{flag}: {ran:?}");
        assert!(ran.complaint.contains(&format!("{key} was ")), "{flag}: {ran:?}");
    }
    for other in [&["--jobs", "2"][..], &["--test-seconds", "9"], &["--prices", "1", "1"], &["-n", "2"]] {
        let ran = run(&place, other);
        assert!(!is_refused(&ran), "{other:?}: {ran:?}");
    }
}

#[test]
fn rollouts_of_different_rows_are_not_mixed() {
    let place = Place::new();
    run(&place, &[]);
    let mut other = place.row();
    other["id"] = json!("shop-2");
    place.rows(&[place.row(), other]);
    assert!(!is_refused(&run(&place, &["--limit", "1"])), "a row that is not asked for");
    assert!(!is_refused(&run(&place, &[])), "a row that is new");
    let mut changed = place.row();
    changed["problem"] = json!("The shop cannot add, and that is all.");
    place.rows(&[changed]);
    let ran = run(&place, &[]);
    assert!(is_refused(&ran) && ran.complaint.contains("the row of shop-1 is not the same"), "{ran:?}");
}

#[test]
fn a_directory_of_an_older_version_is_gone_on_with() {
    let place = Place::new();
    run(&place, &[]);
    let path = place.path("run/settings.json");
    let old = json!({"model": "m", "temperature": 0.6, "max_tokens": 4096, "max_steps": 100, "seed": 0});
    fs::write(&path, old.to_string()).unwrap();
    let ran = run(&place, &["--seed", "1"]);
    assert!(is_refused(&ran), "{ran:?}");
    assert!(!is_refused(&run(&place, &[])));
    let now: Value = json_of(&path);
    assert_eq!((&now["max_seconds"], &now["sandbox"]), (&json!(1), &json!("local")));
    assert!(is_refused(&run(&place, &["--max-seconds", "2"])));
}

#[test]
fn a_limit_on_costs_needs_prices() {
    let place = Place::new();
    let arguments = ["--base-url", "http://127.0.0.1:9/v1", "--model", "m", "--output", "run", "--max-cost", "1"];
    let ran = place.evaluate("run", &arguments);
    assert!(ran.status == 2 && ran.complaint.contains("--prices"), "{ran:?}");
}
