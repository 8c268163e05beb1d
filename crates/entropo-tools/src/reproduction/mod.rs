//! Tests that show an issue, written from the issue alone, and what candidates score on them.
//!
//! A project's own tests say whether a patch breaks anything, and seldom whether it solves the issue, or there would be no
//! issue. So a second agent, which sees no candidate, writes tests of the issue; a candidate that passes more of them is the
//! likelier solution. That is R2E-Gym's testing agent, with what it left to luck made sure:
//!
//! - [`Reproduction::prove`] keeps a test only if it fails on the code as it is, and each time that it is run. One that passes
//!   shows nothing, and one that cannot be loaded or never ends would count against every candidate;
//! - [`TestingEpisode`] is the agent's place: a workspace and a sandbox of its own, the coding tools, and [`SubmitTest`], which
//!   proves a test while the agent can still mend it;
//! - [`distinct`] leaves out tests that another says already, as agents that read one issue think alike;
//! - [`ReproductionScorer`] runs each test on each candidate in a new workspace and a new sandbox, and counts tests by their
//!   whole names: the score `reproduction` of the [selector](entropo_agent::select). Scores are known by rollout, never by
//!   position, and one that could not be had is missing, not 0.
//!
//! ```
//! use std::sync::Arc;
//!
//! use entropo_agent::select::scorer::Scorer;
//! use entropo_core::{ExitReason, Outcome, RolloutId, Trajectory};
//! use entropo_tools::check::{Checker, LogFormat};
//! use entropo_tools::reproduction::{NotKept, Reproduction, TestRunner};
//! use entropo_tools::{Command, Snapshot};
//! use tokio_util::sync::CancellationToken;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let files = Snapshot::from_files([("greet.sh", "echo helo\n", false)])?;
//! let runner = TestRunner::new(Command::script(r#"sh "$TEST_FILE""#), LogFormat::Tap, "tests/issue_{id}.sh")?;
//! let reproduction = Reproduction::new(Checker::new(Arc::new(files)), runner);
//! let cancel = CancellationToken::new();
//!
//! let test = r#"[ "$(sh greet.sh)" = hello ] && echo "ok 1 - greets" || echo "not ok 1 - greets"; echo 1..1"#;
//! let test = reproduction.prove(test, &cancel).await?;
//! assert!(test.fails.contains("greets"));
//! let idle = reproduction.prove("echo ok 1 - nothing; echo 1..1", &cancel).await;
//! assert!(matches!(idle, Err(NotKept::Passes { .. })));
//!
//! let scorer = reproduction.scorer([test]);
//! let patch = "--- a/greet.sh\n+++ b/greet.sh\n@@ -1 +1 @@\n-echo helo\n+echo hello\n";
//! for (patch, score) in [(patch, 1.0), ("", 0.0)] {
//!     let candidate = Trajectory::empty(RolloutId::new("greet", 0), "some model", 0, ExitReason::Agent);
//!     let candidate = Trajectory { outcome: Outcome { patch: patch.to_owned(), ..Outcome::default() }, ..candidate };
//!     assert_eq!(scorer.score(&candidate, &cancel).await.map_err(|error| error.to_string())?, Some(score));
//! }
//! # Ok(())
//! # }
//! ```

mod distinct;
mod episode;
mod prove;
mod runner;
mod scorer;
mod submit;
mod test;

pub use distinct::distinct;
pub use episode::{KeptTests, TestingEpisode};
pub use prove::{NotKept, Reproduction};
pub use runner::{RunnerError, TestRunner};
pub use scorer::{ReproductionScorer, Unscored};
pub use submit::{SubmitTest, SubmitTestArgs};
pub use test::ReproductionTest;
