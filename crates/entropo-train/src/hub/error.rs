//! Why a model cannot be had, and what to do about it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::checkpoint::IndexError;

/// Why a model's name could not be turned into a directory of files.
///
/// No message holds a token, a password or the query of a URL, which is where content delivery networks put
/// signatures.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// The name is neither a directory nor a repository id.
    #[error("`{name}` names no model: {tried}")]
    Name {
        /// The name.
        name: String,
        /// What was looked for.
        tried: String,
    },
    /// The hub's URL is none.
    #[error("`{endpoint}` is not the URL of a hub: {reason}; look at HF_ENDPOINT")]
    Endpoint {
        /// What was given for a URL.
        endpoint: String,
        /// What is wrong.
        reason: String,
    },
    /// The hub has no such repository, or does not say that it has it.
    #[error(
        "there is no directory `{repository}`, and the hub knows no such model ({url}); a private one is hidden from \
         those who may not read it: set HF_TOKEN if it is yours"
    )]
    Repository {
        /// `org/name`.
        repository: String,
        /// What was asked.
        url: String,
    },
    /// The repository has no such branch, tag or commit.
    #[error("{repository} has no revision `{revision}` ({url})")]
    Revision {
        /// `org/name`.
        repository: String,
        /// The branch, tag or commit.
        revision: String,
        /// What was asked.
        url: String,
    },
    /// A file that the checkpoint needs is not in the repository.
    #[error("{repository}@{revision} has no {file}, which a checkpoint needs")]
    File {
        /// `org/name`.
        repository: String,
        /// The branch, tag or commit.
        revision: String,
        /// The file, or what it might be called.
        file: String,
    },
    /// The repository is gated or private, and the token (if any) does not open it.
    #[error(
        "the hub refuses access to {repository} ({status} {reason}, {url}): accept the model's licence on its page if \
         it has one, and set HF_TOKEN to a token of that account that may read it"
    )]
    Unauthorised {
        /// `org/name`.
        repository: String,
        /// The HTTP status.
        status: u16,
        /// The hub's words.
        reason: String,
        /// What was asked.
        url: String,
    },
    /// The hub may not be asked, and the cache does not hold the model.
    #[error("{repository}@{revision} is not complete in {cache}, and the hub may not be asked (offline): {missing}")]
    Offline {
        /// `org/name`.
        repository: String,
        /// The branch, tag or commit.
        revision: String,
        /// The cache directory.
        cache: PathBuf,
        /// What is missing.
        missing: String,
    },
    /// The hub cannot be reached, or the connection broke and did not come back. What was downloaded is kept, and the
    /// next attempt continues there.
    #[error("{url}: {reason}; what was downloaded is kept, try again")]
    Network {
        /// What was asked.
        url: String,
        /// What happened.
        reason: String,
    },
    /// The hub answered with an error of its own.
    #[error("{url}: the hub answered {status} {reason}{}", wait(*.retry_after))]
    Server {
        /// What was asked.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The hub's words.
        reason: String,
        /// How long to wait, if the hub said so.
        retry_after: Option<Duration>,
    },
    /// The hub's answer is not what its protocol says.
    #[error("{url}: not an answer of a Hugging Face hub: {reason}")]
    Protocol {
        /// What was asked.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// No space is left for a file.
    #[error("no space left for {path}, which needs {size} bytes; free some, or point HF_HOME at another disk")]
    DiskFull {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
    },
    /// The cache cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A file's body has another size than the repository says. Nothing of it is kept.
    #[error("{file}: {found} bytes came, the repository says {expected}; a proxy or mirror may be at fault")]
    Size {
        /// The file.
        file: String,
        /// Bytes that the repository says.
        expected: u64,
        /// Bytes that came, at least.
        found: u64,
    },
    /// A file's content is not what the repository says. Nothing of it is kept.
    #[error("{file}: what came has git object id {found}, the repository says {expected}")]
    Checksum {
        /// The file.
        file: String,
        /// The id in the repository.
        expected: String,
        /// The id of what came.
        found: String,
    },
    /// A name that would lead out of the cache.
    #[error("`{name}` would lead out of the cache directory; nothing was downloaded")]
    UnsafeName {
        /// The name.
        name: String,
    },
    /// `model.safetensors.index.json` is unusable.
    #[error("{path}: {reason}")]
    Index {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: IndexError,
    },
}

impl HubError {
    pub(super) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }

    /// A failure to write a file of `size` bytes.
    pub(super) fn write(path: &Path, size: u64, source: std::io::Error) -> Self {
        match source.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                Self::DiskFull { path: path.to_owned(), size }
            }
            _ => Self::io(path, source),
        }
    }

    /// Whether the content that came is wrong, rather than the way it came.
    pub(super) fn is_wrong_content(&self) -> bool {
        matches!(self, Self::Size { .. } | Self::Checksum { .. })
    }
}

fn wait(retry_after: Option<Duration>) -> String {
    retry_after.map(|wait| format!("; try again in {} s", wait.as_secs())).unwrap_or_default()
}
