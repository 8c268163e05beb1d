//! The cache that all Hugging Face tools share.
//!
//! `$HF_HOME/hub/models--org--name` holds each content once under its hash (`blobs`), a directory of links for each
//! commit (`snapshots`), and the commit of each branch or tag (`refs`). hf-hub 1.0 writes the same layout, but only
//! through a download that cannot continue, does not look at the status or length of the body, and joins the server's
//! names to paths unchecked; so the writing is done here, and a blob gets its name only after its content was checked.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::HubError;
use super::name::is_object_id;
use super::object::{Entry, pointer_object};

/// The part of the cache that belongs to one repository.
#[derive(Debug, Clone)]
pub(super) struct RepositoryCache {
    root: PathBuf,
}

impl RepositoryCache {
    pub(super) fn new(cache: &Path, repository: &str) -> Self {
        Self { root: cache.join(format!("models--{}", repository.replace('/', "--"))) }
    }

    /// The commit that a revision meant when it was last downloaded.
    pub(super) fn commit(&self, revision: &str) -> Option<String> {
        if is_object_id(revision) {
            return Some(revision.to_owned());
        }
        let commit = std::fs::read_to_string(self.root.join("refs").join(revision)).ok()?.trim().to_owned();
        is_object_id(&commit).then_some(commit)
    }

    /// Remembers the commit of a branch or tag.
    pub(super) fn set_commit(&self, revision: &str, commit: &str) -> Result<(), HubError> {
        if is_object_id(revision) {
            return Ok(());
        }
        let path = self.root.join("refs").join(revision);
        let directory = path.parent().unwrap_or(&self.root);
        let write = || {
            std::fs::create_dir_all(directory)?;
            let create = |path: &Path| std::fs::OpenOptions::new().write(true).create_new(true).open(path);
            let mut file = tempfile::Builder::new().prefix(".entropo-").make_in(directory, create)?;
            file.write_all(commit.as_bytes())?;
            file.persist(&path).map_err(|error| error.error)
        };
        write().map(drop).map_err(|source| HubError::write(&path, commit.len() as u64, source))
    }

    /// The directory of a commit's files.
    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.root.join("snapshots").join(commit)
    }

    /// Whether a commit's file is there in full.
    pub(super) fn holds(&self, commit: &str, entry: &Entry) -> bool {
        has_size(&self.snapshot(commit).join(&entry.path), entry.size)
    }

    /// The blob with a file's content, if some revision already brought it. The list of a repository names the pointer
    /// of a large file, not its SHA-256, so that is found from the blobs: their names are the SHA-256.
    pub(super) fn blob(&self, entry: &Entry) -> Option<String> {
        let blobs = self.root.join("blobs");
        let is_whole = |name: &str| has_size(&blobs.join(name), entry.size);
        if !entry.is_pointer {
            return is_whole(&entry.object).then(|| entry.object.clone());
        }
        let names = std::fs::read_dir(&blobs).ok()?.flatten().filter_map(|file| file.file_name().into_string().ok());
        names
            .filter(|name| name.len() == 64)
            .find(|name| is_whole(name) && pointer_object(name, entry.size) == entry.object)
    }

    /// Where a blob lies.
    pub(super) fn blob_path(&self, blob: &str) -> PathBuf {
        self.root.join("blobs").join(blob)
    }

    /// Where a file's content grows until it is whole.
    pub(super) fn partial_path(&self, entry: &Entry) -> PathBuf {
        self.root.join("blobs").join(format!("{}.incomplete", entry.object))
    }

    /// Makes a blob a file of a commit. Checkpoints have all their files in the repository's root.
    pub(super) fn link(&self, commit: &str, entry: &Entry, blob: &str) -> Result<(), HubError> {
        let path = self.snapshot(commit).join(&entry.path);
        let write = || {
            std::fs::create_dir_all(self.snapshot(commit))?;
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            match self.point(&path, blob) {
                // Another process was quicker with the same link.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
                result => result,
            }
        };
        write().map_err(|source| HubError::write(&path, entry.size, source))
    }

    /// A relative link, so that the cache can be moved.
    #[cfg(unix)]
    fn point(&self, path: &Path, blob: &str) -> std::io::Result<()> {
        std::os::unix::fs::symlink(format!("../../blobs/{blob}"), path)
    }

    /// Links need a privilege on other systems.
    #[cfg(not(unix))]
    fn point(&self, path: &Path, blob: &str) -> std::io::Result<()> {
        let blob = self.blob_path(blob);
        std::fs::hard_link(&blob, path).or_else(|_| std::fs::copy(&blob, path).map(drop))
    }
}

fn has_size(path: &Path, size: u64) -> bool {
    path.metadata().is_ok_and(|file| file.is_file() && file.len() == size)
}
