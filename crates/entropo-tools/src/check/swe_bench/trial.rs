//! An instance's tests, run on a patch in the order in which the harness runs them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::eval_script;
use super::log::LIMIT;
use crate::sandbox::{OutputLimit, Status};
use crate::{Command, ExecResult, Sandbox, SandboxError};

/// The ways in which the harness tries to apply a patch, one after the other.
const APPLY: [&str; 4] = [
    "git apply --verbose",
    "git apply --verbose --3way",
    "git apply --verbose --reject",
    "patch --batch --forward --fuzz=5 -p1 -i",
];

/// How long a step before the script may take.
const STEP: Duration = Duration::from_secs(600);

const PATCH: &str = "patch.diff";
const SCRIPT: &str = "eval.sh";

/// What is run: a patch, then a script that brings the tests, runs them and takes them away again.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Trial {
    /// The patch to be judged. None is applied if it is empty, as where the harness tries instances without one.
    pub patch: String,
    /// The row's `eval_script`.
    pub script: String,
    /// Where the repository is, as commands see it. In SWE-bench's images `/testbed`.
    pub repository: PathBuf,
    /// How long the script may run. The harness's default is half an hour.
    pub timeout: Duration,
}

/// How a trial ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The script ran; this is what it printed, which [`Rules::grade`](super::Rules::grade) reads.
    Ran {
        /// What it printed.
        log: String,
    },
    /// The patch could not be applied in any way. The harness counts an error.
    Rejected {
        /// What the last way said.
        words: String,
    },
    /// The script was stopped. The harness counts an error.
    TimedOut {
        /// What it printed until then, and that it was stopped.
        log: String,
    },
    /// The script was killed because the disk was full. There is no judgement.
    Killed {
        /// What it printed until then.
        log: String,
    },
    /// The patch could not even be tried: the repository or git is missing, or a step was stopped. There is no judgement.
    Untried {
        /// What happened.
        reason: String,
    },
    /// The trial was cancelled.
    Cancelled,
}

impl Trial {
    /// A patch and a row's script, for the repository of SWE-bench's images, for half an hour.
    pub fn new(patch: impl Into<String>, script: impl Into<String>) -> Self {
        let timeout = Duration::from_secs(1800);
        Self { patch: patch.into(), script: script.into(), repository: "/testbed".into(), timeout }
    }

    /// Sets where the repository is.
    #[must_use]
    pub fn repository(self, repository: impl Into<PathBuf>) -> Self {
        Self { repository: repository.into(), ..self }
    }

    /// Sets how long the script may run.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Carries it out in a sandbox of its own, whose root is the directory `files` of this machine.
    ///
    /// # Errors
    /// Where files cannot be written there, or commands not be run.
    pub async fn run(
        &self,
        sandbox: &dyn Sandbox,
        files: &Path,
        cancel: &CancellationToken,
    ) -> Result<Ended, SandboxError> {
        let script = eval_script(&self.script);
        for (name, text) in [(PATCH, &self.patch), (SCRIPT, &script)] {
            tokio::fs::write(files.join(name), text).await.map_err(SandboxError::Scratch)?;
        }
        if !self.patch.is_empty()
            && let Some(ended) = self.apply(sandbox, &quoted(&sandbox.root().join(PATCH)), cancel).await?
        {
            return Ok(ended);
        }
        let script = sandbox.root().join(SCRIPT);
        let command = Command::program("/bin/bash", [script]).timeout(self.timeout);
        let result = sandbox.exec(self.at(command), cancel).await?;
        let status = result.status;
        let log = result.output.into_text();
        Ok(match status {
            Status::TimedOut => {
                let seconds = self.timeout.as_secs();
                Ended::TimedOut { log: format!("{log}\n\nTimeout error: {seconds} seconds exceeded.") }
            }
            Status::Cancelled => Ended::Cancelled,
            Status::Idle | Status::DiskFull => Ended::Killed { log },
            Status::Exited(_) | Status::Signalled(_) => Ended::Ran { log },
        })
    }

    /// Tries to apply the patch in one way after the other. How the trial ended, if in none.
    async fn apply(
        &self,
        sandbox: &dyn Sandbox,
        patch: &str,
        cancel: &CancellationToken,
    ) -> Result<Option<Ended>, SandboxError> {
        // Without these nothing applies, which would say nothing of the patch.
        match self.step(sandbox, "git --version", cancel).await? {
            Ok(found) if found.status.is_success() => {}
            Ok(failed) => {
                let reason = failed.output.into_text();
                return Ok(Some(Ended::Untried { reason: format!("the patch cannot be tried: {}", reason.trim()) }));
            }
            Err(ended) => return Ok(Some(ended)),
        }
        let mut words = String::new();
        for (number, way) in APPLY.into_iter().enumerate() {
            // What a way leaves half done would make all that follow fail.
            let first = if number > 0 { "{ git checkout -- . ; git clean -fd ; } >/dev/null 2>&1 ; " } else { "" };
            match self.step(sandbox, &format!("{first}{way} {patch}"), cancel).await? {
                Ok(result) if result.status.is_success() => return Ok(None),
                Ok(result) => words = result.output.into_text(),
                Err(ended) => return Ok(Some(ended)),
            }
        }
        // All ways can fail and the patch still be there.
        Ok(match self.step(sandbox, &format!("git apply --check --reverse {patch}"), cancel).await? {
            Ok(there) if there.status.is_success() => None,
            Ok(_) => Some(Ended::Rejected { words }),
            Err(ended) => Some(ended),
        })
    }

    /// Runs a command in the repository to its end, or tells how the trial ended.
    async fn step(
        &self,
        sandbox: &dyn Sandbox,
        command: &str,
        cancel: &CancellationToken,
    ) -> Result<Result<ExecResult, Ended>, SandboxError> {
        let script = format!("cd {} && {{ {command} ; }}", quoted(&self.repository));
        // Not the sandbox's shell, which may have a `patch` of its own.
        let script = Command::program("/bin/bash", ["-c", &script]).timeout(STEP);
        let result = sandbox.exec(self.at(script), cancel).await?;
        Ok(match result.status {
            Status::Exited(_) => Ok(result),
            Status::Cancelled => Err(Ended::Cancelled),
            status => Err(Ended::Untried { reason: format!("`{command}` was stopped: {status:?}") }),
        })
    }

    /// As root of the image has it, whose settings of git are in its home.
    fn at(&self, command: Command) -> Command {
        let command = command.output(OutputLimit::halves(LIMIT));
        if self.repository == Path::new("/testbed") { command.env("HOME", "/root") } else { command }
    }
}

/// A path as one word of a shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.to_string_lossy().replace('\'', r"'\''"))
}
