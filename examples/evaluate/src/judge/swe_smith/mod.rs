//! Rows of SWE-smith, judged as its harness does (the package `swesmith`, version 0.0.9).
//!
//! The harness fetches the commit with the fault from the network. Here the row's own patch is put into the image and committed,
//! which gives the same files. Then come the patch to be judged, the files of tests as they were, and the tests.

mod log;
mod profile;
mod verdict;

use entropo_core::format::swe_bench::{Instance, SweBenchInstance};
use entropo_tools::sandbox::Status;
use tokio_util::sync::CancellationToken;

use self::profile::Profile;
pub(crate) use self::profile::{OwnTests, Runner};
use self::verdict::Asked;
use super::Judged;
use super::container::{Container, STEP, quoted};
use crate::failure::Failure;
use crate::ground::Grounds;

/// The ways in which the harness tries to apply a patch. It does not clean up between them.
const APPLY: [&str; 3] = ["git apply --verbose", "git apply --verbose --reject", "patch --batch --fuzz=5 -p1 -i"];

const COMMIT: &str = "git add --update &&
git -c user.name=entropo -c user.email=entropo@localhost commit --quiet --no-verify --no-gpg-sign --allow-empty -m fault";

pub(super) async fn judge(
    grounds: &Grounds,
    runner: Option<&Runner>,
    instance: &Instance,
    row: &SweBenchInstance,
    patch: &str,
    cancel: &CancellationToken,
) -> Result<Judged, Failure> {
    let asked = Asked::of(row)?;
    let profile = Profile::of(row, &asked, runner)?;
    let Some(fault) = row.patch.as_deref().filter(|fault| !fault.trim().is_empty()) else {
        return Err(Failure::task(&row.instance_id, "the row has no `patch`, the fault that is to be repaired"));
    };
    let container = Container::start(grounds, instance, cancel).await?;
    if let Some(words) = container.apply(fault, &APPLY).await? {
        let reason = format!("the row's fault cannot be put into its image: {}", words.trim());
        return Err(Failure::task(&row.instance_id, reason));
    }
    let kept = container.run(COMMIT, STEP).await?;
    if !kept.status.is_success() {
        let reason = format!("the row's fault cannot be committed in its image: {}", kept.log.trim());
        return Err(Failure::task(&row.instance_id, reason));
    }
    if let Some(words) = container.apply(patch, &APPLY).await? {
        return Ok(Judged::rejected(&words));
    }
    if !patch.is_empty() {
        container.run(&restore(&profile.files), STEP).await?;
    }
    let ran = container.run(&script(&profile.command), grounds.test_time()).await?;
    match ran.status {
        Status::Exited(_) | Status::Signalled(_) => {}
        Status::TimedOut => return Ok(Judged::timed_out(ran.log)),
        status => return Ok(Judged::stopped(ran.log, status)),
    }
    let report = match log::within(&ran.log).map(|log| profile.reading.read(&log)).transpose() {
        Ok(found) => asked.report(found.as_ref()),
        Err(reason) => return Ok(Judged::error(ran.log, reason)),
    };
    let notes = format!(">>>>> Applied Patch\nthe tests ended with {:?}", ran.status);
    Ok(Judged { report: Some(report), log: ran.log, notes })
}

/// Takes back what the patch did to files of tests. The harness names all at once, and then a single one that git does not know
/// keeps all as they are; here each is taken by itself where that fails.
fn restore(files: &[String]) -> String {
    let files: Vec<String> = files.iter().map(|file| quoted(file)).collect();
    let files = files.join(" ");
    format!("set -- {files}\ngit checkout -- \"$@\" || for file; do git checkout -- \"$file\"; done\n")
}

/// The tests' output between lines that the shell traces.
fn script(command: &str) -> String {
    format!("set -uxo pipefail\n: '{}'\n{command}\n: '{}'\n", log::START, log::END)
}
