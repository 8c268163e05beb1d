//! Whole runs on a tiny model.

use std::fs;
use std::sync::atomic::AtomicBool;

use entropo_train::burn::tensor::Device;
use entropo_train::data::{DataError, Source};
use entropo_train::monitor::{Output, read_metrics};
use train::estimate::Estimate;
use train::run::Ended;
use train::{Failure, Plan, run};

use crate::support::{Place, text};

fn go(place: &Place, changes: &[&str], stop: bool) -> Result<Ended, Failure> {
    let plan = Plan::new(place.settings(changes), &place.path("model"))?;
    run(&plan, &Device::default(), &AtomicBool::new(stop), Output::Nothing)
}

fn steps(place: &Place) -> Vec<usize> {
    let mut steps = Vec::new();
    read_metrics(place.path("run").join("metrics.jsonl"), |record| steps.push(record.step)).unwrap();
    steps
}

#[test]
fn every_objective_trains_and_leaves_what_was_promised() {
    for (objective, rows) in [
        ("sft", "pairs"),
        ("dpo", "pairs"),
        ("entropo_dpo", "pairs"),
        ("kto", "labels"),
        ("entropo_kto", "labels"),
        ("entropo_kto", "pairs"),
    ] {
        let place = Place::new();
        let data = format!("data.train=[{:?}]", place.path(&format!("{rows}.jsonl")));
        let changes = [data, format!("training.objective.objective={objective}")];
        let ended = go(&place, &changes.each_ref().map(String::as_str), false).unwrap();
        assert!(
            !ended.stopped && ended.steps.0 == ended.steps.1 && ended.warnings.is_empty(),
            "{objective}: {ended:?}"
        );
        assert_eq!(steps(&place), (0..ended.steps.1).collect::<Vec<_>>());
        assert!(ended.last.join("model.safetensors").exists() && ended.best.unwrap().join("config.json").exists());
        let report = text(&ended.report.unwrap());
        assert!(report.contains(objective) && report.contains("held out to evaluate on"), "{objective}");
        assert!(text(&place.path("run/settings.toml")).contains(objective));
    }
}

#[test]
fn a_stopped_run_goes_on_and_ends_as_if_it_had_not() {
    let [whole, stopped] = [Place::new(), Place::new()];
    let changes = ["lora.rank=2"];
    let ended = go(&whole, &changes, false).unwrap();
    let first = go(&stopped, &changes, true).unwrap();
    assert_eq!((first.stopped, first.steps), (true, (1, ended.steps.1)));
    let second = go(&stopped, &changes, false).unwrap();
    assert_eq!((second.stopped, second.steps), (false, ended.steps));
    assert_eq!(steps(&stopped), steps(&whole));
    let adapter = |ended: &Ended| fs::read(ended.last.join("adapter_model.safetensors")).unwrap();
    assert!(adapter(&ended) == adapter(&second));
}

#[test]
fn an_adapter_is_trained_over_a_quantised_base() {
    let place = Place::new();
    let whole = Plan::new(place.settings(&["lora.rank=2"]), &place.path("model")).unwrap();
    let changes = ["lora.rank=2", "quantise={ bits = 4, block = 8 }"];
    let packed = Plan::new(place.settings(&changes), &place.path("model")).unwrap();
    let weights = |plan| Estimate::new(plan, &Device::default()).unwrap().memory[0].1;
    assert!(weights(&packed) < weights(&whole));
    let ended = go(&place, &changes, false).unwrap();
    assert!(ended.last.join("adapter_model.safetensors").exists());
    let full = place.settings(&changes[1..]).validate().unwrap_err();
    assert!(full.to_string().contains("`quantise`") && full.to_string().contains("`lora`"), "{full}");
}

#[test]
fn replicas_share_the_work() {
    let [alone, together] = [Place::new(), Place::new()];
    go(&alone, &["training.micro_batch=1"], false).unwrap();
    go(&together, &["training.micro_batch=1", "replicas=[\"cpu\"]"], false).unwrap();
    let losses = |place: &Place| {
        let mut losses = Vec::new();
        read_metrics(place.path("run").join("metrics.jsonl"), |record| losses.push(record.scalars["loss"])).unwrap();
        losses
    };
    let (alone, together) = (losses(&alone), losses(&together));
    assert!(alone.iter().zip(&together).all(|(one, other)| (one - other).abs() < 1e-4), "{alone:?} and {together:?}");
}

#[test]
fn other_settings_do_not_go_on_in_the_same_directory() {
    let place = Place::new();
    go(&place, &[], false).unwrap();
    let before = text(&place.path("run/settings.toml"));
    let error = go(&place, &["training.learning_rate=0.5"], false).unwrap_err();
    assert!(error.to_string().contains("state.safetensors") && error.to_string().contains("delete"), "{error}");
    assert_eq!(text(&place.path("run/settings.toml")), before);
}

#[test]
fn what_cannot_be_trained_on_is_refused_before_anything_is_written() {
    let place = Place::new();
    fs::write(place.path("empty.jsonl"), "").unwrap();
    let equal = text(&place.path("pairs.jsonl")).replace("55,56", "50,51");
    fs::write(place.path("equal.jsonl"), equal).unwrap();
    for name in ["empty.jsonl", "equal.jsonl"] {
        let data = format!("data.train=[{:?}]", place.path(name));
        let error = go(&place, &[&data], false).unwrap_err();
        assert!(matches!(&error, Failure::Data(error) if matches!(**error, DataError::Nothing(_))), "{name}: {error}");
    }
    let rank = go(&place, &["lora.rank=9000"], false).unwrap_err();
    assert!(matches!(rank, Failure::Adapter(_)) && rank.to_string().contains("9000"), "{rank}");
    let labels = format!("data.train=[{:?}]", place.path("labels.jsonl"));
    let kind = go(&place, &[&labels], false).unwrap_err();
    assert!(kind.to_string().contains("of another kind"), "{kind}");
    let left: Vec<_> = fs::read_dir(place.path("run")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["data"]);
    fs::remove_file(place.path("model/model.safetensors")).unwrap();
    let weights = go(&place, &[], false).unwrap_err();
    assert!(weights.to_string().contains("model.safetensors"), "{weights}");
}

#[test]
fn a_dry_run_knows_steps_memory_and_time() {
    let place = Place::new();
    let plan = Plan::new(place.settings(&["lora.rank=2"]), &place.path("model")).unwrap();
    assert_eq!(plan.train.len() + plan.evaluate.as_ref().unwrap().len(), 20);
    let estimate = Estimate::new(&plan, &Device::default()).unwrap();
    let ended = go(&place, &["lora.rank=2"], false).unwrap();
    assert_eq!(estimate.steps, ended.steps.1);
    let adapter = fs::metadata(ended.last.join("adapter_model.safetensors")).unwrap().len();
    assert!((4 * estimate.parameters.1..4 * estimate.parameters.1 + 4096).contains(&adapter), "{estimate:?}");
    let weights = fs::metadata(place.path("model/model.safetensors")).unwrap().len();
    assert!((4 * estimate.parameters.0..4 * estimate.parameters.0 + 8192).contains(&weights), "{estimate:?}");
    assert!(estimate.seconds() > 0.0 && estimate.bytes() > 4 * estimate.parameters.0);
    // Prompts of eight tokens are shorter than what is worth sharing.
    assert_eq!(estimate.tokens.0, estimate.tokens.1);
    assert!(estimate.to_string().contains("time: at least"), "{estimate}");
}
