//! What quickstart prints and writes when nobody disturbs it.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::place::{Files, Place, ROLLOUTS, assert_reference_results, files, reference};

/// Rollouts of every file in the order of their names: the order in the file is that in which they finished.
fn rollouts(files: &Files) -> BTreeMap<&str, Vec<&str>> {
    let sorted = |file| {
        let mut lines: Vec<&str> = str::from_utf8(&files[Path::new(file)]).unwrap().lines().collect();
        lines.sort_unstable();
        (file, lines)
    };
    ROLLOUTS.iter().map(|&(file, _)| sorted(file)).collect()
}

#[test]
fn the_same_seed_gives_the_same_results() {
    let place = Place::new();
    let ended = place.run(&[]);
    assert!(ended.status.success(), "{ended:?}");
    assert_reference_results(&place);
    let again = files(&place.out());
    assert_eq!(rollouts(&again), rollouts(reference()));
    for arm in ["M-DPO", "EntroPO"] {
        let weights = Path::new("checkpoints").join(arm).join("model.safetensors");
        assert!(again[&weights] == reference()[&weights], "{arm} was trained differently");
    }
    place.assert_nothing_left();

    // Asked again, it finds that everything is done.
    let ended = place.run(&[]);
    assert!(ended.status.success(), "{ended:?}");
    assert_reference_results(&place);
    assert_eq!(rollouts(&files(&place.out())), rollouts(reference()));
}

#[test]
fn another_seed_gives_other_tasks() {
    let place = Place::new();
    let mut running = place.start(&["--seed=1"]);
    let file = ROLLOUTS[0].0;
    running.wait_for("a rollout", || !place.rollouts(file).is_empty());
    let tasks = |lines: &[&str]| {
        let task = |line: &&str| serde_json::from_str::<Value>(line).unwrap()["id"]["task"].to_string();
        lines.iter().map(task).collect::<Vec<_>>()
    };
    let rollouts = rollouts(reference());
    let known = tasks(&rollouts[file]);
    let others = place.rollouts(file);
    let others = tasks(&others.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(others.iter().all(|task| !known.contains(task)), "{others:?}");
}

#[test]
fn results_are_complete() {
    let results: Value = serde_json::from_slice(&reference()[Path::new("results.json")]).unwrap();
    let arms: Vec<&Value> = results["arms"].as_array().unwrap().iter().map(|arm| &arm["name"]).collect();
    assert_eq!(arms, ["SFT", "M-DPO", "EntroPO"]);
    assert!(results["preferences"]["pairs"].as_u64().unwrap() >= 4);
    for (file, count) in ROLLOUTS {
        assert_eq!(rollouts(reference())[file].len(), count, "{file}");
    }
    let page = str::from_utf8(&reference()[Path::new("index.html")]).unwrap();
    assert!(page.contains("EntroPO") && page.trim_end().ends_with("</html>"));
}

#[test]
fn help_names_every_option() {
    let help = std::process::Command::new(crate::place::example("quickstart")).arg("--help").output().unwrap();
    let text = String::from_utf8(help.stdout).unwrap();
    assert!(help.status.success());
    for option in
        ["--seed", "--out", "--checkpoint", "--training-tasks", "--evaluation-tasks", "--rollouts", "--epochs"]
    {
        assert!(text.contains(option), "{option} is not in\n{text}");
    }
}
