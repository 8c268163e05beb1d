//! Regression as a score that selectors read.

use async_trait::async_trait;
use entropo_agent::select::scorer::Scorer;
use entropo_core::Trajectory;
use tokio_util::sync::CancellationToken;

use super::{AttemptError, Candidate, Check, Checker, Patch, RunError, TestReport, regression, settled};
use crate::sandbox::Status;

/// Scores a rollout by the tests that its patch leaves whole: how many passed before and pass after.
///
/// A patch that does not apply leaves nothing whole and scores 0. A run that has no whole report, because it was killed,
/// did not come to its end or could not be made, says nothing about the patch: it is an error, and its score missing. If
/// the checker repeats runs, only a test that passes in all of them counts.
///
/// ```
/// use std::num::NonZeroUsize;
/// use std::sync::Arc;
///
/// use entropo_agent::select::scorer::{Scorer, score_all};
/// use entropo_core::{ExitReason, RolloutId, Trajectory};
/// use entropo_tools::check::{Check, Checker, LogFormat, RegressionScorer};
/// use entropo_tools::{Command, Snapshot};
/// use tokio_util::sync::CancellationToken;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let test = "[ \"$(sh greet.sh)\" = hello ] && echo ok 1 - greets || echo not ok 1 - greets; echo 1..1";
/// let files = Arc::new(Snapshot::from_files([("greet.sh", "echo hello\n", false)])?);
/// let check = Check::new("tests", Command::script(test), LogFormat::Tap);
/// let cancel = CancellationToken::new();
///
/// let twice = Checker::new(Arc::clone(&files)).repetitions(NonZeroUsize::MIN.saturating_add(1));
/// let before = RegressionScorer::before(&twice, &check, &cancel).await?;
/// let scorer: Arc<dyn Scorer> = Arc::new(RegressionScorer::new(Checker::new(files), check, before));
///
/// let mut broken = Trajectory::empty(RolloutId::new("greet", 0), "model", 0, ExitReason::Agent);
/// broken.outcome.patch = "--- a/greet.sh\n+++ b/greet.sh\n@@ -1 +1 @@\n-echo hello\n+echo helo\n".to_owned();
/// let whole = Trajectory::empty(RolloutId::new("greet", 1), "model", 0, ExitReason::Agent);
/// let scored = score_all(&[scorer], &[&broken, &whole], 1, &cancel).await;
/// assert_eq!(scored.scores.get(&broken.id, "regression"), Some(0.0));
/// assert_eq!(scored.scores.get(&whole.id, "regression"), Some(1.0));
/// # Ok(())
/// # }
/// ```
pub struct RegressionScorer {
    checker: Checker,
    check: Check,
    before: TestReport,
}

impl RegressionScorer {
    /// The score's name.
    pub const NAME: &str = "regression";

    /// Runs `check` by `checker` on each rollout's patch, and holds the report against `before`, which is best made by
    /// [`RegressionScorer::before`]: a test that passes only at times must not be in it.
    pub fn new(checker: Checker, check: Check, before: TestReport) -> Self {
        Self { checker, check, before }
    }

    /// What is the same in all runs of `check` on the code as it is, as many as `checker` repeats.
    ///
    /// # Errors
    ///
    /// [`RegressionError`] where a run has no whole report.
    pub async fn before(
        checker: &Checker,
        check: &Check,
        cancel: &CancellationToken,
    ) -> Result<TestReport, RegressionError> {
        let code = Candidate { id: entropo_core::RolloutId::new("the code as it is", 0), patch: String::new() };
        reports(checker, check, code, cancel).await
    }
}

#[async_trait]
impl Scorer for RegressionScorer {
    fn name(&self) -> &str {
        Self::NAME
    }

    async fn score(
        &self,
        candidate: &Trajectory,
        cancel: &CancellationToken,
    ) -> Result<Option<f64>, Box<dyn std::error::Error + Send + Sync>> {
        let one = Candidate { id: candidate.id.clone(), patch: candidate.outcome.patch.clone() };
        match reports(&self.checker, &self.check, one, cancel).await {
            Ok(after) => Ok(Some(regression(&self.before, &after).passed() as f64)),
            Err(RegressionError::Attempt(AttemptError::Rejected { which: Patch::Candidate, .. })) => Ok(Some(0.0)),
            Err(error) => Err(Box::new(error)),
        }
    }
}

/// What all runs of a check on one candidate agree on. One without a whole report spoils it.
async fn reports(
    checker: &Checker,
    check: &Check,
    candidate: Candidate,
    cancel: &CancellationToken,
) -> Result<TestReport, RegressionError> {
    let runs = checker.run([candidate], [check.clone()], cancel).await?;
    let mut whole = Vec::new();
    for attempt in runs.into_values().flat_map(std::collections::BTreeMap::into_values).flatten() {
        let attempt = attempt?;
        if !attempt.report.complete {
            return Err(RegressionError::Incomplete(attempt.status));
        }
        whole.push(attempt.report);
    }
    Ok(settled(&whole))
}

/// Why there is no regression score.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegressionError {
    /// The tests did not come to their end, or their log was cut.
    #[error(
        "the tests ended with {0:?} before their report was whole; give the command more time, or see what it prints"
    )]
    Incomplete(Status),
    /// A run could not be made, or its log not be read.
    #[error(transparent)]
    Attempt(#[from] AttemptError),
    /// Nothing was run.
    #[error(transparent)]
    Run(#[from] RunError),
}
