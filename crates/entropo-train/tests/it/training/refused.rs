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
    refused("seed", &decoder(1), &examples, &TrainConfig { seed: 1, ..same() });
    refused("epochs", &decoder(1), &examples, &TrainConfig { epochs: 3, ..same() });
    let beta = Objective::Dpo(Dpo { beta: 0.2, ..Dpo::default() });
    refused("objective", &decoder(1), &examples, &TrainConfig { objective: beta, ..same() });
    refused("weights", &decoder(2), &examples, &config);
    refused("fewer examples", &decoder(1), &examples[1..], &config);
    let mut swapped = examples.clone();
    swapped.swap(0, 1);
    refused("order", &decoder(1), &swapped, &config);
    assert_eq!(open(&decoder(1), &examples, &config, Some(folder.path())).unwrap().done(), 2);
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
    let cache = fs::read(made.path().join("reference.json")).unwrap();
    assert_eq!(files(made.path()).len(), 1);

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("reference.json");
    fs::write(&file, &cache).unwrap();
    assert_other_run("weights", &decoder(2), &examples, &config, folder.path(), "reference.json");
    assert_other_run("examples", &decoder(1), &pairs(7), &config, folder.path(), "reference.json");
    for text in ["", "{}", "{\"key\": \"\", \"sums\": []}"] {
        fs::write(&file, text).unwrap();
        assert_other_run("no cache", &decoder(1), &examples, &config, folder.path(), "reference.json");
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
    assert!(matches!(refuse(&sft, &[]), TrainError::Empty));

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

