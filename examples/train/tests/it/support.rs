//! A tiny model with a tokenizer, and rows for it.

use std::fs;
use std::path::{Path, PathBuf};

use entropo_train::burn::tensor::Device;
use entropo_train::checkpoint::{SaveOptions, save};
use entropo_train::decoder::{Decoder, DecoderConfig};
use tempfile::TempDir;
use train::Settings;

/// A directory with a model and rows.
pub(crate) struct Place {
    directory: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self { directory: tempfile::tempdir().unwrap() };
        let config = r#"{"model_type": "qwen2", "vocab_size": 64, "hidden_size": 16, "intermediate_size": 24,
            "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 64,
            "tie_word_embeddings": true}"#;
        let shape = DecoderConfig::from_json(config, "the tiny model").unwrap();
        save(&Decoder::new(&shape, 3, &Device::default()), &place.path("model"), &SaveOptions::default()).unwrap();
        fs::write(place.path("pairs.jsonl"), (0..20).map(pair).collect::<String>()).unwrap();
        fs::write(place.path("labels.jsonl"), (0..20).map(labelled).collect::<String>()).unwrap();
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A settings file with more lines, which come first.
    pub(crate) fn file(&self, more: &str) -> PathBuf {
        let path = self.path("settings.toml");
        let quoted = |name: &str| format!("{:?}", self.path(name));
        let base = format!(
            "model = {}\noutput = {}\n{more}\n[data]\ntrain = [{}]\nevaluate_share = 0.2\n[training]\nbatch_size = 4\n\
             learning_rate = 1e-2\nepochs = 3\nsave_every = 3\n",
            quoted("model"),
            quoted("run"),
            quoted("pairs.jsonl")
        );
        fs::write(&path, base).unwrap();
        path
    }

    pub(crate) fn settings(&self, changes: &[&str]) -> Settings {
        let changes: Vec<String> = changes.iter().map(|change| (*change).to_owned()).collect();
        Settings::read(&self.file(""), &changes).unwrap()
    }
}

/// What is in a file.
pub(crate) fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn ids(index: u32, last: u32) -> String {
    let prompt = (1..9).map(|place| (7 * index + place) % 50);
    let ids: Vec<String> = prompt.chain([last, last + 1, 60 + index % 2]).map(|id| id.to_string()).collect();
    format!("\"ids\":[{}],\"actions\":[[8,11]]", ids.join(","))
}

fn pair(index: u32) -> String {
    format!(
        "{{\"format\":\"entropo-tokens/1\",\"id\":\"p{index}\",\"group\":\"{}\",\"chosen\":{{{}}},\"rejected\":{{{}}}}}\n",
        index / 2,
        ids(index, 50),
        ids(index, 55)
    )
}

fn labelled(index: u32) -> String {
    let label = index.is_multiple_of(2);
    format!("{{\"format\":\"entropo-tokens/1\",\"label\":{label},{}}}\n", ids(index, if label { 50 } else { 55 }))
}
