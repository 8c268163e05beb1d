//! One patch, judged by its instance's tests: a file for each kind of row.

mod container;
mod forbidden;
mod harness;
mod local;
mod r2e_gym;
mod swe_smith;

use entropo_core::format::swe_bench::{Instance, InstanceReport};
use entropo_tools::sandbox::Status;
use tokio_util::sync::CancellationToken;

pub(crate) use self::r2e_gym::UNEXPECTED;
pub(crate) use self::swe_smith::{OwnTests, Runner, failing_files};
use crate::dataset;
use crate::failure::Failure;
use crate::ground::Grounds;

/// How much of a log is kept.
const LOG: usize = 16 << 20;

/// Where a report says that the tests were given up.
pub(crate) const TIMED_OUT: &str = "timed_out";

/// What came of a patch.
pub(crate) struct Judged {
    /// The report; none where there is no judgement.
    pub(crate) report: Option<InstanceReport>,
    /// What the tests printed.
    pub(crate) log: String,
    /// What was done, and why there is no report, in words.
    pub(crate) notes: String,
}

impl Judged {
    fn error(log: String, notes: String) -> Self {
        Self { report: None, log, notes }
    }

    /// The patch could not be applied; in these words.
    fn rejected(words: &str) -> Self {
        Self::error(String::new(), format!(">>>>> Patch Apply Failed:\n{words}"))
    }

    /// The tests had too little time, where that is a judgement. Like any other it is not made again.
    fn timed_out(log: String) -> Self {
        let mut report =
            InstanceReport { patch_exists: true, patch_successfully_applied: true, ..InstanceReport::default() };
        report.others.insert(TIMED_OUT.to_owned(), true.into());
        let notes = ">>>>> Tests Timed Out; to judge again with more --test-seconds, remove report.json and, of a run, the line \
                     in grades.jsonl"
            .to_owned();
        Self { report: Some(report), log, notes }
    }

    /// The log tells of no test that failed, and what ran them says that something did.
    fn contradicted(log: String, status: Status) -> Self {
        let notes = format!("the tests ended with {status:?}, and their log tells of none that failed");
        Self::error(log, notes)
    }

    /// The log is not whole, and what is missing could tell otherwise.
    fn cut(log: String, left_out: u64) -> Self {
        let notes = format!("the tests printed more than is read: {left_out} bytes of the log are left out");
        Self::error(log, notes)
    }

    /// The tests were stopped by what says nothing of them.
    fn stopped(log: String, status: Status) -> Self {
        Self::error(log, format!("the tests were stopped: {status:?}"))
    }
}

/// Runs the tests of an instance on a patch. What the patch is to blame for is in what comes of it; other failures are
/// errors.
pub(crate) async fn judge(
    grounds: &Grounds,
    runner: Option<&Runner>,
    instance: &Instance,
    patch: &str,
    cancel: &CancellationToken,
) -> Result<Judged, Failure> {
    match instance {
        Instance::Local(row) => local::judge(grounds, instance, row, patch, cancel).await,
        Instance::SweBench(row) if dataset::is_swe_smith(row) => {
            swe_smith::judge(grounds, runner, instance, row, patch, cancel).await
        }
        Instance::SweBench(row) => harness::judge(grounds, instance, row, patch, cancel).await,
        Instance::R2eGym(row) => r2e_gym::judge(grounds, instance, row, patch, cancel).await,
        _ => Err(Failure::task(instance.id(), "rows of this kind are not judged here")),
    }
}
