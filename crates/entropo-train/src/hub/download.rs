//! One file, from the hub into the cache.
//!
//! hf-hub streams the bytes: it knows URLs, redirects, tokens (which it does not send to other hosts) and which
//! answers are worth another try. On top comes what it lacks: a partial file that a later attempt continues, the check
//! of size and hash before the file gets a name, and patience with connections that break in the middle.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::StreamExt;
use hf_hub::{HFRepository, RepoTypeModel};

use super::asked::Asked;
use super::cache::RepositoryCache;
use super::object::{ContentHash, Entry};
use super::{HubError, OnProgress, Progress};

/// How long the hub may be silent.
pub(super) const SILENCE: Duration = Duration::from_secs(60);
/// How often a file may fail in a row without bringing a byte.
const FAILURES: u32 = 5;
/// The wait after the first failure; it doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// Bytes that are read at once from a partial file.
const BUFFER: usize = 1 << 20;

/// Downloads of one commit.
pub(super) struct Download<'a> {
    pub(super) repository: &'a HFRepository<RepoTypeModel>,
    pub(super) commit: &'a str,
    pub(super) cache: &'a RepositoryCache,
    pub(super) asked: Asked<'a>,
    pub(super) on_progress: Option<&'a OnProgress>,
}

impl Download<'_> {
    /// Makes a file part of the commit's snapshot, downloading what the cache lacks of it.
    pub(super) async fn file(&self, entry: &Entry) -> Result<(), HubError> {
        if !self.cache.holds(self.commit, entry) {
            let blob = match self.cache.blob(entry) {
                Some(blob) => blob,
                None => self.blob(entry).await?,
            };
            self.cache.link(self.commit, entry, &blob)?;
        }
        self.report(entry, entry.size);
        Ok(())
    }

    /// Brings a content into the cache; returns its name there.
    async fn blob(&self, entry: &Entry) -> Result<String, HubError> {
        let mut partial = Partial::open(self.cache.partial_path(entry), entry.clone()).await?;
        if let Some(blob) = self.cache.blob(entry) {
            return Ok(blob); // Another process had the lock, and finished.
        }
        let continued = partial.length > 0;
        let mut checked = self.content(entry, &mut partial).await;
        if continued && matches!(&checked, Err(error) if error.is_wrong_content()) {
            tracing::warn!(file = entry.path, "the partial download did not fit; starting again");
            partial.clear()?;
            checked = self.content(entry, &mut partial).await;
        }
        match checked {
            Ok(blob) => {
                partial.keep(self.cache.blob_path(&blob)).await?;
                Ok(blob)
            }
            Err(error) => {
                if error.is_wrong_content() {
                    partial.clear()?;
                }
                Err(error)
            }
        }
    }

    /// Downloads until the content is whole, and checks it; returns its name.
    async fn content(&self, entry: &Entry, partial: &mut Partial) -> Result<String, HubError> {
        let mut failures = 0;
        while partial.length < entry.size {
            let before = partial.length;
            let error = match self.stream(entry, partial).await {
                Ok(()) if partial.length > before => continue,
                // The hub's file ends here, though the list says that it is longer.
                Ok(()) | Err(HubError::Server { status: 416, .. }) => return Err(partial.wrong_size()),
                Err(error @ HubError::Network { .. }) => error,
                Err(error) => return Err(error),
            };
            failures = if partial.length > before { 0 } else { failures + 1 };
            if failures == FAILURES {
                return Err(error);
            }
            tracing::warn!(file = entry.path, done = partial.length, %error, "continuing the download");
            tokio::time::sleep(FIRST_WAIT * 2_u32.saturating_pow(failures)).await;
        }
        partial.check()
    }

    /// One request for what is missing.
    async fn stream(&self, entry: &Entry, partial: &mut Partial) -> Result<(), HubError> {
        let asked = Asked { file: Some(&entry.path), ..self.asked };
        let silent = |_| asked.broken(format!("silent for {} s", SILENCE.as_secs()));
        let rest = (partial.length > 0).then_some(partial.length..entry.size);
        let request = self.repository.download_file_stream().filename(&entry.path).revision(self.commit);
        let request = request.maybe_range(rest).send();
        let (_, mut body) =
            tokio::time::timeout(SILENCE, request).await.map_err(silent)?.map_err(|error| asked.error(error))?;
        while let Some(bytes) = tokio::time::timeout(SILENCE, body.next()).await.map_err(silent)? {
            partial.append(&bytes.map_err(|error| asked.error(error))?)?;
            self.report(entry, partial.length);
        }
        Ok(())
    }

    fn report(&self, entry: &Entry, done: u64) {
        if let Some(on_progress) = self.on_progress {
            on_progress(Progress { file: &entry.path, done, total: entry.size });
        }
    }
}

/// A content that is not whole yet, locked against other processes that want the same.
struct Partial {
    entry: Entry,
    path: PathBuf,
    file: File,
    /// Bytes that are there.
    length: u64,
    /// Their hash.
    hash: ContentHash,
}

impl Partial {
    /// Opens what an earlier attempt left, or starts anew. Waits for others who write the same file.
    async fn open(path: PathBuf, entry: Entry) -> Result<Self, HubError> {
        let shown = path.clone();
        off_the_runtime(&shown, entry.size, move || Self::open_blocking(path, entry)).await
    }

    fn open_blocking(path: PathBuf, entry: Entry) -> std::io::Result<Self> {
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
        file.lock()?;
        let (mut hash, mut length) = (ContentHash::new(&entry), 0);
        let mut buffer = vec![0; BUFFER];
        loop {
            let count = file.read(&mut buffer)?;
            if count == 0 {
                break Ok(Self { entry, path, file, length, hash });
            }
            hash.update(buffer.get(..count).unwrap_or_default());
            length += count as u64;
        }
    }

    /// Adds what came. A few kilobytes at a time go to the system's cache, which is quicker than handing them to a
    /// thread.
    fn append(&mut self, bytes: &[u8]) -> Result<(), HubError> {
        if self.length + bytes.len() as u64 > self.entry.size {
            self.length += bytes.len() as u64;
            return Err(self.wrong_size());
        }
        self.file.write_all(bytes).map_err(|source| HubError::write(&self.path, self.entry.size, source))?;
        self.hash.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Whether the content is the one that the repository lists; returns its name in the cache.
    fn check(&self) -> Result<String, HubError> {
        if self.length != self.entry.size {
            return Err(self.wrong_size());
        }
        let name = self.hash.clone().finish(self.length);
        if name.object == self.entry.object {
            return Ok(name.blob);
        }
        let Entry { path, object, .. } = &self.entry;
        Err(HubError::Checksum { file: path.clone(), expected: object.clone(), found: name.object })
    }

    /// Forgets what is there. The file stays: others may wait for its lock.
    fn clear(&mut self) -> Result<(), HubError> {
        self.length = 0;
        self.hash = ContentHash::new(&self.entry);
        let empty = self.file.set_len(0).and_then(|()| self.file.seek(SeekFrom::Start(0)));
        empty.map(drop).map_err(|source| HubError::io(&self.path, source))
    }

    /// Gives the whole content its name.
    async fn keep(self, blob: PathBuf) -> Result<(), HubError> {
        let (shown, size) = (blob.clone(), self.entry.size);
        off_the_runtime(&shown, size, move || {
            self.file.sync_all()?;
            std::fs::rename(&self.path, &blob)
        })
        .await
    }

    fn wrong_size(&self) -> HubError {
        HubError::Size { file: self.entry.path.clone(), expected: self.entry.size, found: self.length }
    }
}

/// Runs what may take long with a file of `size` bytes where it does not hold up other tasks.
async fn off_the_runtime<T: Send + 'static>(
    path: &Path,
    size: u64,
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, HubError> {
    let done = tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other);
    done.flatten().map_err(|source| HubError::write(path, size, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_told_apart() {
        let entry = Entry { path: "model.safetensors".into(), size: 9, object: String::new(), is_pointer: false };
        let hash = ContentHash::new(&entry);
        let path = PathBuf::from("/dev/full");
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        let error = Partial { entry, path, file, length: 0, hash }.append(b"too much").unwrap_err();
        assert!(matches!(error, HubError::DiskFull { size: 9, .. }), "{error}");
    }
}
