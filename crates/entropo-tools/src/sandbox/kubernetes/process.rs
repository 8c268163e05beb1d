//! One command in the pod.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status as RemoteStatus;
use kube::api::AttachedProcess;
use tokio::io::AsyncWrite;
use tokio::time;

use super::remote::{self, Remote};
use super::scripts;
use crate::sandbox::process::{Control, Signal};
use crate::sandbox::{Process, Status};

/// How long a killed command may take to be gone.
const KILL_TIME: Duration = Duration::from_secs(10);

/// Signals and ends a command in a pod.
pub(super) struct PodControl {
    remote: Arc<Remote>,
    mark: u64,
    /// The connection, which lives as long as this.
    connection: Option<AttachedProcess>,
    end: Mutex<End>,
    killed: bool,
}

enum End {
    Awaited(BoxFuture<'static, Option<RemoteStatus>>),
    Known(Status),
    /// The connection ended without it.
    Lost(String),
}

impl PodControl {
    /// A command that was started with its streams connected.
    pub(super) fn process(remote: Arc<Remote>, mark: u64, mut connection: AttachedProcess) -> Process {
        let input = connection.stdin().map(|inner| Box::new(Stdin { inner }) as _);
        let output: Box<dyn tokio::io::AsyncRead + Send + Unpin> = match connection.stdout() {
            Some(output) => Box::new(output),
            None => Box::new(tokio::io::empty()),
        };
        let end = connection.take_status().map_or_else(|| std::future::ready(None).boxed(), FutureExt::boxed);
        let end = Mutex::new(End::Awaited(end));
        Process {
            input,
            output,
            control: Box::new(Self { remote, mark, connection: Some(connection), end, killed: false }),
        }
    }

    /// Whether nobody is left: the script that started the command kills them before it exits, unless it was killed too.
    fn is_over(&mut self) -> bool {
        matches!(self.end(), End::Known(Status::Exited(_)))
    }

    fn end(&mut self) -> &mut End {
        self.end.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

async fn send(remote: &Remote, mark: u64, signal: &str) -> io::Result<()> {
    let arguments = [mark.to_string(), signal.to_owned()];
    let (script, mut nowhere) = (scripts::signal(), tokio::io::sink());
    let sent = remote.help("kill", &script, arguments, None, &mut nowhere);
    match time::timeout(KILL_TIME, sent).await {
        Ok(sent) => sent.map_err(io::Error::other),
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the pod did not signal the command within 10 s")),
    }
}

#[async_trait]
impl Control for PodControl {
    async fn wait(&mut self) -> io::Result<Status> {
        let end = self.end();
        if let End::Awaited(status) = end {
            *end = match remote::ended(status.await) {
                Ok(status) => End::Known(status),
                Err(error) => End::Lost(error.to_string()),
            };
        }
        match end {
            End::Known(status) => Ok(*status),
            End::Lost(reason) => Err(io::Error::new(io::ErrorKind::ConnectionAborted, reason.clone())),
            End::Awaited(_) => Err(io::Error::other("the end of the command is not known")),
        }
    }

    async fn signal(&mut self, signal: Signal) -> io::Result<()> {
        // `kill` of a shell wants names without `SIG`.
        let name = signal.as_str();
        send(&self.remote, self.mark, name.strip_prefix("SIG").unwrap_or(name)).await
    }

    async fn kill(&mut self) -> io::Result<()> {
        if self.killed {
            return Ok(());
        }
        if !self.is_over() {
            send(&self.remote, self.mark, "KILL").await?;
        }
        self.killed = true;
        Ok(())
    }
}

impl Drop for PodControl {
    fn drop(&mut self) {
        if self.killed || self.is_over() {
            return;
        }
        let (remote, mark, connection) = (Arc::clone(&self.remote), self.mark, self.connection.take());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) = send(&remote, mark, "KILL").await {
                    tracing::warn!(%error, "a command in a pod may be left");
                }
                drop(connection);
            });
        }
    }
}

/// Input of a command: dropping it is the end of the input.
struct Stdin<W: AsyncWrite + Unpin> {
    inner: W,
}

impl<W: AsyncWrite + Unpin> AsyncWrite for Stdin<W> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

impl<W: AsyncWrite + Unpin> Drop for Stdin<W> {
    fn drop(&mut self) {
        // A pipe in memory shuts down at once.
        let _ = Pin::new(&mut self.inner).poll_shutdown(&mut Context::from_waker(Waker::noop()));
    }
}
