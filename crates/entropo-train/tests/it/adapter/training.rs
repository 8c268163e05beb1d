//! Training an adapter: it alone learns, and a run goes on to the last bit.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;
use entropo_train::adapter::{Adapter, LoraConfig};
use entropo_train::data::{Example, Sequence};
use entropo_train::decoder::Decoder;
use entropo_train::objective::{Dpo, EntropoKto, Objective, ReferencePoint, Sft};
use entropo_train::trainer::{
    AdamWConfig, Judgement, Learner, OptimizerConfig, ReferenceCache, StepRecord, TrainConfig, TrainError, Training,
    frozen_sums,
};
use safetensors::SafeTensors;

use super::{changed, everything, learned};
use crate::support::{assert_within, decoder, demonstrations, labelled, pairs, sequences, weights};

/// A decoder with an adapter that has learned something and drops a quarter of its inputs.
fn adapted(dropout: f64) -> Decoder {
    let base = decoder(1);
    let start = Adapter::new(&LoraConfig { dropout, ..everything(&base) }, &base, 3).unwrap();
    base.with_adapter(&learned(&start, &base, 1)).unwrap()
}

fn learner(decoder: &Decoder, optimizer: &OptimizerConfig, micro_batch: usize) -> Learner {
    let device = Device::default().autodiff();
    Learner::new(decoder.clone().to_device(&device).train(), optimizer, &device, micro_batch)
}

/// One step whose objective is the sum of `weights` times log-probabilities; returns what was judged.
fn step(learner: &mut Learner, sequences: &[Sequence], rate: f64, weight: impl Fn(usize) -> f64 + Sync) -> Vec<f64> {
    let sequences: Vec<&Sequence> = sequences.iter().collect();
    let mut judged = Vec::new();
    let judge = |policy: &[f64]| {
        judged = policy.to_vec();
        let weights = (0..policy.len()).map(&weight).collect();
        Ok(Judgement { loss: 1.0, weights, ..Judgement::default() })
    };
    learner.step(&sequences, rate, judge).unwrap();
    judged
}

#[test]
fn the_adapter_alone_learns() {
    let start = adapted(0.0);
    let mut learner = learner(&start, &OptimizerConfig::default(), 3);
    for _ in 0..3 {
        step(&mut learner, &sequences(6), 1e-2, |_| -1.0);
    }
    let end = learner.frozen();
    assert_eq!(weights(&end.without_adapter()), weights(&decoder(1)));
    let (before, after) = (start.adapter().unwrap(), end.adapter().unwrap());
    for ((name, before), (_, after)) in before.layers().zip(after.layers()) {
        assert!(before.a != after.a && before.b != after.b, "{name}");
    }
}

/// The gradient of what was judged, dropout included: a finite difference of judged sums along a direction agrees with
/// the step, in one part and in several.
#[test]
fn what_is_judged_is_what_is_differentiated() {
    const EPSILON: f32 = 1e6;
    const LENGTH: f32 = 1e-3;
    let optimizer = AdamWConfig { epsilon: EPSILON, ..AdamWConfig::default() }.into();
    let sequences = sequences(6);
    let weight = |index: usize| if index.is_multiple_of(2) { 1.0 } else { -0.5 };
    let direction = |name: &str, index: usize| ((index * 7 + name.len() * 3) % 5) as f32 - 2.0;
    for micro_batch in [6, 2] {
        let start = adapted(0.25);
        let adapter = start.adapter().unwrap();
        let judged = |length: f32| -> f64 {
            let moved = changed(&adapter, &start, |name, values| {
                let moves = values.iter_mut().enumerate();
                moves.for_each(|(index, value)| *value += length * direction(name, index));
            });
            let mut learner = learner(&start.with_adapter(&moved).unwrap(), &optimizer, micro_batch);
            step(&mut learner, &sequences, 0.0, weight).iter().enumerate().map(|(i, sum)| weight(i) * sum).sum()
        };
        let slope = (judged(LENGTH) - judged(-LENGTH)) / (2.0 * f64::from(LENGTH));

        // With an epsilon far above every gradient, AdamW's step is the gradient itself.
        let mut learner = learner(&start, &optimizer, micro_batch).with_max_grad_norm(None);
        let under_dropout = step(&mut learner, &sequences, EPSILON.into(), weight);
        let after = learner.decoder().adapter().unwrap();
        let gradient: f64 = adapter
            .layers()
            .zip(after.layers())
            .flat_map(|((layer, before), (_, after))| {
                [("A", &before.a, &after.a), ("B", &before.b, &after.b)].map(|(part, before, after)| {
                    let name = format!("base_model.model.{layer}.lora_{part}.weight");
                    let moves = before.iter::<f32>().zip(after.iter::<f32>()).enumerate();
                    moves.map(|(i, (b, a))| f64::from((b - a) * direction(&name, i))).sum::<f64>()
                })
            })
            .sum();
        assert!(slope.abs() > 1.0, "{slope}");
        assert_within(&format!("{micro_batch} at a time"), gradient, slope, 5e-3 * slope.abs());

        let all: Vec<&Sequence> = sequences.iter().collect();
        let plain = frozen_sums(&start, &all, micro_batch);
        assert!(under_dropout.iter().zip(&plain).all(|(noisy, plain)| (noisy - plain).abs() > 1e-4));
    }
}

#[test]
fn masks_depend_on_the_seed_and_the_step_and_nothing_else() {
    let sequences = sequences(4);
    let judged = |seed: u64, steps: usize| -> Vec<f64> {
        let mut learner = learner(&adapted(0.5), &OptimizerConfig::default(), 2).with_seed(seed);
        (0..steps).map(|_| step(&mut learner, &sequences, 0.0, |_| 0.0)).last().unwrap()
    };
    assert_eq!(judged(1, 1), judged(1, 1));
    assert_ne!(judged(1, 1), judged(1, 2));
    assert_ne!(judged(1, 1), judged(2, 1));
}

fn config(objective: Objective) -> TrainConfig {
    TrainConfig { objective, epochs: 2, batch_size: 3, micro_batch: 2, learning_rate: 1e-2, ..TrainConfig::default() }
}

fn runs() -> Vec<(TrainConfig, Vec<Example>)> {
    let mismatched = EntropoKto { z0: ReferencePoint::Mismatch, ..EntropoKto::default() };
    vec![
        (config(Objective::Sft(Sft::default())), demonstrations(8)),
        (config(Objective::Dpo(Dpo::default())), pairs(8)),
        (config(Objective::EntropoKto(mismatched)), labelled(8)),
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

fn finish(training: Training<'_>, steps: usize) -> (Vec<StepRecord>, Decoder) {
    let mut records = Vec::new();
    let end = training.run(|record, _| {
        records.push(record.clone());
        if record.step + 1 == steps { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    (records, end.unwrap())
}

#[test]
fn a_stopped_run_goes_on_to_the_last_bit() {
    let start = adapted(0.25);
    for (config, examples) in runs() {
        let (records, whole) = finish(open(&start, &examples, &config, None).unwrap(), 6);
        let other = TrainConfig { seed: 1, ..config.clone() };
        assert_ne!(finish(open(&start, &examples, &other, None).unwrap(), 6).1.adapter(), whole.adapter());
        assert_eq!(weights(&whole.without_adapter()), weights(&decoder(1)));
        for stop in [1, 3, 5] {
            let folder = tempfile::tempdir().unwrap();
            let open = || open(&start, &examples, &config, Some(folder.path())).unwrap();
            let (before, _) = finish(open(), stop);
            let training = open();
            assert_eq!(training.done(), stop);
            let (after, resumed) = finish(training, 6);
            assert_eq!([before, after].concat(), records, "{:?} stopped after {stop}", config.objective);
            assert_eq!(resumed.adapter(), whole.adapter(), "{:?} stopped after {stop}", config.objective);
        }
    }
}

/// What does not change is not stored.
#[test]
fn the_state_holds_the_adapter_and_its_moments() {
    let start = adapted(0.0);
    let (config, examples) = runs().swap_remove(1);
    let folder = tempfile::tempdir().unwrap();
    finish(open(&start, &examples, &config, Some(folder.path())).unwrap(), 2);
    let file = fs::read(folder.path().join("state.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&file).unwrap();
    let layers = start.adapter().unwrap().layers().count();
    for (part, count) in [("weights.", 2 * layers), ("optimizer.", 6 * layers)] {
        let names = tensors.names().into_iter().filter(|name| name.starts_with(part)).collect::<Vec<_>>();
        assert_eq!(names.len(), count, "{part}");
        assert!(names.iter().all(|name| name.contains(".lora.")), "{names:?}");
    }
    assert_eq!(tensors.len(), 8 * layers);
}

#[test]
fn the_reference_is_the_start_and_depends_on_the_base() {
    let examples = pairs(4);
    let start = adapted(0.25);
    let cache = ReferenceCache::of(&start, &examples, 2, None).unwrap();
    let all: Vec<&Sequence> = examples.iter().flat_map(Example::sequences).collect();
    let sums: Vec<f64> = (0..examples.len()).flat_map(|index| cache.get(index)).copied().collect();
    for (cached, expected) in sums.iter().zip(frozen_sums(&start, &all, 2)) {
        assert_within("the start without dropout", *cached, expected, 1e-4);
    }
    let open = |start: &Decoder| {
        let config = config(Objective::Dpo(Dpo::default()));
        Training::with_reference(start, &examples, &cache, config, &Device::default(), None).map(drop)
    };
    open(&start).unwrap();
    let adapter = start.adapter().unwrap();
    let on_other_weights = decoder(2).with_adapter(&adapter).unwrap();
    let other_adapter = start.with_adapter(&learned(&adapter, &start, 2)).unwrap();
    for other in [on_other_weights, other_adapter, start.without_adapter(), start.merge()] {
        assert!(matches!(open(&other), Err(TrainError::OtherReference)));
    }
}

#[test]
fn the_state_of_another_adapter_is_refused() {
    let (config, examples) = runs().swap_remove(1);
    let folder = tempfile::tempdir().unwrap();
    finish(open(&adapted(0.25), &examples, &config, Some(folder.path())).unwrap(), 2);
    let base = decoder(1);
    for other in [base.clone(), adapted(0.0), adapted(0.25).merge()] {
        let refused = open(&other, &examples, &config, Some(folder.path()));
        assert!(matches!(refused.err(), Some(TrainError::OtherRun { .. })));
    }
    assert_eq!(open(&adapted(0.25), &examples, &config, Some(folder.path())).unwrap().done(), 2);
}
