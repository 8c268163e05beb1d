//! A base in a few bits: what an adapter learns over it is what it would learn over the floats that the bits stand for.

use std::ops::ControlFlow;
use std::path::Path;

use burn::tensor::Device;
use entropo_train::adapter::{Adapter, Bits, LoraConfig, QuantisationConfig};
use entropo_train::checkpoint::{self, CheckpointError, LoadOptions, decoder_to_bytes};
use entropo_train::data::{Batch, Example, Sequence};
use entropo_train::decoder::{Decoder, Keep};
use entropo_train::generate::HostDecoder;
use entropo_train::logprob::{gradients, logprobs};
use entropo_train::objective::{Dpo, Objective, Sft};
use entropo_train::trainer::{
    Judgement, Learner, OptimizerConfig, Precision, ReferenceCache, StepRecord, TrainConfig, TrainError, Training,
};
use safetensors::SafeTensors;
use serde_json::json;

use super::{bits, everything, largest, learned, logits};
use crate::fixtures::{entries, root};
use crate::support::{assert_all_within, config_with, decoder, demonstrations, pairs, sequences, weights};

const FOUR: QuantisationConfig = QuantisationConfig { bits: Bits::Four, block: 8 };
const EIGHT: QuantisationConfig = QuantisationConfig { bits: Bits::Eight, block: 16 };

fn load(model: &str, quantise: Option<QuantisationConfig>) -> Decoder {
    let options = LoadOptions { quantise, ..LoadOptions::default() };
    checkpoint::load_with(&root().join(format!("models/{model}/checkpoint")), &Device::default(), &options).unwrap()
}

/// The tiny decoder, quantised, with an adapter that has learned something.
fn adapted(config: &QuantisationConfig) -> Decoder {
    let base = decoder(1);
    let adapter = learned(&Adapter::new(&everything(&base), &base, 3).unwrap(), &base, 1);
    base.quantised(config).unwrap().with_adapter(&adapter).unwrap()
}

/// Dense, sparse and windowed: logits, adapter and gradients over the bits are those over what they stand for, and the
/// weights of blocks alone have changed.
#[test]
fn every_family_computes_with_what_its_bits_stand_for() {
    for model in entries("models") {
        let base = load(&model, None);
        for config in [FOUR, EIGHT] {
            let quantised = base.quantised(&config).unwrap();
            assert!(quantised.is_quantised() && !base.is_quantised());
            assert!(quantised.stored_bytes() < base.stored_bytes());
            let whole = quantised.dequantised();
            assert!(!whole.is_quantised());
            assert_eq!(bits(&logits(&quantised)), bits(&logits(&whole)), "{model}");
            let (before, after) = (weights(&base), weights(&whole));
            for (name, before) in &before {
                let linear = name.starts_with("model.layers.") && name.ends_with("_proj.weight");
                assert_eq!(after[name] != *before, linear, "{model}: {name}");
                let far = if config == FOUR { 0.1521 } else { 0.0041 };
                assert_all_within(&format!("{model}: {name}"), &after[name], before, far * largest(before));
            }

            let start = Adapter::new(&everything(&base), &base, 7).unwrap();
            let adapter = learned(&start, &base, 1);
            let over_bits = quantised.with_adapter(&adapter).unwrap();
            let over_floats = whole.with_adapter(&adapter).unwrap();
            let found = [&over_bits, &over_floats].map(|decoder| {
                let all = sequences(4);
                let batch = Batch::new(&all.iter().collect::<Vec<_>>(), &Device::default());
                let gradients = gradients(decoder, &batch, &[-0.7, 0.4, 1.1, 0.2], Keep::default());
                (logprobs(decoder, &batch), gradients.by_name(decoder))
            });
            assert!(found[0].1.keys().all(|name| name.contains(".lora.")) && !found[0].1.is_empty());
            assert_eq!(found[0], found[1], "{model}: the same products of the same numbers");
            assert_eq!(weights(&over_bits.merge()), weights(&over_floats.merge()), "{model}");
        }
    }
}

/// A checkpoint that is quantised as it is loaded is the one that is quantised afterwards.
#[test]
fn loading_quantises_tensor_by_tensor() {
    for model in entries("models") {
        let loaded = load(&model, Some(FOUR));
        let expected = load(&model, None).quantised(&FOUR).unwrap();
        assert!(loaded.is_quantised());
        assert_eq!(loaded.stored_bytes(), expected.stored_bytes(), "{model}");
        assert_eq!(weights(&loaded.dequantised()), weights(&expected.dequantised()), "{model}");
    }
    let options = LoadOptions { quantise: Some(QuantisationConfig { block: 7, ..FOUR }), ..LoadOptions::default() };
    let error = checkpoint::load_with(&root().join("models/qwen2/checkpoint"), &Device::default(), &options);
    assert!(error.err().unwrap().to_string().contains("`block` is 7"));
}

/// With real widths a weight takes half a byte or one, and a 64th of a scale.
#[test]
fn weights_shrink_to_their_bits() {
    let shape = config_with(json!({"hidden_size": 128, "intermediate_size": 256, "num_attention_heads": 2,
        "num_key_value_heads": 2, "tie_word_embeddings": true}));
    let base = Decoder::new(&shape, 1, &Device::default());
    let linear = 2 * (4 * 128 * 128 + 3 * 128 * 256);
    for (bits, size) in [(Bits::Four, linear / 2), (Bits::Eight, linear)] {
        let quantised = base.quantised(&QuantisationConfig { bits, block: 64 }).unwrap();
        let saved = base.stored_bytes() - quantised.stored_bytes();
        assert_eq!(saved, (4 * linear - size - 4 * linear / 64) as u64, "{bits:?}");
    }
}

#[test]
fn quantised_again_it_stays_as_it_is() {
    let base = decoder(1);
    for config in [FOUR, EIGHT] {
        let once = base.quantised(&config).unwrap();
        assert_eq!(weights(&once.quantised(&config).unwrap().dequantised()), weights(&once.dequantised()));
    }
    assert!(base.quantised(&QuantisationConfig { block: 0, ..FOUR }).is_err());
}

#[test]
fn a_checkpoint_of_it_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("checkpoint");
    let quantised = decoder(1).quantised(&FOUR).unwrap();
    let error = checkpoint::save(&quantised, &target, &Default::default()).unwrap_err();
    assert!(matches!(error, CheckpointError::Quantised) && error.to_string().contains("`dequantised()`"), "{error}");
    assert!(!target.exists() && decoder_to_bytes(&quantised).is_err());
    checkpoint::save(&quantised.dequantised(), &target, &Default::default()).unwrap();
    let adapted = adapted(&FOUR);
    assert!(matches!(decoder_to_bytes(&adapted), Err(CheckpointError::Adapter)));
    decoder_to_bytes(&adapted.merge()).unwrap();
    assert!(adapted.without_adapter().is_quantised(), "the reference policy");
}

/// A policy to act with, which is on the host in floats.
#[test]
fn it_generates_as_it_computes() {
    let (over_bits, merged) = (adapted(&FOUR), adapted(&FOUR).merge());
    HostDecoder::new(&over_bits).unwrap();
    assert_all_within("merged", &logits(&merged), &logits(&over_bits), 1e-5 * largest(&logits(&merged)).max(1.0));
    HostDecoder::new(&decoder(1).quantised(&FOUR).unwrap()).unwrap();
}

fn config(objective: Objective) -> TrainConfig {
    TrainConfig { objective, epochs: 2, batch_size: 3, micro_batch: 2, learning_rate: 1e-2, ..TrainConfig::default() }
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
fn an_adapter_learns_and_its_base_stays() {
    let start = adapted(&FOUR);
    let longer = TrainConfig { epochs: 20, learning_rate: 3e-2, ..config(Objective::Sft(Sft::default())) };
    let examples = demonstrations(6);
    let (records, end) = finish(open(&start, &examples, &longer, None).unwrap(), 40);
    assert!(records[39].loss < 0.85 * records[0].loss, "{} to {}", records[0].loss, records[39].loss);
    assert!(end.is_quantised() && end.adapter() != start.adapter());
    let base = |decoder: &Decoder| weights(&decoder.without_adapter().dequantised());
    assert_eq!(base(&end), base(&start));
    // The same numbers as over the floats that the bits stand for.
    let floats = start.without_adapter().dequantised().with_adapter(&start.adapter().unwrap()).unwrap();
    let (same, _) = finish(open(&floats, &examples, &longer, None).unwrap(), 40);
    assert_eq!(same, records);
}

#[test]
fn a_stopped_run_goes_on_to_the_last_bit_and_stores_the_adapter_alone() {
    for precision in [Precision::F32, Precision::Bf16] {
        let config = TrainConfig { precision, ..config(Objective::Dpo(Dpo::default())) };
        let (start, examples) = (adapted(&EIGHT), pairs(8));
        let (records, whole) = finish(open(&start, &examples, &config, None).unwrap(), 6);
        let folder = tempfile::tempdir().unwrap();
        let open = || open(&start, &examples, &config, Some(folder.path())).unwrap();
        let (before, _) = finish(open(), 3);
        let state = std::fs::read(folder.path().join("state.safetensors")).unwrap();
        let state = SafeTensors::deserialize(&state).unwrap();
        assert!(state.names().iter().all(|name| name.contains(".lora.")), "{:?}", state.names());
        Adapter::load(&folder.path().join("last"), &start.without_adapter()).unwrap();
        let (after, resumed) = finish(open(), 6);
        assert_eq!([before, after].concat(), records);
        assert_eq!(resumed.adapter(), whole.adapter());
    }
}

#[test]
fn the_reference_is_of_the_bits() {
    let examples = pairs(4);
    let cache = ReferenceCache::of(&adapted(&FOUR), &examples, 2, None).unwrap();
    let open = |start: &Decoder| {
        let config = config(Objective::Dpo(Dpo::default()));
        Training::with_reference(start, &examples, &cache, config, &Device::default(), None).map(drop)
    };
    open(&adapted(&FOUR)).unwrap();
    let other_block = adapted(&QuantisationConfig { block: 16, ..FOUR });
    for other in [adapted(&EIGHT), other_block, adapted(&FOUR).merge()] {
        assert!(matches!(open(&other), Err(TrainError::OtherReference)));
    }
}

#[test]
fn without_an_adapter_it_cannot_learn() {
    let quantised = decoder(1).quantised(&FOUR).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("run");
    let examples = demonstrations(4);
    let error = open(&quantised, &examples, &config(Objective::Sft(Sft::default())), Some(&directory));
    let error = error.err().unwrap();
    assert!(matches!(error, TrainError::Quantised) && error.to_string().contains("`with_adapter`"), "{error}");
    assert!(!directory.exists());

    let mut learner = Learner::new(quantised, &OptimizerConfig::default(), &Device::default(), 2);
    let all = sequences(2);
    let judge = |sums: &[f64]| Ok(Judgement { loss: 1.0, weights: vec![1.0; sums.len()], ..Judgement::default() });
    let error = learner.step(&all.iter().collect::<Vec<&Sequence>>(), 1e-2, judge).unwrap_err();
    assert!(matches!(error, TrainError::Quantised), "{error}");
    // Nor is anything else of it learned by the way.
    let config = LoraConfig { rank: 2, ..LoraConfig::default() };
    Adapter::new(&config, learner.decoder(), 1).unwrap();
}
