//! Limits of the loop that are about more than counting turns.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use entropo_agent::{
    Agent, CallError, CancellationToken, ChatResponse, Concurrency, Conversation, DynTool, Limits, ScriptedModel,
    ToolOutput, Toolbox,
};
use entropo_core::{ExitReason, Message, RolloutId, ToolSpec, Trajectory, Usage};
use serde_json::{Value, json};

use crate::support::{acting, call, note, run, say, scripted, told};

fn limited(limits: Limits, replies: Vec<entropo_core::AssistantMessage>) -> Agent {
    scripted(replies).limits(limits)
}

#[tokio::test]
async fn an_agent_that_goes_round_in_circles_is_told_and_then_ended() {
    let trajectory = run(&limited(Limits::default(), vec![note("a"); 9])).await;
    assert_eq!((trajectory.exit, trajectory.steps()), (ExitReason::Stuck, 4));
    let answers: Vec<_> = told(&trajectory).into_iter().filter(|line| line.starts_with("tool")).collect();
    let told_off = "tool: a\n\n[You have had this answer to the same call 3 times in a row. Do something else.]";
    assert_eq!(answers, ["tool: a", "tool: a", told_off, "tool: a"]);

    let alternating: Vec<_> = (0..20).map(|turn| note(if turn % 2 == 0 { "a" } else { "b" })).collect();
    let trajectory = run(&limited(Limits::default(), alternating)).await;
    assert_eq!((trajectory.exit, trajectory.steps()), (ExitReason::Stuck, 8));

    let unlimited = Limits { max_repeats: None, max_steps: 9, ..Limits::default() };
    assert_eq!(run(&limited(unlimited, vec![note("a"); 9])).await.exit, ExitReason::StepLimit);
}

#[tokio::test]
async fn the_steps_that_are_left_are_announced() {
    let limits = Limits { max_steps: 4, announce_steps: Some(2), ..Limits::default() };
    let replies = vec![note("a"), note("b"), say("Hm.", &[]), call("finish")];
    let trajectory = run(&limited(limits, replies)).await;
    let expected = [
        "assistant: ",
        "tool: a",
        "assistant: ",
        "tool: b\n\n[2 steps left.]",
        "assistant: Hm.",
        "user: Your reply calls no tool. Reply with a tool call, and finish with one too.\n\n[This is your last step: finish \
         now.]",
        "assistant: ",
        "tool: Finished.",
    ];
    assert_eq!(told(&trajectory), expected);
}

#[tokio::test]
async fn what_it_costs_ends_it_format_errors_included() {
    let model = ScriptedModel::from_fn("dear", |request| {
        let usage = Usage { cost_nano_usd: Some(400_000_000), ..Usage::default() };
        let message = if request.turn == 1 { say("Hm.", &[]) } else { note(&request.turn.to_string()) };
        ChatResponse { message, usage, ..ChatResponse::default() }
    });
    let agent = acting(model).limits(Limits { max_cost_usd: Some(1.0), ..Limits::default() });
    let trajectory = run(&agent).await;
    assert_eq!((trajectory.exit, trajectory.steps()), (ExitReason::CostLimit, 3));
    assert_eq!(trajectory.usage.cost_nano_usd, Some(1_200_000_000));
}

#[tokio::test]
async fn a_call_that_never_returns_is_given_up() {
    let limits = Limits { max_tool_seconds: Some(0), ..Limits::default() };
    let trajectory = run(&limited(limits, vec![call("wait"), call("finish")])).await;
    assert_eq!(told(&trajectory)[1], "tool: The call took longer than 0 s and was given up.");
    assert_eq!(trajectory.exit, ExitReason::Agent);
}

/// Waits until as many of its kind are under way as it wants, or half a second.
struct Meeting {
    spec: ToolSpec,
    concurrency: Concurrency,
    here: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

#[async_trait]
impl DynTool for Meeting {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn concurrency(&self) -> Concurrency {
        self.concurrency
    }

    async fn call(&self, arguments: &Value, _: &CancellationToken) -> Result<ToolOutput, CallError> {
        let here = self.here.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(here, Ordering::SeqCst);
        // The first to come is the last to leave.
        let number = arguments["number"].as_u64().unwrap_or_default();
        tokio::time::sleep(Duration::from_millis(40 - 10 * number)).await;
        self.here.fetch_sub(1, Ordering::SeqCst);
        Ok(ToolOutput::text(number.to_string()))
    }
}

/// Three meetings, an end, and how many met at most.
async fn meet(concurrency: Concurrency) -> (Trajectory, usize) {
    let most = Arc::new(AtomicUsize::new(0));
    let spec = |name: &str| ToolSpec { name: name.to_owned(), description: String::new(), parameters: json!({}) };
    let mut toolbox = Toolbox::new();
    let (here, most_here) = (Arc::default(), Arc::clone(&most));
    toolbox.push(Arc::new(Meeting { spec: spec("meet"), concurrency, here, most: most_here })).unwrap();
    let calls = [("meet", json!({"number": 0})), ("meet", json!({"number": 1})), ("meet", json!({"number": 2}))];
    let agent = scripted(vec![say("", &calls)]).limits(Limits { max_steps: 1, ..Limits::default() });
    let episode = Box::new(Conversation::new(vec![Message::user("Meet.")], toolbox));
    let trajectory = agent.run(RolloutId::new("meeting", 0), 1, episode, &CancellationToken::new(), &()).await;
    (trajectory, most.load(Ordering::SeqCst))
}

#[tokio::test]
async fn calls_overlap_if_their_tools_say_so_and_answers_stay_in_order() {
    for (concurrency, together) in [(Concurrency::Shared, 3), (Concurrency::Alone, 1)] {
        let (trajectory, most) = meet(concurrency).await;
        let answers: Vec<_> = trajectory.messages.iter().skip(2).map(Message::content).collect();
        assert_eq!((answers, most), (vec!["0", "1", "2"], together));
    }
}
