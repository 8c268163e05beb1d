//! The workspace here and in the pod, kept the same.
//!
//! Tools work on the files here, commands on those in the pod. What changed here is sent before a command, as an archive of
//! the changed files; all that is in the pod is taken back after it, as an archive of everything, and compared. Both are
//! simple, need nothing but `tar` in the image, and cost what the workspace weighs.

mod archive;
mod manifest;
mod mirror;

use std::io::{self, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::fs::File;
use tokio::io::AsyncWrite;
use tokio::sync::Mutex;

use super::error::PodError;
use super::remote::Remote;
use manifest::Manifest;

const REMOVE: &str = r#"cd "$1" && head -c "$2" | xargs -0 rm -rf"#;
const UNPACK: &str = r#"mkdir -p "$1" && head -c "$2" | tar -C "$1" -xof -"#;
const PACK: &str = r#"tar -C "$1" -cf - ."#;

/// A workspace here and its copy in the pod.
#[derive(Debug)]
pub(super) struct Mirrored {
    local: PathBuf,
    remote: String,
    archive_limit: u64,
    /// What both had when they were last the same.
    known: Mutex<Manifest>,
}

impl Mirrored {
    pub(super) fn new(local: PathBuf, remote: &Path, archive_limit: u64) -> Self {
        let known = Mutex::new(Manifest::default());
        Self { local, remote: remote.to_string_lossy().into_owned(), archive_limit, known }
    }

    pub(super) fn local(&self) -> &Path {
        &self.local
    }

    /// Sends what changed here.
    pub(super) async fn send(&self, pod: &Remote) -> Result<(), PodError> {
        let mut known = self.known.lock().await;
        self.send_changes(pod, &mut known).await
    }

    /// Sends what changed here, so that it is not lost, and takes all that is in the pod.
    pub(super) async fn take(&self, pod: &Remote) -> Result<(), PodError> {
        let mut known = self.known.lock().await;
        self.send_changes(pod, &mut known).await?;
        let archive = tempfile::tempfile()?;
        let mut writer = Limited { file: File::from_std(archive.try_clone()?), room: self.archive_limit };
        let arguments = [self.remote.clone()];
        let packed = pod.help("tar", PACK, arguments, None, &mut writer).await;
        packed.map_err(|error| match error {
            PodError::Io(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                PodError::TooLarge(self.archive_limit)
            }
            other => other,
        })?;
        tokio::io::AsyncWriteExt::flush(&mut writer.file).await?;
        let local = self.local.clone();
        let fresh = blocking(move || {
            let staged = tempfile::tempdir()?;
            archive::unpack(rewound(archive)?, staged.path())?;
            mirror::mirror(staged.path(), &local)?;
            Manifest::of(&local)
        });
        *known = fresh.await?;
        Ok(())
    }

    async fn send_changes(&self, pod: &Remote, known: &mut Manifest) -> Result<(), PodError> {
        let local = self.local.clone();
        let fresh = blocking(move || Manifest::of(&local)).await?;
        let changes = fresh.since(known);
        if !changes.removed.is_empty() {
            let names = archive::names(&changes.removed);
            let arguments = [self.remote.clone(), names.len().to_string()];
            pod.help("rm", REMOVE, arguments, Some(&mut names.as_slice()), &mut tokio::io::sink()).await?;
        }
        if !changes.written.is_empty() {
            let local = self.local.clone();
            let (archive, size) = blocking(move || archive::pack(&local, &changes.written)).await?;
            let arguments = [self.remote.clone(), size.to_string()];
            let mut archive = File::from_std(archive);
            pod.help("tar", UNPACK, arguments, Some(&mut archive), &mut tokio::io::sink()).await?;
        }
        *known = fresh;
        Ok(())
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

fn rewound(mut file: std::fs::File) -> io::Result<std::fs::File> {
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

/// A file that takes so many bytes and no more.
struct Limited {
    file: File,
    room: u64,
}

impl AsyncWrite for Limited {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if bytes.len() as u64 > self.room {
            return Poll::Ready(Err(io::ErrorKind::FileTooLarge.into()));
        }
        let written = Pin::new(&mut self.file).poll_write(context, bytes);
        if let Poll::Ready(Ok(written)) = &written {
            self.room -= *written as u64;
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.file).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.file).poll_shutdown(context)
    }
}
