//! One patch, judged by its instance's tests.

use std::fmt::Write;
use std::path::Path;

use entropo_core::format::swe_bench::{
    Instance, InstanceReport, LocalInstance, SweBenchInstance, TestOutcomes, TestsStatus,
};
use entropo_tools::check::swe_bench::{Ended, Rules, Trial};
use entropo_tools::check::{Grading, Score};
use entropo_tools::sandbox::{OutputLimit, Status};
use entropo_tools::{Command, Workspace, WorkspaceError};
use tokio_util::sync::CancellationToken;

use crate::dataset;
use crate::failure::Failure;
use crate::ground::Grounds;

/// How much of a log is kept.
const LOG: usize = 16 << 20;

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
}

/// Runs the tests of an instance on a patch. What the patch is to blame for is in what comes of it; other failures are
/// errors.
pub(crate) async fn judge(
    grounds: &Grounds,
    instance: &Instance,
    patch: &str,
    cancel: &CancellationToken,
) -> Result<Judged, Failure> {
    match instance {
        Instance::Local(row) => local(grounds, instance, row, patch, cancel).await,
        Instance::SweBench(row) => harness(grounds, instance, row, patch, cancel).await,
        _ => {
            let reason = "rows of R2E-Gym are judged by the program that is in their images; `evaluate run` works on \
                          them, `evaluate grade` does not";
            Err(Failure::task(instance.id(), reason))
        }
    }
}

/// As SWE-bench's harness does, in a container of the instance's image.
async fn harness(
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
                Ok(report) => Judged { report: Some(report), log, notes },
                Err(error) => Judged::error(log, format!("{error}\n{notes}")),
            }
        }
        Ended::Rejected { words } => Judged::error(String::new(), format!(">>>>> Patch Apply Failed:\n{words}")),
        Ended::TimedOut { log } => Judged::error(log, "the tests timed out; --test-seconds gives them more".to_owned()),
        Ended::Killed { log } => Judged::error(log, "the tests were killed as the disk was full".to_owned()),
        Ended::Cancelled => Judged::error(String::new(), "cancelled".to_owned()),
    })
}

/// By our own rules, in a fresh copy of the files and a fresh sandbox.
async fn local(
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
    for (what, patch) in [("patch", patch), ("patch with the tests", row.test_patch.as_deref().unwrap_or_default())] {
        match workspace.apply(patch).await {
            Ok(()) => {}
            Err(WorkspaceError::Rejected(words)) => {
                return Ok(Judged::error(String::new(), format!("the {what} does not apply: {words}")));
            }
            Err(error) => return Err(error.into()),
        }
    }
    let sandbox = grounds.open(instance, workspace.root()).await?;
    let half = LOG / 2 - 1;
    let limit = OutputLimit { head: half, tail: half, spill: 0 };
    let result = sandbox.exec(Command::script(test).timeout(grounds.test_time()).output(limit), cancel).await?;
    let mut log = result.output.head;
    if result.output.left_out > 0 {
        log.push('\n');
        log.push_str(&result.output.tail);
    }
    // Copies have random names, which must not become part of those of tests.
    for root in [workspace.root(), sandbox.root()].into_iter().filter_map(Path::to_str).filter(|root| root.len() > 1) {
        log = log.replace(&format!("{root}/"), "");
    }
    let mut notes = format!("the tests ended with {:?}\n", result.status);
    match result.status {
        Status::Exited(_) | Status::Signalled(_) => {}
        Status::TimedOut => {
            notes += "--test-seconds gives them more\n";
            return Ok(Judged::error(log, notes));
        }
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
    Ok(Judged { report: Some(report), log, notes })
}

fn outcomes(tests: &[String], score: &Score) -> TestOutcomes {
    let (failure, success) = tests.iter().cloned().partition(|test| score.wrong.contains_key(test));
    TestOutcomes { success, failure }
}
