//! Rows of R2E-Gym, judged as its environment does.
//!
//! The hidden tests and the script that runs them are in the image. They are put where R2E-Gym has them while its agent works,
//! out of the repository; the patch is applied; and only then the repository gets a link to them, whatever the patch has put
//! in its place.

mod expected;

use entropo_core::format::swe_bench::{Instance, InstanceReport, R2eGymInstance};
use tokio_util::sync::CancellationToken;

use self::expected::{Expected, Found};
use super::Judged;
use super::container::Container;
use super::forbidden;
use crate::failure::Failure;
use crate::ground::Grounds;

/// Where commands are looked up that are not the tests' own: nowhere that a patch can reach.
const SYSTEM: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where R2E-Gym has all commands looked up. The first two lead into the repository.
const SEARCH_PATH: &str = "export PATH=/root/.venv/bin:/root/.local/bin:/root/.cargo/bin:$PATH";

/// The virtual environment, which runs the tests.
const ENVIRONMENT: &str = ".venv";

/// What R2E-Gym does to a container first. Images differ in what of it there is, so only the end tells whether it worked.
const SETUP: &str = r"
ln -s /testbed/.venv /root/.venv
for name in python python3; do ln -s /testbed/.venv/bin/python /root/.local/bin/$name; done
find /testbed/.venv/bin -type f -executable -exec ln -sf {} /root/.local/bin/ \;
timeout 120 uv pip install chardet
for place in . /r2e_tests; do
    find $place -name '*.pyc' -delete
    find $place -name __pycache__ -exec rm -rf {} +
done
for name in run_tests.sh r2e_tests; do mv /testbed/$name /root/$name; done
mv /r2e_tests /root/r2e_tests
[ -f /root/run_tests.sh ] && [ -d /root/r2e_tests ]
";

/// Rollouts' patches are of the files as they are; that of a data set's commit can have white space that only the second takes.
const APPLY: [&str; 2] = ["git apply", "git apply --whitespace=fix"];

/// Brings the hidden tests in.
const LINK: &str = "rm -rf r2e_tests && ln -s /root/r2e_tests r2e_tests";

/// Runs them.
const TESTS: &str = "exec /bin/bash /root/run_tests.sh";

/// Where a report says in what the tests ended otherwise than expected.
pub(crate) const UNEXPECTED: &str = "unexpected";

pub(super) async fn judge(
    grounds: &Grounds,
    instance: &Instance,
    row: &R2eGymInstance,
    patch: &str,
    cancel: &CancellationToken,
) -> Result<Judged, Failure> {
    let expected = Expected::of(row)?;
    let container = Container::start(grounds, instance, cancel).await?.search_path(SYSTEM);
    let ready = container.step(&format!("{SEARCH_PATH}{SETUP}")).await?;
    if !ready.status.is_success() {
        let reason = format!("the image has no run_tests.sh and r2e_tests, as R2E-Gym's have: {}", ready.log.trim());
        return Err(Failure::task(instance.id(), reason));
    }
    if let Some(words) = forbidden::refused(patch, Some(ENVIRONMENT)) {
        return Ok(Judged::refused(words));
    }
    if let Some(words) = container.apply(patch, &APPLY).await? {
        return Ok(Judged::rejected(&words));
    }
    let linked = container.step(LINK).await?;
    if !linked.status.is_success() {
        return Ok(Judged::error(linked.log, "the hidden tests could not be put into the repository".to_owned()));
    }
    let ran = match container.tests(&format!("{SEARCH_PATH}\n{TESTS}"), grounds.test_time()).await? {
        Ok(ran) => ran,
        Err(judged) => return Ok(judged),
    };
    let found = match Found::of(&ran.log) {
        Ok(found) => found,
        Err(reason) => return Ok(Judged::error(ran.log, reason)),
    };
    let differences = expected.differences(&found);
    if differences.is_empty() && !ran.status.is_success() && !found.any_failed() {
        return Ok(Judged::contradicted(ran.log, ran.status));
    }
    let notes = format!("the tests ended with {:?}\n{}", ran.status, differences.join("\n"));
    let mut report = InstanceReport {
        patch_exists: true,
        patch_successfully_applied: true,
        resolved: differences.is_empty(),
        ..InstanceReport::default()
    };
    report.others.insert(UNEXPECTED.to_owned(), differences.into());
    Ok(Judged::report(report, ran.log, notes))
}
