//! PEFT's files, in and out.

use std::fs;
use std::path::Path;

use burn::tensor::Device;
use entropo_train::adapter::{Adapter, AdapterError, LoraConfig, Targets};
use entropo_train::checkpoint;
use entropo_train::decoder::Decoder;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};

use super::{everything, learned};
use crate::fixtures::{json as fixture, root};
use crate::support::decoder;

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";

/// Tensors of a file: name, shape and bytes.
type Tensors = Vec<(String, Dtype, Vec<usize>, Vec<u8>)>;

fn read(path: &Path) -> Tensors {
    let file = fs::read(path).unwrap();
    let tensors = SafeTensors::deserialize(&file).unwrap();
    let tensor = |(name, view): (&str, TensorView<'_>)| {
        (name.to_owned(), view.dtype(), view.shape().to_vec(), view.data().to_vec())
    };
    let mut all: Tensors = tensors.iter().map(tensor).collect();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    all
}

fn write(path: &Path, tensors: &Tensors) {
    let views = tensors
        .iter()
        .map(|(name, dtype, shape, bytes)| (name.as_str(), TensorView::new(*dtype, shape.clone(), bytes).unwrap()));
    fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// What PEFT wrote is written back with the same tensors and the same meaning.
#[test]
fn what_peft_wrote_is_written_back() {
    let mut checked = 0;
    for run in ["lora_dpo_start", "lora_dpo_end"] {
        let directory = root().join("training").join(run);
        let model = fixture("training/lora_dpo.json")["model"].as_str().unwrap().to_owned();
        let base = checkpoint::load(&root().join(format!("models/{model}/checkpoint")), &Device::default()).unwrap();
        let adapter = Adapter::load(&directory, &base).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("new/adapter");
        adapter.save(&copy).unwrap();
        assert_eq!(read(&copy.join(WEIGHTS)), read(&directory.join(WEIGHTS)));
        let [ours, theirs] = [&copy, &directory].map(|directory| -> Value {
            serde_json::from_str(&fs::read_to_string(directory.join(CONFIG)).unwrap()).unwrap()
        });
        for (key, value) in ours.as_object().unwrap() {
            assert_eq!(*value, theirs[key], "{key}");
            checked += 1;
        }
        assert_eq!(Adapter::load(&copy, &base).unwrap(), adapter);
    }
    assert!(checked > 30);
}

fn saved(base: &Decoder) -> (tempfile::TempDir, Adapter) {
    let folder = tempfile::tempdir().unwrap();
    let adapter = learned(&Adapter::new(&everything(base), base, 3).unwrap(), base, 1);
    adapter.save(folder.path()).unwrap();
    (folder, adapter)
}

#[test]
fn saving_replaces_both_files_and_keeps_the_others() {
    let base = decoder(1);
    let (folder, first) = saved(&base);
    fs::write(folder.path().join("README.md"), "a note").unwrap();
    let second = learned(&first, &base, 2);
    second.save(folder.path()).unwrap();
    let mut names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["README.md", CONFIG, WEIGHTS]);
    let config = LoraConfig::from_json(&fs::read_to_string(folder.path().join(CONFIG)).unwrap(), "a test").unwrap();
    let names = ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"];
    assert_eq!(config.targets, Targets::names(names), "other tools look up names");
    let loaded = Adapter::load(folder.path(), &base).unwrap();
    assert!(loaded.layers().eq(second.layers()));

    let file = folder.path().join(CONFIG);
    assert!(first.save(&file).is_err(), "a file is no directory");
    assert!(file.is_file());
}

/// Fails unless the directory is refused with all of these words.
#[track_caller]
fn refused(base: &Decoder, directory: &Path, words: &[&str]) {
    let error = Adapter::load(directory, base).err().unwrap_or_else(|| panic!("{words:?}: not refused"));
    for word in words {
        assert!(error.to_string().contains(word), "{word}: {error}");
    }
}

#[test]
fn tensors_that_do_not_fit_are_all_reported() {
    let base = decoder(1);
    let (folder, _) = saved(&base);
    let path = folder.path().join(WEIGHTS);
    let whole = read(&path);
    const B: &str = "base_model.model.model.layers.0.mlp.down_proj.lora_B.weight";
    let change = |change: &dyn Fn(&mut Tensors)| {
        let mut tensors = whole.clone();
        change(&mut tensors);
        write(&path, &tensors);
    };
    let at = |tensors: &Tensors| tensors.iter().position(|tensor| tensor.0 == B).unwrap();

    change(&|tensors| drop(tensors.remove(at(tensors))));
    refused(&base, folder.path(), &[WEIGHTS, &format!("missing: {B}")]);
    change(&|tensors| {
        tensors.push(("base_model.model.lm_head.lora_A.weight".to_owned(), Dtype::F32, vec![1], vec![0; 4]))
    });
    refused(&base, folder.path(), &["unexpected: base_model.model.lm_head.lora_A.weight"]);
    change(&|tensors| {
        let index = at(tensors);
        tensors[index].2.reverse();
    });
    refused(&base, folder.path(), &[&format!("{B}: shape [3, 8], expected [8, 3]")]);
    for value in [f32::NAN, f32::INFINITY] {
        change(&|tensors| {
            let index = at(tensors);
            tensors[index].3[4..8].copy_from_slice(&value.to_le_bytes());
        });
        refused(&base, folder.path(), &[&format!("{B}: holds NaN or infinity")]);
    }
    change(&|tensors| {
        let index = at(tensors);
        tensors[index].1 = Dtype::I32;
    });
    refused(&base, folder.path(), &[&format!("{B}: type I32")]);
    change(&|tensors| {
        let index = at(tensors);
        tensors[index].0.push('x');
        tensors.remove(0);
    });
    refused(&base, folder.path(), &["missing", "unexpected", &format!("{B}x")]);

    // Another rank in the configuration contradicts every shape.
    write(&path, &whole);
    let text = fs::read_to_string(folder.path().join(CONFIG)).unwrap();
    fs::write(folder.path().join(CONFIG), text.replace("\"r\": 3", "\"r\": 1000000000")).unwrap();
    refused(&base, folder.path(), &["shape [3, 8], expected [1000000000, 8]"]);
}

#[test]
fn damaged_files_are_refused() {
    let base = decoder(1);
    let (folder, adapter) = saved(&base);
    let path = folder.path().join(WEIGHTS);
    let whole = fs::read(&path).unwrap();
    for length in [0, 7, 8, 100, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        let error = Adapter::load(folder.path(), &base).unwrap_err();
        assert!(matches!(error, AdapterError::Checkpoint(_)), "{length}: {error}");
        assert!(error.to_string().contains(WEIGHTS), "{error}");
    }
    fs::remove_file(&path).unwrap();
    refused(&base, folder.path(), &[WEIGHTS]);
    fs::write(&path, &whole).unwrap();

    let config = folder.path().join(CONFIG);
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, &text[..text.len() / 2]).unwrap();
    refused(&base, folder.path(), &[CONFIG, "not an adapter configuration"]);
    let mut keys: Value = serde_json::from_str(&text).unwrap();
    keys["use_dora"] = json!(true);
    fs::write(&config, keys.to_string()).unwrap();
    refused(&base, folder.path(), &[CONFIG, "`use_dora` is true"]);
    fs::write(&config, text.replace("_proj", "_layer")).unwrap();
    refused(&base, folder.path(), &["no linear layer matches", "q_layer", "model.layers.0.self_attn.q_proj"]);
    fs::remove_file(&config).unwrap();
    refused(&base, folder.path(), &[CONFIG]);
    fs::write(&config, &text).unwrap();
    assert!(Adapter::load(folder.path(), &base).unwrap().layers().eq(adapter.layers()));
}

/// Half precision is widened.
#[test]
fn adapters_in_half_precision_are_read() {
    let base = decoder(1);
    let (folder, adapter) = saved(&base);
    let path = folder.path().join(WEIGHTS);
    let mut tensors = read(&path);
    for (_, dtype, _, bytes) in &mut tensors {
        *dtype = Dtype::BF16;
        *bytes = bytes.chunks(4).flat_map(|bytes| [bytes[2], bytes[3]]).collect();
    }
    write(&path, &tensors);
    let loaded = Adapter::load(folder.path(), &base).unwrap();
    for ((name, exact), (_, rounded)) in adapter.layers().zip(loaded.layers()) {
        for (exact, rounded) in exact.b.iter::<f32>().zip(rounded.b.iter::<f32>()) {
            assert_eq!(rounded.to_bits(), exact.to_bits() & 0xFFFF_0000, "{name}");
        }
    }
}
