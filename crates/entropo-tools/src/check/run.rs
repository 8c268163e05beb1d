//! Runs tests on candidates, each time in a place of its own.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use entropo_core::RolloutId;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::attempt::attempt;
use super::{Attempt, AttemptError, LogFormat, Sandboxes};
use crate::workspace::Original;
use crate::{Command, LocalSandbox, Sandbox};

/// A patch to be judged, known by the rollout that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The rollout.
    pub id: RolloutId,
    /// The patch; empty for the files as they are.
    pub patch: String,
}

/// A command that runs tests.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Check {
    /// What it is called in the results.
    pub name: String,
    /// The command. Its output limit is set by the checker.
    pub command: Command,
    /// How its output is read.
    pub format: LogFormat,
    /// A patch of the original files that brings the tests. It comes after the candidate's, and what that did to the same files is
    /// undone.
    pub tests: String,
}

impl Check {
    /// A command whose output is read in this format.
    pub fn new(name: impl Into<String>, command: Command, format: LogFormat) -> Self {
        Self { name: name.into(), command, format, tests: String::new() }
    }

    /// Brings tests by a patch of the original files. What a candidate did to the same files is undone.
    #[must_use]
    pub fn tests(mut self, patch: impl Into<String>) -> Self {
        self.tests = patch.into();
        self
    }
}

/// Every run of every check, by candidate, by the check's name, and in the order of repetition.
pub type Runs = BTreeMap<RolloutId, BTreeMap<String, Vec<Result<Attempt, AttemptError>>>>;

/// Runs checks on candidates.
///
/// ```
/// use std::sync::Arc;
///
/// use entropo_core::RolloutId;
/// use entropo_tools::check::{Candidate, Check, Checker, LogFormat, Status};
/// use entropo_tools::{Command, Snapshot};
/// use tokio_util::sync::CancellationToken;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let test = "[ \"$(sh greet.sh)\" = hello ] && echo ok 1 - greets || echo not ok 1 - greets; echo 1..1";
/// let files = Snapshot::from_files([("greet.sh", "echo helo\n", false)])?;
/// let check = Check::new("greeting", Command::script(test), LogFormat::Tap);
/// let fixed = "--- a/greet.sh\n+++ b/greet.sh\n@@ -1 +1 @@\n-echo helo\n+echo hello\n";
/// let candidates = [("", 0), (fixed, 1)].map(|(patch, n)| Candidate { id: RolloutId::new("greet", n), patch: patch.into() });
///
/// let runs = Checker::new(Arc::new(files)).run(candidates, [check], &CancellationToken::new()).await?;
/// for (rollout, status) in [(0, Status::Failed), (1, Status::Passed)] {
///     let attempt = runs[&RolloutId::new("greet", rollout)]["greeting"][0].as_ref().map_err(ToString::to_string)?;
///     assert_eq!(attempt.report.get("greets"), Some(status));
/// }
/// # Ok(())
/// # }
/// ```
pub struct Checker {
    files: Original,
    sandboxes: Arc<dyn Sandboxes>,
    repetitions: NonZeroUsize,
    at_once: NonZeroUsize,
}

impl Checker {
    /// Runs checks on candidates for these files, once, one after the other, in a [`LocalSandbox`] each.
    pub fn new(files: impl Into<Original>) -> Self {
        let local = |root: &Path| Ok(Box::new(LocalSandbox::new(root)?) as Box<dyn Sandbox>);
        Self {
            files: files.into(),
            sandboxes: Arc::new(local),
            repetitions: NonZeroUsize::MIN,
            at_once: NonZeroUsize::MIN,
        }
    }

    /// Runs them in other sandboxes.
    #[must_use]
    pub fn sandboxes(mut self, sandboxes: impl Sandboxes) -> Self {
        self.sandboxes = Arc::new(sandboxes);
        self
    }

    /// Runs each check on each candidate this often, so that [`flaky`](super::flaky) tests show.
    #[must_use]
    pub fn repetitions(mut self, times: NonZeroUsize) -> Self {
        self.repetitions = times;
        self
    }

    /// Runs so many at the same time.
    #[must_use]
    pub fn at_once(mut self, runs: NonZeroUsize) -> Self {
        self.at_once = runs;
        self
    }

    /// Runs every check on every candidate. Each run has a workspace and a sandbox of its own, so that no test sees what
    /// another left behind. After `cancel`, what is left is told as cancelled. Dropping the future ends all.
    ///
    /// # Errors
    ///
    /// Where two candidates or two checks have one name. What goes wrong with a run is in its place in the results.
    pub async fn run(
        &self,
        candidates: impl IntoIterator<Item = Candidate>,
        checks: impl IntoIterator<Item = Check>,
        cancel: &CancellationToken,
    ) -> Result<Runs, RunError> {
        let (candidates, checks) = (unique(candidates)?, unique_checks(checks)?);
        let mut runs = Runs::new();
        let mut queue = Vec::new();
        for (id, candidate) in &candidates {
            for (name, check) in &checks {
                for repetition in 0..self.repetitions.get() {
                    queue.push((id, name, repetition, candidate, check));
                }
            }
        }
        let (mut running, mut keys, mut queue) = (JoinSet::new(), HashMap::new(), queue.into_iter());
        let mut results = BTreeMap::new();
        loop {
            while running.len() < self.at_once.get()
                && let Some((id, name, repetition, candidate, check)) = queue.next()
            {
                let (files, sandboxes) = (self.files.clone(), Arc::clone(&self.sandboxes));
                let (candidate, check, cancel) = (Arc::clone(candidate), Arc::clone(check), cancel.clone());
                let task = running.spawn(async move { attempt(files, &*sandboxes, &candidate, &check, &cancel).await });
                keys.insert(task.id(), (id, name, repetition));
            }
            let (task, result) = match running.join_next_with_id().await {
                Some(Ok((task, result))) => (task, result),
                Some(Err(error)) => (error.id(), Err(AttemptError::Interrupted(error))),
                None => break,
            };
            if let Some(key) = keys.remove(&task) {
                results.insert(key, result);
            }
        }
        // Sorted by candidate, check and repetition, whichever ended first.
        for ((id, name, _), result) in results {
            runs.entry(id.clone()).or_default().entry(name.clone()).or_default().push(result);
        }
        Ok(runs)
    }
}

fn unique(candidates: impl IntoIterator<Item = Candidate>) -> Result<BTreeMap<RolloutId, Arc<Candidate>>, RunError> {
    let mut unique = BTreeMap::new();
    for candidate in candidates {
        if let Some(twice) = unique.insert(candidate.id.clone(), Arc::new(candidate)) {
            return Err(RunError::Candidate(twice.id.clone()));
        }
    }
    Ok(unique)
}

fn unique_checks(checks: impl IntoIterator<Item = Check>) -> Result<BTreeMap<String, Arc<Check>>, RunError> {
    let mut unique = BTreeMap::new();
    for check in checks {
        if let Some(twice) = unique.insert(check.name.clone(), Arc::new(check)) {
            return Err(RunError::Check(twice.name.clone()));
        }
    }
    Ok(unique)
}

/// Why nothing was run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// Two candidates are one rollout.
    #[error("two candidates are named {0}; name each by its own rollout, as results are told apart by it")]
    Candidate(RolloutId),
    /// Two checks have one name.
    #[error("two checks are named `{0}`; name each differently, as results are told apart by it")]
    Check(String),
}
