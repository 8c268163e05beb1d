//! Any rollout, written in the formats of other agents and read again: what differs is what the writer said is lost.

use std::collections::{BTreeMap, BTreeSet};

use entropo_core::format::export::{ExportError, Loss};
use entropo_core::format::r2e::R2eRun;
use entropo_core::format::{Carried, RowError, mini_swe_agent, swe_agent};
use entropo_core::{
    AssistantMessage, Condensation, ExitReason, Message, RolloutId, ToolCall, ToolMessage, Trajectory, Usage,
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-c <>=/\n]{0,8}", any::<String>()]
}

fn exit() -> impl Strategy<Value = ExitReason> {
    use ExitReason::*;
    prop::sample::select(vec![
        Agent,
        StepLimit,
        TokenLimit,
        Context,
        TimeLimit,
        CostLimit,
        FormatErrors,
        Stuck,
        Stopped,
        ModelError,
        EnvironmentError,
        Panic,
        Cancelled,
    ])
}

/// A turn: thought, calls with their arguments, whether ids and names are kept, and the answers.
type Turn = (String, Vec<(String, Vec<(String, Value)>, bool, String)>, Option<String>, Option<String>);

fn turn(calls: usize) -> impl Strategy<Value = Turn> {
    let value = prop_oneof![4 => text().prop_map(Value::from), 1 => any::<i64>().prop_map(Value::from)];
    let call = ("[a-z_]{1,6}", prop::collection::vec(("[a-z_]{1,4}", value), 0..3), prop::bool::weighted(0.9), text());
    let user = prop::option::of(text());
    (text(), prop::collection::vec(call, 0..=calls), user, prop::option::weighted(0.1, text()))
}

/// Messages in which every call is answered, and a turn without calls perhaps by the user; always if they have to
/// `alternate`.
fn messages(turns: Vec<Turn>, system: Option<String>, problem: String, alternate: bool) -> Vec<Message> {
    let mut messages: Vec<Message> = system.map(Message::system).into_iter().collect();
    messages.push(Message::user(problem));
    let mut count = 0;
    for (content, calls, user, raw) in turns {
        let mut answers = Vec::new();
        let tool_calls = calls.into_iter().map(|(name, arguments, regular, answer)| {
            let id = if regular { format!("call_{count}") } else { format!("other {count}") };
            count += 1;
            let answered = if regular { name.clone() } else { format!("{name}2") };
            answers.push(Message::Tool(ToolMessage { call_id: id.clone(), name: answered, content: answer }));
            ToolCall { id, name, arguments: Value::Object(arguments.into_iter().collect::<Map<_, _>>()) }
        });
        let tool_calls: Vec<ToolCall> = tool_calls.collect();
        let called = !tool_calls.is_empty();
        messages.push(Message::Assistant(AssistantMessage { content, tool_calls, raw }));
        messages.extend(answers);
        match user {
            Some(user) if !called || !alternate => messages.push(Message::user(user)),
            None if !called && alternate => messages.push(Message::user("go on")),
            _ => {}
        }
    }
    messages
}

prop_compose! {
    fn trajectory(calls: usize, alternate: bool)(
        turns in prop::collection::vec(turn(calls), 0..4),
        (system, problem, task, model) in (prop::option::of(text()), text(), text(), text()),
        (exit, patch, error, seed) in (exit(), text(), prop::option::weighted(0.2, text()), prop_oneof![Just(0), any::<u64>()]),
        reward in prop::option::of(prop_oneof![Just(0.0), Just(1.0), -1e9..1e9]),
        scores in prop::collection::btree_map(prop::sample::select(vec!["verifier", "reproduction", "regression"]), -9.0..9.0, 0..3),
        (known, cost, tokens, sampled, condensed) in
            (prop::bool::weighted(0.7), prop::option::of(0..9_000_000_000_000_u64), 0..9_usize, prop::bool::weighted(0.2), prop::bool::weighted(0.1)),
    ) -> Trajectory {
        let mut made = Trajectory::empty(RolloutId::new(task, 2), model, seed, exit);
        made.messages = messages(turns, system, problem, alternate);
        let calls = made.messages.iter().filter_map(Message::as_assistant).map(|said| said.tool_calls.len()).sum();
        made.usage = Usage { model_calls: made.steps(), tool_calls: calls, ..Usage::default() };
        if !known {
            made.usage = Usage { prompt_tokens: tokens, completion_tokens: tokens / 2, bad_calls: tokens / 4, cost_nano_usd: cost, ..made.usage };
        }
        (made.outcome.patch, made.outcome.reward, made.error) = (patch, reward, error);
        made.outcome.scores = scores.into_iter().map(|(name, score): (&str, f64)| (name.to_owned(), score)).collect();
        if sampled {
            made.trace.record(0, &[1, 2], &[3], &[], 2).unwrap();
        }
        if condensed {
            made.condensations.push(Condensation { turn: 0, replacements: Vec::new() });
        }
        made
    }
}

/// The rollout without what is lost in every format alike.
fn without(mut trajectory: Trajectory, lost: &BTreeSet<Loss>) -> Trajectory {
    let is_lost = |loss: Loss| lost.contains(&loss);
    if is_lost(Loss::Tokens) {
        trajectory.trace = Default::default();
    }
    if is_lost(Loss::Condensations) {
        trajectory.condensations.clear();
    }
    if is_lost(Loss::Seed) {
        trajectory.seed = 0;
    }
    if is_lost(Loss::Reward) {
        trajectory.outcome.reward = None;
    }
    if is_lost(Loss::ErrorText) {
        trajectory.error = None;
    }
    let mut names = BTreeMap::new();
    for message in &mut trajectory.messages {
        match message {
            Message::Assistant(said) => {
                if is_lost(Loss::Raw) {
                    said.raw = None;
                }
                names.extend(said.tool_calls.iter().map(|call| (call.id.clone(), call.name.clone())));
            }
            Message::Tool(tool) if is_lost(Loss::CallNames) => tool.name.clone_from(&names[&tool.call_id]),
            _ => {}
        }
    }
    trajectory
}

/// Ids by the order of calls, and arguments as text, as R2E-Gym has them.
fn as_r2e(mut trajectory: Trajectory, lost: &BTreeSet<Loss>) -> Trajectory {
    let mut count = 0;
    for message in &mut trajectory.messages {
        match message {
            Message::Assistant(said) => {
                for call in &mut said.tool_calls {
                    if lost.contains(&Loss::CallNames) {
                        call.id = format!("call_{count}");
                    }
                    count += 1;
                    let arguments = call.arguments.as_object_mut().unwrap().values_mut();
                    if lost.contains(&Loss::ArgumentTypes) {
                        arguments
                            .filter(|value| !value.is_string())
                            .for_each(|value| *value = json!(value.to_string()));
                    }
                }
            }
            Message::Tool(tool) if lost.contains(&Loss::CallNames) => tool.call_id = format!("call_{}", count - 1),
            _ => {}
        }
    }
    if trajectory.messages.last().is_some_and(|last| last.role() != "assistant" && last.content().is_empty())
        && trajectory.steps() > 0
    {
        trajectory.messages.pop();
    }
    if lost.contains(&Loss::Scores) {
        trajectory.outcome.scores.remove("regression");
    }
    if lost.contains(&Loss::Usage) {
        let (model_calls, tool_calls) = (trajectory.steps(), count);
        trajectory.usage = Usage { model_calls, tool_calls, ..Usage::default() };
    }
    trajectory
}

proptest! {
    #[test]
    fn r2e_gym_loses_what_its_writer_says(rollout in trajectory(1, true)) {
        let Carried { value: run, lost } = match R2eRun::of_trajectory(&rollout) {
            Err(ExportError::Lost { loss: Loss::Marks, .. }) => return Ok(()),
            written => written.unwrap(),
        };
        let line = serde_json::to_value(&run).unwrap();
        prop_assert_eq!(&R2eRun::read(&line).unwrap(), &run);
        let again = run.to_trajectory(2).unwrap();
        prop_assert!(again.lost.is_empty());
        let expected = as_r2e(without(rollout, &lost), &lost);
        prop_assert_eq!(again.value, expected, "{:?}", lost);
    }

    #[test]
    fn swe_agent_loses_what_its_writer_says(rollout in trajectory(1, false)) {
        let Carried { value, lost } = swe_agent::write(&rollout).unwrap();
        let again = swe_agent::read(&value, rollout.id.clone()).unwrap();
        prop_assert!(again.lost.is_empty());
        let mut expected = without(rollout, &lost);
        if lost.contains(&Loss::Scores) {
            expected.outcome.scores.clear();
        }
        if lost.contains(&Loss::Usage) {
            expected.usage.bad_calls = 0;
        }
        prop_assert_eq!(again.value, expected, "{:?}", lost);
    }

    #[test]
    fn mini_swe_agent_loses_what_its_writer_says(rollout in trajectory(3, false)) {
        let Carried { value, lost } = mini_swe_agent::write(&rollout).unwrap();
        prop_assert_eq!(mini_swe_agent::task(&value), Some(rollout.id.task.as_str()));
        let again = mini_swe_agent::read(&value, rollout.id.clone()).unwrap();
        prop_assert!(again.lost.is_empty());
        let mut expected = without(rollout, &lost);
        if lost.contains(&Loss::Scores) {
            expected.outcome.scores.clear();
        }
        if lost.contains(&Loss::Usage) {
            expected.usage = Usage { prompt_tokens: 0, completion_tokens: 0, bad_calls: 0, ..expected.usage };
        }
        prop_assert_eq!(again.value, expected, "{:?}", lost);
    }
}

fn rollout(messages: Vec<Message>) -> Trajectory {
    let mut rollout = Trajectory::empty(RolloutId::new("t", 0), "m", 0, ExitReason::Agent);
    rollout.messages = messages;
    rollout
}

fn said(calls: &[(&str, Value)]) -> Message {
    let calls = calls.iter().map(|(id, arguments)| ToolCall {
        id: (*id).to_owned(),
        name: "bash".to_owned(),
        arguments: arguments.clone(),
    });
    Message::Assistant(AssistantMessage { tool_calls: calls.collect(), ..AssistantMessage::default() })
}

#[test]
fn what_training_would_read_otherwise_is_refused() {
    let lost = |result: Result<_, ExportError>| match result.map(|_: ()| ()).unwrap_err() {
        ExportError::Lost { loss, at, .. } => (loss, at),
        other => panic!("{other}"),
    };
    let r2e = |messages| lost(R2eRun::of_trajectory(&rollout(messages)).map(|_| ()));
    let swe = |messages| lost(swe_agent::write(&rollout(messages)).map(|_| ()));
    let two = || vec![Message::user("p"), said(&[("a", json!({})), ("b", json!({}))])];
    assert_eq!(r2e(two()), (Loss::SeveralCalls, "messages[1]".to_owned()));
    assert_eq!(swe(two()), (Loss::SeveralCalls, "messages[1]".to_owned()));
    let twice = vec![Message::user("p"), Message::assistant("a"), Message::user("b"), Message::user("c")];
    assert_eq!(r2e(twice), (Loss::Alternation, "messages[3]".to_owned()));
    assert_eq!(r2e(vec![Message::assistant("a")]), (Loss::Alternation, "messages[0]".to_owned()));
    let marked = vec![Message::user("p"), said(&[("a", json!({"cmd": "</parameter>"}))])];
    assert_eq!(r2e(marked), (Loss::Marks, "messages[1]".to_owned()));
}

#[test]
fn what_was_put_together_wrongly_is_not_written() {
    let orphan = Message::Tool(ToolMessage { call_id: "x".into(), name: "bash".into(), content: String::new() });
    for messages in [
        vec![Message::user("p"), said(&[("a", json!("ls"))])],
        vec![Message::user("p"), said(&[("a", json!({})), ("a", json!({}))])],
        vec![Message::user("p"), orphan],
    ] {
        let rollout = rollout(messages);
        let results = [
            R2eRun::of_trajectory(&rollout).map(|_| ()),
            swe_agent::write(&rollout).map(|_| ()),
            mini_swe_agent::write(&rollout).map(|_| ()),
        ];
        for result in results {
            assert!(matches!(result, Err(ExportError::Malformed { .. })), "{result:?}");
        }
    }
}

#[test]
fn every_end_has_a_word_of_its_own_in_every_format() -> Result<(), RowError> {
    use ExitReason::*;
    for exit in [
        Agent,
        StepLimit,
        TokenLimit,
        Context,
        TimeLimit,
        CostLimit,
        FormatErrors,
        Stuck,
        Stopped,
        ModelError,
        EnvironmentError,
        Panic,
        Cancelled,
    ] {
        let mut rollout = rollout(vec![Message::user("p")]);
        (rollout.exit, rollout.outcome.patch) = (exit, "diff".to_owned());
        let id = rollout.id.clone();
        assert_eq!(R2eRun::of_trajectory(&rollout).unwrap().value.to_trajectory(0)?.value.exit, exit);
        assert_eq!(swe_agent::read(&swe_agent::write(&rollout).unwrap().value, id.clone())?.value.exit, exit);
        assert_eq!(mini_swe_agent::read(&mini_swe_agent::write(&rollout).unwrap().value, id)?.value.exit, exit);
    }
    Ok(())
}
