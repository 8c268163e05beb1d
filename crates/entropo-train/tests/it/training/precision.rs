//! Runs whose blocks compute in bfloat16.

use std::f64::consts::LN_2;

use burn::tensor::Device;
use entropo_train::objective::{Dpo, Kto, Objective};
use entropo_train::trainer::{Precision, ReferenceCache, StepRecord, TrainConfig, TrainError, Training};

use super::{config, finish, open, runs};
use crate::support::{assert_within, decoder, labelled, pairs};

fn in_bf16(config: TrainConfig) -> TrainConfig {
    TrainConfig { precision: Precision::Bf16, ..config }
}

/// Losses and gradients of every kind of run, as long as the optimiser has not led it elsewhere. Measured: the first losses
/// within 5e-3, the first gradient's norm within 2.6 %.
#[test]
fn it_follows_the_run_in_f32() {
    for (config, examples) in runs() {
        let exact = finish(open(&decoder(1), &examples, &config, None).unwrap(), 6).0;
        let rounded = finish(open(&decoder(1), &examples, &in_bf16(config.clone()), None).unwrap(), 6).0;
        for (rounded, exact) in rounded.iter().zip(&exact).take(2) {
            let what = format!("{:?} step {}", config.objective, exact.step);
            assert_within(&what, rounded.loss, exact.loss, 0.02);
            if exact.step == 0 {
                assert_within(&what, rounded.grad_norm / exact.grad_norm, 1.0, 0.05);
            }
        }
        let norms = |records: &[StepRecord]| records.iter().map(|record| record.grad_norm).collect::<Vec<_>>();
        assert_ne!(norms(&rounded), norms(&exact), "{:?} was computed in f32", config.objective);
    }
}

/// Policy and reference round alike, so that a pair's first loss is `ln 2` to f32's rounding of the sums, and not near it.
#[test]
fn at_rest_the_policy_is_the_reference() {
    let still =
        TrainConfig { learning_rate: 0.0, evaluate_every: 1, ..in_bf16(config(Objective::Dpo(Dpo::default()))) };
    let (examples, held_out) = (pairs(8), pairs(5));
    let training = Training::over(&examples, still).evaluate_on(&held_out);
    for record in finish(training.start(&decoder(1), &Device::default()).unwrap(), 6).0 {
        assert_within("loss", record.loss, LN_2, 1e-6);
        assert_within("eval/loss", record.metrics["eval/loss"], LN_2, 1e-6);
    }
    let still = TrainConfig { learning_rate: 0.0, ..in_bf16(config(Objective::Kto(Kto::default()))) };
    for record in finish(open(&decoder(1), &labelled(8), &still, None).unwrap(), 6).0 {
        assert_within("kl/estimate", record.metrics["kl/estimate"], 0.0, 1e-6);
    }
}

#[test]
fn a_reference_of_another_precision_is_refused() {
    let (examples, start) = (pairs(8), decoder(1));
    let dpo = config(Objective::Dpo(Dpo::default()));
    let reference = ReferenceCache::of(&start, &examples, 4, None).unwrap();
    let open = |config| Training::with_reference(&start, &examples, &reference, config, &Device::default(), None);
    assert!(open(dpo.clone()).is_ok());
    assert!(matches!(open(in_bf16(dpo)).err(), Some(TrainError::OtherReference)));
}

#[test]
fn a_stopped_run_goes_on_to_the_last_bit() {
    let (examples, folder) = (pairs(8), tempfile::tempdir().unwrap());
    let config = in_bf16(config(Objective::Dpo(Dpo::default())));
    let whole = finish(open(&decoder(1), &examples, &config, None).unwrap(), 6);
    let first = finish(open(&decoder(1), &examples, &config, Some(folder.path())).unwrap(), 2);
    let second = finish(open(&decoder(1), &examples, &config, Some(folder.path())).unwrap(), 6);
    assert_eq!([first.0, second.0].concat(), whole.0);
    assert!(second.1 == whole.1);
}
