//! Adapters: on every family of decoders, on disk, and in training.

mod files;
mod quantised;
mod training;

use burn::module::Module;
use burn::tensor::{Device, FloatDType};
use entropo_train::adapter::{Adapter, AdapterError, LoraConfig, Targets};
use entropo_train::checkpoint::{self, LoadOptions, decoder_to_bytes};
use entropo_train::decoder::Decoder;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use crate::fixtures::{entries, root};
use crate::support::{assert_all_within, config_with, decoder, host, ids, weights};

/// A directory's adapter with other values: every tensor's `change(name, values)`.
fn changed(adapter: &Adapter, decoder: &Decoder, change: impl Fn(&str, &mut [f32])) -> Adapter {
    let folder = tempfile::tempdir().unwrap();
    adapter.save(folder.path()).unwrap();
    let path = folder.path().join("adapter_model.safetensors");
    let file = std::fs::read(&path).unwrap();
    let tensors = SafeTensors::deserialize(&file).unwrap();
    let parts: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, view)| {
            let mut values: Vec<f32> =
                view.data().chunks(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect();
            change(name, &mut values);
            (name.to_owned(), view.shape().to_vec(), values.iter().flat_map(|value| value.to_le_bytes()).collect())
        })
        .collect();
    let views = parts
        .iter()
        .map(|(name, shape, bytes)| (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
    Adapter::load(folder.path(), decoder).unwrap()
}

/// The adapter after it learned something: B is not 0.
pub(crate) fn learned(adapter: &Adapter, decoder: &Decoder, seed: u64) -> Adapter {
    changed(adapter, decoder, |name, values| {
        let mut random = ChaCha8Rng::seed_from_u64(name.len() as u64 + 1000 * seed);
        if name.contains("lora_B") {
            values.iter_mut().for_each(|value| *value = random.random_range(-0.1..0.1));
        }
    })
}

/// Every linear layer, the head too if it is one.
pub(crate) fn everything(decoder: &Decoder) -> LoraConfig {
    let targets = if decoder.config().tie_word_embeddings {
        Targets::AllLinear
    } else {
        Targets::Regex(r".*_proj|lm_head".to_owned())
    };
    LoraConfig { rank: 3, alpha: 6.0, targets, ..LoraConfig::default() }
}

fn logits(decoder: &Decoder) -> Vec<f32> {
    let vocabulary = decoder.config().vocab_size as u32;
    let rows: Vec<Vec<u32>> =
        (0..2).map(|row| (0..11).map(|token| (token * 7 + row * 3) % vocabulary).collect()).collect();
    host(decoder.logits(ids(&rows, &decoder.device())))
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn largest(values: &[f32]) -> f64 {
    values.iter().fold(0.0, |largest, value| largest.max(f64::from(value.abs())))
}

/// Dense, sparse and windowed, with and without biases, norms and heads: every family of the reference data.
#[test]
fn every_family_is_adapted_merged_and_restored() {
    for model in entries("models") {
        let base = checkpoint::load(&root().join(format!("models/{model}/checkpoint")), &Device::default()).unwrap();
        let before = logits(&base);
        let start = Adapter::new(&everything(&base), &base, 7).unwrap();
        let adapted = base.with_adapter(&start).unwrap();
        assert_eq!(bits(&logits(&adapted)), bits(&before), "{model}: B is 0");
        assert_eq!(adapted.adapter().unwrap(), start, "{model}");

        let adapter = learned(&start, &base, 1);
        let adapted = base.with_adapter(&adapter).unwrap();
        let after = logits(&adapted);
        let moved: Vec<f32> = after.iter().zip(&before).map(|(after, before)| after - before).collect();
        assert!(largest(&moved) > 0.1, "{model}: {}", largest(&moved));
        let tolerance = 1e-5 * largest(&after).max(1.0);
        assert_all_within(&format!("{model}: merged"), &logits(&adapted.merge()), &after, tolerance);
        assert_eq!(bits(&logits(&adapted.without_adapter())), bits(&before), "{model}: off");
        assert_eq!(adapted.adapter().unwrap(), adapter, "{model}");

        let (merged, original) = (weights(&adapted.merge()), weights(&base));
        let restored = weights(&adapted.merge().unmerge(&adapter).unwrap());
        for (name, original) in &original {
            let tolerance = 2.0 * f64::from(f32::EPSILON) * largest(&merged[name]).max(largest(original));
            assert_all_within(&format!("{model}: {name}"), &restored[name], original, tolerance);
            let layer = name.strip_suffix(".weight").unwrap_or(name);
            let changes = adapter.layers().any(|(changed, _)| changed == layer);
            assert_eq!(merged[name] != *original, changes, "{model}: {name}");
        }
    }
}

#[test]
fn an_adapter_of_bfloat16_weights_computes_in_f32() {
    let options = LoadOptions { dtype: Some(FloatDType::BF16), ..LoadOptions::default() };
    let checkpoint = root().join("models/qwen2/checkpoint");
    let base = checkpoint::load_with(&checkpoint, &Device::default(), &options).unwrap();
    let start = Adapter::new(&everything(&base), &base, 7).unwrap();
    assert_eq!(bits(&logits(&base.with_adapter(&start).unwrap())), bits(&logits(&base)));
    let adapter = learned(&start, &base, 1);
    let adapted = base.with_adapter(&adapter).unwrap();
    assert_eq!(adapted.adapter().unwrap(), adapter, "not rounded");
    assert_eq!(adapted.merge().dtype(), base.dtype());
    let exact = checkpoint::load(&checkpoint, &Device::default()).unwrap().with_adapter(&adapter).unwrap();
    let exact = logits(&exact);
    assert_all_within("bf16", &logits(&adapted), &exact, 0.05 * largest(&exact));
}

#[test]
fn a_new_adapter_starts_as_pefts() {
    let base = decoder(1);
    let config = LoraConfig { rank: 4, ..LoraConfig::default() };
    let adapter = Adapter::new(&config, &base, 5).unwrap();
    assert_eq!(adapter.layers().count(), 14);
    for (name, change) in adapter.layers() {
        let a: Vec<f32> = change.a.iter::<f32>().collect();
        let input = change.a.shape()[1];
        let bound = 1.0 / (input as f32).sqrt();
        assert!(a.iter().all(|value| value.abs() <= bound), "{name}");
        let variance = a.iter().map(|value| value * value).sum::<f32>() / a.len() as f32;
        assert!((0.4..1.6).contains(&(variance * 3.0 * input as f32)), "{name}: {variance}");
        assert!(change.b.iter::<f32>().all(|value| value == 0.0), "{name}");
        assert_eq!((change.a.shape()[0], change.b.shape()[1], change.scale), (4, 4, 4.0));
    }
    assert_eq!(Adapter::new(&config, &base, 5).unwrap(), adapter);
    assert_ne!(Adapter::new(&config, &base, 6).unwrap(), adapter);
}

#[test]
fn several_adapters_over_one_base_know_nothing_of_each_other() {
    let base = decoder(1);
    let start = Adapter::new(&everything(&base), &base, 1).unwrap();
    let (first, second) = (learned(&start, &base, 1), learned(&start, &base, 2));
    let (one, other) = (base.with_adapter(&first).unwrap(), base.with_adapter(&second).unwrap());
    let expected = [logits(&base), logits(&one), logits(&other)].map(|logits| bits(&logits));
    assert!(expected[0] != expected[1] && expected[1] != expected[2]);
    assert_eq!(bits(&logits(&one.with_adapter(&second).unwrap())), expected[2], "the second in the place of the first");
    assert_eq!(bits(&logits(&other.without_adapter())), expected[0]);
    assert_eq!(bits(&logits(&one)), expected[1]);
}

#[test]
fn a_checkpoint_of_an_adapted_decoder_is_refused() {
    let base = decoder(1);
    let adapter = Adapter::new(&everything(&base), &base, 1).unwrap();
    let adapted = base.with_adapter(&adapter).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("checkpoint");
    let error = checkpoint::save(&adapted, &target, &Default::default()).unwrap_err();
    assert!(error.to_string().contains("`merge()`") && error.to_string().contains("`Adapter::save`"), "{error}");
    assert!(!target.exists() && decoder_to_bytes(&adapted).is_err());
    assert_eq!(decoder_to_bytes(&adapted.without_adapter()).unwrap(), decoder_to_bytes(&base).unwrap());
    checkpoint::save(&adapted.merge(), &target, &Default::default()).unwrap();
}

#[test]
fn an_adapter_for_another_decoder_does_not_attach() {
    let wide = config_with(serde_json::json!({"intermediate_size": 20}));
    let other = Decoder::new(&wide, 1, &Device::default());
    let base = decoder(1);
    let config = LoraConfig { targets: Targets::names(["up_proj", "q_proj"]), ..LoraConfig::default() };
    let adapter = Adapter::new(&config, &other, 1).unwrap();
    for error in [base.with_adapter(&adapter).unwrap_err(), base.unmerge(&adapter).unwrap_err()] {
        let AdapterError::Mismatch { problems, .. } = &error else { panic!("{error}") };
        assert_eq!(problems.0.len(), 2, "{error}");
        let expected = "model.layers.0.mlp.up_proj.lora_B: shape [20, 8], expected [12, 8]";
        assert!(error.to_string().contains(expected), "{error}");
    }
    let deep = Decoder::new(&config_with(serde_json::json!({"num_hidden_layers": 3})), 1, &Device::default());
    let error = base.with_adapter(&Adapter::new(&config, &deep, 1).unwrap()).unwrap_err().to_string();
    assert!(error.contains("unexpected: model.layers.2.mlp.up_proj"), "{error}");
}

#[test]
fn a_name_that_matches_nothing_is_named() {
    let base = decoder(1);
    for (targets, name) in [
        (Targets::names(["q_proj", "query"]), "`query`"),
        (Targets::names(["lm_head"]), "`lm_head`"), // the embedding serves as head
        (Targets::Regex("q_proj".to_owned()), "\"q_proj\""),
        (Targets::names::<[String; 0]>([]), "[]"),
    ] {
        let error = Adapter::new(&LoraConfig { targets, ..LoraConfig::default() }, &base, 1).unwrap_err();
        assert!(matches!(&error, AdapterError::NoMatch { pattern, .. } if pattern == name), "{error}");
        assert!(error.to_string().contains("model.layers.0.self_attn.q_proj"), "{error}");
    }
}

/// A module's parameters by name and whether they learn, as burn's own tools see them.
#[test]
fn burn_counts_the_adapters_parameters() {
    let base = decoder(1);
    let adapter = Adapter::new(&everything(&base), &base, 1).unwrap();
    let adapted = base.with_adapter(&adapter).unwrap();
    assert_eq!(adapted.num_params() - base.num_params(), adapter.parameters());
}
