//! One run of tests on one candidate.

use std::path::Path;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::{Candidate, Check, ParseError, TestReport, text};
use crate::sandbox::{self, OutputLimit};
use crate::workspace::Original;
use crate::{Sandbox, SandboxError, Workspace, WorkspaceError};

/// Makes a sandbox around a workspace. Closures that do so at once are such too.
#[async_trait]
pub trait Sandboxes: Send + Sync + 'static {
    /// A new sandbox in which the files below `root` are.
    ///
    /// # Errors
    ///
    /// Where there is none to be had.
    async fn open(&self, root: &Path) -> Result<Box<dyn Sandbox>, SandboxError>;
}

#[async_trait]
impl<F> Sandboxes for F
where
    F: Fn(&Path) -> Result<Box<dyn Sandbox>, SandboxError> + Send + Sync + 'static,
{
    async fn open(&self, root: &Path) -> Result<Box<dyn Sandbox>, SandboxError> {
        self(root)
    }
}

/// One run of a check on a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// What became of the tests. It is not complete where the command was killed or its output cut.
    pub report: TestReport,
    /// How the command ended.
    pub status: sandbox::Status,
}

/// Runs a check in a new workspace and a new sandbox.
pub(super) async fn attempt(
    files: Original,
    sandboxes: &dyn Sandboxes,
    candidate: &Candidate,
    check: &Check,
    cancel: &CancellationToken,
) -> Result<Attempt, AttemptError> {
    if cancel.is_cancelled() {
        return Err(AttemptError::Cancelled);
    }
    let workspace = Workspace::of(files).await?;
    workspace.apply(&candidate.patch).await.map_err(AttemptError::applying(Patch::Candidate))?;
    workspace.apply_to_original(&check.tests).await.map_err(AttemptError::applying(Patch::Tests))?;
    let sandbox = sandboxes.open(workspace.root()).await?;
    let command = check.command.clone().output(OutputLimit::halves(text::LIMIT));
    let result = sandbox.exec(command, cancel).await?;
    let is_whole = !result.output.is_truncated();
    let mut log = result.output.into_text();
    // Workspaces have random names, which must not become part of those of tests.
    for root in [workspace.root(), sandbox.root()] {
        if let Some(root) = root.to_str().filter(|root| root.len() > 1) {
            log = log.replace(&format!("{root}/"), "");
        }
    }
    let mut report = check.format.parse(&log)?;
    report.complete &= is_whole && matches!(result.status, sandbox::Status::Exited(_));
    Ok(Attempt { report, status: result.status })
}

/// Which of the patches of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patch {
    /// The candidate's.
    Candidate,
    /// The one that brings the tests.
    Tests,
}

/// Why a run has no report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttemptError {
    /// A patch does not fit.
    #[error("the {} does not apply: {message}", if *which == Patch::Candidate { "candidate" } else { "patch with the tests" })]
    Rejected {
        /// Which patch.
        which: Patch,
        /// What git said.
        message: String,
    },
    /// The workspace could not be made or patched.
    #[error("no workspace for a run of tests: {0}")]
    Workspace(#[from] WorkspaceError),
    /// The sandbox could not be made, or the command not run in it.
    #[error("the tests could not be run: {0}")]
    Sandbox(#[from] SandboxError),
    /// The log could not be read.
    #[error(transparent)]
    Unreadable(#[from] ParseError),
    /// It was cancelled before it began.
    #[error("the run was cancelled before it began")]
    Cancelled,
    /// It was cut short: the sandbox panicked or the runtime shut down.
    #[error("the run of tests was cut short: {0}")]
    Interrupted(#[source] tokio::task::JoinError),
}

impl AttemptError {
    fn applying(which: Patch) -> impl Fn(WorkspaceError) -> Self {
        move |error| match error {
            WorkspaceError::Rejected(message) => Self::Rejected { which, message },
            other => Self::Workspace(other),
        }
    }
}
