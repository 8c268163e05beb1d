//! What every test starts from: a hub with reference checkpoints, and an empty cache.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use entropo_train::hub::{HubError, HubOptions, resolve};
use tempfile::TempDir;

use crate::server::{Hub, Repository, Seen};

pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
pub(crate) const LATER: &str = "89abcdef0123456789abcdef0123456789abcdef";
pub(crate) const WEIGHTS: &str = "model.safetensors";
pub(crate) const SECRET: &str = "hf_aVerySecretToken";

/// The files of a reference checkpoint.
pub(crate) fn checkpoint(model: &str) -> BTreeMap<String, Vec<u8>> {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/models");
    let directory = models.join(model).join("checkpoint");
    let files = std::fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    files.map(|file| file.unwrap().path()).map(|path| (name(&path), std::fs::read(&path).unwrap())).collect()
}

pub(crate) fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

pub(crate) fn repository(model: &str) -> Repository {
    Repository {
        id: format!("org/{model}"),
        commit: COMMIT.into(),
        revisions: vec!["main".into()],
        files: checkpoint(model),
        token: None,
    }
}

/// A hub and a client's options for it, with an empty cache.
pub(crate) struct Place {
    pub(crate) hub: Hub,
    pub(crate) cache: TempDir,
}

impl Place {
    pub(crate) fn new(repositories: impl IntoIterator<Item = Repository>) -> Self {
        Self { hub: Hub::start(repositories), cache: TempDir::new().unwrap() }
    }

    pub(crate) fn options(&self) -> HubOptions {
        let (endpoint, cache) = (Some(self.hub.url.clone()), Some(self.cache.path().into()));
        HubOptions { endpoint, cache, offline: Some(false), ..HubOptions::default() }
    }

    pub(crate) async fn resolve(&self, name: &str) -> Result<PathBuf, HubError> {
        resolve(name, &self.options()).await
    }

    pub(crate) async fn refused(&self, name: &str) -> HubError {
        self.resolve(name).await.unwrap_err()
    }

    pub(crate) fn blobs(&self, model: &str) -> BTreeSet<String> {
        let Ok(blobs) = std::fs::read_dir(self.cache.path().join(format!("models--org--{model}/blobs"))) else {
            return BTreeSet::new();
        };
        blobs.map(|file| name(&file.unwrap().path())).collect()
    }
}

pub(crate) fn bodies(seen: &[Seen]) -> BTreeSet<String> {
    let asked = seen.iter().filter(|seen| seen.method == "GET" && seen.path.contains("/resolve/"));
    asked.map(|seen| seen.path.rsplit_once("/resolve/").unwrap().1.split_once('/').unwrap().1.to_owned()).collect()
}

pub(crate) fn assert_files(directory: &Path, expected: &BTreeMap<String, Vec<u8>>) {
    let found: BTreeMap<_, _> = std::fs::read_dir(directory)
        .unwrap()
        .map(|file| file.unwrap().path())
        .map(|path| (name(&path), std::fs::read(&path).unwrap()))
        .collect();
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    assert!(found == *expected);
}
