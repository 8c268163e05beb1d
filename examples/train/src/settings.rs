//! What a run's file says.

use std::fs;
use std::path::{Path, PathBuf};

use entropo_train::adapter::{LoraConfig, QuantisationConfig};
use entropo_train::data::DataConfig;
use entropo_train::trainer::TrainConfig;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::failure::Failure;

/// A run. Everything but the model and the data has a default; unknown keys are refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where training starts, and the frozen reference: a checkpoint directory, or `org/name` or `org/name@revision` of
    /// the Hugging Face hub. Required.
    pub model: String,
    /// Where everything goes that the run makes. If a state of the same run is there, it goes on. Default `run`.
    pub output: PathBuf,
    /// `cpu`, `cuda` or `wgpu`, of those that the program was built for; with `:N`, the device of that number. Default:
    /// the first that it was built for.
    pub device: Option<String>,
    /// Devices of further replicas that share the work of each update, such as `["cuda:1", "cuda:2"]`; a device may be
    /// named again. Default: none.
    pub replicas: Vec<String>,
    /// A low-rank adapter that is trained instead of the weights. Default: none, all weights are trained.
    pub lora: Option<LoraConfig>,
    /// Keeps the weights below the adapter in 4 or 8 bits (QLoRA); needs `lora`. Default: none, they are in f32.
    pub quantise: Option<QuantisationConfig>,
    /// Rows to train on.
    pub data: DataSettings,
    /// How to train.
    pub training: TrainConfig,
    /// What is written while the run goes on.
    pub monitor: MonitorSettings,
}

/// Rows to train and to evaluate on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataSettings {
    /// Files of rows to train on. Required.
    pub train: Vec<PathBuf>,
    /// Files of rows to evaluate on. Default: none.
    pub evaluate: Vec<PathBuf>,
    /// The share of tasks that is held out of `train` to evaluate on instead, in `[0, 1)`. Default 0.
    pub evaluate_share: f64,
    /// Where tokenised rows are kept. Default: `data` in the output.
    pub cache: Option<PathBuf>,
    /// How rows are read.
    pub rows: DataConfig,
}

/// What is written while the run goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MonitorSettings {
    /// What the report calls the run. Default: the objective and the model.
    pub title: Option<String>,
    /// Whether there are event files for TensorBoard. Default true.
    pub tensorboard: bool,
    /// Whether there is a report at the end. Default true.
    pub report: bool,
    /// Minutes after which the report is made again while the run goes on. Default 10.
    pub report_every_min: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            model: String::new(),
            output: PathBuf::from("run"),
            device: None,
            replicas: Vec::new(),
            lora: None,
            quantise: None,
            data: DataSettings::default(),
            training: TrainConfig::default(),
            monitor: MonitorSettings::default(),
        }
    }
}

impl Default for MonitorSettings {
    fn default() -> Self {
        Self { title: None, tensorboard: true, report: true, report_every_min: 10.0 }
    }
}

impl Settings {
    /// Reads a file and changes what `changes`, `key=value` each, say; a value that is no TOML is text.
    ///
    /// # Errors
    /// A file that cannot be read, a key that there is not, a value of the wrong type: with file and place.
    pub fn read(path: &Path, changes: &[String]) -> Result<Self, Failure> {
        let text = fs::read_to_string(path).map_err(|source| Failure::File { path: path.to_owned(), source })?;
        let refused = |source: toml::de::Error| Failure::Settings { path: path.to_owned(), source: source.into() };
        // For errors that name the line, before anything is changed.
        let unchanged: Self = toml::from_str(&text).map_err(refused)?;
        if changes.is_empty() {
            return Ok(unchanged);
        }
        let mut table: Table = toml::from_str(&text).map_err(refused)?;
        for change in changes {
            set(&mut table, change)?;
        }
        let changed = Table::try_into(table);
        changed.map_err(|source: toml::de::Error| Failure::Changed { source: source.into() })
    }

    /// The settings as a file, every default filled in.
    ///
    /// # Errors
    /// A value that TOML cannot write, such as a number over 2^63.
    pub fn to_toml(&self) -> Result<String, Failure> {
        toml::to_string(self).map_err(|source| Failure::Unwritable { source: source.into() })
    }

    /// Refuses what is missing or out of range.
    ///
    /// # Errors
    /// [`Failure::Missing`], and those of the training's settings.
    pub fn validate(&self) -> Result<(), Failure> {
        let missing = |key, hint| Err(Failure::Missing { key, hint });
        if self.model.is_empty() {
            return missing("model", "a checkpoint directory or `org/name` of the Hugging Face hub");
        }
        if self.data.train.is_empty() {
            return missing("data.train", "files of rows, such as [\"pairs.jsonl\"]");
        }
        if self.quantise.is_some() && self.lora.is_none() {
            let range = "absent without `lora`: quantised weights do not learn";
            return Err(Failure::Range { key: "quantise", value: "set".to_owned(), range });
        }
        let share = self.data.evaluate_share;
        if !(0.0..1.0).contains(&share) {
            return Err(Failure::Range { key: "data.evaluate_share", value: share.to_string(), range: "in [0, 1)" });
        }
        if share > 0.0 && !self.data.evaluate.is_empty() {
            let value = share.to_string();
            return Err(Failure::Range {
                key: "data.evaluate_share",
                value,
                range: "0 where `data.evaluate` has files",
            });
        }
        let minutes = self.monitor.report_every_min;
        if !(minutes.is_finite() && minutes > 0.0) {
            return Err(Failure::Range {
                key: "monitor.report_every_min",
                value: minutes.to_string(),
                range: "over 0",
            });
        }
        Ok(self.training.validate()?)
    }

    /// Where tokenised rows are kept.
    pub fn cache(&self) -> PathBuf {
        self.data.cache.clone().unwrap_or_else(|| self.output.join("data"))
    }

    /// What the report calls the run.
    pub fn title(&self) -> String {
        let default = || format!("{} from {}", self.training.objective.name(), self.model);
        self.monitor.title.clone().unwrap_or_else(default)
    }
}

/// Puts one `key=value` into a table, making the tables on the way.
fn set(table: &mut Table, change: &str) -> Result<(), Failure> {
    let refused = |reason: &str| Failure::Change { change: change.to_owned(), reason: reason.to_owned() };
    let (key, value) = change.split_once('=').ok_or_else(|| refused("it is not of the form key=value"))?;
    let (key, value) = (key.trim(), value.trim());
    let parsed = toml::from_str::<Table>(&format!("value = {value}")).ok().and_then(|mut table| table.remove("value"));
    let value = parsed.unwrap_or_else(|| Value::String(value.to_owned()));
    let mut parts: Vec<&str> = key.split('.').collect();
    let last = parts.pop().filter(|last| !last.is_empty()).ok_or_else(|| refused("it names no key"))?;
    let mut place = table;
    for part in parts {
        let inner = place.entry(part.to_owned()).or_insert_with(|| Value::Table(Table::new()));
        place = inner.as_table_mut().ok_or_else(|| refused(&format!("`{part}` holds a value and no keys")))?;
    }
    place.insert(last.to_owned(), value);
    Ok(())
}
