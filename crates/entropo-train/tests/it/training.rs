//! Whole runs: resuming, refusing what does not belong together, and stopping without damage.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;
use entropo_train::checkpoint::decoder_to_bytes;
use entropo_train::data::{Example, Sequence, SequenceError};
use entropo_train::decoder::Decoder;
use entropo_train::objective::{Dpo, EntropoDpo, EntropoKto, Kto, Objective, ReferencePoint, SequenceLogProbs, Sft};
use entropo_train::trainer::{
    Judgement, Learner, OptimizerConfig, Schedule, StepRecord, TrainConfig, TrainError, Training, frozen_sums,
};

use crate::support::{assert_within, decoder, demonstrations, labelled, pairs, sequence};

/// 8 examples in batches of 3 twice: 6 steps, the third and the last with a batch of 2.
fn config(objective: Objective) -> TrainConfig {
    TrainConfig {
        objective,
        epochs: 2,
        batch_size: 3,
        learning_rate: 1e-2,
        optimizer: OptimizerConfig { weight_decay: 0.01, ..OptimizerConfig::default() },
        ..TrainConfig::default()
    }
}

/// Every kind of run, with the examples it takes.
fn runs() -> Vec<(TrainConfig, Vec<Example>)> {
    let mismatched = EntropoKto { z0: ReferencePoint::Mismatch, ..EntropoKto::default() };
    vec![
        (config(Objective::Sft(Sft::default())), demonstrations(8)),
        (config(Objective::Dpo(Dpo::default())), pairs(8)),
        (config(Objective::EntropoDpo(EntropoDpo::default())), pairs(8)),
        (config(Objective::Kto(Kto::default())), labelled(8)),
        // The default keeps a moving average, which a resumed run must take up again.
        (config(Objective::EntropoKto(EntropoKto::default())), labelled(8)),
        (config(Objective::EntropoKto(mismatched)), labelled(8)),
        // Differentiated in parts.
        (TrainConfig { micro_batch: 2, ..config(Objective::EntropoDpo(EntropoDpo::default())) }, pairs(8)),
    ]
}

fn open<'a>(
    start: &Decoder,
    examples: &'a [Example],
    config: &TrainConfig,
    directory: Option<&Path>,
) -> Result<Training<'a>, TrainError> {
    Training::new(start, examples, config.clone(), &Device::default(), directory.map(Path::to_owned))
}

/// Runs to the end or until `steps` steps of the run are done. Returns what was observed and the weights.
fn finish(training: Training<'_>, steps: usize) -> (Vec<StepRecord>, Vec<u8>) {
    let mut records = Vec::new();
    let decoder = training.run(|record, _| {
        records.push(record.clone());
        if record.step + 1 == steps { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    (records, decoder_to_bytes(&decoder.unwrap()).unwrap())
}

/// All files of a directory with their bytes.
fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let read = |entry: fs::DirEntry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap());
    fs::read_dir(directory).unwrap().map(|entry| read(entry.unwrap())).collect()
}

#[test]
fn settings_survive_a_round_trip_and_unknown_ones_are_refused() {
    for (config, _) in runs() {
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<TrainConfig>(&text).unwrap(), config);
        let misspelt = text.replacen("learning_rate", "learning_rat", 1);
        assert!(serde_json::from_str::<TrainConfig>(&misspelt).is_err(), "{misspelt}");
    }
    assert_eq!(serde_json::from_str::<TrainConfig>("{}").unwrap(), TrainConfig::default());
}

#[test]
fn every_objective_trains_with_finite_numbers() {
    for (config, examples) in runs() {
        let training = open(&decoder(1), &examples, &config, None).unwrap();
        assert_eq!((training.steps(), training.done()), (6, 0));
        let (records, bytes) = finish(training, 6);
        assert_eq!(records.iter().map(|record| record.step).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
        for record in &records {
            assert!(record.loss.is_finite() && record.grad_norm > 0.0 && record.grad_norm.is_finite(), "{record:?}");
            let rate = 1e-2 * Schedule::default().factor(record.step, 6);
            assert_eq!((record.steps, record.learning_rate), (6, rate));
        }
        // Every epoch reads every example once.
        let tokens: usize = examples.iter().map(Example::tokens).sum();
        assert_eq!(records[..3].iter().map(|record| record.tokens).sum::<usize>(), tokens);
        assert_eq!(records[3..].iter().map(|record| record.tokens).sum::<usize>(), tokens);
        assert!(bytes != decoder_to_bytes(&decoder(1)).unwrap());
    }
}

#[test]
fn demonstrations_are_learned() {
    let config = TrainConfig { epochs: 40, batch_size: 8, ..config(Objective::Sft(Sft::default())) };
    let (records, _) = finish(open(&decoder(1), &demonstrations(8), &config, None).unwrap(), 40);
    assert!(records[39].loss < 0.75 * records[0].loss, "{} to {}", records[0].loss, records[39].loss);
}

/// Every example meets its own reference: as long as nothing is learned, log-ratios are 0.
#[test]
fn at_rest_the_policy_is_the_reference() {
    let config = TrainConfig { learning_rate: 0.0, micro_batch: 5, ..config(Objective::Dpo(Dpo::default())) };
    for record in finish(open(&decoder(1), &pairs(8), &config, None).unwrap(), 6).0 {
        assert_within("loss", record.loss, std::f64::consts::LN_2, 1e-6);
    }
}

/// KTO's reference point is the mean log-ratio of each prompt with the other's completion.
#[test]
fn kto_is_a_loop_over_steps_of_a_learner() {
    let kto = Kto { undesirable_weight: 1.25, ..Kto::default() };
    let settings = TrainConfig { epochs: 4, batch_size: 2, ..config(Objective::Kto(kto)) };
    let examples = labelled(2);
    let (records, _) = finish(open(&decoder(1), &examples, &settings, None).unwrap(), 4);

    let device = Device::default().autodiff();
    let start = decoder(1);
    let mut learner = Learner::new(start.clone().to_device(&device).train(), &settings.optimizer, &device, 2);
    let both: Vec<&Sequence> = examples.iter().flat_map(Example::sequences).collect();
    let [first, second] = both[..] else { panic!() };
    let mixed = [first.with_completion_of(second).unwrap(), second.with_completion_of(first).unwrap()];
    let mixed: Vec<&Sequence> = mixed.iter().collect();
    let join = |sequences: &[&Sequence], policy: &[f64]| -> Vec<SequenceLogProbs> {
        let sums = policy.iter().zip(frozen_sums(&start, sequences, 2)).zip(sequences);
        sums.map(|((&policy, reference), sequence)| SequenceLogProbs {
            policy,
            reference,
            tokens: sequence.action_tokens(),
        })
        .collect()
    };
    let mut estimates = Vec::new();
    for record in &records {
        let estimate = Kto::kl_estimate(&join(&mixed, &learner.log_probs(&mixed))).unwrap();
        let outcome = learner.step(&both, record.learning_rate, |policy: &[f64]| {
            let labelled: Vec<_> = join(&both, policy).into_iter().zip([true, false]).collect();
            let evaluation = kto.evaluate(&labelled, estimate).unwrap();
            Ok(Judgement { loss: evaluation.loss, weights: evaluation.weights, metrics: evaluation.metrics })
        });
        let outcome = outcome.unwrap();
        assert_within("loss", record.loss, outcome.loss, 1e-5);
        assert_within("estimate", record.metrics["kl/estimate"], estimate, 1e-3 * estimate.abs().max(1e-2));
        estimates.push(estimate);
    }
    assert!(estimates[3].abs() > 1e-2, "{estimates:?}");
}

#[test]
fn a_seed_is_a_run() {
    for (config, examples) in runs() {
        let run = |seed| {
            let config = TrainConfig { seed, ..config.clone() };
            finish(open(&decoder(1), &examples, &config, None).unwrap(), 6)
        };
        let (first, again, other) = (run(0), run(0), run(1));
        assert!(first == again, "{:?}", config.objective);
        assert!(first.1 != other.1, "{:?}", config.objective);
    }
}

#[test]
fn a_stopped_run_goes_on_to_the_last_bit() {
    for (config, examples) in runs() {
        let whole = finish(open(&decoder(1), &examples, &config, None).unwrap(), 6);
        for stop in 1..6 {
            let folder = tempfile::tempdir().unwrap();
            let open = || open(&decoder(1), &examples, &config, Some(folder.path())).unwrap();
            let (before, _) = finish(open(), stop);
            let training = open();
            assert_eq!(training.done(), stop);
            let (after, bytes) = finish(training, 6);
            assert_eq!([before, after].concat(), whole.0, "{:?} stopped after {stop}", config.objective);
            assert!(bytes == whole.1, "{:?} stopped after {stop}", config.objective);
        }
    }
}

#[test]
fn a_killed_run_goes_on_from_the_last_saved_step() {
    for (config, examples) in runs() {
        let config = TrainConfig { save_every: 2, ..config };
        let whole = finish(open(&decoder(1), &examples, &config, None).unwrap(), 6);
        for (killed_in, saved) in [(1, 0), (2, 2), (3, 2), (4, 4)] {
            let folder = tempfile::tempdir().unwrap();
            let open = || open(&decoder(1), &examples, &config, Some(folder.path())).unwrap();
            let training = open();
            let killed = catch_unwind(AssertUnwindSafe(|| {
                training.run(|record, _| {
                    if record.step == killed_in {
                        resume_unwind(Box::new("killed"));
                    }
                    ControlFlow::Continue(())
                })
            }));
            assert!(killed.is_err());
            // A file that was being written then is not in the way.
            fs::write(folder.path().join(".tmpX1y2z3"), "half a sta").unwrap();
            let training = open();
            assert_eq!(training.done(), saved);
            let (records, bytes) = finish(training, 6);
            assert_eq!(records, whole.0[saved..]);
            assert!(bytes == whole.1, "{:?} killed in {killed_in}", config.objective);
        }
    }
}

#[test]
fn every_step_can_be_saved() {
    let (config, examples) = runs().swap_remove(2);
    let config = TrainConfig { save_every: 1, ..config };
    let folder = tempfile::tempdir().unwrap();
    let open = || open(&decoder(1), &examples, &config, Some(folder.path())).unwrap();
    let mut copies = Vec::new();
    // What lies there while step `k` is observed is the state after `k` steps.
    open()
        .run(|_, _| {
            copies.push(fs::read(folder.path().join("state.safetensors")).ok());
            ControlFlow::Continue(())
        })
        .unwrap();
    for (step, copy) in copies.into_iter().enumerate().skip(1) {
        fs::write(folder.path().join("state.safetensors"), copy.unwrap()).unwrap();
        assert_eq!(open().done(), step);
    }
}

#[test]
fn a_finished_run_has_nothing_left_to_do() {
    let (config, examples) = runs().swap_remove(1);
    let folder = tempfile::tempdir().unwrap();
    let open = || open(&decoder(1), &examples, &config, Some(folder.path())).unwrap();
    let (_, first) = finish(open(), 6);
    let (records, again) = finish(open(), 6);
    assert!(records.is_empty() && again == first);
}

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

/// Numbers that are read from the cache are those that would be computed.
#[test]
fn a_cached_reference_gives_the_same_run() {
    let (config, examples) = runs().swap_remove(2);
    let folder = tempfile::tempdir().unwrap();
    open(&decoder(1), &examples, &config, Some(folder.path())).unwrap();
    let cached = finish(open(&decoder(1), &examples, &config, Some(folder.path())).unwrap(), 6);
    assert!(cached == finish(open(&decoder(1), &examples, &config, None).unwrap(), 6));
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

#[test]
fn a_run_that_leaves_the_numbers_stops_and_keeps_its_state() {
    for (config, examples) in runs() {
        let config = TrainConfig { learning_rate: 1e30, schedule: Schedule::Constant, save_every: 1, ..config };
        let folder = tempfile::tempdir().unwrap();
        let training = open(&decoder(1), &examples, &config, Some(folder.path())).unwrap();
        let mut steps = 0;
        let error = training.run(|_, _| {
            steps += 1;
            ControlFlow::Continue(())
        });
        let error = error.unwrap_err();
        let typed = matches!(error, TrainError::Objective { .. } | TrainError::NotFinite { .. });
        assert!(typed, "{:?}: {error:?}", config.objective);
        if let TrainError::Objective { step, sequences, .. } = &error {
            assert_eq!(*step, steps);
            assert!(sequences.contains('s'), "{error}");
        }
        assert!(steps > 0, "{:?}: {error}", config.objective);
        let resumed = open(&decoder(1), &examples, &config, Some(folder.path())).unwrap();
        assert_eq!(resumed.done(), steps, "{:?}", config.objective);
    }
}
