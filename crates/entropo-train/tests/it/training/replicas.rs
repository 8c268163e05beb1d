//! Runs whose updates are shared by several replicas of the decoder.

use std::path::Path;

use burn::tensor::Device;
use entropo_train::adapter::{Adapter, LoraConfig};
use entropo_train::data::{Example, Sequence};
use entropo_train::decoder::Decoder;
use entropo_train::trainer::{Judgement, Learner, OptimizerConfig, StepRecord, TrainConfig, TrainError, Training};

use super::{finish, runs};
use crate::support::{assert_within, decoder, sequences, weights};

fn open<'a>(
    start: &Decoder,
    examples: &'a [Example],
    config: &TrainConfig,
    replicas: usize,
    directory: Option<&Path>,
) -> Training<'a> {
    let more = std::iter::repeat_n(Device::default(), replicas - 1);
    let training = Training::over(examples, TrainConfig { micro_batch: 1, ..config.clone() }).replicas(more);
    let training = match directory {
        Some(directory) => training.directory(directory),
        None => training,
    };
    training.start(start, &Device::default()).unwrap()
}

/// All steps of a run, and its weights in the end.
fn run(start: &Decoder, examples: &[Example], config: &TrainConfig, replicas: usize) -> (Vec<StepRecord>, Vec<u8>) {
    finish(open(start, examples, config, replicas, None), 6)
}

fn assert_near(what: &str, some: &[StepRecord], others: &[StepRecord]) {
    assert_eq!(some.len(), others.len(), "{what}");
    for (one, other) in some.iter().zip(others) {
        let what = format!("{what}, step {}", one.step);
        assert_within(&what, one.loss, other.loss, 1e-5 * (1.0 + other.loss.abs()));
        assert_within(&what, one.grad_norm, other.grad_norm, 1e-4 * (1.0 + other.grad_norm));
        assert_eq!(one.metrics["computed_tokens"], other.metrics["computed_tokens"], "{what}");
    }
}

/// Every objective, those that judge parts alone and those that have to see the whole batch first.
#[test]
fn they_do_what_one_does() {
    for (config, examples) in runs() {
        let alone = run(&decoder(1), &examples, &config, 1);
        for replicas in [2, 3, 9] {
            let what = format!("{:?}, {replicas} replicas", config.objective);
            let together = run(&decoder(1), &examples, &config, replicas);
            assert_near(&what, &together.0, &alone.0);
            assert!(together == run(&decoder(1), &examples, &config, replicas), "{what}: not the same twice");
        }
    }
}

#[test]
fn a_stopped_run_goes_on_to_the_last_bit() {
    for (config, examples) in runs() {
        let folder = tempfile::tempdir().unwrap();
        let whole = run(&decoder(1), &examples, &config, 2);
        let first = finish(open(&decoder(1), &examples, &config, 2, Some(folder.path())), 2);
        let second = finish(open(&decoder(1), &examples, &config, 2, Some(folder.path())), 6);
        assert_eq!([first.0, second.0].concat(), whole.0);
        assert!(second.1 == whole.1, "{:?}", config.objective);
    }
}

/// Masks are of parts, not of replicas.
#[test]
fn an_adapter_drops_the_same_whoever_computes() {
    let base = decoder(1);
    let lora = LoraConfig { rank: 2, dropout: 0.5, ..LoraConfig::default() };
    let start = base.with_adapter(&Adapter::new(&lora, &base, 3).unwrap()).unwrap();
    let (config, examples) = runs().remove(1);
    let config = TrainConfig { learning_rate: 0.1, ..config };
    let adapter = |replicas| {
        let mut records = Vec::new();
        let training = open(&start, &examples, &config, replicas, None);
        let end = training.run(|record, _| {
            records.push(record.clone());
            std::ops::ControlFlow::Continue(())
        });
        (records, end.unwrap().adapter().unwrap())
    };
    let (alone, _) = adapter(1);
    let (together, learned) = adapter(3);
    assert_near("dropout", &together, &alone);
    assert!(learned != start.adapter().unwrap());
}

#[test]
fn numbers_that_are_not_finite_change_nothing() {
    let sequences = sequences(6);
    let all: Vec<&Sequence> = sequences.iter().collect();
    let replicas = [Device::default(), Device::default()];
    let learner = Learner::new(decoder(1), &OptimizerConfig::default(), &Device::default(), 1);
    let mut learner = learner.with_replicas(&replicas);
    let before = weights(learner.decoder());
    let weights_of = |bad: f64| [-1.0, -1.0, bad, -1.0, -1.0, -1.0].to_vec();
    let error = learner
        .step(&all, 1e-2, |_: &[f64]| {
            Ok(Judgement { loss: 1.0, weights: weights_of(f64::NAN), ..Judgement::default() })
        })
        .unwrap_err();
    assert!(matches!(error, TrainError::NotFinite { .. }), "{error}");
    assert_eq!(weights(learner.decoder()), before);
    learner
        .step(&all, 1e-2, |_: &[f64]| Ok(Judgement { loss: 1.0, weights: weights_of(-1.0), ..Judgement::default() }))
        .unwrap();
    assert_ne!(weights(learner.decoder()), before);
}
