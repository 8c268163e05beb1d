//! Running tests on candidates.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use entropo_core::RolloutId;
use entropo_tools::check::{AttemptError, Candidate, Check, Checker, LogFormat, Patch, RunError, Runs, Status, flaky};
use entropo_tools::{Command, LocalSandbox, Sandbox, Snapshot, sandbox};
use tokio_util::sync::CancellationToken;

const FIX: &str = "--- a/n\n+++ b/n\n@@ -1 +1 @@\n-1\n+2\n";
const TESTS: &str =
    "--- /dev/null\n+++ b/test.sh\n@@ -0,0 +1 @@\n+[ \"$(cat n)\" = 2 ] && echo ok 1 - two || echo not ok 1 - two\n";

fn files() -> Arc<Snapshot> {
    Arc::new(Snapshot::from_files([("n", "1\n", false)]).unwrap())
}

fn candidate(rollout: usize, patch: &str) -> Candidate {
    Candidate { id: RolloutId::new("t", rollout), patch: patch.into() }
}

fn times(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

async fn run(checker: &Checker, candidates: &[Candidate], checks: &[Check]) -> Result<Runs, RunError> {
    checker.run(candidates.to_vec(), checks.to_vec(), &CancellationToken::new()).await
}

#[tokio::test]
async fn results_are_found_by_rollout_and_check_and_a_patch_that_does_not_fit_is_one() {
    let check = Check::new("two", Command::script("sh test.sh; echo 1..1"), LogFormat::Tap).tests(TESTS);
    let other = Check::new("exit", Command::script("exit 3"), LogFormat::Tap);
    let clash = TESTS.replace("two", "mine");
    let candidates = [
        candidate(7, FIX),
        candidate(2, ""),
        candidate(4, "--- a/n\n+++ b/n\n@@ -1 +1 @@\n-9\n+2\n"),
        candidate(5, &clash),
    ];
    let runs = run(&Checker::new(files()).at_once(times(3)), &candidates, &[check, other]).await.unwrap();
    assert_eq!(runs.keys().map(|id| id.rollout).collect::<Vec<_>>(), [2, 4, 5, 7]);
    for (rollout, status) in [(7, Status::Passed), (2, Status::Failed)] {
        let attempt = runs[&RolloutId::new("t", rollout)]["two"][0].as_ref().unwrap();
        assert_eq!((attempt.report.get("two"), attempt.report.complete), (Some(status), true));
    }
    let [Err(AttemptError::Rejected { which: Patch::Candidate, .. })] = &runs[&RolloutId::new("t", 4)]["two"][..]
    else {
        panic!()
    };
    // A candidate's own file of that name does not stay.
    let attempt = runs[&RolloutId::new("t", 5)]["two"][0].as_ref().unwrap();
    assert_eq!((attempt.report.get("two"), attempt.report.get("mine")), (Some(Status::Failed), None));
    let attempt = runs[&RolloutId::new("t", 7)]["exit"][0].as_ref().unwrap();
    assert_eq!((attempt.status, attempt.report.complete), (sandbox::Status::Exited(3), false));
}

#[tokio::test]
async fn tests_that_do_not_fit_the_original_are_told() {
    let check = Check::new("c", Command::script("true"), LogFormat::Tap).tests(FIX.replace("-1\n", "-2\n"));
    // Not even if a candidate makes what they are a patch of.
    let runs = run(&Checker::new(files()), &[candidate(0, FIX)], &[check]).await.unwrap();
    let [Err(AttemptError::Rejected { which: Patch::Tests, .. })] = &runs[&RolloutId::new("t", 0)]["c"][..] else {
        panic!()
    };
}

#[tokio::test]
async fn every_run_has_a_place_of_its_own_and_repetition_shows_what_is_flaky() {
    let opened = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&opened);
    let sandboxes = move |root: &Path| {
        let number = count.fetch_add(1, Ordering::Relaxed);
        std::fs::write(root.join("number"), format!("{number}\n")).unwrap();
        Ok(Box::new(LocalSandbox::new(root)?) as Box<dyn Sandbox>)
    };
    let script = "[ -e left ] && echo not ok 1 - alone || echo ok 1 - alone; touch left
        [ \"$(cat number)\" = 1 ] && echo not ok 2 - steady || echo ok 2 - steady; echo \"ok 3 - $PWD/x\"; echo 1..3";
    let check = Check::new("c", Command::script(script), LogFormat::Tap);
    let checker = Checker::new(files()).sandboxes(sandboxes).repetitions(times(3));
    let runs = run(&checker, &[candidate(0, "")], &[check]).await.unwrap();
    let reports: Vec<_> =
        runs[&RolloutId::new("t", 0)]["c"].iter().map(|run| run.as_ref().unwrap().report.clone()).collect();
    assert_eq!(opened.load(Ordering::Relaxed), 3);
    assert!(
        reports
            .iter()
            .all(|report| report.get("alone") == Some(Status::Passed) && report.get("x") == Some(Status::Passed))
    );
    assert_eq!(flaky(&reports).keys().collect::<Vec<_>>(), ["steady"]);
}

#[tokio::test]
async fn a_command_that_is_killed_leaves_an_incomplete_report() {
    let command = Command::script("echo 1..1; echo ok 1 - a; sleep 60").timeout(Duration::from_millis(300));
    let runs =
        run(&Checker::new(files()), &[candidate(0, "")], &[Check::new("c", command, LogFormat::Tap)]).await.unwrap();
    let attempt = runs[&RolloutId::new("t", 0)]["c"][0].as_ref().unwrap();
    assert_eq!((attempt.status, attempt.report.complete), (sandbox::Status::TimedOut, false));
    assert_eq!(attempt.report.get("a"), Some(Status::Passed));
}

#[tokio::test]
async fn what_is_cancelled_is_told_and_what_has_one_name_is_refused() {
    let check = Check::new("c", Command::script("true"), LogFormat::Tap);
    let cancel = CancellationToken::new();
    cancel.cancel();
    let checker = Checker::new(files());
    let runs = checker.run([candidate(0, "")], [check.clone()], &cancel).await.unwrap();
    assert!(matches!(runs[&RolloutId::new("t", 0)]["c"][..], [Err(AttemptError::Cancelled)]));
    let twice = run(&checker, &[candidate(0, ""), candidate(0, FIX)], std::slice::from_ref(&check)).await;
    assert!(matches!(twice, Err(RunError::Candidate(_))));
    assert!(matches!(run(&checker, &[candidate(0, "")], &[check.clone(), check]).await, Err(RunError::Check(_))));
}
