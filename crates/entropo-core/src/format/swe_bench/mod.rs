//! SWE-bench's files: instances that are to be solved, predictions that are judged, and the reports of its harness.
//!
//! [`Instance`] reads SWE-bench's rows (all, Lite, Verified) and those of SWE-smith, R2E-Gym and our own plain format, and
//! makes a [`Task`](crate::Task) of each. [`Prediction`] is what the harness takes, [`RunReport`] and [`InstanceReport`]
//! are what it leaves. A report's judgement goes into trajectories through [`RunReport::reward`]:
//!
//! ```
//! use entropo_core::format::swe_bench::{Prediction, RunReport, Verdict};
//! use entropo_core::{ExitReason, RolloutId, Trajectory};
//!
//! let mut rollout = Trajectory::empty(RolloutId::new("a__b-1", 0), "my/model", 0, ExitReason::Agent);
//! rollout.outcome.patch = "diff --git a/x b/x\n".to_owned();
//! let predictions = [Prediction::of(&rollout)];
//! let judged = [("a__b-1".to_owned(), Verdict::Resolved)].into();
//! let report = RunReport::new(["a__b-1", "a__b-2"], &predictions, &judged);
//! assert_eq!((report.resolved_instances, &*report.incomplete_ids), (1, &["a__b-2".to_owned()][..]));
//! rollout.outcome.reward = report.reward(&rollout.id.task);
//! assert!(rollout.is_solved());
//! ```

mod instance;
mod prediction;
mod report;
mod tests;

pub use self::instance::{Instance, LOCAL_TASK_FORMAT, LocalInstance, R2eGymInstance, SweBenchInstance};
pub use self::prediction::{Prediction, PredictionsError, read_predictions};
pub use self::report::{InstanceReport, RunReport, TestOutcomes, TestsStatus, Verdict, read_instance_reports};
pub use self::tests::Tests;
