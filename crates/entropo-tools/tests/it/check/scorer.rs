//! Regression as a score, of real processes.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use entropo_agent::select::scorer::{ScoreFailure, Scored, Scorer, score_all};
use entropo_core::{ExitReason, RolloutId, Trajectory};
use entropo_tools::check::{Check, Checker, LogFormat, RegressionError, RegressionScorer, Status, TestReport};
use entropo_tools::{Command, LocalSandbox, Sandbox, SandboxError, Snapshot};
use tokio_util::sync::CancellationToken;

/// Three tests: of two files, and one that always fails.
const TESTS: &str = "
    [ \"$(cat a)\" = 1 ] && echo ok 1 - a || echo not ok 1 - a
    [ \"$(cat b)\" = 1 ] && echo ok 2 - b || echo not ok 2 - b
    echo not ok 3 - c; echo 1..3";

fn files() -> Arc<Snapshot> {
    Arc::new(Snapshot::from_files([("a", "1\n", false), ("b", "1\n", false)]).unwrap())
}

fn check(script: &str) -> Check {
    // What sleeps is to be killed; nothing else takes as long, however slow the machine is.
    let seconds = if script.contains("sleep") { 1 } else { 120 };
    let command = Command::script(script).timeout(Duration::from_secs(seconds));
    Check::new("tests", command, LogFormat::Tap)
}

fn passing(names: &[&str]) -> TestReport {
    TestReport { tests: names.iter().map(|name| ((*name).to_owned(), Status::Passed)).collect(), complete: true }
}

fn sets(file: &str, from: &str, to: &str) -> String {
    format!("--- a/{file}\n+++ b/{file}\n@@ -1 +1 @@\n-{from}\n+{to}\n")
}

fn rollout(number: usize, patch: &str) -> Trajectory {
    let mut rollout = Trajectory::empty(RolloutId::new("t", number), "m", 0, ExitReason::Agent);
    patch.clone_into(&mut rollout.outcome.patch);
    rollout
}

async fn score(scorer: RegressionScorer, rollouts: &[Trajectory], cancel: &CancellationToken) -> Scored {
    let scorer: Arc<dyn Scorer> = Arc::new(scorer);
    score_all(&[scorer], &rollouts.iter().collect::<Vec<_>>(), 2, cancel).await
}

fn value(scored: &Scored, number: usize) -> Option<f64> {
    scored.scores.get(&RolloutId::new("t", number), "regression")
}

#[tokio::test]
async fn a_score_is_the_number_of_tests_that_passed_and_still_pass() {
    let cancel = CancellationToken::new();
    let before = RegressionScorer::before(&Checker::new(files()), &check(TESTS), &cancel).await.unwrap();
    assert_eq!((before.get("a"), before.get("c")), (Some(Status::Passed), Some(Status::Failed)));
    let scorer = RegressionScorer::new(Checker::new(files()), check(TESTS), before);
    let both = sets("a", "1", "2") + &sets("b", "1", "2");
    let rollouts = [
        rollout(0, ""),
        rollout(1, &sets("a", "1", "2")),
        rollout(2, &both),
        rollout(3, &sets("a", "9", "2")), // does not apply
    ];
    let scored = score(scorer, &rollouts, &cancel).await;
    assert_eq!(scored.failures, []);
    assert_eq!([0, 1, 2, 3].map(|number| value(&scored, number)), [Some(2.0), Some(1.0), Some(0.0), Some(0.0)]);
}

#[tokio::test]
async fn a_run_without_a_whole_report_is_a_missing_score_and_never_0() {
    let cancel = CancellationToken::new();
    let before = || passing(&["a", "b"]);
    // Killed, cut short, unreadable: in each the first test still passed.
    for (script, reason) in [
        ("echo 1..2; echo ok 1 - a; sleep 60", "TimedOut"),
        ("echo 1..2; echo ok 1 - a; kill -9 $$", "Signalled"),
        ("echo 1..2; echo ok 1 - a", "Exited(0) before their report was whole"),
        ("exec head -c 17000000 /dev/zero", ""),
    ] {
        let scored =
            score(RegressionScorer::new(Checker::new(files()), check(script), before()), &[rollout(0, "")], &cancel)
                .await;
        assert_eq!(value(&scored, 0), None, "{script}: {scored:?}");
        let [ScoreFailure { name, reason: told, .. }] = &scored.failures[..] else { panic!("{scored:?}") };
        assert!(name == "regression" && told.contains(reason), "{told}");
    }
    let nowhere = |_: &Path| {
        Err::<Box<dyn Sandbox>, _>(SandboxError::Unavailable {
            kind: entropo_tools::sandbox::SandboxKind::Container,
            reason: "there is no engine".to_owned(),
        })
    };
    let checker = Checker::new(files()).sandboxes(nowhere);
    let scored = score(RegressionScorer::new(checker, check(TESTS), before()), &[rollout(0, "")], &cancel).await;
    assert!(value(&scored, 0).is_none() && scored.failures[0].reason.contains("no engine"), "{scored:?}");
    // The patch with the tests does not fit: nobody knows whose fault it is.
    let clash = check(TESTS).tests(sets("b", "9", "2"));
    let scored = score(RegressionScorer::new(Checker::new(files()), clash, before()), &[rollout(0, "")], &cancel).await;
    assert!(value(&scored, 0).is_none() && scored.failures[0].reason.contains("patch with the tests"), "{scored:?}");
    cancel.cancel();
    let scorer = RegressionScorer::new(Checker::new(files()), check(TESTS), before());
    assert!(scorer.score(&rollout(0, ""), &cancel).await.is_err());
}

#[tokio::test]
async fn what_passes_only_at_times_is_not_in_what_passed_before() {
    let opened = Arc::new(AtomicUsize::new(0));
    let sandboxes = move |root: &Path| {
        std::fs::write(root.join("number"), opened.fetch_add(1, Ordering::Relaxed).to_string()).unwrap();
        Ok(Box::new(LocalSandbox::new(root)?) as Box<dyn Sandbox>)
    };
    let script =
        "echo ok 1 - steady; [ \"$(cat number)\" = 1 ] && echo not ok 2 - flaky || echo ok 2 - flaky; echo 1..2";
    let twice = Checker::new(files()).sandboxes(sandboxes).repetitions(NonZeroUsize::new(2).unwrap());
    let before = RegressionScorer::before(&twice, &check(script), &CancellationToken::new()).await.unwrap();
    assert_eq!(before.tests.keys().collect::<Vec<_>>(), ["steady"]);
    let broken = RegressionScorer::before(&twice, &check("echo 1..2"), &CancellationToken::new()).await;
    assert!(matches!(broken, Err(RegressionError::Incomplete(_))), "{broken:?}");
}
