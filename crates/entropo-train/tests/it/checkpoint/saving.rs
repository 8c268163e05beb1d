//! Saving: the same weights in one file or many, what goes with them, and nothing when it fails.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use burn::tensor::{Device, FloatDType, bf16};
use entropo_train::checkpoint::{
    CONFIG, CheckpointError, INDEX, LoadOptions, SaveOptions, WEIGHTS, load, load_with, save,
};
use entropo_train::decoder::Decoder;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Value, json};

use crate::fixtures;
use crate::support::{config_with, decoder, weights};

/// The files of a directory.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file());
    entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Type, shape and bytes of every tensor in a directory.
fn tensors(folder: &Path) -> BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)> {
    let mut tensors = BTreeMap::new();
    for (_, bytes) in files(folder).iter().filter(|(name, _)| name.ends_with(".safetensors")) {
        for (name, view) in SafeTensors::deserialize(bytes).unwrap().iter() {
            let tensor = (view.dtype(), view.shape().to_vec(), view.data().to_vec());
            assert!(tensors.insert(name.to_owned(), tensor).is_none(), "{name} twice");
        }
    }
    tensors
}

#[test]
fn reference_checkpoints_come_back_to_the_last_bit() {
    for model in fixtures::entries("models") {
        let original = fixtures::root().join("models").join(&model).join("checkpoint");
        let stored = tensors(&original);
        let dtype = stored["model.norm.weight"].0;
        let asked = if dtype == Dtype::BF16 { FloatDType::BF16 } else { FloatDType::F32 };
        let options = LoadOptions { dtype: Some(asked), ..LoadOptions::default() };
        let loaded = load_with(&original, &Device::default(), &options).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("copy");
        save(&loaded, &copy, &SaveOptions { companions: Some(original.clone()), ..SaveOptions::default() }).unwrap();
        assert_eq!(tensors(&copy), stored, "{model}");
        let is_other = |name: &String| !name.ends_with(".safetensors") && name != INDEX;
        let others = |folder| files(folder).into_iter().filter(|(name, _)| is_other(name)).collect::<BTreeMap<_, _>>();
        assert_eq!(others(&copy), others(&original), "{model}");
    }
}

#[test]
fn a_routers_correction_stays_f32() {
    let original = fixtures::root().join("models/glm4_moe/checkpoint");
    let brain = LoadOptions { dtype: Some(FloatDType::BF16), ..LoadOptions::default() };
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        (load(&original, &Device::default()), SaveOptions { dtype: Some(FloatDType::BF16), ..Default::default() }),
        (load_with(&original, &Device::default(), &brain), SaveOptions::default()),
    ];
    for (number, (loaded, options)) in cases.into_iter().enumerate() {
        let copy = folder.path().join(number.to_string());
        save(&loaded.unwrap(), &copy, &options).unwrap();
        let (kept, rounded): (BTreeMap<_, _>, _) =
            tensors(&copy).into_iter().partition(|(name, _)| name.ends_with("e_score_correction_bias"));
        assert!(!kept.is_empty() && kept.iter().all(|(name, tensor)| tensors(&original)[name] == *tensor));
        assert!(rounded.values().all(|(dtype, ..)| *dtype == Dtype::BF16));
    }
}

#[test]
fn shards_hold_what_a_single_file_holds() {
    let folder = tempfile::tempdir().unwrap();
    let [single, several] = ["single", "several"].map(|name| folder.path().join(name));
    let decoder = decoder(1);
    save(&decoder, &single, &SaveOptions::default()).unwrap();
    save(&decoder, &several, &SaveOptions { shard_bytes: 1024, ..SaveOptions::default() }).unwrap();
    assert_eq!(tensors(&several), tensors(&single));
    assert_eq!(weights(&load(&several, &Device::default()).unwrap()), weights(&decoder));

    let index: Value = serde_json::from_slice(&files(&several)[INDEX]).unwrap();
    let bytes: usize = tensors(&single).values().map(|(_, _, bytes)| bytes.len()).sum();
    assert_eq!(index["metadata"], json!({"total_parameters": bytes / 4, "total_size": bytes}));
    let shards = files(&several).into_iter().filter(|(name, _)| name.ends_with(".safetensors"));
    let shards: Vec<_> = shards.collect();
    assert!(shards.len() > 3);
    for (number, (name, bytes)) in shards.iter().enumerate() {
        assert_eq!(*name, format!("model-{:05}-of-{:05}.safetensors", number + 1, shards.len()));
        let shard = SafeTensors::deserialize(bytes).unwrap();
        let size: usize = shard.iter().map(|(_, view)| view.data().len()).sum();
        assert!(size <= 1024 || shard.len() == 1, "{name}: {size}");
        assert!(shard.iter().all(|(tensor, _)| index["weight_map"][tensor] == **name));
    }
}

#[test]
fn a_new_checkpoint_leaves_no_weights_of_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("checkpoint");
    save(&decoder(1), &folder, &SaveOptions { shard_bytes: 1024, ..SaveOptions::default() }).unwrap();
    fs::create_dir(folder.join("training")).unwrap();
    fs::write(folder.join("training/state"), "kept").unwrap();
    fs::write(folder.join("tokenizer.json"), "kept").unwrap();
    save(&decoder(2), &folder, &SaveOptions::default()).unwrap();
    assert_eq!(names(&folder), [CONFIG, WEIGHTS, "tokenizer.json", "training"]);
    assert_eq!(fs::read(folder.join("training/state")).unwrap(), b"kept");
    assert_eq!(weights(&load(&folder, &Device::default()).unwrap()), weights(&decoder(2)));
    assert_eq!(names(folder.parent().unwrap()), ["checkpoint"], "nothing is left beside it");
}

/// A checkpoint of the tiny decoder with a tokenizer.
fn origin(folder: &Path) {
    save(&decoder(1), folder, &SaveOptions::default()).unwrap();
    fs::write(folder.join("tokenizer.json"), "{\"made\": \"up\"}").unwrap();
    fs::write(folder.join("notes.txt"), "not part of a checkpoint").unwrap();
}

#[test]
fn companions_go_with_the_weights_and_the_configuration_tells_their_type() {
    let folder = tempfile::tempdir().unwrap();
    let [from, to] = ["from", "to"].map(|name| folder.path().join(name));
    origin(&from);
    let text = fs::read_to_string(from.join(CONFIG)).unwrap();
    let mut keys: serde_json::Map<String, Value> = serde_json::from_str(&text).unwrap();
    keys.insert("a_key_of_others".to_owned(), json!([1e-6, null]));
    for key in ["dtype", "torch_dtype"] {
        keys.retain(|key, _| !key.ends_with("dtype"));
        keys.insert(key.to_owned(), json!("float32"));
        fs::write(from.join(CONFIG), json!(keys).to_string()).unwrap();
        let companions = Some(from.clone());
        save(&decoder(2), &to, &SaveOptions { dtype: Some(FloatDType::BF16), companions, ..Default::default() })
            .unwrap();
        assert_eq!(names(&to), [CONFIG, WEIGHTS, "tokenizer.json"]);
        assert_eq!(fs::read(to.join("tokenizer.json")).unwrap(), b"{\"made\": \"up\"}");
        let found: serde_json::Map<String, Value> =
            serde_json::from_slice(&fs::read(to.join(CONFIG)).unwrap()).unwrap();
        let mut expected = keys.clone();
        expected.insert(key.to_owned(), json!("bfloat16"));
        assert_eq!(found, expected);
        let rounded = |values: Vec<f32>| values.into_iter().map(|value| bf16::from_f32(value).to_f32()).collect();
        let rounded: BTreeMap<_, Vec<f32>> =
            weights(&decoder(2)).into_iter().map(|(name, values)| (name, rounded(values))).collect();
        assert_eq!(weights(&load(&to, &Device::default()).unwrap()), rounded);
    }
    // Into the directory that they come from.
    save(&decoder(2), &from, &SaveOptions { companions: Some(from.clone()), ..Default::default() }).unwrap();
    assert_eq!(names(&from), [CONFIG, WEIGHTS, "notes.txt", "tokenizer.json"]);
    assert_eq!(weights(&load(&from, &Device::default()).unwrap()), weights(&decoder(2)));
}

#[test]
fn companions_of_another_decoder_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let [from, to] = ["from", "to"].map(|name| folder.path().join(name));
    origin(&from);
    let other = Decoder::new(&config_with(json!({"intermediate_size": 16})), 1, &Device::default());
    let error = save(&other, &to, &SaveOptions { companions: Some(from), ..Default::default() }).unwrap_err();
    assert!(matches!(&error, CheckpointError::OtherDecoder { .. }), "{error:?}");
    assert!(error.to_string().ends_with("differs in intermediate_size"), "{error}");
    assert_eq!(names(folder.path()), ["from"]);
}

/// A companion that fails while it is read, after the weights are written.
#[cfg(target_os = "linux")]
#[test]
fn a_failure_in_the_middle_leaves_the_old_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let [from, to] = ["from", "to"].map(|name| folder.path().join(name));
    origin(&from);
    fs::remove_file(from.join("tokenizer.json")).unwrap();
    std::os::unix::fs::symlink("/proc/self/mem", from.join("tokenizer.json")).unwrap();
    let fails = SaveOptions { companions: Some(from.clone()), ..Default::default() };
    let failed = |error: CheckpointError| {
        assert!(matches!(&error, CheckpointError::File { path, .. } if path.ends_with("tokenizer.json")), "{error:?}");
    };

    failed(save(&decoder(2), &to, &fails).unwrap_err());
    assert_eq!(names(folder.path()), ["from"]);
    save(&decoder(1), &to, &SaveOptions::default()).unwrap();
    let before = files(&to);
    failed(save(&decoder(2), &to, &fails).unwrap_err());
    assert_eq!(files(&to), before);
    assert_eq!(names(folder.path()), ["from", "to"]);
}

#[test]
fn a_file_in_the_way_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "in the way").unwrap();
    let error = save(&decoder(1), &file, &SaveOptions::default()).unwrap_err();
    assert!(matches!(&error, CheckpointError::File { path, .. } if *path == file), "{error:?}");
    assert_eq!(fs::read(&file).unwrap(), b"in the way");
    assert_eq!(names(folder.path()), ["file"]);
}
