//! SWE-bench's steps on a repository of git's, with a script such as its rows have.

use std::path::Path;
use std::process::Command as Program;
use std::time::Duration;

use entropo_tools::LocalSandbox;
use entropo_tools::check::swe_bench::{Ended, EvalType, LogParser, Rules, Trial};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

const FIX: &str =
    "diff --git a/greet.sh b/greet.sh\n--- a/greet.sh\n+++ b/greet.sh\n@@ -1 +1 @@\n-echo helo\n+echo hello\n";

/// Brings a test, runs it and takes it away again.
const SCRIPT: &str = "#!/bin/bash
set -uxo pipefail
git checkout HEAD README
git apply -v - <<'EOF'
diff --git a/test.sh b/test.sh
new file mode 100644
--- /dev/null
+++ b/test.sh
@@ -0,0 +1,2 @@
+[ \"$(sh greet.sh)\" = hello ] && echo 'PASSED greets' || { echo 'FAILED greets - no'; exit 1; }
+sleep \"${NAP:-0}\"
EOF
: '>>>>> Start Test Output'
sh test.sh
: '>>>>> End Test Output'
rm test.sh
";

fn repository() -> TempDir {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("greet.sh"), "echo helo\n").unwrap();
    std::fs::write(place.path().join("README"), "Greets.\n").unwrap();
    let script = "git init -q && git add . && git -c user.name=a -c user.email=b commit -qm one";
    assert!(Program::new("sh").args(["-c", script]).current_dir(place.path()).status().unwrap().success());
    place
}

async fn trial(repository: &Path, patch: &str, script: &str, seconds: u64) -> Ended {
    let files = tempfile::tempdir().unwrap();
    let sandbox = LocalSandbox::new(files.path()).unwrap();
    let trial = Trial::new(patch, script).repository(repository).timeout(Duration::from_secs(seconds));
    // The script goes where the harness's images have it; a local sandbox starts elsewhere.
    let here = format!("cd '{}'\n{script}", repository.display());
    let trial = Trial::new(trial.patch, here).repository(repository).timeout(trial.timeout);
    trial.run(&sandbox, files.path(), &CancellationToken::new()).await.unwrap()
}

fn is_resolved(ended: &Ended) -> bool {
    let Ended::Ran { log } = ended else { panic!("{ended:?}") };
    let (fail_to_pass, pass_to_pass) = (vec!["greets".to_owned()], Vec::new());
    let rules = Rules { parser: LogParser::Pytest, eval_type: EvalType::PassAndFail, fail_to_pass, pass_to_pass };
    let report = rules.grade(Some(""), log).unwrap();
    assert!(report.patch_successfully_applied, "{log}");
    report.resolved
}

#[tokio::test]
async fn the_script_judges_what_the_patch_did() {
    assert!(is_resolved(&trial(repository().path(), FIX, SCRIPT, 60).await));
}

#[tokio::test]
async fn a_patch_that_git_refuses_is_fuzzed_as_the_harness_does() {
    // Two lines of context that are not there; git's three ways refuse it, patch does not.
    let loose = FIX
        .replace("@@ -1 +1 @@\n", "@@ -1,2 +1,2 @@\n")
        .replace("+echo hello\n", "+echo hello\n nothing of the kind\n");
    let repository = repository();
    let ended = trial(repository.path(), &loose, SCRIPT, 60).await;
    if Program::new("patch").arg("--version").output().is_ok() {
        assert!(is_resolved(&ended));
    } else {
        assert!(matches!(ended, Ended::Rejected { .. }), "{ended:?}");
    }
    let misfit = FIX.replace("helo", "good day");
    assert!(matches!(trial(repository.path(), &misfit, SCRIPT, 60).await, Ended::Rejected { .. }));
}

#[tokio::test]
async fn what_cannot_be_tried_says_nothing_of_the_patch() {
    let place = tempfile::tempdir().unwrap();
    let Ended::Untried { reason } = trial(&place.path().join("nowhere"), FIX, SCRIPT, 60).await else {
        panic!("judged without a repository")
    };
    assert!(reason.contains("nowhere"), "{reason}");
}

#[tokio::test]
async fn an_empty_patch_changes_nothing() {
    assert!(!is_resolved(&trial(repository().path(), "", SCRIPT, 60).await));
}

#[tokio::test]
async fn a_script_that_does_not_end_is_stopped_and_says_so() {
    let slow = SCRIPT.replace("${NAP:-0}", "600");
    let Ended::TimedOut { log } = trial(repository().path(), FIX, &slow, 1).await else { panic!("not stopped") };
    assert!(log.contains("PASSED greets") && log.ends_with("Timeout error: 1 seconds exceeded."), "{log}");
}
