//! The whole of it on this machine.

use std::fs;
use std::path::Path;
use std::process::Command;

use entropo_core::stats::{Temperature, logit};
use entropo_core::{Trajectory, TrajectoryStore};
use entropo_train::adapter::{Adapter, LoraConfig};
use entropo_train::checkpoint::{Weights, load};
use entropo_train::text::ChatFormat;
use entropo_train::verifier::{Head, HeadBasis, Judging};
use serde_json::Value;

use super::place::{Place, attempt, attempts};

#[test]
fn rows_train_by_the_preset_and_what_was_trained_is_scored_and_measured() {
    let place = Place::new();
    place.store("judged.jsonl", &attempts(0..6));
    place.store("others.jsonl", &attempts(6..14));
    let rows = place.done("rows --trajectories judged.jsonl --model model --prompt prompt.toml --to rows.jsonl");
    assert!(rows.out.contains("rows.jsonl: 24 rows, 12 solved and 12 failed, of 6 tasks"), "{}", rows.out);
    assert!(rows.out.contains("left out: 0 that nobody judged"), "{}", rows.out);

    let preset = Path::new(env!("CARGO_MANIFEST_DIR")).join("presets/qwen2.5-coder-0.5b/verifier.toml");
    let mut train = Command::new(env!("CARGO_BIN_EXE_train"));
    train.arg(preset);
    for change in [
        "model=model",
        "output=run",
        "data.train=[\"rows.jsonl\"]",
        "data.evaluate_share=0",
        "training.learning_rate=3e-3",
        "training.epochs=4",
        "monitor.report=false",
        "monitor.tensorboard=false",
    ] {
        train.args(["--set", change]);
    }
    let trained = place.run(&mut train);
    assert!(trained.success && trained.out.contains("96 steps are done"), "{}{}", trained.out, trained.error);

    let score = "score --trajectories others.jsonl --model model --prompt prompt.toml";
    place.done(&format!("{score} --to before.jsonl"));
    let scored = place.done(&format!("{score} --adapter run/last --to scores.jsonl"));
    assert!(scored.out.contains("32 scores are new, 0 were there, 0 attempts have none"), "{}", scored.out);
    assert_ne!(place.scores("before.jsonl"), place.scores("scores.jsonl"));

    let report = "report --trajectories others.jsonl judged.jsonl --scores";
    let said = place.done(&format!("{report} scores.jsonl --json report.json --plots plots"));
    assert!(said.out.contains("scored: 32 attempts at 8 tasks, 8 of them with solved and failed"), "{}", said.out);
    let number = |file: &str, place_of: &str| -> f64 {
        let report: Value = serde_json::from_str(&fs::read_to_string(place.path(file)).unwrap()).unwrap();
        report.pointer(place_of).and_then(Value::as_f64).unwrap_or_else(|| panic!("{place_of}: {report}"))
    };
    assert_eq!(number("report.json", "/judged"), 56.0);
    assert!(number("report.json", "/within/mean") > 0.9, "it learned to read patches: {}", said.out);
    let svg = fs::read_to_string(place.path("plots/reliability.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("as it is"), "{svg}");
}

#[test]
fn a_temperature_that_was_fitted_is_used_and_only_for_its_verifier() {
    let place = Place::new();
    let mut judged = attempts(0..12);
    place.store("judged.jsonl", &judged);
    let score = "score --trajectories judged.jsonl --model model --prompt prompt.toml";
    place.done(&format!("{score} --to scores.jsonl"));
    // Rewards that agree with three of four scores, so that there is a temperature that fits best.
    let scores = place.scores("scores.jsonl");
    for (index, attempt) in judged.iter_mut().enumerate() {
        let score = scores.iter().find(|row| row.rollout == attempt.id).unwrap();
        let right = (score.value > 0.5) != index.is_multiple_of(4);
        attempt.outcome.reward = Some(f64::from(u8::from(right)));
    }
    fs::remove_file(place.path("judged.jsonl")).unwrap();
    place.store("judged.jsonl", &judged);
    let report = "report --trajectories judged.jsonl --scores";
    let said = place.done(&format!("{report} scores.jsonl --fit calibration.json --json report.json"));
    assert!(said.out.contains("fitted on 24 attempts at 6 tasks"), "{}", said.out);

    place.done(&format!("{score} --calibration calibration.json --to calibrated.jsonl"));
    let calibration: Value =
        serde_json::from_str(&fs::read_to_string(place.path("calibration.json")).unwrap()).unwrap();
    let temperature = Temperature::new(calibration["temperature"].as_f64().unwrap()).unwrap();
    for (before, after) in scores.iter().zip(place.scores("calibrated.jsonl")) {
        assert_eq!(before.rollout, after.rollout);
        assert!((temperature.probability(logit(before.value)) - after.value).abs() < 1e-9, "{before:?} {after:?}");
    }
    // What has the temperature already is fitted to the same one.
    place.done(&format!("{report} calibrated.jsonl --json again.json"));
    let held_out = |file: &str| -> Value {
        let report: Value = serde_json::from_str(&fs::read_to_string(place.path(file)).unwrap()).unwrap();
        report["held_out"].clone()
    };
    let [first, again] = ["report.json", "again.json"].map(held_out);
    let close = |one: &Value, other: &Value| (one.as_f64().unwrap() - other.as_f64().unwrap()).abs() < 1e-6;
    assert!(close(&first["temperature"], &again["temperature"]), "{first} {again}");
    assert!(close(&first["after"]["brier"]["mean"], &again["before"]["brier"]["mean"]), "{first} {again}");

    let error = place.refused(&format!("{score} --tokens 900 --calibration calibration.json --to other.jsonl"));
    assert!(error.contains("another verifier (tokens is 1024 there)"), "{error}");
}

#[test]
fn scoring_goes_on_where_it_was_and_never_mixes() {
    let place = Place::new();
    let (all, mut silent) = (attempts(0..3), attempt(9, 1));
    silent.messages.truncate(1);
    place.store("some.jsonl", &all[..5]);
    place.store("rest.jsonl", &[&all[5..], &[silent]].concat());
    let score =
        |files: &str, more: &str| format!("score --trajectories {files} --model model --prompt prompt.toml {more}");
    place.done(&score("some.jsonl", "--to scores.jsonl"));
    let said = place.done(&score("some.jsonl rest.jsonl", "--to scores.jsonl"));
    assert!(said.out.contains("7 scores are new, 5 were there, 1 attempts have none"), "{}", said.out);
    assert!(said.error.contains("no score: task-9#1: the attempt has no assistant message"), "{}", said.error);
    place.done(&score("rest.jsonl some.jsonl", "--to at-once.jsonl"));
    let sorted = |name: &str| {
        let mut scores = place.scores(name);
        scores.sort_by(|one, other| one.rollout.cmp(&other.rollout));
        scores
    };
    let (pieces, at_once) = (sorted("scores.jsonl"), sorted("at-once.jsonl"));
    assert_eq!(pieces.len(), 12);
    for (one, other) in pieces.iter().zip(&at_once) {
        assert!(one.rollout == other.rollout && (one.value - other.value).abs() < 1e-5, "{one:?} {other:?}");
    }
    let error = place.refused(&score("some.jsonl", "--to scores.jsonl --temperature 2"));
    assert!(error.contains("temperature is 1 there") && error.contains("name a new file"), "{error}");
    assert_eq!(sorted("scores.jsonl"), pieces);
}

/// A place with a head of the bare model in `head`, and one of the model with the adapter `one` beside it.
fn place_with_heads() -> Place {
    let place = Place::new();
    place.store("judged.jsonl", &attempts(0..1));
    let decoder = load(&place.path("model"), &Default::default()).unwrap();
    let prompt = toml::from_str(&fs::read_to_string(place.path("prompt.toml")).unwrap()).unwrap();
    let format = ChatFormat::from_dir(place.path("model")).unwrap();
    let judging = Judging::new(format.into(), prompt, 1024).unwrap();
    let head = Head::new(vec![0.0; decoder.config().hidden_size], 3_f32.ln());
    let weights = Weights::open(&place.path("model")).unwrap();
    let adapter = |seed| Adapter::new(&LoraConfig::default(), &decoder, seed).unwrap();
    for (name, seed) in [("one", 0), ("other", 1)] {
        adapter(seed).save(&place.path(name)).unwrap();
    }
    let basis = HeadBasis::new(&judging, ("my model", &weights), None);
    head.save(&place.path("head"), &basis).unwrap();
    let basis = HeadBasis::new(&judging, ("my model", &weights), Some(("my adapter", &adapter(0))));
    head.save(&place.path("one"), &basis).unwrap();
    place
}

#[test]
fn a_head_judges_in_the_place_of_the_words() {
    let place = place_with_heads();
    let score = "score --trajectories judged.jsonl --model model --head head";
    place.done(&format!("{score} --prompt prompt.toml --to scores.jsonl"));
    assert!(place.scores("scores.jsonl").iter().all(|row| (row.value - 0.75).abs() < 1e-6));
    let error = place.refused(&format!("{score} --to other.jsonl"));
    assert!(error.contains("fitted with another question"), "{error}");
}

#[test]
fn a_head_is_fitted_measured_and_used() {
    let place = Place::new();
    let mut judged = attempts(0..12);
    judged[0].outcome.reward = None;
    judged[1].messages.truncate(1);
    place.store("judged.jsonl", &judged);
    place.store("others.jsonl", &attempts(12..20));
    let head = "head --trajectories judged.jsonl --model model --prompt prompt.toml --to";
    let said = place.done(&format!("{head} head"));
    assert!(said.error.contains("left out: task-0#1: the attempt has no assistant message"), "{}", said.error);
    let fitted = said.out.lines().next().unwrap();
    assert!(fitted.ends_with("attempts at 6 tasks; 1 judged attempts cannot be shown"), "{}", said.out);
    for line in [
        "on tasks that it was not fitted to:",
        "attempts at 6 tasks, 6 of them",
        "AUROC within tasks: 1.000",
        "calibration error",
    ] {
        assert!(said.out.contains(line), "{line}: {}", said.out);
    }
    // It is used by the model that it was fitted to, on attempts that nobody judged.
    let score = "score --trajectories others.jsonl --model model --prompt prompt.toml --head head --to scores.jsonl";
    place.done(score);
    let of = |number: usize| {
        let scores = place.scores("scores.jsonl");
        scores.into_iter().filter(move |row| row.rollout.rollout % 2 == number).map(|row| row.value).collect::<Vec<_>>()
    };
    let (solved, failed) = (of(0), of(1));
    let in_order = solved.iter().map(|one| failed.iter().filter(|other| one > *other).count()).sum::<usize>();
    assert!(solved.len() == 16 && in_order as f64 > 0.9 * 256.0, "{in_order} of 256 pairs: {solved:?} {failed:?}");
    // What is there is kept, and the same attempts give the same head.
    let written = |name: &str| fs::read(place.path(name).join("verifier_head.safetensors")).unwrap();
    assert!(place.refused(&format!("{head} head")).contains("it is there already"));
    place.done(&format!("{head} again"));
    assert_eq!(written("head"), written("again"));
    place.store("one.jsonl", &attempts(0..1));
    for (arguments, words) in [
        ("head --trajectories judged.jsonl --to none", "--model"),
        ("head --trajectories judged.jsonl --model model --prompt prompt.toml --penalty 0 --to none", "penalty is 0"),
        ("head --trajectories one.jsonl --model model --prompt prompt.toml --to none", "several tasks"),
    ] {
        let error = place.refused(arguments);
        assert!(error.contains(words) && !place.path("none").exists(), "{arguments}: {error}");
    }
}

#[test]
fn a_head_judges_for_its_own_model_and_adapter_alone() {
    let place = place_with_heads();
    let score = "score --trajectories judged.jsonl --prompt prompt.toml --model";
    place.done(&format!("{score} model --adapter one --head one --to scores.jsonl"));
    assert!(place.scores("scores.jsonl").iter().all(|row| (row.value - 0.75).abs() < 1e-6));
    for (with, fitted, found) in [
        ("model --head one", "with the adapter my adapter (", "with model ("),
        ("model --adapter other --head one", "with the adapter my adapter (", "with the adapter other ("),
        ("model --adapter one --head head", "without an adapter, and", "with the adapter one ("),
    ] {
        let error = place.refused(&format!("{score} {with} --to other.jsonl"));
        let all = [fitted, found, "fitted to my model (", "fit it again"];
        assert!(all.iter().all(|part| error.contains(part)), "{with}: {error}");
    }
    // Weights of the same shapes that were trained anew are another model.
    let path = place.path("model/model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(path, bytes).unwrap();
    let error = place.refused(&format!("{score} model --head head --to other.jsonl"));
    assert!(error.contains("fitted to my model ("), "{error}");
}

#[test]
fn weights_may_be_smaller() {
    let place = Place::new();
    let attempts: Vec<Trajectory> = attempts(0..1);
    TrajectoryStore::open(place.path("judged.jsonl")).unwrap().append_all(&attempts).unwrap();
    let score = "score --trajectories judged.jsonl --model model --prompt prompt.toml";
    place.done(&format!("{score} --to f32.jsonl"));
    for (name, options) in [("bf16", "--precision bf16"), ("packed", "--quantise 8")] {
        place.done(&format!("{score} {options} --to {name}.jsonl"));
        for (one, other) in place.scores("f32.jsonl").iter().zip(place.scores(&format!("{name}.jsonl"))) {
            assert!((one.value - other.value).abs() < 0.05, "{name}: {one:?} {other:?}");
        }
    }
}
