//! Rows of our own format, judged by our own rules, in a fresh copy of the files and a fresh sandbox.

use std::fmt::Write;
use std::path::Path;

use entropo_core::format::swe_bench::{Instance, InstanceReport, LocalInstance, TestOutcomes, TestsStatus};
use entropo_tools::check::{Grading, Score};
use entropo_tools::sandbox::{OutputLimit, Status};
use entropo_tools::{Command, Workspace, WorkspaceError};
use tokio_util::sync::CancellationToken;

use super::{Judged, LOG};
use crate::dataset;
use crate::failure::Failure;
use crate::ground::Grounds;

pub(super) async fn judge(
    grounds: &Grounds,
    instance: &Instance,
    row: &LocalInstance,
    patch: &str,
    cancel: &CancellationToken,
) -> Result<Judged, Failure> {
    let Some(test) = &row.test else {
        return Err(Failure::task(&row.id, "the row has no `test`, the command that runs its tests"));
    };
    let format = dataset::format(row)?;
    let files = grounds.files(instance).await?;
    let workspace = Workspace::of((*files).clone()).await?;
    match workspace.apply(patch).await {
        Err(WorkspaceError::Rejected(words)) => return Ok(Judged::rejected(&words)),
        applied => applied?,
    }
    match workspace.apply_to_original(row.test_patch.as_deref().unwrap_or_default()).await {
        Err(WorkspaceError::Rejected(words)) => {
            return Err(Failure::task(&row.id, format!("the row's `test_patch` does not apply: {words}")));
        }
        applied => applied?,
    }
    let sandbox = grounds.open(instance, workspace.root()).await?;
    let limit = OutputLimit::halves(LOG);
    let result = sandbox.exec(Command::script(test).timeout(grounds.test_time()).output(limit), cancel).await?;
    let mut log = result.output.into_text();
    // Copies have random names, which must not become part of those of tests.
    for root in [workspace.root(), sandbox.root()].into_iter().filter_map(Path::to_str).filter(|root| root.len() > 1) {
        log = log.replace(&format!("{root}/"), "");
    }
    let mut notes = format!("the tests ended with {:?}\n", result.status);
    match result.status {
        Status::Exited(_) | Status::Signalled(_) => {}
        Status::TimedOut => return Ok(Judged::timed_out(log)),
        _ => return Ok(Judged::error(log, notes)),
    }
    let found = match format.parse(&log) {
        Ok(found) => found,
        Err(error) => return Ok(Judged::error(log, format!("{notes}{error}"))),
    };
    let grading = Grading::new(row.fail_to_pass.iter().cloned(), row.pass_to_pass.iter().cloned());
    let verdict = grading.grade(&found);
    if !found.complete {
        notes += "the runner did not come to its end\n";
    }
    for (test, found) in verdict.fail_to_pass.wrong.iter().chain(&verdict.pass_to_pass.wrong) {
        _ = writeln!(notes, "{test}: {found:?}");
    }
    let report = InstanceReport {
        patch_exists: true,
        patch_successfully_applied: true,
        resolved: verdict.is_resolved(),
        tests_status: Some(TestsStatus {
            fail_to_pass: outcomes(&row.fail_to_pass, &verdict.fail_to_pass),
            pass_to_pass: outcomes(&row.pass_to_pass, &verdict.pass_to_pass),
            ..TestsStatus::default()
        }),
        ..InstanceReport::default()
    };
    Ok(Judged::report(report, log, notes))
}

fn outcomes(tests: &[String], score: &Score) -> TestOutcomes {
    let (failure, success) = tests.iter().cloned().partition(|test| score.wrong.contains_key(test));
    TestOutcomes { success, failure }
}
