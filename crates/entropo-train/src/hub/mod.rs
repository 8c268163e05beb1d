//! Models by name: a directory, or a repository of the Hugging Face hub.
//!
//! [`resolve`] turns what a user types into a directory that [`crate::checkpoint`] can load. A directory that exists
//! is taken as it is; `org/name` or `org/name@revision` is downloaded into the cache that Python's `huggingface_hub`
//! uses too, so that a model is on a disk once. Only the files of a safetensors checkpoint are fetched, never a
//! `.bin`, a `.gguf` or `original/`.
//!
//! What holds, whatever the network does:
//!
//! * A file appears in the cache whole and checked against its git object id, or not at all.
//! * A broken download continues where it stopped, in this call or in a later process.
//! * The token goes to the hub and to no other host, and is in no error, log line or `Debug` output.
//!
//! ```no_run
//! # async fn example() -> Result<(), entropo_train::hub::HubError> {
//! use entropo_train::hub::{HubOptions, Progress, resolve};
//!
//! // With indicatif: `bar.set_length(progress.total); bar.set_position(progress.done);`
//! let options = HubOptions::default().on_progress(|progress: Progress<'_>| {
//!     eprintln!("{}: {} of {} bytes", progress.file, progress.done, progress.total);
//! });
//! let directory = resolve("Qwen/Qwen2.5-0.5B-Instruct", &options).await?;
//! # Ok(())
//! # }
//! ```

mod asked;
mod cache;
mod download;
mod error;
mod files;
mod name;
mod object;
mod repository;
mod token;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

pub use error::HubError;
pub use token::Token;

use name::ModelName;
use repository::Repository;

/// How far one file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// Path in the repository, such as `model-00001-of-00004.safetensors`.
    pub file: &'a str,
    /// Bytes that are there, those of earlier attempts included. Falls back where those turn out to be wrong.
    pub done: u64,
    /// Bytes of the whole file.
    pub total: u64,
}

/// Told about every piece that comes, from any thread, and once about each file that was there already (`done` is then
/// `total`). Must be quick.
pub type OnProgress = Arc<dyn Fn(Progress<'_>) + Send + Sync>;

/// How to reach the hub. What is not set comes from the environment, as in Python's `huggingface_hub`.
#[derive(Clone, Default)]
pub struct HubOptions {
    /// Branch, tag or commit where the name has none; `main` unless set.
    pub revision: Option<String>,
    /// The access token; else `$HF_TOKEN`, `$HF_TOKEN_PATH` or `$HF_HOME/token`.
    pub token: Option<Token>,
    /// The hub's URL; else `$HF_ENDPOINT`, else `https://huggingface.co`.
    pub endpoint: Option<String>,
    /// The cache directory; else `$HF_HUB_CACHE`, else `$HF_HOME/hub`, else `~/.cache/huggingface/hub`.
    pub cache: Option<PathBuf>,
    /// Whether never to ask the hub and use what is cached; else as `$HF_HUB_OFFLINE` says.
    pub offline: Option<bool>,
    /// Told about every piece that comes.
    pub on_progress: Option<OnProgress>,
}

impl HubOptions {
    /// With a function that is told about every piece that comes.
    pub fn on_progress(mut self, tell: impl Fn(Progress<'_>) + Send + Sync + 'static) -> Self {
        self.on_progress = Some(Arc::new(tell));
        self
    }

    fn is_offline(&self) -> bool {
        let is_set = |name| std::env::var(name).is_ok_and(|value| is_yes(&value));
        self.offline.unwrap_or_else(|| is_set("HF_HUB_OFFLINE") || is_set("TRANSFORMERS_OFFLINE"))
    }
}

impl fmt::Debug for HubOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubOptions")
            .field("revision", &self.revision)
            .field("token", &self.token)
            .field("endpoint", &self.endpoint.as_deref().map(asked::without_secrets))
            .field("cache", &self.cache)
            .field("offline", &self.offline)
            .finish_non_exhaustive()
    }
}

/// The directory of a model's files: `config.json`, the safetensors weights (of shards those that the index names),
/// tokenizer, chat template and generation configuration as far as there are any.
///
/// `name` is a directory, `org/name` or `org/name@revision`; a directory that exists always wins. Where the hub cannot
/// be reached and the cache holds the model, the cached one is used and a warning logged.
///
/// # Errors
/// Any [`HubError`]; each says what to do. Nothing wrong or half enters the cache.
pub async fn resolve(name: &str, options: &HubOptions) -> Result<PathBuf, HubError> {
    let (id, revision) = match ModelName::parse(name)? {
        ModelName::Directory(directory) => return Ok(directory),
        ModelName::Repository { id, revision } => (id, revision),
    };
    let revision = revision.or_else(|| options.revision.clone()).unwrap_or_else(|| "main".to_owned());
    name::check_revision(&revision)?;
    let repository = Repository::new(id, revision, options)?;
    if options.is_offline() {
        return repository.cached();
    }
    match repository.download().await {
        Err(error @ HubError::Network { .. }) => {
            let Ok(directory) = repository.cached() else { return Err(error) };
            tracing::warn!(%error, directory = %directory.display(), "the hub cannot be reached; using the cache");
            Ok(directory)
        }
        result => result,
    }
}

/// What Python's `huggingface_hub` takes for yes.
fn is_yes(value: &str) -> bool {
    ["1", "on", "yes", "true"].contains(&value.to_ascii_lowercase().as_str())
}
