//! Sessions on disk: taken up again at every line, forked, and read in the version that was written once.

use std::path::Path;

use entropo_agent::{
    CancellationToken, ChatResponse, Limits, Run, SampledTokens, ScriptedModel, Session, SessionError,
};
use entropo_core::{ExitReason, Message, RolloutId, StoreError, Trajectory, Usage};
use serde_json::json;

use crate::support::{Bench, acting, call, note, say};

/// Notes, calls two at once, and finishes; tells tokens.
fn model() -> ScriptedModel {
    ScriptedModel::from_fn("m", |request| {
        let message = match request.turn {
            0 => note("a"),
            1 => say("Two.", &[("note", json!({"text": "b"})), ("fail", json!({}))]),
            2 => say("Hm.", &[]),
            _ => call("finish"),
        };
        let mut prompt = request.trace.segments().last().map(|segment| segment.ids.clone()).unwrap_or_default();
        prompt.extend([request.turn as u32; 50]);
        let usage = Usage { prompt_tokens: prompt.len(), completion_tokens: 1, ..Usage::default() };
        let tokens = SampledTokens { prompt, completion: vec![9], logprobs: vec![-0.1] };
        ChatResponse { message, usage, tokens: Some(tokens), ..ChatResponse::default() }
    })
}

fn begin(path: &Path) -> Session {
    let run = acting(model()).begin(RolloutId::new("task", 0), 1, Bench::default().place("task").as_ref());
    Session::create(path, run).unwrap()
}

async fn go_on(session: &mut Session) -> Trajectory {
    let place = Bench::default().place("task");
    acting(model()).resume(session, place, &CancellationToken::new(), &()).await
}

#[tokio::test]
async fn a_session_cut_anywhere_goes_on_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("whole.jsonl");
    let mut session = begin(&path);
    let whole = go_on(&mut session).await;
    assert_eq!((whole.exit, whole.steps()), (ExitReason::Agent, 4));
    drop(session);
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 1 + 4 + 2 * 4, "the run, the replies, and each call twice");
    let (mut interrupted, mut same) = (0, 0);
    for kept in 1..=lines.len() {
        for torn in ["", "{\"format\":\"entropo-sess"] {
            let path = folder.path().join(format!("{kept}{}.jsonl", torn.len()));
            std::fs::write(&path, format!("{}\n{torn}", lines[..kept].join("\n"))).unwrap();
            let mut session = Session::open(&path).unwrap();
            let resumed = go_on(&mut session).await;
            if lines[kept - 1].contains("started") {
                interrupted += 1;
                let told = resumed.messages.iter().any(|message| message.content().contains("was interrupted"));
                assert!(told && resumed.exit == ExitReason::Agent, "line {kept}");
            } else {
                same += 1;
                assert_eq!(resumed, whole, "line {kept}");
            }
            drop(session);
            let reopened = Session::open(&path).unwrap().into_run();
            assert_eq!(reopened.into_trajectory(resumed.outcome.clone()), resumed, "the disk has all of it");
        }
    }
    assert_eq!((interrupted, same), (8, 18));
}

#[tokio::test]
async fn a_journal_grows_with_the_conversation_and_not_with_its_square() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.jsonl");
    go_on(&mut begin(&path)).await;
    let replies = std::fs::read_to_string(&path).unwrap();
    let lengths: Vec<usize> = replies.lines().filter(|line| line.contains("replied")).map(str::len).collect();
    assert!(lengths[3] < lengths[1], "{lengths:?}");
}

#[tokio::test]
async fn a_fork_takes_another_way_from_a_turn_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = begin(&folder.path().join("a.jsonl"));
    let original = go_on(&mut session).await;
    let mut fork = session.fork(folder.path().join("b.jsonl"), 1).unwrap();
    assert_eq!((fork.run().turns(), fork.run().messages().len()), (1, 4));
    fork.say("Finish at once.").unwrap();
    let other = acting(ScriptedModel::from_fn("m", |_| ChatResponse { message: call("finish"), ..Default::default() }));
    let forked = other.resume(&mut fork, Bench::default().place("task"), &CancellationToken::new(), &()).await;
    assert_eq!(forked.messages[..4], original.messages[..4]);
    assert_eq!((forked.messages[4].content(), forked.steps()), ("Finish at once.", 2));
    assert_eq!(original.steps(), 4);
    assert!(matches!(Session::from(session.into_run()).fork("x", 0), Err(SessionError::NoJournal)));
}

#[tokio::test]
async fn a_run_that_was_cancelled_or_is_done_can_be_talked_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.jsonl");
    let waiting = ScriptedModel::new("m", vec![say("", &[("wait", json!({})), ("note", json!({"text": "x"}))])]);
    let (cancel, place) = (CancellationToken::new(), Bench::default().place("task"));
    let agent = acting(waiting);
    let mut session = begin(&path);
    let (cancelled, ()) = tokio::join!(agent.resume(&mut session, place, &cancel, &()), async {
        tokio::task::yield_now().await;
        cancel.cancel();
    });
    assert_eq!(cancelled.exit, ExitReason::Cancelled);
    entropo_core::condensation::check_pairs(&cancelled.messages).unwrap();
    session.say("Go on.").unwrap();
    let again = go_on(&mut session).await;
    assert_eq!(again.exit, ExitReason::Agent);
    session.say("Thank you. One more thing.").unwrap();
    assert_eq!(session.run().messages().last(), Some(&Message::user("Thank you. One more thing.")));
    entropo_core::condensation::check_pairs(session.run().messages()).unwrap();
}

#[tokio::test]
async fn what_is_no_session_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.jsonl");
    drop(begin(&path));
    let run = Run::new(RolloutId::new("t", 0), "m", 0, Vec::new(), Limits::default());
    assert!(matches!(Session::create(&path, run), Err(SessionError::Exists { .. })));
    for (text, expected) in [
        ("", "is no session"),
        ("{\"format\":\"entropo-session/1\"}\n", "is no session"),
        ("{\"format\":\"entropo-session/9\"}\n", "entropo-session/9"),
        ("{\"format\":\"entropo-session/1\",\"run\":7}\n", "line 1"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = Session::open(&path).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn two_processes_cannot_go_on_with_one_session() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.jsonl");
    let _first = begin(&path);
    let Err(SessionError::Store(error)) = Session::open(&path) else { panic!("opened twice") };
    assert!(matches!(*error, StoreError::Locked { .. }));
}

/// The file was written by the first version of the format. It stays readable for as long as its name does.
#[tokio::test]
async fn the_first_version_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.jsonl");
    std::fs::copy("tests/data/session-1.jsonl", &path).unwrap();
    let mut session = Session::open(&path).unwrap();
    assert_eq!((session.run().turns(), session.run().messages().len()), (2, 7));
    let trajectory = go_on(&mut session).await;
    assert_eq!((trajectory.exit, trajectory.steps()), (ExitReason::Agent, 4));
}
