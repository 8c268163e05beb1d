//! Everything that can be known of a run without its weights.

use std::fs;
use std::path::{Path, PathBuf};

use entropo_train::checkpoint::{CONFIG, CheckpointError, Weights};
use entropo_train::data::{Dataset, Kind, Source};
use entropo_train::decoder::DecoderConfig;
use entropo_train::text::ChatFormat;
use indicatif::{ProgressBar, ProgressStyle};

use crate::failure::Failure;
use crate::settings::Settings;

/// A run that could start.
pub struct Plan {
    /// What was asked for.
    pub settings: Settings,
    /// The checkpoint's directory.
    pub model: PathBuf,
    /// Its shape.
    pub shape: DecoderConfig,
    /// The numbers in its tensors, by name.
    pub tensors: Vec<(String, u64)>,
    /// Examples to train on.
    pub train: Dataset,
    /// Examples to evaluate on.
    pub evaluate: Option<Dataset>,
}

impl Plan {
    /// Checks the settings and the model in `model`, and reads the data.
    ///
    /// # Errors
    /// Whatever is wrong with settings, model or data. Nothing but tokenised rows was written then.
    pub fn new(settings: Settings, model: &Path) -> Result<Self, Failure> {
        settings.validate()?;
        let shape = DecoderConfig::from_file(&model.join(CONFIG)).map_err(CheckpointError::from)?;
        let weights = Weights::open(model)?;
        let count = |shape: &[usize]| shape.iter().map(|size| *size as u64).product();
        let tensors = weights.tensors().map(|(name, shape, _)| (name.to_owned(), count(shape))).collect();
        // Rows of tokens need no tokenizer.
        let has_tokenizer = fs::exists(model.join("tokenizer.json")).unwrap_or(false);
        let chat = has_tokenizer.then(|| ChatFormat::from_dir(model)).transpose()?;
        let open = |files: &[PathBuf], what: &'static str| {
            let bar = bar(what, "{bytes}/{total_bytes}");
            let tell = |done, whole| {
                bar.set_length(whole);
                bar.set_position(done);
            };
            let builder = Dataset::of(files.iter().cloned(), Kind::of(&settings.training.objective))
                .config(settings.data.rows.clone())
                .context(shape.max_position_embeddings)
                .progress(tell);
            let builder = match &chat {
                Some(chat) => builder.chat(chat),
                None => builder,
            };
            let opened = builder.open(&settings.cache());
            bar.finish_and_clear();
            opened
        };
        let all = open(&settings.data.train, "training rows")?;
        let share = settings.data.evaluate_share;
        let (train, evaluate) = match settings.data.evaluate.as_slice() {
            [] if share > 0.0 => {
                let [train, evaluate] = all.split(share, settings.training.seed);
                (train, Some(evaluate).filter(|evaluate| !evaluate.is_empty()))
            }
            [] => (all, None),
            files => (all, Some(open(files, "evaluation rows")?)),
        };
        Ok(Self { settings, model: model.to_owned(), shape, tensors, train, evaluate })
    }

    /// The data in words.
    pub fn describe_data(&self) -> String {
        let mut words = format!("{}\n", self.train.report());
        match &self.evaluate {
            Some(held_out) if self.settings.data.evaluate.is_empty() => {
                let (train, held_out) = (self.train.len(), held_out.len());
                words += &format!("{train} examples to train on, {held_out} held out to evaluate on");
            }
            Some(evaluate) => words += &format!("to evaluate on:\n{}", evaluate.report()),
            None => words += "nothing to evaluate on",
        }
        words
    }
}

/// A bar on standard error, if that is a terminal.
pub(crate) fn bar(what: &'static str, counts: &str) -> ProgressBar {
    let template = format!("{{msg}} [{{wide_bar}}] {counts}, {{eta}} left");
    let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::no_length().with_style(style).with_message(what)
}
