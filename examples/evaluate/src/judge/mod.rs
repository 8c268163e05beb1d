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
    /// The report; none where the data set has none.
    pub(crate) report: Option<InstanceReport>,
    /// What the patch is to blame for.
    pub(crate) fault: Option<Fault>,
    /// What the tests printed.
    pub(crate) log: String,
    /// What was done, and why there is no report, in words.
    pub(crate) notes: String,
}

/// Why a patch solves nothing, whatever its tests would say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It does not apply.
    Rejected,
    /// Its tests took too long.
    TimedOut,
}

impl Judged {
    fn report(report: InstanceReport, log: String, notes: String) -> Self {
        Self { report: Some(report), fault: None, log, notes }
    }

    fn error(log: String, notes: String) -> Self {
        Self { report: None, fault: None, log, notes }
    }

    /// The patch could not be applied; in these words.
    fn rejected(words: &str) -> Self {
        let notes = format!(">>>>> Patch Apply Failed:\n{words}");
        Self { fault: Some(Fault::Rejected), ..Self::error(String::new(), notes) }
    }

    /// The patch is not even tried; for these reasons.
    fn refused(words: String) -> Self {
        Self::error(String::new(), words)
    }

    /// The tests had too little time.
    fn timed_out(log: String) -> Self {
        let notes = ">>>>> Tests Timed Out; --test-seconds gives them more".to_owned();
        Self { fault: Some(Fault::TimedOut), ..Self::error(log, notes) }
    }

    /// The tests had too little time, where a report says so.
    fn reported_as_timed_out(log: String) -> Self {
        let mut report =
            InstanceReport { patch_exists: true, patch_successfully_applied: true, ..InstanceReport::default() };
        report.others.insert(TIMED_OUT.to_owned(), true.into());
        Self { report: Some(report), ..Self::timed_out(log) }
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
