//! Sub-agents, and answers that are a type.

use entropo_agent::{
    CancellationToken, ChatResponse, Conversation, Limits, ScriptedModel, SubAgent, Toolbox, TypedError,
};
use entropo_core::{ExitReason, Message, RolloutId, Usage};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::support::{acting, call, note, say, scripted, toolbox};

fn talking(toolbox: Toolbox) -> Box<Conversation> {
    Box::new(Conversation::new(vec![Message::user("Go.")], toolbox))
}

#[tokio::test]
async fn a_sub_agent_is_a_tool_whose_costs_are_its_callers() {
    let worker = ScriptedModel::from_fn("worker", |request| {
        assert_eq!(request.messages[1].content(), "Count the files.");
        let usage = Usage { prompt_tokens: 50, completion_tokens: 5, cost_nano_usd: Some(7), ..Usage::default() };
        let message = if request.turn == 0 { note("12 files") } else { call("finish") };
        ChatResponse { message, usage, ..ChatResponse::default() }
    });
    let counter = SubAgent::new("counter", "Counts.", acting(worker), toolbox()).instructions("You count.");
    let mut tools = toolbox();
    tools.push(counter.into_tool().unwrap()).unwrap();
    let asking = |task| say("", &[("counter", json!({"task": task}))]);
    let agent = scripted(vec![asking("Count the files."), say("", &[("counter", json!({}))]), call("finish")]);
    let trajectory = agent.run(RolloutId::new("t", 0), 1, talking(tools), &CancellationToken::new(), &()).await;
    let answers: Vec<_> = trajectory.messages.iter().filter(|m| m.role() == "tool").map(Message::content).collect();
    assert_eq!(answers, ["Finished.", "Invalid arguments for counter: \"task\" is required.", "Finished."]);
    let Usage { model_calls, prompt_tokens, completion_tokens, cost_nano_usd, .. } = trajectory.usage;
    assert_eq!((model_calls, prompt_tokens, completion_tokens, cost_nano_usd), (3, 100, 10, Some(14)));
}

#[tokio::test]
async fn a_sub_agent_that_does_not_finish_says_so() {
    let idle =
        scripted(vec![note("looked"), note("looked again")]).limits(Limits { max_steps: 2, ..Limits::default() });
    let mut tools = toolbox();
    tools.push(SubAgent::new("idler", "Idles.", idle, toolbox()).into_tool().unwrap()).unwrap();
    let agent = scripted(vec![say("", &[("idler", json!({"task": "Do it."}))]), call("finish")]);
    let trajectory = agent.run(RolloutId::new("t", 0), 1, talking(tools), &CancellationToken::new(), &()).await;
    let words = "idler ended without finishing (StepLimit). Its last message was: looked again";
    assert_eq!(trajectory.messages[2].content(), words);
}

#[derive(Debug, Deserialize, JsonSchema, PartialEq)]
struct Verdict {
    merge: bool,
    problems: Vec<String>,
}

#[tokio::test]
async fn an_answer_is_a_type_and_misfits_are_sent_back() {
    let answer = |arguments| say("", &[("answer", arguments)]);
    let model = scripted(vec![
        answer(json!({"merge": "perhaps"})),
        note("thinking"),
        answer(json!({"merge": false, "problems": ["no test"]})),
    ]);
    let (id, cancel) = (RolloutId::new("review", 0), CancellationToken::new());
    let typed = model.run_typed::<Verdict>(id.clone(), 1, talking(toolbox()), &cancel, &()).await.unwrap();
    assert_eq!(typed.value, Verdict { merge: false, problems: vec!["no test".to_owned()] });
    let complaint = typed.trajectory.messages[2].content();
    assert!(complaint.contains("\"merge\" must be a boolean") && complaint.contains("\"problems\" is required"));

    let other_end = scripted(vec![call("finish")]);
    let error = other_end.run_typed::<Verdict>(id.clone(), 1, talking(toolbox()), &cancel, &()).await.unwrap_err();
    assert_eq!(error.to_string(), "rollout review#0 ended without an answer: Agent");
    let error = scripted(vec![]).run_typed::<Verdict>(id, 1, talking(toolbox()), &cancel, &()).await.unwrap_err();
    let TypedError::NoAnswer(trajectory) = error else { panic!("{error}") };
    assert_eq!(trajectory.exit, ExitReason::ModelError);
}
