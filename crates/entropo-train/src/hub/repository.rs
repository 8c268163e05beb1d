//! One revision of one repository: what it lists, and what the cache has of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use futures::{StreamExt, TryStreamExt};
use hf_hub::repository::RepoTreeEntry;
use hf_hub::{HFClient, HFRepository, RepoTypeModel};

use super::asked::{Asked, without_secrets};
use super::cache::RepositoryCache;
use super::download::{Download, SILENCE};
use super::name::{is_object_id, stays_inside};
use super::object::Entry;
use super::{HubError, HubOptions, OnProgress, Token, files};
use crate::checkpoint::{CONFIG, INDEX, Index};

/// Files that are downloaded at the same time.
const AT_ONCE: usize = 4;

/// One revision of one repository.
pub(super) struct Repository {
    id: String,
    revision: String,
    client: HFClient,
    handle: HFRepository<RepoTypeModel>,
    cache: RepositoryCache,
    token: Option<Token>,
    on_progress: Option<OnProgress>,
}

/// A repository's files by their paths.
type Listing = BTreeMap<String, Entry>;

impl Repository {
    pub(super) fn new(id: String, revision: String, options: &HubOptions) -> Result<Self, HubError> {
        let token = options.token.clone().or_else(Token::from_environment);
        let mut builder = HFClient::builder().user_agent(concat!("entropo/", env!("CARGO_PKG_VERSION")));
        if let Some(token) = &token {
            builder = builder.token(token.expose());
        }
        if let Some(endpoint) = &options.endpoint {
            builder = builder.endpoint(endpoint);
        }
        if let Some(cache) = &options.cache {
            builder = builder.cache_dir(cache);
        }
        let client = builder.build().map_err(|error| {
            let endpoint = options.endpoint.clone().or_else(|| std::env::var("HF_ENDPOINT").ok()).unwrap_or_default();
            HubError::Endpoint { endpoint: without_secrets(&endpoint), reason: error.to_string() }
        })?;
        let (owner, name) = hf_hub::split_id(&id);
        Ok(Self {
            handle: client.model(owner, name),
            cache: RepositoryCache::new(client.cache_dir(), &id),
            on_progress: options.on_progress.clone(),
            id,
            revision,
            client,
            token,
        })
    }

    /// The directory of the revision's files, those that are missing downloaded first.
    pub(super) async fn download(&self) -> Result<PathBuf, HubError> {
        let commit = self.commit().await?;
        let listing = self.listing(&commit).await?;
        let download = Download {
            repository: &self.handle,
            commit: &commit,
            cache: &self.cache,
            asked: self.asked(),
            on_progress: self.on_progress.as_ref(),
        };
        let has = |name: &str| listing.contains_key(name);
        let weights = files::weights(has).ok_or_else(|| self.without_weights(&listing))?;
        let first = [CONFIG, weights].into_iter().chain(files::companions(has));
        self.fetch(&download, &listing, first).await?;
        let directory = self.cache.snapshot(&commit);
        if weights == INDEX {
            let shards = read_shards(&directory)?;
            self.fetch(&download, &listing, shards.iter().map(String::as_str)).await?;
        }
        self.cache.set_commit(&self.revision, &commit)?;
        Ok(directory)
    }

    /// The directory of the revision's files, if the cache has them all.
    pub(super) fn cached(&self) -> Result<PathBuf, HubError> {
        let missing = |missing: String| HubError::Offline {
            repository: self.id.clone(),
            revision: self.revision.clone(),
            cache: self.client.cache_dir().to_owned(),
            missing,
        };
        let commit = self.cache.commit(&self.revision).ok_or_else(|| missing("it was never downloaded".to_owned()))?;
        let directory = self.cache.snapshot(&commit);
        let has = |name: &str| directory.join(name).is_file();
        let weights = files::weights(has).ok_or_else(|| missing("safetensors weights are missing".to_owned()))?;
        let mut needed = BTreeSet::from([CONFIG.to_owned()]);
        if weights == INDEX {
            needed.extend(read_shards(&directory)?);
        }
        let absent: Vec<String> = needed.into_iter().filter(|name| !has(name)).collect();
        if absent.is_empty() { Ok(directory) } else { Err(missing(format!("{} missing", absent.join(", ")))) }
    }

    /// The commit that the revision means now.
    async fn commit(&self) -> Result<String, HubError> {
        if is_object_id(&self.revision) {
            return Ok(self.revision.clone());
        }
        let request = self.handle.info().revision(&self.revision).expand(vec!["sha".to_owned()]).send();
        let info = self.patiently(request).await?.map_err(|error| self.asked().error(error))?;
        let commit = info.sha.unwrap_or_default();
        if is_object_id(&commit) { Ok(commit) } else { Err(self.asked().nonsense(format!("`{commit}` is no commit"))) }
    }

    /// Every file of a commit.
    async fn listing(&self, commit: &str) -> Result<Listing, HubError> {
        let asked = self.asked();
        let pages = self.handle.list_tree().revision(commit).recursive(true).send();
        let mut pages = std::pin::pin!(pages.map_err(|error| asked.error(error))?);
        let mut listing = Listing::new();
        while let Some(entry) = self.patiently(pages.next()).await? {
            let RepoTreeEntry::File { oid, size, path, lfs, .. } = entry.map_err(|error| asked.error(error))? else {
                continue;
            };
            // Git has no such paths, so this is no repository.
            if !stays_inside(&path) {
                return Err(HubError::UnsafeName { name: path });
            }
            if !is_object_id(&oid) {
                return Err(asked.nonsense(format!("`{oid}` is no git object id of {path}")));
            }
            listing.insert(path.clone(), Entry { path, size, object: oid, is_pointer: lfs.is_some() });
        }
        Ok(listing)
    }

    /// Downloads files by their names.
    async fn fetch<'a>(
        &self,
        download: &Download<'_>,
        listing: &Listing,
        names: impl Iterator<Item = &'a str>,
    ) -> Result<(), HubError> {
        let mut entries = Vec::new();
        for name in names {
            entries.push(listing.get(name).ok_or_else(|| self.without_file(name))?);
        }
        let files: Vec<_> = entries.into_iter().map(|entry| download.file(entry)).collect();
        futures::stream::iter(files).buffer_unordered(AT_ONCE).try_collect().await
    }

    /// Waits as long as the hub may be silent.
    async fn patiently<T>(&self, request: impl Future<Output = T>) -> Result<T, HubError> {
        let answer = tokio::time::timeout(SILENCE, request).await;
        answer.map_err(|_| self.asked().broken(format!("silent for {} s", SILENCE.as_secs())))
    }

    fn asked(&self) -> Asked<'_> {
        Asked {
            repository: &self.id,
            revision: &self.revision,
            file: None,
            endpoint: self.client.endpoint(),
            token: self.token.as_ref(),
        }
    }

    fn without_file(&self, file: impl Into<String>) -> HubError {
        HubError::File { repository: self.id.clone(), revision: self.revision.clone(), file: file.into() }
    }

    fn without_weights(&self, listing: &Listing) -> HubError {
        let others = [".safetensors", ".bin", ".gguf", ".pth", ".pt"];
        let is_weights = |name: &&String| others.iter().any(|ending| name.ends_with(ending));
        let found: Vec<&str> = listing.keys().filter(is_weights).map(String::as_str).take(3).collect();
        let hint = if found.is_empty() { String::new() } else { format!(" (only {})", found.join(", ")) };
        self.without_file(format!("model.safetensors or {}{hint}", INDEX))
    }
}

/// The shards that a snapshot's index names.
fn read_shards(directory: &Path) -> Result<BTreeSet<String>, HubError> {
    let path = directory.join(INDEX);
    let text = std::fs::read(&path).map_err(|source| HubError::io(&path, source))?;
    let index = Index::parse(&text).map_err(|reason| HubError::Index { path, reason })?;
    Ok(index.shards().into_keys().map(str::to_owned).collect())
}
