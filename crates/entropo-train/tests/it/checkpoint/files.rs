//! Broken files, and weights in several of them.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use burn::tensor::{DType, Device, FloatDType};
use entropo_train::checkpoint::{
    CheckpointError, Damage, INDEX, IndexError, LoadOptions, Progress, SaveOptions, WEIGHTS, Weights, decoder_to_bytes,
    load, load_with, save,
};
use proptest::prelude::*;
use safetensors::SafeTensors;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fixtures;
use crate::support::{config, decoder, weights};

/// A file of a header and as many bytes of zeros.
fn file(header: &Value, data: usize) -> Vec<u8> {
    let header = header.to_string();
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &vec![0; data]].concat()
}

fn with_weights(bytes: &[u8]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(WEIGHTS), bytes).unwrap();
    folder
}

/// What is wrong with such a file.
fn damage(bytes: &[u8]) -> Damage {
    let folder = with_weights(bytes);
    match Weights::open(folder.path()).unwrap_err() {
        CheckpointError::Safetensors { origin, damage } => {
            assert_eq!(Path::new(&origin), folder.path().join(WEIGHTS));
            damage
        }
        other => panic!("{other:?}"),
    }
}

fn info(shape: &[u64], begin: u64, end: u64) -> Value {
    json!({"dtype": "F32", "shape": shape, "data_offsets": [begin, end]})
}

#[test]
fn headers_that_lie_are_refused_with_both_numbers() {
    let two = |first, second| json!({"one": first, "two": second});
    let offsets = |begin, end, expected| Damage::Offsets { tensor: "two".to_owned(), begin, end, expected };
    let size = |claimed, found| Damage::Size { tensor: "one".to_owned(), claimed, found };
    let cases = [
        (vec![], Damage::NoHeader { found: 0 }),
        (vec![1, 2, 3], Damage::NoHeader { found: 3 }),
        ([1000u64.to_le_bytes().as_slice(), b"{}"].concat(), Damage::Header { claimed: 1000, found: 2 }),
        (u64::MAX.to_le_bytes().to_vec(), Damage::Header { claimed: u64::MAX, found: 0 }),
        (file(&two(info(&[2], 0, 8), info(&[2], 4, 12)), 12), offsets(4, 12, 8)), // overlapping
        (file(&two(info(&[2], 0, 8), info(&[2], 0, 8)), 8), offsets(0, 8, 8)),    // the same bytes
        (file(&two(info(&[2], 0, 8), info(&[2], 12, 20)), 20), offsets(12, 20, 8)), // a gap
        (file(&two(info(&[2], 0, 8), info(&[2], 16, 8)), 16), offsets(16, 8, 8)), // backwards
        (
            file(&two(info(&[2], 0, 8), info(&[250], 8, 1008)), 12),
            Damage::Short { tensor: "two".to_owned(), end: 1008, found: 12 },
        ),
        (file(&json!({"one": info(&[2], 0, 8)}), 9), Damage::Rest { claimed: 8, found: 9 }),
        (file(&json!({"one": info(&[1_000_000_000], 0, 8)}), 8), size(4_000_000_000, 8)),
        (file(&json!({"one": info(&[u64::MAX, u64::MAX, 4], 0, 8)}), 8), size(u128::MAX, 8)),
        (
            file(&json!({"one": info(&[1_000_000_000], 0, 4_000_000_000)}), 900),
            Damage::Short { tensor: "one".to_owned(), end: 4_000_000_000, found: 900 },
        ),
    ];
    for (bytes, expected) in cases {
        assert_eq!(damage(&bytes), expected);
    }
    for header in [json!([]), json!("text"), json!({"one": {}}), json!({"one": info(&[2], 0, 8), "__metadata__": 3})] {
        assert!(matches!(damage(&file(&header, 8)), Damage::Other(_)), "{header}");
    }
}

#[test]
fn a_file_cut_short_names_the_tensor() {
    let bytes = decoder_to_bytes(&decoder(1)).unwrap();
    let Damage::Short { tensor, end, found } = damage(&bytes[..bytes.len() - 5]) else { panic!() };
    assert_eq!(tensor, "model.norm.weight");
    assert_eq!(found, end - 5);
}

#[test]
fn what_is_no_regular_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join(WEIGHTS)).unwrap();
    let error = Weights::open(folder.path()).unwrap_err();
    assert!(matches!(&error, CheckpointError::File { path, .. } if path.ends_with(WEIGHTS)), "{error:?}");
}

#[test]
fn directories_without_weights_say_what_was_looked_for() {
    let folder = tempfile::tempdir().unwrap();
    let error = Weights::open(folder.path()).unwrap_err();
    assert!(matches!(&error, CheckpointError::NoWeights { directory } if directory == folder.path()), "{error:?}");
    assert!(error.to_string().contains(WEIGHTS) && error.to_string().contains(INDEX), "{error}");

    let absent = folder.path().join("absent");
    let error = Weights::open(&absent).unwrap_err();
    assert!(matches!(&error, CheckpointError::File { path, .. } if *path == absent), "{error:?}");

    for name in ["pytorch_model.bin", "pytorch_model-00001-of-00002.bin"] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(name), "").unwrap();
        let error = Weights::open(folder.path()).unwrap_err();
        assert!(matches!(&error, CheckpointError::Pickled { path } if path.ends_with(name)), "{error:?}");
        assert!(error.to_string().contains("model.safetensors"), "{error}");
    }
}

/// The tiny decoder in shards.
fn sharded() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    save(&decoder(1), folder.path(), &SaveOptions { shard_bytes: 1024, ..SaveOptions::default() }).unwrap();
    folder
}

fn index_of(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join(INDEX)).unwrap()).unwrap()
}

/// What is wrong with the tiny decoder's index after a change of its map from tensors to shards.
fn index_error(change: impl FnOnce(&Path, &mut serde_json::Map<String, Value>)) -> IndexError {
    let folder = sharded();
    let mut index = index_of(folder.path());
    change(folder.path(), index["weight_map"].as_object_mut().unwrap());
    fs::write(folder.path().join(INDEX), index.to_string()).unwrap();
    match load(folder.path(), &Device::default()).unwrap_err() {
        CheckpointError::Index { path, reason } => {
            assert_eq!(path, folder.path().join(INDEX));
            reason
        }
        other => panic!("{other:?}"),
    }
}

const NORM: &str = "model.norm.weight";

#[test]
fn an_index_that_contradicts_its_shards_is_refused() {
    let name_of = |map: &serde_json::Map<String, Value>, tensor: &str| map[tensor].as_str().unwrap().to_owned();
    let embedding = "model.embed_tokens.weight";

    let missing = index_error(|folder, map| fs::remove_file(folder.join(name_of(map, NORM))).unwrap());
    let IndexError::MissingShard { shard, tensors } = missing else { panic!("{missing:?}") };
    assert!(shard.starts_with("model-0") && tensors > 0, "{shard}");

    let absent = index_error(|_, map| drop(map.insert("model.more.weight".to_owned(), map[NORM].clone())));
    assert!(matches!(&absent, IndexError::NotInShard { tensor, .. } if tensor == "model.more.weight"), "{absent:?}");

    let elsewhere = index_error(|_, map| drop(map.insert(NORM.to_owned(), map[embedding].clone())));
    assert!(matches!(&elsewhere, IndexError::NotInShard { tensor, .. } if tensor == NORM), "{elsewhere:?}");

    let unlisted = index_error(|_, map| drop(map.remove(NORM)));
    assert!(matches!(&unlisted, IndexError::NotInIndex { tensor, .. } if tensor == NORM), "{unlisted:?}");

    let twice = index_error(|folder, map| {
        fs::copy(folder.join(name_of(map, NORM)), folder.join("again.safetensors")).unwrap();
        map.insert(NORM.to_owned(), json!("again.safetensors"));
    });
    let IndexError::Twice { first, second, .. } = twice else { panic!("{twice:?}") };
    assert!(first != second);
}

#[test]
fn shards_outside_of_the_directory_are_refused() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("x.safetensors"), decoder_to_bytes(&decoder(1)).unwrap()).unwrap();
    let absolute = outside.path().join("x.safetensors").display().to_string();
    let parent = format!("../{}/x.safetensors", outside.path().file_name().unwrap().to_string_lossy());
    let names = [absolute.as_str(), &parent, "", ".", "..", "./x.safetensors", "a/b.safetensors", "a\\b.safetensors"];
    for name in names.into_iter().chain(["C:x.safetensors", "x\0.safetensors", "x.safetensors/", "model.bin"]) {
        let error = index_error(|_, map| drop(map.insert(NORM.to_owned(), json!(name))));
        assert_eq!(error, IndexError::UnsafeName { tensor: NORM.to_owned(), shard: name.to_owned() });
    }
}

#[test]
fn an_index_that_is_none_is_refused() {
    let folder = sharded();
    for text in ["", "[]", "{}", "{\"weight_map\": []}", "{\"weight_map\": {\"a\": 1}}", "\u{7f}ELF"] {
        fs::write(folder.path().join(INDEX), text).unwrap();
        let error = Weights::open(folder.path()).unwrap_err();
        assert!(matches!(error, CheckpointError::Index { reason: IndexError::Json(_), .. }), "{text}: {error:?}");
        assert!(error.to_string().contains(INDEX), "{error}");
    }
}

#[test]
fn a_damaged_shard_is_named() {
    let folder = sharded();
    let index = index_of(folder.path());
    let shard = folder.path().join(index["weight_map"][NORM].as_str().unwrap());
    let bytes = fs::read(&shard).unwrap();
    fs::write(&shard, &bytes[..bytes.len() - 1]).unwrap();
    let error = Weights::open(folder.path()).unwrap_err();
    assert!(error.to_string().starts_with(&shard.display().to_string()), "{error}");
}

#[test]
fn every_shard_of_a_reference_checkpoint_is_read() {
    let folder = fixtures::root().join("models/qwen3_moe/checkpoint");
    let loaded = weights(&load(&folder, &Device::default()).unwrap());
    let mut tensors = 0;
    for shard in 1..=4 {
        let bytes = fs::read(folder.join(format!("model-{shard:05}-of-00004.safetensors"))).unwrap();
        for (name, view) in SafeTensors::deserialize(&bytes).unwrap().iter() {
            let values = view.data().chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()));
            assert!(values.eq(loaded[name].iter().copied()), "{name}");
            tensors += 1;
        }
    }
    assert_eq!(loaded.len(), tensors);
}

#[test]
fn layers_that_only_predict_further_ahead_are_left_alone() {
    let original = fixtures::root().join("models/glm4_moe/checkpoint");
    let mut keys: Value = serde_json::from_slice(&fs::read(original.join("config.json")).unwrap()).unwrap();
    let layers = keys["num_hidden_layers"].as_u64().unwrap();
    let bytes = fs::read(original.join(WEIGHTS)).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let further = [format!("model.layers.{layers}.eh_proj.weight"), format!("model.layers.{layers}.norm.weight")];
    let extra = further.iter().map(|name| (name.as_str(), tensors.tensor(NORM).unwrap()));
    let folder = with_weights(&safetensors::serialize(tensors.iter().chain(extra), None).unwrap());
    for (ignored, unexpected) in [(0, 2), (1, 0)] {
        keys["num_nextn_predict_layers"] = json!(ignored);
        fs::write(folder.path().join("config.json"), keys.to_string()).unwrap();
        let found = match load(folder.path(), &Device::default()) {
            Ok(_) => 0,
            Err(CheckpointError::Mismatch { problems, .. }) => problems.0.len(),
            Err(other) => panic!("{other:?}"),
        };
        assert_eq!(found, unexpected);
    }
}

#[test]
fn progress_is_told_up_to_the_end() {
    let folder = sharded();
    let seen: Arc<Mutex<Vec<Progress>>> = Arc::default();
    let sink = Arc::clone(&seen);
    let progress = Arc::new(move |progress| sink.lock().unwrap().push(progress));
    let options = LoadOptions { dtype: Some(FloatDType::BF16), progress: Some(progress), ..LoadOptions::default() };
    let loaded = load_with(folder.path(), &Device::default(), &options).unwrap();
    assert_eq!(loaded.dtype(), DType::BF16);
    let seen = seen.lock().unwrap();
    assert!(seen.is_sorted_by_key(|progress| (progress.tensors, progress.bytes)));
    let last = seen.last().unwrap();
    assert_eq!((last.tensors, last.bytes), (last.all_tensors, last.all_bytes));
    let values: usize = weights(&decoder(1)).values().map(Vec::len).sum();
    assert_eq!((seen.len(), last.all_bytes), (last.all_tensors, values as u64 * 4));
}

proptest! {
    #[test]
    fn headers_changed_anywhere_are_no_panic(changes in prop::collection::vec((0usize..2600, any::<u8>()), 1..8)) {
        let mut bytes = decoder_to_bytes(&decoder(1)).unwrap();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        let folder = with_weights(&bytes);
        fs::write(folder.path().join("config.json"), config().to_json().to_string()).unwrap();
        let _ = load(folder.path(), &Device::default());
    }

    #[test]
    fn headers_of_any_offsets_are_no_panic(
        infos in prop::collection::vec((prop::collection::vec(any::<u64>(), 0..4), any::<u64>(), any::<u64>()), 0..4),
        small in prop::collection::vec((prop::collection::vec(0u64..4, 0..3), 0u64..40, 0u64..40), 0..4),
        data in 0usize..64,
    ) {
        let all = infos.into_iter().chain(small).enumerate();
        let header: serde_json::Map<_, _> =
            all.map(|(n, (shape, begin, end))| (n.to_string(), info(&shape, begin, end))).collect();
        let folder = with_weights(&file(&Value::Object(header), data));
        if let Err(error) = Weights::open(folder.path()) {
            prop_assert!(matches!(error, CheckpointError::Safetensors { .. }), "{:?}", error);
        }
    }
}
