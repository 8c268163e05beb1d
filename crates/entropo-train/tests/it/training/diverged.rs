//! Steps whose numbers are not finite: left out, counted, and too many of them end the run without damage.

use std::ops::ControlFlow;
use std::path::Path;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Tensor, TensorData};
use entropo_train::adapter::{Adapter, LoraConfig, Targets};
use entropo_train::data::{Example, Sequence};
use entropo_train::decoder::{Decoder, DecoderConfig};
use entropo_train::objective::{Objective, Sft};
use entropo_train::trainer::{Schedule, StepRecord, TrainConfig, TrainError};

use super::{config, files, open, runs};
use crate::support::{VOCABULARY, config_with, decoder, sequence};

/// The token whose embedding is broken.
const BROKEN: u32 = VOCABULARY - 1;

/// An adapter over a decoder in which one token's embedding is NaN: whoever reads that token is lost, and nobody else.
fn broken() -> Decoder {
    struct Break(Vec<String>);
    impl ModuleMapper for Break {
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.0.push(name.to_owned());
        }
        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.0.pop();
        }
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            if !self.0.iter().any(|name| name == "embed_tokens") {
                return param;
            }
            param.map(|value| {
                let (device, shape) = (value.device(), value.shape());
                let mut values: Vec<f32> = value.into_data().iter::<f32>().collect();
                let width = values.len() / VOCABULARY as usize;
                values[BROKEN as usize * width..].fill(f32::NAN);
                Tensor::from_data(TensorData::new(values, shape), &device)
            })
        }
    }
    let shape: DecoderConfig = config_with(serde_json::json!({"tie_word_embeddings": false}));
    let base = Decoder::new(&shape, 1, &burn::tensor::Device::default()).map(&mut Break(Vec::new()));
    let lora = LoraConfig { dropout: 0.25, targets: Targets::names(["q_proj", "up_proj"]), ..LoraConfig::default() };
    base.with_adapter(&Adapter::new(&lora, &base, 1).unwrap()).unwrap()
}

/// 8 demonstrations of which so many read the broken token.
fn demonstrations(of_them_broken: usize) -> Vec<Example> {
    let whole = |index: usize| {
        let sequence = sequence(&format!("s{index}"), 8 + index % 3, index as u64);
        let ids = sequence.ids().iter().map(|id| id % BROKEN);
        let actions = (0..sequence.ids().len()).map(|position| position >= 3).collect();
        let first = if index < of_them_broken { BROKEN } else { 1 };
        Sequence::new(sequence.id(), std::iter::once(first).chain(ids.skip(1)).collect(), actions).unwrap()
    };
    (0..8).map(|index| Example::Demonstration(whole(index))).collect()
}

fn sft() -> TrainConfig {
    TrainConfig { batch_size: 1, epochs: 2, ..config(Objective::Sft(Sft::default())) }
}

/// Steps of a run from the broken decoder, up to `steps`.
fn run(config: &TrainConfig, examples: &[Example], directory: Option<&Path>, steps: usize) -> (Vec<String>, Adapter) {
    let training = open(&broken(), examples, config, directory).unwrap();
    let mut records = Vec::new();
    let end = training.run(|record: &StepRecord, _| {
        records.push(serde_json::to_string(record).unwrap());
        if record.step + 1 == steps { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    (records, end.unwrap().adapter().unwrap())
}

#[test]
fn a_bad_step_is_left_out_and_counted() {
    let examples = demonstrations(2);
    let (records, end) = run(&sft(), &examples, None, 16);
    assert_eq!(records.len(), 16);
    let bad: Vec<&String> = records.iter().filter(|record| record.contains(r#""skipped":true"#)).collect();
    assert_eq!(bad.len(), 4, "each of the two once an epoch");
    for (count, record) in bad.iter().enumerate() {
        assert!(record.contains(r#""loss":null"#) && record.contains("was left out: "), "{record}");
        assert!(record.contains(&format!(r#""skipped_steps":{}.0"#, count + 1)), "{record}");
    }
    assert!(records[15].contains(r#""skipped_steps":4.0"#));
    for (_, change) in end.layers() {
        assert!(change.a.iter::<f32>().chain(change.b.iter::<f32>()).all(f32::is_finite));
    }
}

/// Masks of dropout follow the updates, not the steps, and streaks and counts are taken up again.
#[test]
fn a_run_with_bad_steps_goes_on_to_the_last_bit() {
    let examples = demonstrations(2);
    let config = TrainConfig { save_every: 1, ..sft() };
    let whole = run(&config, &examples, None, 16);
    for stop in 1..16 {
        let folder = tempfile::tempdir().unwrap();
        let (before, _) = run(&config, &examples, Some(folder.path()), stop);
        let done = open(&broken(), &examples, &config, Some(folder.path())).unwrap().done();
        // A stop after a bad step leaves the last good state.
        assert!(done <= stop && whole.0[done..stop].iter().all(|record| record.contains(r#""skipped":true"#)));
        let (after, end) = run(&config, &examples, Some(folder.path()), 16);
        assert_eq!([&before[..done], &after[..]].concat(), whole.0, "stopped after {stop}");
        assert_eq!(end, whole.1, "stopped after {stop}");
    }
}

#[test]
fn too_many_in_a_row_end_the_run_and_keep_the_last_good_state() {
    // All are broken but the two that come first.
    let config = TrainConfig { save_every: 1, max_bad_steps: 3, ..sft() };
    let order = run(&config, &demonstrations(0), None, 2).0;
    let examples: Vec<Example> = demonstrations(8);
    let first: Vec<Example> = demonstrations(0);
    let tokens =
        |record: &String| serde_json::from_str::<serde_json::Value>(record).unwrap()["tokens"].as_u64().unwrap();
    assert!(order.iter().all(|record| tokens(record) > 0));
    let folder = tempfile::tempdir().unwrap();
    let mixed: Vec<Example> = examples
        .iter()
        .zip(&first)
        .enumerate()
        .map(|(i, (bad, good))| if i < 7 { bad.clone() } else { good.clone() })
        .collect();
    let training = open(&broken(), &mixed, &config, Some(folder.path())).unwrap();
    let (mut bad_at_the_end, mut before) = (0, None);
    let error = training.run(|record, _| {
        bad_at_the_end = if record.skipped { bad_at_the_end + 1 } else { 0 };
        if bad_at_the_end == 1 {
            before = Some(files(folder.path()));
        }
        ControlFlow::Continue(())
    });
    let error = error.unwrap_err();
    assert!(matches!(error, TrainError::Diverged { bad: 4, .. }), "{error}");
    assert!(error.to_string().contains("4 steps in a row"), "{error}");
    assert_eq!(bad_at_the_end, 3, "the fourth is no longer told");
    assert!(files(folder.path()) == before.unwrap(), "nothing was written since the first bad step");
}

#[test]
fn a_run_that_leaves_the_numbers_stops_and_keeps_its_state() {
    for (config, examples) in runs() {
        let schedule = Schedule::CONSTANT;
        let config = TrainConfig { learning_rate: 1e30, schedule, save_every: 1, max_bad_steps: 0, ..config };
        let folder = tempfile::tempdir().unwrap();
        let training = open(&decoder(1), &examples, &config, Some(folder.path())).unwrap();
        let mut steps = 0;
        let error = training.run(|_, _| {
            steps += 1;
            ControlFlow::Continue(())
        });
        let error = error.unwrap_err();
        let diverged = matches!(&error, TrainError::Diverged { step, bad: 1, .. } if *step == steps);
        // Or the numbers were not even fit to be saved.
        let unsaved = error.to_string().contains("NaN or infinity");
        assert!(diverged || unsaved, "{:?}: {error:?}", config.objective);
        assert!(steps > 0, "{:?}: {error}", config.objective);
        let resumed = open(&decoder(1), &examples, &config, Some(folder.path())).unwrap();
        assert_eq!(resumed.done(), steps - usize::from(unsaved), "{:?}", config.objective);
    }
}
