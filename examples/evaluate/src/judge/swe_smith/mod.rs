//! Rows of SWE-smith, judged as its harness does (the package `swesmith`, version 0.0.9).
//!
//! The harness fetches the commit with the fault from the network. Here the row's own patch is put into the image and committed,
//! which gives the same files. Then come the patch to be judged, the files of tests as they were, and the tests.

mod log;
mod profile;
mod verdict;

use entropo_core::format::swe_bench::{Instance, SweBenchInstance};
use tokio_util::sync::CancellationToken;

use self::profile::Profile;
pub(crate) use self::profile::{OwnTests, Runner, failing_files};
use self::verdict::Asked;
use super::Judged;
use super::container::{Container, quoted};
use super::forbidden;
use crate::failure::Failure;
use crate::ground::Grounds;

/// The only way in which a fault is put in: `patch` may take a part of it back, and call that done.
const FAULT: [&str; 1] = ["git apply --verbose"];

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
    if let Some(words) = container.apply(fault, &FAULT).await? {
        let reason = format!("the row's fault cannot be put into its image: {}", words.trim());
        return Err(Failure::task(&row.instance_id, reason));
    }
    let kept = container.step(COMMIT).await?;
    if !kept.status.is_success() {
        let reason = format!("the row's fault cannot be committed in its image: {}", kept.log.trim());
        return Err(Failure::task(&row.instance_id, reason));
    }
    if let Some(words) = forbidden::refused(patch, None) {
        return Ok(Judged::refused(words));
    }
    if let Some(words) = container.apply(patch, &APPLY).await? {
        return Ok(Judged::rejected(&words));
    }
    if !patch.is_empty() {
        let restored = container.step(&restore(&profile.files)).await?;
        if !restored.status.is_success() {
            return Ok(Judged::error(restored.log, "the files of the tests could not be put back".to_owned()));
        }
    }
    let ran = match container.tests(&script(&profile.command), grounds.test_time()).await? {
        Ok(ran) => ran,
        Err(judged) => return Ok(judged),
    };
    let within = match log::within(&ran.log) {
        Ok(within) => within,
        Err(reason) => return Ok(Judged::error(ran.log, reason)),
    };
    let report = match within.as_deref().map(|log| profile.reading.read(log)).transpose() {
        Ok(found) => asked.report(found.as_ref()),
        Err(reason) => return Ok(Judged::error(ran.log, reason)),
    };
    // Where a test is missing or failed, the log has said enough.
    if report.resolved && !ran.status.is_success() && !profile.reading.any_failed(&within.unwrap_or_default()) {
        return Ok(Judged::contradicted(ran.log, ran.status));
    }
    let notes = format!(">>>>> Applied Patch\nthe tests ended with {:?}", ran.status);
    Ok(Judged::report(report, ran.log, notes))
}

/// Takes back what the patch did to files of tests, and fails where it cannot. The harness names all at once, and then a single
/// one that git does not know keeps all as they are; here each that the commit has is taken by itself. What is no name of a
/// file there, such as that of a directory, is passed over.
fn restore(files: &[String]) -> String {
    let files: Vec<String> = files.iter().map(|file| quoted(file)).collect();
    let files = files.join(" ");
    format!(
        r#"set -- {files}
git rev-parse --quiet --verify 'HEAD^{{tree}}' || exit 1
for file; do
    entry=$(git --literal-pathspecs ls-tree -z HEAD -- "$file" | tr '\0' '/')
    case $entry in
    *" blob "*$'\t'"$file/") git --literal-pathspecs checkout HEAD -- "$file" || exit 1 ;;
    esac
done
"#
    )
}

/// The tests' output between lines that the shell traces, and the exit status of what printed it.
fn script(command: &str) -> String {
    format!("set -uxo pipefail\n: '{}'\n{command}\ncode=$?\n: '{}'\nexit $code\n", log::START, log::END)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::*;

    fn bash(place: &Path, script: &str) -> bool {
        let script = format!("exec >/dev/null 2>&1\n{script}");
        Command::new("bash").args(["-c", &script]).current_dir(place).status().unwrap().success()
    }

    fn place() -> tempfile::TempDir {
        let place = tempfile::tempdir().unwrap();
        let made = "set -e; git init -q; mkdir tests; for name in a 'b c' '*' é; do echo old >\"tests/$name\"; done; git add .
            git -c user.name=a -c user.email=b commit -qm one; for name in a 'b c' '*' é d; do echo new >\"tests/$name\"; done";
        assert!(bash(place.path(), made));
        place
    }

    #[test]
    fn files_that_the_commit_has_are_put_back_and_no_others() {
        let place = place();
        let read = |name: &str| std::fs::read_to_string(place.path().join("tests").join(name)).unwrap();
        let names = |names: &[&str]| restore(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert!(bash(
            place.path(),
            &names(&["tests", "tests/", "", ".", "tests/d", "nowhere", ":/tests/a", "tests/*"])
        ));
        assert_eq!(["a", "b c", "*", "é", "d"].map(read), ["new\n", "new\n", "old\n", "new\n", "new\n"]);
        assert!(bash(place.path(), &names(&["tests/b c", "tests/é", "nowhere"])));
        assert_eq!(["a", "b c", "*", "é", "d"].map(read), ["new\n", "old\n", "old\n", "old\n", "new\n"]);
        assert!(bash(place.path(), "rm tests/a; mkdir -p tests/a/x"));
        assert!(bash(place.path(), &names(&["tests/a"])));
        assert_eq!(read("a"), "old\n");
    }

    #[test]
    fn files_that_cannot_be_put_back_fail() {
        let place = place();
        let script = restore(&["tests/a".to_owned()]);
        std::fs::write(place.path().join(".git/index.lock"), "").unwrap();
        assert!(!bash(place.path(), &script));
        std::fs::remove_dir_all(place.path().join(".git")).unwrap();
        assert!(!bash(place.path(), &script));
    }
}
