//! A container of an instance's image, in which steps are taken one after the other.

use std::path::Path;
use std::time::Duration;

use entropo_core::format::swe_bench::Instance;
use entropo_tools::sandbox::{OutputLimit, Status};
use entropo_tools::{Command, Sandbox};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::{Judged, LOG};
use crate::failure::Failure;
use crate::ground::{Grounds, TESTBED};

/// How long a step that runs no tests may take.
const STEP: Duration = Duration::from_secs(600);

const PATCH: &str = "patch.diff";
const SCRIPT: &str = "step.sh";

/// A container as SWE-bench's harness starts one, with the image's files as they are.
pub(super) struct Container<'a> {
    sandbox: Box<dyn Sandbox>,
    /// What commands see as the sandbox's root; it is not the repository.
    place: TempDir,
    search_path: Option<&'static str>,
    /// Which instance this is of.
    id: String,
    cancel: &'a CancellationToken,
}

/// What came of a step.
pub(super) struct Ran {
    pub(super) status: Status,
    pub(super) log: String,
    /// How many bytes the log is longer than what is kept.
    pub(super) left_out: u64,
}

impl<'a> Container<'a> {
    pub(super) async fn start(
        grounds: &Grounds,
        instance: &Instance,
        cancel: &'a CancellationToken,
    ) -> Result<Self, Failure> {
        let place = tempfile::tempdir().map_err(Failure::file(Path::new("a temporary directory")))?;
        let sandbox = grounds.harness(instance, place.path()).await?;
        Ok(Self { sandbox, place, search_path: None, id: instance.id().to_owned(), cancel })
    }

    /// Has commands looked up there, and not where the image says.
    pub(super) fn search_path(self, search_path: &'static str) -> Self {
        Self { search_path: Some(search_path), ..self }
    }

    /// Runs tests to their end; what was stopped or is too long is no log to judge by.
    pub(super) async fn tests(&self, script: &str, timeout: Duration) -> Result<Result<Ran, Judged>, Failure> {
        let ran = self.run(script, timeout).await?;
        Ok(match ran.status {
            Status::Exited(_) | Status::Signalled(_) if ran.left_out == 0 => Ok(ran),
            Status::Exited(_) | Status::Signalled(_) => Err(Judged::cut(ran.log, ran.left_out)),
            Status::TimedOut => Err(Judged::reported_as_timed_out(ran.log)),
            status => Err(Judged::stopped(ran.log, status)),
        })
    }

    /// Runs a script by bash, in the repository and as root.
    async fn run(&self, script: &str, timeout: Duration) -> Result<Ran, Failure> {
        // Through a file, as lists of tests can be longer than an argument may be.
        let script = self.put(SCRIPT, &format!("cd {TESTBED} || exit\n{script}")).await?;
        let limit = OutputLimit::halves(LOG);
        let mut command = Command::program("/bin/bash", [script]).timeout(timeout).output(limit).env("HOME", "/root");
        if let Some(path) = self.search_path {
            command = command.env("PATH", path);
        }
        let result = self.sandbox.exec(command, self.cancel).await?;
        let left_out = result.output.left_out;
        Ok(Ran { status: result.status, log: result.output.into_text(), left_out })
    }

    /// The same for what runs no tests and should end by itself.
    pub(super) async fn step(&self, script: &str) -> Result<Ran, Failure> {
        let ran = self.run(script, STEP).await?;
        match ran.status {
            Status::Exited(_) => Ok(ran),
            status => Err(Failure::Step { id: self.id.clone(), status }),
        }
    }

    /// Applies a patch in the first of these ways that works. Gives back what the last way said if none does.
    pub(super) async fn apply(&self, patch: &str, ways: &[&str]) -> Result<Option<String>, Failure> {
        if patch.is_empty() {
            return Ok(None);
        }
        let patch = quoted(&self.put(PATCH, patch).await?);
        let mut words = String::new();
        for way in ways {
            let ran = self.step(&format!("{way} {patch}")).await?;
            if ran.status.is_success() {
                return Ok(None);
            }
            words = ran.log;
        }
        Ok(Some(words))
    }

    /// Writes a file, and gives back where commands see it.
    async fn put(&self, name: &str, text: &str) -> Result<String, Failure> {
        let path = self.place.path().join(name);
        tokio::fs::write(&path, text).await.map_err(Failure::file(&path))?;
        Ok(self.sandbox.root().join(name).to_string_lossy().into_owned())
    }
}

/// A text as one word of a shell.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use entropo_tools::sandbox::{SandboxKind, SandboxOptions};

    use super::*;

    #[tokio::test]
    async fn a_step_that_is_stopped_is_no_patch_that_does_not_apply() {
        let place = tempfile::tempdir().unwrap();
        let sandbox = SandboxKind::Local.open(place.path(), SandboxOptions::new()).await.unwrap();
        let cancel = CancellationToken::new();
        cancel.cancel();
        let container = Container { sandbox, place, search_path: None, id: "i".to_owned(), cancel: &cancel };
        let error = container.apply("a patch", &["git apply", "patch"]).await.unwrap_err();
        assert!(matches!(&error, Failure::Step { id, status: Status::Cancelled } if id == "i"), "{error}");
        assert_eq!(container.apply("", &["git apply"]).await.unwrap(), None);
    }
}
