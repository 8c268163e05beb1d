//! What a rollout does, and what ends it.

use std::sync::{Arc, Mutex};

use entropo_agent::{
    CancellationToken, ChatResponse, Event, Limits, Observer, SampledTokens, ScriptedModel, StopReason, turn_seed,
};
use entropo_core::{ExitReason, Message, RolloutId, Usage};
use serde_json::json;

use crate::support::{Bench, acting, call, note, run, run_task, say, scripted, told};

#[tokio::test]
async fn calls_are_carried_out_until_one_finishes() {
    let two = say("Both.", &[("note", json!({"text": "a", "times": "2"})), ("fail", json!({}))]);
    let last = say("", &[("finish", json!({})), ("panic", json!({}))]);
    let trajectory = run(&scripted(vec![two, last])).await;
    let expected = [
        "assistant: Both.",
        "tool: aa",
        "tool: It does not work.",
        "assistant: ",
        "tool: Finished.",
        "tool: Not carried out: the task was finished before.",
    ]
    .map(str::to_owned);
    assert_eq!(told(&trajectory), expected, "what follows a finishing call is not carried out");
    assert_eq!((trajectory.exit, trajectory.outcome.patch.as_str()), (ExitReason::Agent, "Agent"));
    let usage = Usage { model_calls: 2, tool_calls: 3, bad_calls: 1, ..Usage::default() };
    assert_eq!(trajectory.usage, usage);
    let ids: Vec<_> = trajectory
        .messages
        .iter()
        .filter_map(|message| if let Message::Tool(tool) = message { Some(tool.call_id.as_str()) } else { None })
        .collect();
    assert_eq!(ids, ["call_0_0", "call_0_1", "call_1_0", "call_1_1"]);
}

#[tokio::test]
async fn every_turn_has_the_seed_of_its_number() {
    let seeds = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&seeds);
    let model = ScriptedModel::from_fn("asker", move |request| {
        kept.lock().unwrap().push(request.seed);
        ChatResponse { message: note("x"), ..ChatResponse::default() }
    });
    run(&acting(model).limits(Limits { max_steps: 3, ..Limits::default() })).await;
    assert_eq!(*seeds.lock().unwrap(), [0, 1, 2].map(|turn| turn_seed(1, turn)));
}

/// Writes 10 tokens after a prompt of 100 in the first turn, 200 in the second, and so on.
fn talker(stop: StopReason) -> ScriptedModel {
    ScriptedModel::from_fn("talker", move |request| {
        let prompt_tokens = 100 * request.messages.len() / 2;
        let usage = Usage { prompt_tokens, completion_tokens: 10, ..Usage::default() };
        ChatResponse { message: note("x"), usage, stop, ..ChatResponse::default() }
    })
}

#[tokio::test]
async fn limits_end_it_after_the_last_reply_was_carried_out() {
    let cases = [
        (Limits { max_steps: 4, ..Limits::default() }, ExitReason::StepLimit, 4),
        (Limits { max_steps: 0, ..Limits::default() }, ExitReason::StepLimit, 0),
        (Limits { max_tokens: Some(210), ..Limits::default() }, ExitReason::TokenLimit, 2),
        (Limits { max_tokens: Some(211), ..Limits::default() }, ExitReason::TokenLimit, 3),
        (Limits { max_completion_tokens: Some(50), ..Limits::default() }, ExitReason::TokenLimit, 5),
    ];
    for (limits, exit, steps) in cases {
        let limits = Limits { max_repeats: None, ..limits };
        let trajectory = run(&acting(talker(StopReason::EndOfTurn)).limits(limits)).await;
        assert_eq!((trajectory.exit, trajectory.usage.model_calls, trajectory.usage.tool_calls), (exit, steps, steps));
        assert_eq!(trajectory.usage.completion_tokens, 10 * steps);
    }
    let finishing = scripted(vec![call("finish")]).limits(Limits { max_steps: 1, ..Limits::default() });
    assert_eq!(run(&finishing).await.exit, ExitReason::Agent, "the last step may finish");
}

#[tokio::test]
async fn a_full_context_ends_it() {
    let trajectory = run(&acting(talker(StopReason::Context))).await;
    assert_eq!((trajectory.exit, trajectory.usage.tool_calls), (ExitReason::Context, 0));
}

#[tokio::test]
async fn time_ends_it_and_the_place_is_closed() {
    let agent = scripted(vec![call("wait")]).limits(Limits { max_seconds: Some(0), ..Limits::default() });
    let trajectory = run(&agent).await;
    assert_eq!((trajectory.exit, trajectory.outcome.patch.as_str()), (ExitReason::TimeLimit, "TimeLimit"));
}

#[tokio::test]
async fn a_model_that_fails_or_panics_ends_it_and_the_place_is_closed() {
    let trajectory = run(&scripted(vec![note("a")])).await;
    assert_eq!((trajectory.exit, trajectory.outcome.patch.as_str()), (ExitReason::ModelError, "ModelError"));
    assert_eq!(trajectory.error.as_deref(), Some("scripted has no reply number 1 for this conversation"));

    let trajectory = run(&acting(ScriptedModel::from_fn("broken", |_| panic!("out of words")))).await;
    assert_eq!((trajectory.exit, trajectory.outcome.patch.as_str()), (ExitReason::Panic, "Panic"));
    assert_eq!(trajectory.error.as_deref(), Some("out of words"));
}

#[tokio::test]
async fn a_tool_that_panics_is_an_answer() {
    let trajectory = run(&scripted(vec![note("before"), call("panic"), call("finish")])).await;
    let told = told(&trajectory);
    assert_eq!(
        (told[1].as_str(), told[3].as_str()),
        ("tool: before", "tool: The tool panic broke: the tool is broken")
    );
    assert_eq!((trajectory.exit, trajectory.usage.bad_calls), (ExitReason::Agent, 1));
}

#[tokio::test]
async fn a_place_without_messages_is_closed_too() {
    let trajectory = run_task(&scripted(vec![]), "messages panic").await;
    assert_eq!((trajectory.exit, trajectory.outcome.patch.as_str()), (ExitReason::Panic, "Panic"));
}

#[tokio::test]
async fn a_place_that_does_not_close_is_told() {
    let trajectory = run_task(&scripted(vec![call("finish")]), "close fails").await;
    assert_eq!(trajectory.exit, ExitReason::EnvironmentError);
    assert_eq!(trajectory.error.as_deref(), Some("closing failed: task close fails: no disk"));
    let trajectory = run_task(&scripted(vec![]), "close panics").await;
    assert_eq!(trajectory.exit, ExitReason::Panic);
    let error = trajectory.error.unwrap();
    assert!(error.starts_with("scripted has no reply") && error.ends_with("the environment is broken"), "{error}");
}

#[tokio::test]
async fn cancellation_ends_it_even_if_the_place_does_not_close() {
    for task in ["task", "close fails"] {
        let bench = Bench::default();
        let (agent, cancel) = (scripted(vec![call("wait")]), CancellationToken::new());
        let running = agent.run(RolloutId::new(task, 0), 1, bench.place(task), &cancel, &());
        let (trajectory, ()) = tokio::join!(running, async { cancel.cancel() });
        assert_eq!((trajectory.exit, bench.counts().1), (ExitReason::Cancelled, 1));
    }
}

/// A model on tokens: every message is one token, its own two.
fn tokens(logprobs: bool) -> ScriptedModel {
    ScriptedModel::from_fn("tokens", move |request| {
        let mut prompt = request.trace.segments().last().map(|segment| segment.ids.clone()).unwrap_or_default();
        prompt.push(100);
        let logprobs = if logprobs { vec![-0.5, -0.25] } else { vec![-0.5] };
        let tokens = SampledTokens { prompt, completion: vec![7, 8], logprobs };
        ChatResponse { message: note("x"), tokens: Some(tokens), ..ChatResponse::default() }
    })
}

#[tokio::test]
async fn tokens_are_recorded_as_they_were_sampled() {
    let trajectory = run(&acting(tokens(true)).limits(Limits { max_steps: 2, ..Limits::default() })).await;
    let [segment] = trajectory.trace.segments() else { panic!("one context") };
    assert_eq!(segment.ids, [100, 7, 8, 100, 7, 8]);
    assert_eq!(segment.action_mask(), [false, true, true, false, true, true]);
    assert_eq!(segment.messages, 5, "system, user, assistant, tool, assistant");
}

#[tokio::test]
async fn unusable_tokens_are_the_models_error() {
    let trajectory = run(&acting(tokens(false))).await;
    assert_eq!((trajectory.exit, trajectory.usage.tool_calls), (ExitReason::ModelError, 0));
    assert!(trajectory.error.unwrap().contains("2 action tokens but 1 log-probabilities"));
}

#[derive(Default)]
struct Diary(Mutex<Vec<String>>);

impl Observer for Diary {
    fn event(&self, _: &RolloutId, event: Event<'_>) {
        self.0.lock().unwrap().push(match event {
            Event::TurnStarted { turn } => format!("turn {turn}"),
            Event::Replied { message, .. } => format!("{} calls", message.tool_calls.len()),
            Event::CallStarted { call } => format!("{} starts", call.name),
            Event::CallReturned { call, result } => format!("{}: {}", call.name, result.content),
            Event::Finished { trajectory } => format!("{:?} {}", trajectory.exit, trajectory.outcome.patch),
            other => format!("{other:?}"),
        });
    }
}

#[tokio::test]
async fn an_observer_sees_it_all() {
    let (agent, diary) = (scripted(vec![note("a"), call("finish")]), Diary::default());
    let place = Bench::default().place("task");
    agent.run(RolloutId::new("task", 0), 1, place, &CancellationToken::new(), &diary).await;
    let seen = [
        "turn 0",
        "1 calls",
        "note starts",
        "note: a",
        "turn 1",
        "1 calls",
        "finish starts",
        "finish: Finished.",
        "Agent Agent",
    ];
    assert_eq!(*diary.0.lock().unwrap(), seen);
}
