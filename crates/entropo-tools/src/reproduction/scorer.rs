//! What candidates score on tests of the issue.

use std::collections::BTreeMap;

use async_trait::async_trait;
use entropo_agent::select::scorer::Scorer;
use entropo_core::{RolloutId, Trajectory};
use tokio_util::sync::CancellationToken;

use super::{Reproduction, ReproductionTest};
use crate::check::{Attempt, AttemptError, Candidate, Check, Found, RunError};

/// How often a run is tried that failed for reasons that are not the candidate's.
pub(super) const TRIES: usize = 3;

/// The score `reproduction`: how many tests of the issue pass.
///
/// Each test is run on each candidate in a workspace and a sandbox of its own. A test passes if it does in every
/// [repetition](crate::Checker::repetitions). One that is missing, or is skipped, or whose runner was killed before it
/// reported, does not; neither does any on a candidate whose patch does not apply.
pub struct ReproductionScorer {
    reproduction: Reproduction,
    tests: Vec<ReproductionTest>,
}

/// Why there is no score.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unscored {
    /// A test could not be run, however often it was tried.
    #[error("{test} could not be run on {rollout}: {source}")]
    Attempt {
        /// The candidate.
        rollout: RolloutId,
        /// The test's path.
        test: String,
        /// What went wrong last.
        source: AttemptError,
    },
    /// Nothing was run.
    #[error(transparent)]
    Run(#[from] RunError),
}

impl ReproductionScorer {
    /// The score's name.
    pub const NAME: &'static str = "reproduction";

    pub(super) fn new(reproduction: Reproduction, tests: Vec<ReproductionTest>) -> Self {
        Self { reproduction, tests }
    }

    /// The tests.
    pub fn tests(&self) -> &[ReproductionTest] {
        &self.tests
    }

    /// How many tests there are: the highest score.
    pub fn highest(&self) -> usize {
        self.tests.iter().map(|test| test.fails.len()).sum()
    }

    /// The tests that a patch passes, by file.
    ///
    /// # Errors
    /// Where a test could not be run, for another reason than the patch itself.
    pub async fn passed(
        &self,
        id: &RolloutId,
        patch: &str,
        cancel: &CancellationToken,
    ) -> Result<BTreeMap<String, Vec<String>>, Unscored> {
        let mut passed = BTreeMap::new();
        let mut left: Vec<&ReproductionTest> = self.tests.iter().collect();
        for attempt in 1..=TRIES {
            let checks: Vec<Check> = left.iter().map(|test| self.reproduction.runner.check(test)).collect();
            let candidate = Candidate { id: id.clone(), patch: patch.to_owned() };
            let mut runs =
                self.reproduction.checker.run([candidate], checks, cancel).await?.remove(id).unwrap_or_default();
            let mut failed = Vec::new();
            for test in left {
                match passes(test, runs.remove(&test.path).unwrap_or_default()) {
                    Ok(names) => {
                        passed.insert(test.path.clone(), names);
                    }
                    Err(source) if attempt == TRIES || cancel.is_cancelled() => {
                        return Err(Unscored::Attempt { rollout: id.clone(), test: test.path.clone(), source });
                    }
                    Err(error) => {
                        tracing::warn!(rollout = %id, test = test.path, %error, "a test is run again");
                        failed.push(test);
                    }
                }
            }
            left = failed;
            if left.is_empty() {
                break;
            }
        }
        Ok(passed)
    }
}

/// Which of a file's tests passed in every run.
fn passes(test: &ReproductionTest, runs: Vec<Result<Attempt, AttemptError>>) -> Result<Vec<String>, AttemptError> {
    let mut names: Vec<String> = test.fails.iter().cloned().collect();
    for run in runs {
        match run {
            Ok(attempt) => names.retain(|name| Found::of(name, &attempt.report).is_success()),
            // A log that breaks the rules, or a patch that does not apply, is the candidate's own doing.
            Err(AttemptError::Rejected { .. } | AttemptError::Unreadable(_)) => names.clear(),
            Err(error) => return Err(error),
        }
    }
    Ok(names)
}

#[async_trait]
impl Scorer for ReproductionScorer {
    fn name(&self) -> &str {
        Self::NAME
    }

    /// `None` if there are no tests: nothing is known then.
    async fn score(
        &self,
        candidate: &Trajectory,
        cancel: &CancellationToken,
    ) -> Result<Option<f64>, Box<dyn std::error::Error + Send + Sync>> {
        if self.tests.is_empty() {
            return Ok(None);
        }
        let passed = self.passed(&candidate.id, &candidate.outcome.patch, cancel).await?;
        Ok(Some(passed.values().map(Vec::len).sum::<usize>() as f64))
    }
}
