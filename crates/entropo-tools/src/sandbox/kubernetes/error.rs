//! What goes wrong between here and the pod.

use std::io;

use crate::sandbox::{SandboxError, SandboxKind};

/// Why something could not be done with a pod.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PodError {
    /// The cluster refused, or could not be reached.
    #[error(transparent)]
    Cluster(#[from] kube::Error),
    /// The cluster did not answer in time.
    #[error("the cluster did not answer within {0} s; see `PodOptions::request_timeout`")]
    NoAnswer(f64),
    /// The pod will not run.
    #[error("the pod cannot start: {0}")]
    Hopeless(String),
    /// The pod did not run in time.
    #[error("the pod did not start within {seconds} s; last seen: {state}")]
    Late {
        /// How long was waited.
        seconds: f64,
        /// What its status said last.
        state: String,
    },
    /// A helper of the sandbox took too long.
    #[error("`{program}` in the pod took longer than {seconds} s; see `PodOptions::transfer_timeout`")]
    Slow {
        /// What was run.
        program: &'static str,
        /// How long was waited.
        seconds: f64,
    },
    /// A helper of the sandbox failed in the pod.
    #[error("`{program}` failed in the pod ({status}): {message}")]
    Helper {
        /// What was run.
        program: &'static str,
        /// How it ended.
        status: String,
        /// The beginning of what it printed.
        message: String,
    },
    /// The workspace in the pod is too large.
    #[error("the workspace in the pod is larger than {0} bytes; see `PodOptions::archive_limit`")]
    TooLarge(u64),
    /// A file could not be read or written, or the connection broke.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl PodError {
    /// The same as an error of a sandbox that tried to do something.
    pub(super) fn when(self, action: impl Into<String>) -> SandboxError {
        SandboxError::Engine { kind: SandboxKind::Kubernetes, action: action.into(), source: Box::new(self) }
    }
}
