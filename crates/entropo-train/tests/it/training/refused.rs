//! What cannot be trained on, or does not belong together: typed errors, and no file is touched.

use std::fs;
use std::path::Path;

use entropo_train::adapter::{Adapter, LoraConfig};
use entropo_train::checkpoint::decoder_to_bytes;
use entropo_train::data::{Example, Sequence, SequenceError};
use entropo_train::decoder::Decoder;
use entropo_train::objective::{Dpo, EntropoDpo, EntropoKto, Objective, Reference, Sft, Verifier};
use entropo_train::trainer::{EarlyStopping, MuonConfig, OptimizerConfig, TrainConfig, TrainError};

use super::{config, files, finish, open, runs};
use crate::support::{decoder, demonstrations, labelled, pairs, sequence};

/// Fails unless opening is refused as another run because of the file `because`, with every file as it was.
#[track_caller]
fn assert_other_run(
    what: &str,
    start: &Decoder,
    examples: &[Example],
    config: &TrainConfig,
    directory: &Path,
    because: &str,
) {
    let before = files(directory);
    let error = open(start, examples, config, Some(directory)).err().unwrap_or_else(|| panic!("{what}: not refused"));
    let message = error.to_string();
    assert!(matches!(&error, TrainError::OtherRun { path, .. } if path.ends_with(because)), "{what}: {message}");
    assert!(message.contains(because) && message.contains("delete the directory"), "{what}: {message}");
    assert!(files(directory) == before, "{what}: the directory was changed");
}

#[test]
fn the_state_of_another_run_is_refused() {
    let (config, examples) = (config(Objective::Dpo(Dpo::default())), pairs(8));
    let folder = tempfile::tempdir().unwrap();
    finish(open(&decoder(1), &examples, &config, Some(folder.path())).unwrap(), 2);
    let refused = |what, start: &Decoder, examples: &[Example], config: &TrainConfig| {
        assert_other_run(what, start, examples, config, folder.path(), "state.safetensors");
    };
    let same = || config.clone();
    refused("rate", &decoder(1), &examples, &TrainConfig { learning_rate: 2e-2, ..same() });
    let muon = OptimizerConfig::Muon(MuonConfig::default());
    refused("optimiser", &decoder(1), &examples, &TrainConfig { optimizer: muon, ..same() });
    refused("seed", &decoder(1), &examples, &TrainConfig { seed: 1, ..same() });
    refused("epochs", &decoder(1), &examples, &TrainConfig { epochs: 3, ..same() });
    let beta = Objective::Dpo(Dpo { beta: 0.2, ..Dpo::default() });
    refused("objective", &decoder(1), &examples, &TrainConfig { objective: beta, ..same() });
    refused("weights", &decoder(2), &examples, &config);
    refused("fewer examples", &decoder(1), &examples[1..], &config);
    let mut swapped = examples.clone();
    swapped.swap(0, 1);
    refused("order", &decoder(1), &swapped, &config);
    // What differs is named.
    let other = TrainConfig { seed: 1, learning_rate: 2e-2, ..same() };
    let error = open(&decoder(2), &examples, &other, Some(folder.path())).err().unwrap().to_string();
    for part in ["`learning_rate` is 0.02, was 0.01", "`seed` is 1, was 0", "other starting weights"] {
        assert!(error.contains(part), "{part} in: {error}");
    }
    assert!(!error.contains("other examples"), "{error}");
    // How often the state is saved makes no other run.
    let config = TrainConfig { save_every: 7, max_bad_steps: 1, ..config };
    assert_eq!(open(&decoder(1), &examples, &config, Some(folder.path())).unwrap().done(), 2);
}

/// A state whose header says another format, and one from before there was a header.
#[test]
fn a_state_of_another_version_is_refused() {
    let (config, examples) = runs().swap_remove(1);
    let folder = tempfile::tempdir().unwrap();
    finish(open(&decoder(1), &examples, &config, Some(folder.path())).unwrap(), 2);
    let file = folder.path().join("state.safetensors");
    let whole = fs::read(&file).unwrap();
    let text = String::from_utf8_lossy(&whole);
    let place = text.find(r#"{\"format\":2,"#).unwrap() + r#"{\"format\":"#.len();
    let mut newer = whole.clone();
    newer[place] = b'3';
    fs::write(&file, newer).unwrap();
    assert_other_run("newer", &decoder(1), &examples, &config, folder.path(), "state.safetensors");
    let error = open(&decoder(1), &examples, &config, Some(folder.path())).err().unwrap().to_string();
    assert!(error.contains("format is 3") && error.contains("reads 2"), "{error}");
    fs::write(&file, decoder_to_bytes(&decoder(1)).unwrap()).unwrap();
    assert_other_run("no state", &decoder(1), &examples, &config, folder.path(), "state.safetensors");
}

#[test]
fn a_state_with_other_labels_is_refused() {
    let (config, examples) = (config(Objective::EntropoKto(EntropoKto::default())), labelled(8));
    let folder = tempfile::tempdir().unwrap();
    finish(open(&decoder(1), &examples, &config, Some(folder.path())).unwrap(), 2);
    let flip = |example: &Example| match example {
        Example::Labelled { sequence, desirable } => {
            Example::Labelled { sequence: sequence.clone(), desirable: !desirable }
        }
        other => other.clone(),
    };
    let flipped: Vec<Example> = examples.iter().map(flip).collect();
    assert_other_run("labels", &decoder(1), &flipped, &config, folder.path(), "state.safetensors");
}

/// A run without a reference leaves no cache behind; one with a reference must not add its own before it is refused.
#[test]
fn a_refused_run_leaves_nothing() {
    let (config, examples) = runs().swap_remove(0);
    let folder = tempfile::tempdir().unwrap();
    finish(open(&decoder(1), &examples, &config, Some(folder.path())).unwrap(), 2);
    let (config, examples) = runs().swap_remove(1);
    assert_other_run("objective", &decoder(1), &examples, &config, folder.path(), "state.safetensors");
}

#[test]
fn a_damaged_state_is_refused() {
    let (config, examples) = runs().swap_remove(1);
    let folder = tempfile::tempdir().unwrap();
    finish(open(&decoder(1), &examples, &config, Some(folder.path())).unwrap(), 2);
    let file = folder.path().join("state.safetensors");
    let whole = fs::read(&file).unwrap();
    for length in [0, 7, 100, whole.len() - 1] {
        fs::write(&file, &whole[..length]).unwrap();
        assert_other_run("cut short", &decoder(1), &examples, &config, folder.path(), "state.safetensors");
    }
}

#[test]
fn a_reference_cache_of_other_weights_is_refused() {
    let (config, examples) = runs().swap_remove(1);
    let made = tempfile::tempdir().unwrap();
    open(&decoder(1), &examples, &config, Some(made.path())).unwrap();
    let cache = fs::read(made.path().join("reference.jsonl")).unwrap();
    assert_eq!(files(made.path()).len(), 1);

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("reference.jsonl");
    fs::write(&file, &cache).unwrap();
    assert_other_run("weights", &decoder(2), &examples, &config, folder.path(), "reference.jsonl");
    assert_other_run("examples", &decoder(1), &pairs(7), &config, folder.path(), "reference.jsonl");
    for text in ["{}", "{\"key\": \"\", \"sums\": []}\n"] {
        fs::write(&file, text).unwrap();
        assert_other_run("no cache", &decoder(1), &examples, &config, folder.path(), "reference.jsonl");
    }
    // Other settings need no other reference.
    fs::write(&file, &cache).unwrap();
    open(&decoder(1), &examples, &TrainConfig { learning_rate: 1.0, ..config }, Some(folder.path())).unwrap();
}

/// Refuses `examples` before anything is written.
fn refuse(config: &TrainConfig, examples: &[Example]) -> TrainError {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("run");
    let error = open(&decoder(1), examples, config, Some(&directory)).err().unwrap();
    assert!(!directory.exists(), "{error}");
    error
}

#[test]
fn unusable_examples_are_named_before_anything_is_written() {
    let sft = config(Objective::Sft(Sft::default()));
    assert!(matches!(refuse(&sft, &[]), TrainError::Empty { purpose: "train" }));

    let with = |bad: Sequence| [demonstrations(2), vec![Example::Demonstration(bad)]].concat();
    let outside = Sequence::new("task#7", vec![1, 17], vec![false, true]).unwrap();
    let error = refuse(&sft, &with(outside));
    assert!(matches!(error, TrainError::Sequence(SequenceError::Token { token: 17, vocabulary: 17, .. })), "{error:?}");
    assert!(error.to_string().starts_with("task#7: "), "{error}");

    let error = refuse(&sft, &with(sequence("task#8", 25, 1)));
    assert!(matches!(error, TrainError::Sequence(SequenceError::Context { tokens: 25, context: 24, .. })), "{error:?}");
    assert!(error.to_string().starts_with("task#8: "), "{error}");

    let dpo = config(Objective::Dpo(Dpo { beta: -1.0, ..Dpo::default() }));
    let error = refuse(&dpo, &pairs(2));
    assert!(matches!(error, TrainError::Objective { .. }) && error.to_string().contains("`beta` is -1"), "{error}");
}

#[test]
fn a_pair_that_prefers_nothing_is_named() {
    let twice = |id: &str, actions: [bool; 3]| Sequence::new(id, vec![1, 2, 3], actions.to_vec()).unwrap();
    let pair = |rejected| {
        let chosen = twice("one", [false, true, true]);
        [pairs(2), vec![Example::Preference { chosen, rejected }]].concat()
    };
    for (config, _) in runs().into_iter().filter(|(_, examples)| matches!(examples[0], Example::Preference { .. })) {
        let error = refuse(&config, &pair(twice("other", [false, true, true])));
        assert!(matches!(error, TrainError::EqualSides { .. }) && error.to_string().starts_with("one and other: "));
        open(&decoder(1), &pair(twice("other", [false, false, true])), &config, None).unwrap();
    }
}

#[test]
fn an_answer_of_neither_class_is_named() {
    let answer = |id: &str, token| Sequence::new(id, vec![1, 2, token], vec![false, false, true]).unwrap();
    let pair = |right, wrong| Example::Preference { chosen: answer("right", right), rejected: answer("wrong", wrong) };
    let verifier = Verifier { positive: Some(7), positive_weight: 2.0, ..Verifier::default() };
    let config = config(Objective::Verifier(verifier));
    open(&decoder(1), &[pair(7, 8), pair(8, 7)], &config, None).unwrap();
    let error = refuse(&config, &[pair(7, 8), pair(8, 9)]);
    assert!(matches!(error, TrainError::Answer { positive: 7, .. }), "{error}");
}

#[test]
fn contradictions_are_refused_before_anything_is_written() {
    let early_stopping = Some(EarlyStopping::default());
    let error = refuse(&TrainConfig { early_stopping, ..runs().swap_remove(0).0 }, &demonstrations(2));
    assert!(matches!(error, TrainError::Setting { name: "early_stopping", .. }), "{error}");
    let local = EntropoDpo { reference: Reference::Local, anneal: 0.5, ..EntropoDpo::default() };
    let error = refuse(&config(Objective::EntropoDpo(local)), &pairs(2));
    assert!(error.to_string().contains("`anneal`"), "{error}");
}

/// An adapter of too high a rank does not come to be, so no run starts with one.
#[test]
fn a_rank_larger_than_the_matrix_is_refused() {
    let config = LoraConfig { rank: 9, ..LoraConfig::default() };
    let error = Adapter::new(&config, &decoder(1), 1).unwrap_err().to_string();
    assert!(error.contains("9") && error.contains("q_proj"), "{error}");
}

#[test]
fn an_example_of_the_wrong_kind_is_named() {
    let kinds = [("demonstrations", demonstrations(2)), ("pairs", pairs(2)), ("labelled", labelled(2))];
    for (config, right) in runs() {
        for (kind, examples) in &kinds {
            if std::mem::discriminant(&examples[0]) == std::mem::discriminant(&right[0]) {
                continue;
            }
            let mixed = [right.clone(), examples.clone()].concat();
            let error = refuse(&config, &mixed);
            let named = matches!(&error, TrainError::Kind { id, .. } if id == "s0");
            assert!(named, "{kind} for {:?}: {error}", config.objective);
        }
    }
}
