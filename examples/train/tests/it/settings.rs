//! The settings file: defaults, changes, and what is refused.

use std::fs;

use train::Settings;

use crate::support::Place;

#[test]
fn changes_count_more_than_the_file() {
    let place = Place::new();
    let settings = place.settings(&[
        "training.learning_rate=0.5",
        "data.rows.too_long=cut",
        "data.evaluate=[\"a.jsonl\", \"b.jsonl\"]",
        "lora.rank=4",
        "training.objective={ objective = \"dpo\", beta = 0.3 }",
    ]);
    assert_eq!(settings.training.learning_rate, 0.5);
    assert_eq!(settings.training.batch_size, 4);
    assert_eq!(settings.data.evaluate.len(), 2);
    assert_eq!(settings.lora.map(|lora| lora.rank), Some(4));
    assert_eq!(settings.training.objective.name(), "dpo");
}

#[test]
fn what_is_printed_is_read_again() {
    let place = Place::new();
    for objective in ["sft", "dpo", "kto", "entropo_dpo", "entropo_kto", "verifier"] {
        let settings = place.settings(&[
            &format!("training.objective.objective={objective}"),
            "lora.dropout=0.1",
            "training.optimizer.name=muon",
            "training.early_stopping.patience=2",
        ]);
        let path = place.path("printed.toml");
        fs::write(&path, settings.to_toml().unwrap()).unwrap();
        assert_eq!(Settings::read(&path, &[]).unwrap(), settings);
    }
}

#[test]
fn unknown_keys_and_wrong_values_are_named_with_their_place() {
    let place = Place::new();
    let refused = |more: &str, changes: &[&str]| {
        let changes: Vec<String> = changes.iter().map(|change| (*change).to_owned()).collect();
        Settings::read(&place.file(more), &changes).unwrap_err().to_string()
    };
    let unknown = refused("learning_rat = 1", &[]);
    assert!(
        unknown.contains("settings.toml") && unknown.contains("line 3") && unknown.contains("learning_rat"),
        "{unknown}"
    );
    let typed = refused("device = 3", &[]);
    assert!(typed.contains("line 3") && typed.contains("string"), "{typed}");
    let changed = refused("", &["training.epoch=2"]);
    assert!(changed.contains("--set") && changed.contains("epoch") && changed.contains("epochs"), "{changed}");
    for (change, word) in [("training", "key=value"), ("model.name=3", "holds a value"), ("=3", "no key")] {
        let error = refused("", &[change]);
        assert!(error.contains(word) && error.contains(change), "{error}");
    }
    let missing = Settings::read(&place.path("none.toml"), &[]).unwrap_err().to_string();
    assert!(missing.contains("none.toml"), "{missing}");
}

#[test]
fn what_is_missing_or_out_of_range_is_named() {
    let place = Place::new();
    for (change, words) in [
        ("model=", "`model` is missing"),
        ("data.train=[]", "`data.train` is missing"),
        ("data.evaluate_share=1.0", "`data.evaluate_share` is 1, but must be in [0, 1)"),
        ("data.evaluate=[\"x\"]", "`data.evaluate_share` is 0.2, but must be 0 where"),
        ("training.batch_size=0", "`batch_size` is 0"),
        ("monitor.report_every_min=0.0", "`monitor.report_every_min` is 0"),
        ("training.objective={ objective = \"entropo_dpo\", alpha = -1.0 }", "alpha"),
    ] {
        let error = place.settings(&[change]).validate().unwrap_err().to_string();
        assert!(error.contains(words), "{change}: {error}");
    }
}
