//! Going on where a run was, to the last bit.

use std::fs;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use burn::tensor::Device;
use entropo_train::decoder::Decoder;
use entropo_train::objective::{Objective, Sft};
use entropo_train::trainer::TrainConfig;
use serde_json::json;

use super::{config, finish, open, runs};
use crate::support::{config_with, decoder, demonstrations};

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

/// An expert that no token was given to has no gradient, and so fewer updates behind it than others.
#[test]
fn experts_that_rested_go_on_too() {
    let shape = config_with(json!({
        "model_type": "qwen3_moe",
        "num_experts": 16,
        "num_experts_per_tok": 1,
        "moe_intermediate_size": 4,
        "head_dim": 4,
    }));
    let start = Decoder::new(&shape, 1, &Device::default());
    let config = TrainConfig { batch_size: 1, epochs: 1, ..config(Objective::Sft(Sft::default())) };
    let examples = demonstrations(8);
    let whole = finish(open(&start, &examples, &config, None).unwrap(), 8);
    for stop in [1, 4] {
        let folder = tempfile::tempdir().unwrap();
        let open = || open(&start, &examples, &config, Some(folder.path())).unwrap();
        let (before, _) = finish(open(), stop);
        let (after, bytes) = finish(open(), 8);
        assert_eq!([before, after].concat(), whole.0, "stopped after {stop}");
        assert!(bytes == whole.1, "stopped after {stop}");
    }
}
