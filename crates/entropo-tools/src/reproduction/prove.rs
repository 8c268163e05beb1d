//! Whether a test shows the issue.

use std::collections::BTreeSet;
use std::sync::Arc;

use entropo_core::RolloutId;
use tokio_util::sync::CancellationToken;

use super::{ReproductionScorer, ReproductionTest, TestRunner};
use crate::check::{Attempt, AttemptError, Candidate, Check, Checker, RunError, Status, TestReport, flaky, settled};
use crate::sandbox;

/// Runs tests of an issue: on the code as it is, to see which show it, and on candidates.
#[derive(Clone)]
pub struct Reproduction {
    pub(super) checker: Arc<Checker>,
    pub(super) runner: TestRunner,
}

impl Reproduction {
    /// How large a test's file may be, in bytes.
    pub const LIMIT: usize = 256 << 10;

    /// Runs tests by `runner` with this checker, each as often as its [repetitions](Checker::repetitions) say. Two or more
    /// of these find tests that fail now and then only.
    pub fn new(checker: Checker, runner: TestRunner) -> Self {
        Self { checker: Arc::new(checker), runner }
    }

    /// A test with this content, if it fails on the code as it is. A test must be reported as failed by name, in every run,
    /// and only with its file there: what fails without it is no test of this one.
    ///
    /// # Errors
    /// Why it is not kept, in words for whoever wrote it.
    pub async fn prove(&self, content: &str, cancel: &CancellationToken) -> Result<ReproductionTest, NotKept> {
        if content.trim().is_empty() {
            return Err(NotKept::Empty);
        }
        if content.len() > Self::LIMIT {
            return Err(NotKept::TooLarge { bytes: content.len() });
        }
        if content.contains('\0') {
            return Err(NotKept::Binary);
        }
        let path = self.runner.path(&ReproductionTest::id(content));
        let mut test = ReproductionTest { path, content: content.to_owned(), fails: BTreeSet::new() };
        let reports = self.run(self.runner.check(&test), cancel).await?;
        let steady = settled(&reports);
        let named = |status: Status| {
            steady.tests.iter().filter(move |(_, found)| **found == status).map(|(name, _)| name.clone())
        };
        test.fails = named(Status::Failed).collect();
        if test.fails.is_empty() {
            let errored: BTreeSet<String> = named(Status::Errored).collect();
            let changing: BTreeSet<String> = flaky(&reports).into_keys().collect();
            return Err(match (changing.is_empty(), errored.is_empty()) {
                (false, _) => NotKept::Flaky { tests: changing },
                (true, false) => NotKept::Breaks { tests: errored },
                (true, true) => NotKept::Passes { tests: steady.tests.len() },
            });
        }
        let before = self.without(&test, cancel).await?;
        test.fails.retain(|name| !before.contains(name));
        if test.fails.is_empty() { Err(NotKept::Others) } else { Ok(test) }
    }

    /// Scores candidates on these tests; those that say the same count once.
    pub fn scorer(&self, tests: impl IntoIterator<Item = ReproductionTest>) -> ReproductionScorer {
        ReproductionScorer::new(self.clone(), super::distinct(tests))
    }

    /// What is reported by the same command without the test. There is nothing to read where the command finds no file.
    async fn without(&self, test: &ReproductionTest, cancel: &CancellationToken) -> Result<BTreeSet<String>, NotKept> {
        let mut names = BTreeSet::new();
        for attempt in self.attempts(self.runner.without(test), cancel).await? {
            match attempt {
                Ok(attempt) => names.extend(attempt.report.tests.into_keys()),
                Err(AttemptError::Unreadable(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(names)
    }

    /// The reports of a check on the code as it is, all of which came to their end.
    async fn run(&self, check: Check, cancel: &CancellationToken) -> Result<Vec<TestReport>, NotKept> {
        let mut reports = Vec::new();
        for attempt in self.attempts(check, cancel).await? {
            let Attempt { report, status } = attempt?;
            if report.tests.is_empty() {
                return Err(NotKept::NotRun { status });
            }
            if !report.complete {
                // Some runners, such as pytest, give up where a file cannot be loaded.
                let loads = report.tests.values().any(|found| *found != Status::Errored);
                return Err(match loads {
                    true => NotKept::CutShort { status },
                    false => NotKept::Breaks { tests: report.tests.into_keys().collect() },
                });
            }
            reports.push(report);
        }
        Ok(reports)
    }

    async fn attempts(
        &self,
        check: Check,
        cancel: &CancellationToken,
    ) -> Result<Vec<Result<Attempt, AttemptError>>, NotKept> {
        let original = Candidate { id: RolloutId::new("original", 0), patch: String::new() };
        let runs = self.checker.run([original], [check], cancel).await?;
        Ok(runs.into_values().flat_map(|checks| checks.into_values().flatten()).collect())
    }
}

/// Why a test is not kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotKept {
    /// There is nothing in it.
    #[error("the test is empty")]
    Empty,
    /// It is too large.
    #[error("the test has {bytes} bytes, and {} are allowed", Reproduction::LIMIT)]
    TooLarge {
        /// How large it is.
        bytes: usize,
    },
    /// It is no text.
    #[error("the test has a NUL character, so it is no text")]
    Binary,
    /// The runner reported no test.
    #[error("no test in it was run ({}); it may not load, or hold nothing that the runner takes for a test", ended(*status))]
    NotRun {
        /// How the command ended.
        status: sandbox::Status,
    },
    /// The runner did not come to its end.
    #[error("the run did not come to its end ({}); tests must fail, and not hang or kill their runner", ended(*status))]
    CutShort {
        /// How the command ended.
        status: sandbox::Status,
    },
    /// Nothing fails.
    #[error("none of its tests ({tests}) fails on the code as it is, so it does not show the issue")]
    Passes {
        /// How many tests there are.
        tests: usize,
    },
    /// What does not pass breaks outside of a test.
    #[error("it breaks before it tests anything ({}); import what may be missing within the test", names(tests))]
    Breaks {
        /// The tests.
        tests: BTreeSet<String>,
    },
    /// Its tests do not always fail.
    #[error("its results differ from run to run ({}); a test must fail each time", names(tests))]
    Flaky {
        /// The tests.
        tests: BTreeSet<String>,
    },
    /// What fails is not of this file.
    #[error("what fails also fails without this test")]
    Others,
    /// It says what one that was kept already says.
    #[error("{0} says the same already")]
    Same(String),
    /// It could not be run.
    #[error(transparent)]
    Attempt(#[from] AttemptError),
    /// It could not be run.
    #[error(transparent)]
    Run(#[from] RunError),
}

impl NotKept {
    /// Whether it says something of the test, which can be mended, and not of the place where it was run.
    pub fn is_of_the_test(&self) -> bool {
        match self {
            // What it printed breaks the rules of its format.
            Self::Attempt(AttemptError::Unreadable(_)) => true,
            Self::Attempt(_) | Self::Run(_) => false,
            _ => true,
        }
    }
}

fn ended(status: sandbox::Status) -> String {
    match status {
        sandbox::Status::Exited(code) => format!("exit status {code}"),
        sandbox::Status::Signalled(signal) => format!("killed by signal {signal}"),
        sandbox::Status::TimedOut => "its time was up".to_owned(),
        other => format!("{other:?}"),
    }
}

/// The first names, as a runner can report thousands.
pub(super) fn names(tests: &BTreeSet<String>) -> String {
    const SHOWN: usize = 10;
    let mut text = tests.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if tests.len() > SHOWN {
        text += &format!(" and {} more", tests.len() - SHOWN);
    }
    text
}
