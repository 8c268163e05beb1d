//! Evaluations: what they say, which weights they keep, and when they end a run.

use std::ops::ControlFlow;
use std::path::Path;

use burn::tensor::Device;
use entropo_train::checkpoint::{self, decoder_to_bytes};
use entropo_train::data::{Example, Sequence};
use entropo_train::decoder::Decoder;
use entropo_train::objective::{EntropoKto, Objective, Sft};
use entropo_train::trainer::{EarlyStopping, Goal, StepRecord, TrainConfig, TrainError, Training, frozen_sums};

use super::{config, files, runs};
use crate::support::{assert_within, decoder, demonstrations, labelled, sequence};

/// Runs over `examples` with an evaluation on `held_out`, up to `steps` steps.
fn run(
    config: &TrainConfig,
    (examples, held_out): (&[Example], &[Example]),
    directory: Option<&Path>,
    steps: usize,
) -> Result<(Vec<StepRecord>, Decoder), TrainError> {
    let builder = Training::over(examples, config.clone()).evaluate_on(held_out);
    let builder = match directory {
        Some(directory) => builder.directory(directory),
        None => builder,
    };
    let mut records = Vec::new();
    let end = builder.start(&decoder(1), &Device::default())?.run(|record, _| {
        records.push(record.clone());
        if record.step + 1 == steps { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok((records, end))
}

fn sft(evaluate_every: usize) -> TrainConfig {
    TrainConfig { evaluate_every, ..config(Objective::Sft(Sft::default())) }
}

fn held_out() -> Vec<Example> {
    (0..5).map(|index| Example::Demonstration(sequence(&format!("h{index}"), 9 + index, 100 + index as u64))).collect()
}

/// Token-mean negative log-likelihood.
fn nll(decoder: &Decoder, examples: &[Example]) -> f64 {
    let sequences: Vec<&Sequence> = examples.iter().flat_map(Example::sequences).collect();
    let tokens: usize = sequences.iter().map(|sequence| sequence.action_tokens()).sum();
    -frozen_sums(decoder, &sequences, 4).iter().sum::<f64>() / tokens as f64
}

#[test]
fn an_evaluation_is_the_objective_on_the_held_out_examples() {
    let (records, end) = run(&sft(4), (&demonstrations(8), &held_out()), None, 6).unwrap();
    let evaluated: Vec<usize> =
        records.iter().filter(|record| record.metrics.contains_key("eval/loss")).map(|record| record.step).collect();
    assert_eq!(evaluated, [3, 5], "every four steps, and after the last one");
    assert_within("loss", records[5].metrics["eval/loss"], nll(&end, &held_out()), 1e-5);
    assert_within("nll", records[5].metrics["eval/nll"], records[5].metrics["eval/loss"], 1e-9);
}

#[test]
fn evaluating_changes_nothing() {
    for (config, examples) in runs() {
        let config = TrainConfig { evaluate_every: 1, ..config };
        let with = run(&config, (&examples, &examples[..5]), None, 6).unwrap();
        let without = super::finish(super::open(&decoder(1), &examples, &config, None).unwrap(), 6);
        assert!(decoder_to_bytes(&with.1).unwrap() == without.1, "{:?}", config.objective);
        for (with, without) in with.0.iter().zip(&without.0) {
            assert_eq!(with.loss, without.loss);
            assert!(with.metrics["eval/loss"].is_finite() && !without.metrics.contains_key("eval/loss"));
        }
    }
}

#[test]
fn the_best_weights_and_the_last_ones_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    // Learning by heart is soon no help with anything else.
    let config = TrainConfig { epochs: 20, save_every: 1000, ..sft(1) };
    let (records, end) = run(&config, (&demonstrations(8), &held_out()), Some(folder.path()), 1000).unwrap();
    let losses: Vec<f64> = records.iter().map(|record| record.metrics["eval/loss"]).collect();
    let best = losses.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(best < losses[losses.len() - 1] - 0.1, "{losses:?}");
    let load = |name: &str| checkpoint::load(&folder.path().join(name), &Device::default()).unwrap();
    assert_within("best", nll(&load("best"), &held_out()), best, 1e-5);
    assert!(decoder_to_bytes(&load("last")).unwrap() == decoder_to_bytes(&end).unwrap());
}

#[test]
fn a_run_without_progress_ends() {
    let early = EarlyStopping { patience: 2, ..EarlyStopping::default() };
    let config = TrainConfig { learning_rate: 0.0, early_stopping: Some(early), save_every: 1, ..sft(1) };
    let folder = tempfile::tempdir().unwrap();
    let examples = demonstrations(8);
    let (records, _) = run(&config, (&examples, &held_out()), Some(folder.path()), 100).unwrap();
    // The first evaluation is the best so far, the next two are as good.
    assert_eq!(records.len(), 3);
    assert!(records[2].notes[0].contains("eval/loss") && records[2].notes[0].contains("2 evaluations"), "{records:?}");
    let before = files(folder.path());
    let (records, _) = run(&config, (&examples, &held_out()), Some(folder.path()), 100).unwrap();
    assert!(records.is_empty(), "an ended run has ended");
    assert!(files(folder.path()) == before);
}

#[test]
fn counters_of_progress_are_taken_up_again() {
    let early = EarlyStopping { patience: 3, min_delta: 0.02, ..EarlyStopping::default() };
    let config = TrainConfig { epochs: 20, early_stopping: Some(early), save_every: 1, ..sft(1) };
    let examples = demonstrations(8);
    let folder = tempfile::tempdir().unwrap();
    let whole = run(&config, (&examples, &held_out()), Some(folder.path()), 1000).unwrap().0;
    assert!(whole.len() < 60, "it ends early: {}", whole.len());
    for stop in [whole.len() - 2, whole.len() - 1] {
        let other = tempfile::tempdir().unwrap();
        let before = run(&config, (&examples, &held_out()), Some(other.path()), stop).unwrap().0;
        let after = run(&config, (&examples, &held_out()), Some(other.path()), 1000).unwrap().0;
        assert_eq!([before, after].concat(), whole, "stopped after {stop}");
        assert!(files(other.path()) == files(folder.path()));
    }
}

#[test]
fn a_metric_may_be_watched_that_should_rise() {
    let early =
        EarlyStopping { metric: "eval/rewards/margins".to_owned(), goal: Goal::Higher, patience: 1, min_delta: 1e9 };
    let objective = Objective::EntropoKto(EntropoKto::default());
    let config = TrainConfig { early_stopping: Some(early), evaluate_every: 1, ..config(objective) };
    let (records, _) = run(&config, (&labelled(8), &labelled(6)), None, 100).unwrap();
    assert_eq!(records.len(), 2);
}

#[test]
fn what_cannot_be_watched_is_refused_with_what_can() {
    let early = EarlyStopping { metric: "accuracy".to_owned(), ..EarlyStopping::default() };
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("run");
    let config = TrainConfig { early_stopping: Some(early), ..sft(1) };
    let error = run(&config, (&demonstrations(2), &held_out()), Some(&directory), 1).err().unwrap();
    assert!(matches!(error, TrainError::Metric { .. }), "{error}");
    assert!(error.to_string().contains("logps/chosen, loss, nll"), "{error}");
    let error = run(&sft(1), (&demonstrations(2), &[]), Some(&directory), 1).err().unwrap();
    assert!(matches!(error, TrainError::Empty { purpose: "evaluate" }), "{error}");
    assert!(!directory.exists());
}

#[test]
fn a_state_with_other_held_out_examples_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    run(&sft(1), (&demonstrations(8), &held_out()), Some(folder.path()), 2).unwrap();
    let error = run(&sft(1), (&demonstrations(8), &held_out()[1..]), Some(folder.path()), 2).err().unwrap();
    assert!(error.to_string().contains("other evaluation examples"), "{error}");
}
