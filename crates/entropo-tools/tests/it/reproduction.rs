//! Tests of an issue: which are kept, and what candidates score on them.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use entropo_agent::select::Scores;
use entropo_agent::select::scorer::{Scorer, score_all};
use entropo_agent::{Agent, ScriptedModel, Tool};
use entropo_core::{AssistantMessage, ExitReason, Message, Outcome, RolloutId, ToolCall, Trajectory};
use entropo_tools::check::{AttemptError, Checker, LogFormat};
use entropo_tools::reproduction::{
    KeptTests, NotKept, Reproduction, ReproductionTest, SubmitTest, SubmitTestArgs, TestRunner, TestingEpisode,
};
use entropo_tools::{Command, LocalSandbox, Sandbox, SandboxError, Snapshot, Workspace, sandbox};
use serde_json::json;
use tokio_util::sync::CancellationToken;

const FIX: &str = "--- a/greet.sh\n+++ b/greet.sh\n@@ -1 +1 @@\n-echo helo $1\n+echo hello $1\n";
const OTHER: &str = "--- a/greet.sh\n+++ b/greet.sh\n@@ -1 +1 @@\n-echo helo $1\n+echo hello\n";

/// A test of the program's output, in TAP.
fn asserts(name: &str, argument: &str, output: &str) -> String {
    format!(
        "if [ \"$(sh greet.sh {argument})\" = '{output}' ]; then echo 'ok 1 - {name}'; else echo 'not ok 1 - {name}'; fi\necho 1..1\n"
    )
}

fn files() -> Arc<Snapshot> {
    let old = "echo not ok 1 - old; echo 1..1\n";
    Arc::new(Snapshot::from_files([("greet.sh", "echo helo $1\n", false), ("old.sh", old, false)]).unwrap())
}

fn runner(script: &str) -> TestRunner {
    let command = Command::script(script).timeout(Duration::from_secs(5));
    TestRunner::new(command, LogFormat::Tap, "tests/issue_{id}.sh").unwrap()
}

fn twice(checker: Checker) -> Checker {
    checker.repetitions(NonZeroUsize::new(2).unwrap())
}

fn reproduction() -> Reproduction {
    Reproduction::new(twice(Checker::new(files())), runner("sh \"$TEST_FILE\""))
}

async fn prove(reproduction: &Reproduction, content: &str) -> Result<ReproductionTest, NotKept> {
    reproduction.prove(content, &CancellationToken::new()).await
}

fn candidate(rollout: usize, patch: &str) -> Trajectory {
    let empty = Trajectory::empty(RolloutId::new("greet", rollout), "model", 0, ExitReason::Agent);
    Trajectory { outcome: Outcome { patch: patch.to_owned(), ..Outcome::default() }, ..empty }
}

async fn score(scorer: impl Scorer + 'static, candidates: &[Trajectory]) -> (Scores, Vec<String>) {
    let scorers: [Arc<dyn Scorer>; 1] = [Arc::new(scorer)];
    let candidates: Vec<_> = candidates.iter().collect();
    let scored = score_all(&scorers, &candidates, 3, &CancellationToken::new()).await;
    (scored.scores, scored.failures.into_iter().map(|failure| failure.reason).collect())
}

fn of(scores: &Scores, rollout: usize) -> Option<f64> {
    scores.get(&RolloutId::new("greet", rollout), "reproduction")
}

#[tokio::test]
async fn a_test_is_kept_if_it_fails_each_time_on_the_code_as_it_is() {
    let all = reproduction();
    let kept = prove(&all, &asserts("greets", "", "hello")).await.unwrap();
    assert_eq!(kept.fails, ["greets".to_owned()].into());
    assert!(kept.path.starts_with("tests/issue_") && kept.path.ends_with(".sh"), "{}", kept.path);

    // Of several tests in a file, those count that fail.
    let two = "echo ok 1 - a; echo not ok 2 - b; echo 1..2";
    assert_eq!(prove(&all, two).await.unwrap().fails, ["b".to_owned()].into());

    assert!(matches!(prove(&all, " \n").await, Err(NotKept::Empty)));
    assert!(matches!(prove(&all, "a\0").await, Err(NotKept::Binary)));
    let large = "#".repeat(Reproduction::LIMIT + 1);
    assert!(matches!(prove(&all, &large).await, Err(NotKept::TooLarge { bytes: 262_145 })));
    assert!(matches!(prove(&all, "echo ok 1 - a; echo 1..1").await, Err(NotKept::Passes { tests: 1 })));
    let status = sandbox::Status::Exited(3);
    assert!(matches!(prove(&all, "exit 3").await, Err(NotKept::NotRun { status: it }) if it == status));
    let broken = prove(&all, "echo not ok 1 - a; echo 1..2; exit 3").await;
    assert!(matches!(broken, Err(NotKept::CutShort { status: it }) if it == status));
    let hangs = prove(&all, "echo 1..1; echo not ok 1 - a; sleep 60").await;
    assert!(matches!(hangs, Err(NotKept::CutShort { status: sandbox::Status::TimedOut })));
}

#[tokio::test]
async fn a_test_whose_result_changes_is_not_kept() {
    let outside = tempfile::tempdir().unwrap();
    let seen = outside.path().join("seen");
    let changes = format!(
        "if [ -e {seen} ]; then echo ok 1 - a; else echo not ok 1 - a; fi; touch {seen}; echo 1..1",
        seen = seen.display()
    );
    let Err(NotKept::Flaky { tests }) = prove(&reproduction(), &changes).await else { panic!("it was kept") };
    assert_eq!(tests, ["a".to_owned()].into());
}

#[tokio::test]
async fn what_fails_without_the_test_is_not_of_it() {
    let all =
        Reproduction::new(Checker::new(files()), runner("sh old.sh; [ ! -e \"$TEST_FILE\" ] || sh \"$TEST_FILE\""));
    assert!(matches!(prove(&all, "true").await, Err(NotKept::Others)));
}

#[tokio::test]
async fn what_breaks_before_it_tests_is_not_kept() {
    let command = Command::script("cat \"$TEST_FILE\"");
    let runner = TestRunner::new(command, LogFormat::Pytest, "tests/test_{id}.py").unwrap();
    let all = Reproduction::new(Checker::new(files()), runner);
    let log = "=========================== short test summary info ============================\n\
               ERROR tests/test_x.py - ImportError\n\
               =============================== 1 error in 0.12s ===============================\n";
    // As pytest ends where it cannot load a file, and where a test's set-up breaks.
    let interrupted = log.replace(
        "=============================== 1 error",
        "!!!!!!!!!!!!!!!!!!!! Interrupted: 1 error during collection !!!!!!!!!!!!!!!!!!!!\n=============================== 1 error",
    );
    for log in [log, &interrupted] {
        let broken = prove(&all, log).await;
        assert!(matches!(&broken, Err(NotKept::Breaks { tests }) if tests.len() == 1), "{broken:?}");
    }
}

#[tokio::test]
async fn an_agent_writes_tests_and_candidates_are_scored_on_them() {
    let reproduction = reproduction();
    let call = |name: &str, arguments| {
        let tool_calls = vec![ToolCall { id: "1".into(), name: name.into(), arguments }];
        AssistantMessage { tool_calls, ..AssistantMessage::default() }
    };
    let submit = |content: &str| call("submit_test", json!({"content": content}));
    let greets = asserts("greets", "", "hello");
    let replies = vec![
        submit("echo ok 1 - a; echo 1..1"),
        submit(&greets),
        submit(&greets.replace("greets", "salutes")),
        submit(&asserts("names", "you", "hello you")),
        call("finish", json!({})),
    ];
    let workspace = Workspace::of(files()).await.unwrap();
    let sandbox = Arc::new(LocalSandbox::new(workspace.root()).unwrap());
    let episode = TestingEpisode::new(&reproduction, workspace, sandbox, "It says helo.").unwrap();
    let kept = episode.kept();
    let agent = Agent::new(Arc::new(ScriptedModel::new("tester", replies)));
    let cancel = CancellationToken::new();
    let id = RolloutId::new("greet", 0);
    let trajectory = agent.run(id, 0, Box::new(episode), &cancel, &()).await;

    let answers = trajectory.messages.iter().filter_map(|message| match message {
        Message::Tool(answer) => Some(answer.content.as_str()),
        _ => None,
    });
    let said: Vec<&str> = answers.collect();
    assert_eq!(said[0], "Not kept: none of its tests (1) fails on the code as it is, so it does not show the issue.");
    assert!(
        said[1].starts_with("Kept as tests/issue_") && said[1].ends_with(". Failing, as it should: greets."),
        "{said:?}"
    );
    assert!(said[2].starts_with("Not kept: tests/issue_") && said[2].ends_with(" says the same already."), "{said:?}");
    let tests = kept.tests();
    assert_eq!(tests.len(), 2);
    assert_eq!(trajectory.exit, ExitReason::Agent);
    assert_eq!(trajectory.outcome.patch, tests.iter().map(ReproductionTest::patch).collect::<String>());
    let stored = serde_json::to_string(&tests).unwrap();
    assert_eq!(serde_json::from_str::<Vec<ReproductionTest>>(&stored).unwrap(), tests);

    let scorer = reproduction.scorer(tests);
    assert_eq!(scorer.highest(), 2);
    let misfit = FIX.replace("-echo helo", "-echo nothing");
    let candidates = [candidate(4, FIX), candidate(0, ""), candidate(2, &misfit), candidate(7, OTHER)];
    let (scores, failures) = score(scorer, &candidates).await;
    assert_eq!(failures, Vec::<String>::new());
    assert_eq!([0, 2, 4, 7].map(|rollout| of(&scores, rollout)), [Some(0.0), Some(0.0), Some(2.0), Some(1.0)]);
}

/// R2E-Gym counted the word "resolved", which is in "unresolved" too, and ran all tests of a candidate in one place.
#[tokio::test]
async fn words_do_not_count_and_no_test_sees_what_another_left() {
    let all = reproduction();
    let talks =
        "echo resolved; [ -e left ] && echo ok 1 - a || echo not ok 1 - a; touch left; echo unresolved; echo 1..1\n";
    let one = prove(&all, talks).await.unwrap();
    let two = prove(&all, &talks.replace("- a", "- b").replace("echo resolved", "echo all resolved")).await.unwrap();
    let (scores, failures) = score(all.scorer([one, two]), &[candidate(0, FIX)]).await;
    assert_eq!((of(&scores, 0), failures.len()), (Some(0.0), 0));
}

#[tokio::test]
async fn a_place_that_fails_is_tried_again_and_is_no_score_in_the_end() {
    let (opened, fails) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (count, until) = (Arc::clone(&opened), Arc::clone(&fails));
    let sandboxes = move |root: &Path| {
        if count.fetch_add(1, Ordering::SeqCst) < until.load(Ordering::SeqCst) {
            return Err(SandboxError::Unavailable {
                kind: sandbox::SandboxKind::Container,
                reason: "the engine is busy".into(),
            });
        }
        Ok(Box::new(LocalSandbox::new(root)?) as Box<dyn Sandbox>)
    };
    let all = Reproduction::new(Checker::new(files()).sandboxes(sandboxes), runner("sh \"$TEST_FILE\""));
    let test = prove(&all, &asserts("greets", "", "hello")).await.unwrap();
    for (failures, expected) in [(2, Some(1.0)), (3, None)] {
        opened.store(0, Ordering::SeqCst);
        fails.store(failures, Ordering::SeqCst);
        let (scores, failures) = score(all.scorer([test.clone()]), &[candidate(0, FIX)]).await;
        assert_eq!(of(&scores, 0), expected);
        assert_eq!(failures.len(), usize::from(expected.is_none()));
        assert!(
            failures.iter().all(|why| why.contains("the engine is busy") && why.contains(&test.path)),
            "{failures:?}"
        );
    }
    opened.store(0, Ordering::SeqCst);
    let refused = prove(&all, &asserts("names", "you", "hello you")).await.unwrap_err();
    assert!(matches!(refused, NotKept::Attempt(AttemptError::Sandbox(_))) && !refused.is_of_the_test());

    // A tester cannot mend that: the test is tried again, and what could not be run is known.
    let submit = |content: &str| SubmitTestArgs { content: content.to_owned() };
    for (failures, failure) in [(2, false), (3, true)] {
        opened.store(0, Ordering::SeqCst);
        fails.store(failures, Ordering::SeqCst);
        let kept = KeptTests::new();
        let tool = SubmitTest::new(all.clone(), kept.clone(), 10);
        let cancel = CancellationToken::new();
        assert_eq!(tool.call(submit(&asserts("greets", "", "hello")), &cancel).await.is_err(), failure);
        assert_eq!((kept.len(), kept.failure().is_some()), (usize::from(!failure), failure));
        // What the test itself is to blame for is no such failure.
        assert!(tool.call(submit("exit 3"), &cancel).await.is_err());
        assert_eq!(kept.failure().is_some(), failure);
    }
}

#[tokio::test]
async fn without_tests_nothing_is_known() {
    let (scores, failures) = score(reproduction().scorer([]), &[candidate(0, FIX)]).await;
    assert_eq!((of(&scores, 0), failures.len()), (None, 0));
}
