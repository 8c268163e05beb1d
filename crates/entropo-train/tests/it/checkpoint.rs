//! What a checkpoint holds comes back to the last bit, and a broken one is refused by name.

mod files;
mod saving;

use std::fs;

use burn::tensor::{Device, bf16, f16};
use entropo_train::checkpoint::{
    CONFIG, CheckpointError, INDEX, Problem, SaveOptions, WEIGHTS, decoder_from_bytes, decoder_to_bytes, load, save,
    write_file,
};
use entropo_train::decoder::{ConfigError, Decoder, DecoderConfig};
use proptest::prelude::*;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::json;

use crate::support::{config, config_with, decoder, host, ids, weights};

/// A tensor that can be changed before it is written.
#[derive(Clone)]
struct Raw {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    data: Vec<u8>,
}

fn tensors(decoder: &Decoder) -> Vec<Raw> {
    let bytes = decoder_to_bytes(decoder).unwrap();
    let raw = |(name, view): (&str, TensorView<'_>)| Raw {
        name: name.to_owned(),
        dtype: view.dtype(),
        shape: view.shape().to_vec(),
        data: view.data().to_vec(),
    };
    SafeTensors::deserialize(&bytes).unwrap().iter().map(raw).collect()
}

fn to_bytes(tensors: &[Raw]) -> Vec<u8> {
    let views =
        tensors.iter().map(|raw| (&raw.name, TensorView::new(raw.dtype, raw.shape.clone(), &raw.data).unwrap()));
    safetensors::serialize(views, None).unwrap()
}

fn read(config: &DecoderConfig, bytes: &[u8]) -> Result<Decoder, CheckpointError> {
    decoder_from_bytes(config, bytes, "some/model.safetensors", &Device::default())
}

/// Changes the tiny decoder's tensors and returns what reading them says is wrong, with the message.
fn problems(change: impl FnOnce(&mut Vec<Raw>)) -> (Vec<Problem>, String) {
    let mut tensors = tensors(&decoder(1));
    change(&mut tensors);
    mismatch(read(&config(), &to_bytes(&tensors)))
}

fn mismatch(read: Result<Decoder, CheckpointError>) -> (Vec<Problem>, String) {
    let error = read.unwrap_err();
    let message = error.to_string();
    assert!(message.starts_with("some/model.safetensors: "), "{message}");
    match error {
        CheckpointError::Mismatch { problems, .. } => (problems.0, message),
        other => panic!("{other:?}"),
    }
}

fn find<'a>(tensors: &'a mut [Raw], name: &str) -> &'a mut Raw {
    tensors.iter_mut().find(|raw| raw.name == name).unwrap()
}

const QUERY: &str = "model.layers.1.self_attn.q_proj.weight";

#[test]
fn what_is_saved_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("made/if/need/be");
    for tied in [true, false] {
        let config = config_with(json!({"tie_word_embeddings": tied, "eos_token_id": [3, 4]}));
        let saved = Decoder::new(&config, 7, &Device::default());
        save(&saved, &folder, &SaveOptions::default()).unwrap();
        let loaded = load(&folder, &Device::default()).unwrap();
        assert_eq!(loaded.config(), &config);
        assert_eq!(weights(&loaded), weights(&saved));
        assert_eq!(decoder_to_bytes(&loaded).unwrap(), fs::read(folder.join(WEIGHTS)).unwrap());
        let prompt = ids(&[vec![1, 5, 3, 16, 0]], &Device::default());
        assert_eq!(host(loaded.logits(prompt.clone())), host(saved.logits(prompt)));
    }
    let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, [CONFIG, WEIGHTS], "no temporary file is left");
}

#[test]
fn a_loaded_decoder_can_be_trained_on_an_autodiff_device() {
    let bytes = decoder_to_bytes(&decoder(1)).unwrap();
    let loaded = decoder_from_bytes(&config(), &bytes, "bytes", &Device::default().autodiff()).unwrap();
    let prompt = ids(&[vec![1, 5, 3]], &loaded.device());
    let gradients = crate::support::gradients(&loaded, &loaded.logits(prompt).exp().sum().backward());
    assert!(gradients.keys().eq(weights(&loaded).keys()), "{:?}", gradients.keys());
}

#[test]
fn half_precision_is_widened_exactly() {
    let full = tensors(&decoder(1));
    let values = |raw: &Raw| -> Vec<f32> {
        raw.data.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
    };
    let narrow = |dtype, narrow: fn(f32) -> [u8; 2]| -> Vec<Raw> {
        let data = |raw: &Raw| values(raw).into_iter().flat_map(narrow).collect();
        full.iter().map(|raw| Raw { dtype, data: data(raw), ..raw.clone() }).collect()
    };
    let half = narrow(Dtype::F16, |value| f16::from_f32(value).to_le_bytes());
    let brain = narrow(Dtype::BF16, |value| bf16::from_f32(value).to_le_bytes());
    let (half, brain) = (read(&config(), &to_bytes(&half)).unwrap(), read(&config(), &to_bytes(&brain)).unwrap());
    let (half, brain) = (weights(&half), weights(&brain));
    for raw in &full {
        let expected = |round: fn(f32) -> f32| values(raw).into_iter().map(round).collect::<Vec<_>>();
        assert_eq!(half[&raw.name], expected(|value| f16::from_f32(value).to_f32()), "{}", raw.name);
        assert_eq!(brain[&raw.name], expected(|value| bf16::from_f32(value).to_f32()), "{}", raw.name);
    }
}

#[test]
fn a_missing_tensor_is_named() {
    let (problems, message) = problems(|tensors| tensors.retain(|raw| raw.name != QUERY));
    assert_eq!(problems, [Problem::Missing(QUERY.to_owned())]);
    assert!(message.contains(QUERY));
}

#[test]
fn an_unexpected_tensor_is_named() {
    let extra = "model.layers.0.self_attn.o_proj.bias";
    let (problems, message) = problems(|tensors| {
        let bias = Raw { name: extra.to_owned(), dtype: Dtype::F32, shape: vec![8], data: vec![0; 32] };
        tensors.push(bias);
    });
    assert_eq!(problems, [Problem::Unexpected(extra.to_owned())]);
    assert!(message.contains(extra));
}

#[test]
fn a_head_beside_tied_embeddings_is_left_alone() {
    let mut tensors = tensors(&decoder(1));
    let embedding = find(&mut tensors, "model.embed_tokens.weight").clone();
    tensors.push(Raw { name: "lm_head.weight".to_owned(), ..embedding });
    assert_eq!(weights(&read(&config(), &to_bytes(&tensors)).unwrap()), weights(&decoder(1)));
}

#[test]
fn frequencies_of_old_files_are_left_alone() {
    let mut tensors = tensors(&decoder(1));
    let name = "model.layers.0.self_attn.rotary_emb.inv_freq".to_owned();
    tensors.push(Raw { name, dtype: Dtype::F32, shape: vec![2], data: vec![0; 8] });
    assert_eq!(weights(&read(&config(), &to_bytes(&tensors)).unwrap()), weights(&decoder(1)));
}

#[test]
fn a_wrong_shape_is_shown_beside_the_right_one() {
    let name = "model.layers.0.self_attn.k_proj.weight";
    let (problems, message) = problems(|tensors| find(tensors, name).shape.reverse());
    let wrong = Problem::Shape { name: name.to_owned(), found: vec![8, 4], expected: vec![4, 8] };
    assert_eq!(problems, [wrong]);
    assert!(message.contains(name) && message.contains("[8, 4]") && message.contains("[4, 8]"), "{message}");
}

#[test]
fn integers_are_no_weights() {
    let (problems, message) = problems(|tensors| {
        let query = find(tensors, QUERY);
        (query.dtype, query.data) = (Dtype::I64, vec![0; query.data.len() * 2]);
    });
    assert_eq!(problems, [Problem::Type { name: QUERY.to_owned(), found: "I64".to_owned() }]);
    assert!(message.contains(QUERY) && message.contains("I64"), "{message}");
}

#[test]
fn weights_that_are_not_numbers_are_refused() {
    for value in [f32::NAN, f32::INFINITY] {
        let (problems, message) =
            problems(|tensors| find(tensors, QUERY).data[8..12].copy_from_slice(&value.to_le_bytes()));
        assert_eq!(problems, [Problem::NotFinite(QUERY.to_owned())]);
        assert!(message.contains(QUERY), "{message}");
    }
}

#[test]
fn every_problem_is_told_at_once() {
    let (problems, message) = problems(|tensors| {
        tensors.retain(|raw| raw.name != "model.norm.weight");
        find(tensors, QUERY).name = "model.layers.1.self_attn.query.weight".to_owned();
    });
    assert_eq!(problems.len(), 3, "{message}");
    assert_eq!(message.lines().count(), 4, "{message}");
}

#[test]
fn a_configuration_that_contradicts_the_shapes_is_refused() {
    let bytes = decoder_to_bytes(&decoder(1)).unwrap();
    let contradictions = [
        (config_with(json!({"vocab_size": 18})), "model.embed_tokens.weight: shape [17, 8], expected [18, 8]"),
        (config_with(json!({"hidden_size": 16})), "model.embed_tokens.weight: shape [17, 8], expected [17, 16]"),
        (config_with(json!({"intermediate_size": 16})), "mlp.gate_proj.weight: shape [12, 8], expected [16, 8]"),
        (config_with(json!({"num_key_value_heads": 2})), "k_proj.weight: shape [4, 8], expected [8, 8]"),
        (config_with(json!({"num_hidden_layers": 1})), "unexpected: model.layers.1.mlp.up_proj.weight"),
        (config_with(json!({"num_hidden_layers": 3})), "missing: model.layers.2.mlp.gate_proj.weight"),
        (config_with(json!({"tie_word_embeddings": false})), "missing: lm_head.weight"),
        // Must be refused before anybody allocates it.
        (
            config_with(json!({"vocab_size": 1u64 << 31, "hidden_size": 1u64 << 31})),
            "expected [2147483648, 2147483648]",
        ),
        (config_with(json!({"num_hidden_layers": 1 << 16})), "missing: model.layers.2.mlp.gate_proj.weight"),
        (config_with(json!({"num_hidden_layers": 1 << 16})), "and 65514 more"),
    ];
    for (config, expected) in contradictions {
        let (_, message) = mismatch(read(&config, &bytes));
        assert!(message.contains(expected), "`{message}` does not say `{expected}`");
    }
}

#[test]
fn missing_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = load(folder.path(), &Device::default()).unwrap_err();
    assert!(matches!(error, CheckpointError::Config(ConfigError::Read { .. })), "{error:?}");
    assert!(error.to_string().starts_with(&folder.path().join(CONFIG).display().to_string()), "{error}");

    save(&decoder(1), folder.path(), &SaveOptions::default()).unwrap();
    fs::remove_file(folder.path().join(WEIGHTS)).unwrap();
    let error = load(folder.path(), &Device::default()).unwrap_err();
    assert!(matches!(error, CheckpointError::NoWeights { .. }), "{error:?}");
    let message = error.to_string();
    assert!(message.starts_with(&folder.path().display().to_string()), "{message}");
    assert!(message.contains(WEIGHTS) && message.contains(INDEX), "{message}");
}

#[test]
fn a_configuration_that_is_no_json_is_named() {
    let folder = tempfile::tempdir().unwrap();
    save(&decoder(1), folder.path(), &SaveOptions::default()).unwrap();
    for text in ["", "{\"model_type\": \"qwen2\"", "[]"] {
        fs::write(folder.path().join(CONFIG), text).unwrap();
        let error = load(folder.path(), &Device::default()).unwrap_err();
        assert!(matches!(error, CheckpointError::Config(ConfigError::Json { .. })), "{text}: {error:?}");
        assert!(error.to_string().contains(CONFIG), "{error}");
    }
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "in the way").unwrap();
    let error = write_file(&file.join("below"), b"bytes").unwrap_err();
    assert!(matches!(&error, CheckpointError::File { path, .. } if *path == file.join("below")), "{error:?}");
    assert_eq!(fs::read(&file).unwrap(), b"in the way");
}

proptest! {
    #[test]
    fn a_file_cut_short_is_refused(share in 0.0..1.0f64) {
        let bytes = decoder_to_bytes(&decoder(1)).unwrap();
        let length = (bytes.len() as f64 * share) as usize;
        let error = read(&config(), &bytes[..length]).unwrap_err();
        prop_assert!(matches!(error, CheckpointError::Safetensors { .. }), "{:?}", error);
        prop_assert!(error.to_string().starts_with("some/model.safetensors: "));
    }

    #[test]
    fn a_damaged_header_is_no_panic(at in 0usize..600, byte: u8) {
        let mut bytes = decoder_to_bytes(&decoder(1)).unwrap();
        bytes[at] = byte;
        let _ = read(&config(), &bytes);
    }
}
