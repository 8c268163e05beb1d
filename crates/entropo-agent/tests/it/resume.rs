//! Runs that are stored and taken up again, and rollouts that are replayed.

use entropo_agent::model::replay::{Divergence, ReplayModel};
use entropo_agent::{
    CancellationToken, ChatModel, ChatRequest, ChatResponse, Limits, ModelError, Run, SampledTokens, Sampling,
    ScriptedModel, Step, StopReason, Toolbox,
};
use entropo_core::{ExitReason, Message, Outcome, RolloutId, TokenTrace, Trajectory, Usage};
use serde_json::json;

use crate::support::{Bench, acting, call, note, run, say, toolbox};

/// Notes, says nothing, cannot be read, is cut, calls twice and finishes; with tokens, and a new context in turn 3.
fn lively() -> ScriptedModel {
    ScriptedModel::from_fn("lively", |request| {
        let turn = request.messages.iter().filter(|message| message.role() == "assistant").count();
        let (message, format_error, stop) = match turn {
            0 => (note("a"), None, StopReason::EndOfTurn),
            1 => (say("Hm.", &[]), None, StopReason::EndOfTurn),
            2 => (say("<", &[]), Some("no tag".to_owned()), StopReason::EndOfTurn),
            3 => (note("b"), None, StopReason::EndOfTurn),
            4 => (say("And", &[]), None, StopReason::MaxTokens),
            5 => (say("", &[("note", json!({"text": "c"})), ("nothing", json!({}))]), None, StopReason::EndOfTurn),
            _ => (call("finish"), None, StopReason::EndOfTurn),
        };
        let last = request.trace.segments().last().map(|segment| segment.ids.clone());
        let mut prompt = last.filter(|_| turn != 3).unwrap_or_default();
        prompt.push(request.seed as u32);
        let usage = Usage { prompt_tokens: prompt.len(), completion_tokens: 1, ..Usage::default() };
        let tokens = SampledTokens { prompt, completion: vec![turn as u32], logprobs: vec![-0.5] };
        ChatResponse { message, format_error, stop, usage, tokens: Some(tokens) }
    })
}

/// Takes one step; false when the run is done.
async fn step(run: &mut Run, model: &dyn ChatModel, toolbox: &Toolbox) -> bool {
    let cancel = CancellationToken::new();
    match run.next() {
        Step::Done(_) => return false,
        Step::CallTools { calls, .. } => {
            let mut results = Vec::new();
            for call in calls {
                results.push(toolbox.call(call, &cancel).await);
            }
            run.tools_returned(results);
        }
        Step::CallModel { messages, trace, turn, seed } => {
            let (tools, sampling, cancel) = (toolbox.specs(), &Sampling::default(), &cancel);
            let reply = model.chat(ChatRequest { messages, tools, trace: &trace, sampling, turn, seed, cancel }).await;
            run.model_replied(reply.unwrap());
        }
    }
    true
}

fn start() -> Run {
    let messages = vec![Message::system("Work."), Message::user("task")];
    Run::new(RolloutId::new("task", 0), "lively", 1, messages, Limits::default())
}

fn stored(run: &Run) -> Run {
    serde_json::from_str(&serde_json::to_string(run).unwrap()).unwrap()
}

#[tokio::test]
async fn a_run_stored_after_any_step_goes_on_as_if_nothing_had_been() {
    let (model, toolbox) = (lively(), toolbox());
    let mut uninterrupted = start();
    let mut stages = vec![uninterrupted.clone()];
    while step(&mut uninterrupted, &model, &toolbox).await {
        stages.push(uninterrupted.clone());
    }
    assert_eq!(uninterrupted.next(), Step::Done(ExitReason::Agent));
    assert_eq!(stages.len(), 1 + 7 + 4, "the start, seven replies and four rounds of calls");
    let expected = run(&acting(lively())).await;
    for stage in stages {
        let taken_up = stored(&stage);
        assert_eq!(taken_up, stage);
        let place = Bench::default().place("task");
        let resumed = acting(lively()).resume(&mut taken_up.into(), place, &CancellationToken::new(), &()).await;
        assert_eq!(resumed, expected);
    }
}

#[tokio::test]
async fn what_is_told_out_of_turn_changes_nothing() {
    let mut waiting = start();
    waiting.tools_returned(Vec::new());
    assert_eq!(waiting, start());
    let mut done = start();
    done.cancel();
    let before = done.clone();
    done.model_replied(ChatResponse::default());
    done.fail(ExitReason::Panic, "too late");
    done.time_is_up();
    assert_eq!(done, before);
    assert_eq!(done.into_trajectory(Outcome::default()).exit, ExitReason::Cancelled);
    assert_eq!(start().into_trajectory(Outcome::default()).exit, ExitReason::Cancelled, "not done");
}

#[tokio::test]
async fn a_replay_is_the_stored_rollout() {
    let original = run(&acting(lively())).await;
    assert_eq!((original.exit, original.trace.segments().len()), (ExitReason::Agent, 2));
    assert_eq!(run(&acting(ReplayModel::new(original.clone()))).await, original);
}

async fn ask(model: &ReplayModel, messages: &[Message]) -> Result<ChatResponse, ModelError> {
    let (trace, sampling, cancel) = (&TokenTrace::default(), &Sampling::default(), &CancellationToken::new());
    let turn = messages.iter().filter(|message| message.role() == "assistant").count();
    model.chat(ChatRequest { messages, tools: &[], trace, sampling, turn, seed: 0, cancel }).await
}

#[tokio::test]
async fn a_replay_says_where_the_conversation_leaves_it() {
    let original: Trajectory = run(&acting(lively())).await;
    let mut messages = original.messages[..4].to_vec();
    let model = ReplayModel::new(original);
    assert!(ask(&model, &messages).await.is_ok());
    messages[3] = Message::user("Something else.");
    let Err(ModelError::Other { source, .. }) = ask(&model, &messages).await else { panic!("a divergence") };
    let divergence = source.downcast_ref::<Divergence>().unwrap();
    assert_eq!((divergence.index, divergence.now.as_ref()), (3, messages.last()));
    assert_eq!(divergence.stored.as_ref().map(Message::content), Some("a"));
}
