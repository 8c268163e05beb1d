//! What quickstart says of a checkpoint or directory that it cannot use, and what it leaves alone.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::place::{Files, Place, files, reference};

/// A copy of the lab's checkpoint in `directory`, to be spoilt.
fn checkpoint(directory: &TempDir) -> PathBuf {
    let copy = directory.path().join("policy");
    write(&files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/repair-lab/checkpoint")), &copy);
    copy
}

fn write(files: &Files, directory: &Path) {
    for (path, bytes) in files {
        let path = directory.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

fn edit(path: PathBuf, change: impl FnOnce(&mut Value)) {
    let mut value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut value);
    fs::write(path, value.to_string()).unwrap();
}

/// Runs with `--checkpoint`, in a new directory and in one that holds a finished experiment.
fn assert_refused(checkpoint: &Path, words: &[&str]) {
    for there in [Files::new(), reference().clone()] {
        assert_refused_in(&there, checkpoint, words);
    }
}

fn assert_refused_in(there: &Files, checkpoint: &Path, words: &[&str]) {
    let place = Place::new();
    write(there, &place.out());
    let ended = place.run(&[&format!("--checkpoint={}", checkpoint.display())]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let error = ended.printed.split_once("error: ").expect(&ended.printed).1;
    assert!(words.iter().all(|word| error.contains(word)), "{words:?} in {error}");
    let left = files(&place.out());
    assert!(!there.is_empty() || !left.contains_key(Path::new("results.json")));
    assert!(there.is_empty() || left == *there, "the directory was changed");
    place.assert_nothing_left();
}

#[test]
fn a_missing_checkpoint_is_named() {
    assert_refused(Path::new("/nowhere/policy"), &["/nowhere/policy"]);
}

#[test]
fn cut_off_weights_are_named() {
    let directory = TempDir::new().unwrap();
    let policy = checkpoint(&directory);
    let weights = policy.join("model.safetensors");
    let bytes = fs::read(&weights).unwrap();
    for length in [0, 5, 1000, bytes.len() - 1] {
        fs::write(&weights, &bytes[..length]).unwrap();
        let place = Place::new();
        let ended = place.run(&[&format!("--checkpoint={}", policy.display())]);
        assert!(ended.printed.contains(&weights.display().to_string()), "{length}: {ended:?}");
    }
    assert_refused(&policy, &["model.safetensors"]);
}

#[test]
fn another_architecture_is_named() {
    let directory = TempDir::new().unwrap();
    let policy = checkpoint(&directory);
    edit(policy.join("config.json"), |config| config["model_type"] = json!("mamba"));
    assert_refused(&policy, &["config.json", "`model_type`", "mamba"]);
}

#[test]
fn a_tensor_of_another_shape_is_named() {
    let directory = TempDir::new().unwrap();
    let policy = checkpoint(&directory);
    edit(policy.join("config.json"), |config| {
        config["intermediate_size"] = (config["intermediate_size"].as_u64().unwrap() + 8).into();
    });
    assert_refused(&policy, &["model.safetensors", "mlp.gate_proj.weight"]);
}

#[test]
fn a_tokenizer_from_elsewhere_is_named() {
    let directory = TempDir::new().unwrap();
    let policy = checkpoint(&directory);
    let config: Value = serde_json::from_slice(&fs::read(policy.join("config.json")).unwrap()).unwrap();
    let rows = config["vocab_size"].as_u64().unwrap();
    edit(policy.join("tokenizer.json"), |tokenizer| {
        let added = tokenizer["added_tokens"].as_array_mut().unwrap();
        let like = added[0].clone();
        added.extend((rows..rows + 3).map(|id| {
            let mut token = like.clone();
            (token["id"], token["content"]) = (id.into(), format!("<|more_{id}|>").into());
            token
        }));
    });
    assert_refused_in(&Files::new(), &policy, &["tokenizer", "embedding", &rows.to_string()]);
    assert_refused_in(reference(), &policy, &["settings.json"]);
}

/// Rollouts of two policies must not end up in one experiment.
#[test]
fn a_directory_of_another_policy_is_refused() {
    let directory = TempDir::new().unwrap();
    let policy = checkpoint(&directory);
    let weights = policy.join("model.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    *bytes.iter_mut().nth_back(3).unwrap() ^= 1; // the lowest bit of the last number
    fs::write(&weights, bytes).unwrap();
    let begun = ["settings.json", "rollouts-preferences.jsonl"].map(Path::new);
    let begun = begun.map(|file| (file.to_owned(), reference()[file].clone())).into_iter().collect();
    assert_refused_in(&begun, &policy, &["settings.json", "another starting policy"]);
}

#[test]
fn a_directory_of_another_seed_is_refused() {
    let place = Place::new();
    write(reference(), &place.out());
    let ended = place.run(&["--seed=1"]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let settings = place.out().join("settings.json").display().to_string();
    assert!(ended.printed.contains(&settings) && ended.printed.contains("another --out"), "{}", ended.printed);
    assert!(files(&place.out()) == *reference(), "the directory was changed");
    place.assert_nothing_left();
}

#[test]
fn too_few_pairs_are_an_error_that_leaves_nothing_running() {
    let place = Place::new();
    let ended = place.run(&["--training-tasks=1", "--training-rollouts=1"]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.printed.contains("--training-tasks"), "{}", ended.printed);
    assert!(!place.out().join("results.json").exists());
    place.assert_nothing_left();
}
