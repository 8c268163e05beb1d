//! What cannot be done is said in words.

use std::fs;

use entropo_agent::select::ScoreRow;
use entropo_core::{JsonlStore, RolloutId};

use super::place::{Place, attempts};

#[test]
fn rows_need_both_kinds_and_a_new_file() {
    let place = Place::new();
    let mut one_sided = attempts(0..4);
    one_sided.retain(|attempt| attempt.is_solved() == attempt.id.task.ends_with(['0', '2']));
    place.store("judged.jsonl", &one_sided);
    let rows = "rows --trajectories judged.jsonl --model model --prompt prompt.toml --to rows.jsonl";
    let error = place.refused(rows);
    assert!(error.contains("8 of tasks with one kind only") && error.contains("--one-sided"), "{error}");
    assert!(!place.path("rows.jsonl").exists());
    let said = place.done(&format!("{rows} --one-sided 2"));
    assert!(said.out.contains("rows.jsonl: 4 rows, 2 solved and 2 failed, of 4 tasks"), "{}", said.out);
    let before = fs::read(place.path("rows.jsonl")).unwrap();
    assert!(place.refused(rows).contains("it is there already"));
    assert_eq!(fs::read(place.path("rows.jsonl")).unwrap(), before);
}

#[test]
fn rows_name_what_cannot_be_shown() {
    let place = Place::new();
    let mut judged = attempts(0..2);
    judged[0].outcome.patch = "+ long\n".repeat(900);
    place.store("judged.jsonl", &judged);
    let said = place.done("rows --trajectories judged.jsonl --model model --prompt prompt.toml --to rows.jsonl");
    assert!(said.out.contains("1 that cannot be shown, 1 whose counterpart cannot be"), "{}", said.out);
    assert!(said.out.contains("task-0#0: the attempt has"), "{}", said.out);
    assert!(said.out.contains("6 rows"), "{}", said.out);
}

#[test]
fn what_is_wrong_is_named_with_what_to_do() {
    let place = Place::new();
    place.store("judged.jsonl", &attempts(0..1));
    fs::write(place.path("broken.jsonl"), "{}\n").unwrap();
    for (arguments, words) in [
        ("rows --trajectories none.jsonl --model model --to rows.jsonl", "none.jsonl: there is no such file"),
        ("rows --trajectories broken.jsonl --model model --to rows.jsonl", "broken.jsonl, line 1"),
        ("rows --trajectories judged.jsonl --model model --tokens 2000 --to rows.jsonl", "model's context is 1024"),
        ("rows --trajectories judged.jsonl --model model --prompt none.toml --to rows.jsonl", "none.toml"),
        ("score --trajectories judged.jsonl --to scores.jsonl", "--model"),
        ("score --trajectories judged.jsonl --to scores.jsonl --base-url http://x/v1", "--served-model"),
        ("score --trajectories judged.jsonl --to scores.jsonl --model model --temperature 0", "above 0"),
        ("score --trajectories judged.jsonl --to scores.jsonl --model model --quantise 3", "--quantise"),
        (
            "score --trajectories judged.jsonl --to scores.jsonl --model model --adapter none",
            "none/adapter_config.json",
        ),
        ("score --trajectories judged.jsonl --to scores.jsonl --model model --device tpu", "was built for"),
        ("report --trajectories judged.jsonl --scores none.jsonl", "`judge score` writes"),
    ] {
        let error = place.refused(arguments);
        assert!(error.contains(words), "{arguments}: {error}");
    }
    assert!(!place.path("scores.jsonl").exists() && !place.path("none.jsonl").exists());
}

#[test]
fn a_report_takes_probabilities_only_and_says_what_it_cannot_fit() {
    let place = Place::new();
    place.store("judged.jsonl", &attempts(0..2));
    let store = |name: &str, values: [(usize, usize, f64); 4]| {
        let rows = values.map(|(task, number, value)| {
            let rollout = RolloutId::new(format!("task-{task}"), number);
            ScoreRow { rollout, name: "verifier".to_owned(), value }
        });
        JsonlStore::open(place.path(name)).unwrap().append_all(&rows).unwrap();
    };
    // Everything right and sure of it.
    store("right.jsonl", [(0, 0, 1.0), (0, 1, 0.0), (1, 0, 1.0), (1, 1, 0.0)]);
    let report = "report --trajectories judged.jsonl --scores";
    let said = place.judge(&format!("{report} right.jsonl --fit calibration.json"));
    assert!(!said.success && said.error.contains("calibration.json is not written"), "{}", said.error);
    assert!(said.out.contains("AUROC within tasks: 1.000") && said.out.contains("temperature: none"), "{}", said.out);
    assert!(!place.path("calibration.json").exists());
    store("wrong.jsonl", [(0, 0, 1.5), (0, 1, 0.0), (1, 0, 1.0), (1, 1, 0.0)]);
    assert!(place.refused(&format!("{report} wrong.jsonl")).contains("task-0#0 is 1.5, not a probability"));
    store("others.jsonl", [(7, 0, 0.5), (7, 1, 0.0), (8, 0, 1.0), (8, 1, 0.0)]);
    let error = place.refused(&format!("{report} others.jsonl"));
    assert!(error.contains("8 are judged, and none of these has a score"), "{error}");
}

#[test]
fn help_says_what_each_command_is_for() {
    let place = Place::new();
    for (arguments, words) in [
        ("--help", "how far to trust them"),
        ("rows --help", "objective = \"sft\""),
        ("head --help", "for that model and that adapter alone"),
        ("score --help", "What has a score is not scored again"),
        ("report --help", "fitted on one half of the tasks"),
    ] {
        let said = place.done(arguments).out.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(words), "{arguments}: {said}");
    }
}
