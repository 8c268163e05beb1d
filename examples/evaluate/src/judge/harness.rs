//! Rows of SWE-bench, judged as its harness does, in a container of the instance's image.

use std::path::Path;

use entropo_core::format::swe_bench::{Instance, SweBenchInstance};
use entropo_tools::check::swe_bench::{Ended, Rules, Trial};
use tokio_util::sync::CancellationToken;

use super::Judged;
use crate::dataset;
use crate::failure::Failure;
use crate::ground::Grounds;

pub(super) async fn judge(
    grounds: &Grounds,
    instance: &Instance,
    row: &SweBenchInstance,
    patch: &str,
    cancel: &CancellationToken,
) -> Result<Judged, Failure> {
    let (rules, script) = (Rules::of(row)?, dataset::script(row)?);
    let place = tempfile::tempdir().map_err(Failure::file(Path::new("a temporary directory")))?;
    let sandbox = grounds.harness(instance, place.path()).await?;
    let trial = Trial::new(patch, script).timeout(grounds.test_time());
    Ok(match trial.run(&*sandbox, place.path(), cancel).await? {
        Ended::Ran { log } => {
            let notes = ">>>>> Applied Patch".to_owned();
            match rules.grade(Some(patch), &log) {
                Ok(report) => Judged::report(report, log, notes),
                Err(error) => Judged::error(log, format!("{error}\n{notes}")),
            }
        }
        Ended::Rejected { words } => Judged::rejected(&words),
        Ended::TimedOut { log } => Judged::timed_out(log),
        Ended::Killed { log } => Judged::error(log, "the tests were killed as the disk was full".to_owned()),
        Ended::Untried { reason } => Judged::error(String::new(), reason),
        Ended::Cancelled => Judged::error(String::new(), "cancelled".to_owned()),
    })
}
