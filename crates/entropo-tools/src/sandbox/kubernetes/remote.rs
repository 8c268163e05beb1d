//! Starting programs in the pod.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status as RemoteStatus;
use kube::api::{Api, AttachParams, AttachedProcess};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time;

use super::cleanup;
use super::error::PodError;
use super::pod::CONTAINER;
use crate::sandbox::Status;

/// How much may lie between the connection and who reads or writes.
const BUFFER: usize = 64 << 10;
/// How much of a helper's complaints is kept.
const COMPLAINT: u64 = 1 << 10;

/// One pod, deleted when this is dropped.
#[derive(Debug)]
pub(super) struct Remote {
    pub(super) pods: Api<Pod>,
    pub(super) name: String,
    pub(super) request_timeout: Duration,
    pub(super) transfer_timeout: Duration,
    pub(super) closed: AtomicBool,
}

/// Which streams of a program are connected.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Streams {
    pub(super) input: bool,
    pub(super) errors: bool,
}

impl Remote {
    /// Starts a program; its standard output is always connected.
    pub(super) async fn start(&self, program: Vec<String>, streams: Streams) -> Result<AttachedProcess, PodError> {
        let parameters = AttachParams {
            container: Some(CONTAINER.to_owned()),
            stdin: streams.input,
            stderr: streams.errors,
            max_stdin_buf_size: Some(BUFFER),
            max_stdout_buf_size: Some(BUFFER),
            max_stderr_buf_size: Some(BUFFER),
            ..AttachParams::default()
        };
        let started = time::timeout(self.request_timeout, self.pods.exec(&self.name, program, &parameters)).await;
        Ok(started.map_err(|_| PodError::NoAnswer(self.request_timeout.as_secs_f64()))??)
    }

    /// Runs a script of the sandbox's own to its end.
    pub(super) async fn help(
        &self,
        what: &'static str,
        script: &str,
        arguments: impl IntoIterator<Item = String>,
        input: Option<&mut (dyn AsyncRead + Send + Unpin)>,
        output: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<(), PodError> {
        let program = ["sh", "-c", script, "sh"].map(str::to_owned).into_iter().chain(arguments).collect();
        let helped = time::timeout(self.transfer_timeout, self.talk(what, program, input, output)).await;
        helped.unwrap_or_else(|_| Err(PodError::Slow { program: what, seconds: self.transfer_timeout.as_secs_f64() }))
    }

    async fn talk(
        &self,
        what: &'static str,
        program: Vec<String>,
        input: Option<&mut (dyn AsyncRead + Send + Unpin)>,
        output: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<(), PodError> {
        let mut process = self.start(program, Streams { input: input.is_some(), errors: true }).await?;
        let (stdin, stdout, stderr) = (process.stdin(), process.stdout(), process.stderr());
        let status = process.take_status();
        let feed = async {
            if let (Some(input), Some(mut stdin)) = (input, stdin) {
                copy(input, &mut stdin).await?;
                // It is not closed: that would end the connection to a server of Kubernetes before 1.30. The script knows
                // how much it is to read.
                std::future::pending().await
            }
            Ok::<(), PodError>(())
        };
        let take = async {
            match stdout {
                Some(mut stdout) => copy(&mut stdout, output).await,
                None => Ok(()),
            }
        };
        let complaint = async {
            let mut kept = Vec::new();
            if let Some(mut stderr) = stderr {
                (&mut stderr).take(COMPLAINT).read_to_end(&mut kept).await?;
                copy(&mut stderr, &mut tokio::io::sink()).await?;
            }
            Ok::<_, PodError>(kept)
        };
        let end = async {
            match status {
                Some(status) => Ok(ended(status.await)?),
                None => Err(PodError::Io(lost())),
            }
        };
        let read = async { tokio::try_join!(end, take, complaint) };
        tokio::pin!(feed, read);
        // A program may end without having read all.
        let (status, (), message) = tokio::select! {
            biased;
            read = &mut read => read?,
            fed = &mut feed => {
                fed?;
                read.await?
            }
        };
        if status.is_success() {
            return Ok(());
        }
        let message = String::from_utf8_lossy(&message).trim_end().to_owned();
        Err(PodError::Helper { program: what, status: format!("{status:?}"), message })
    }

    /// Deletes the pod. To do so again does nothing.
    pub(super) async fn delete(&self) -> Result<(), PodError> {
        cleanup::delete(&self.pods, &self.name, self.request_timeout).await?;
        self.closed.store(true, Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        if *self.closed.get_mut() {
            return;
        }
        let (pods, name, timeout) = (self.pods.clone(), std::mem::take(&mut self.name), self.request_timeout);
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(async move {
                if let Err(error) = cleanup::delete(&pods, &name, timeout).await {
                    tracing::warn!(pod = name, %error, "a pod is left until its deadline");
                }
            })),
            Err(_) => tracing::warn!(pod = name, "dropped outside a runtime; a pod is left until its deadline"),
        }
    }
}

/// How a program ended, as its connection's last message tells.
pub(super) fn ended(status: Option<RemoteStatus>) -> io::Result<Status> {
    let status = status.ok_or_else(lost)?;
    if status.status.as_deref() == Some("Success") {
        return Ok(Status::Exited(0));
    }
    let causes = status.details.and_then(|details| details.causes).unwrap_or_default();
    let code = causes.iter().find(|cause| cause.reason.as_deref() == Some("ExitCode"));
    let code = code.and_then(|cause| cause.message.as_deref()?.parse().ok());
    match code {
        Some(code) if status.reason.as_deref() == Some("NonZeroExitCode") => {
            Ok(Status::Exited(code).seen_through_monitor())
        }
        _ => Err(io::Error::other(status.message.unwrap_or_else(|| "the cluster did not say why".to_owned()))),
    }
}

/// Copies all; that nobody reads it any more shows elsewhere.
async fn copy(
    from: &mut (dyn AsyncRead + Send + Unpin),
    to: &mut (dyn AsyncWrite + Send + Unpin),
) -> Result<(), PodError> {
    match tokio::io::copy(from, to).await {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(to.flush().await?),
    }
}

fn lost() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the connection to the pod ended before the command did")
}
