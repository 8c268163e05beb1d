//! What hooks and approvers may do, and that nothing ever waits for them in vain.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use entropo_agent::hook::{AfterModel, AfterTool, Answer, BeforeModel, BeforeTool, Moment, Question};
use entropo_agent::{
    Agent, Approver, CallError, CancellationToken, Concurrency, Conversation, DynTool, Hook, ToolOutput, ToolRules,
    Toolbox,
};
use entropo_core::{AssistantMessage, ExitReason, Message, RolloutId, ToolCall, ToolResult, ToolSpec};
use serde_json::{Value, json};

use crate::support::{call, note, run, say, scripted, told};

/// Does what it holds, whatever it is asked about.
#[derive(Default)]
struct Says {
    before_model: Mutex<Vec<BeforeModel>>,
    after_model: Option<AfterModel>,
    before_tool: Option<BeforeTool>,
    after_tool: Option<AfterTool>,
}

#[async_trait]
impl Hook for Says {
    async fn before_model(&self, _: &Moment<'_>) -> BeforeModel {
        self.before_model.lock().unwrap().pop().unwrap_or(BeforeModel::Ask)
    }

    async fn after_model(&self, _: &Moment<'_>, _: &AssistantMessage) -> AfterModel {
        self.after_model.clone().unwrap_or(AfterModel::GoOn)
    }

    async fn before_tool(&self, moment: &Moment<'_>, call: &ToolCall) -> BeforeTool {
        assert!(moment.turn > 0 && call.id.starts_with("call_"));
        self.before_tool.clone().unwrap_or(BeforeTool::Allow)
    }

    async fn after_tool(&self, _: &Moment<'_>, _: &ToolCall, _: &ToolResult) -> AfterTool {
        self.after_tool.clone().unwrap_or(AfterTool::Keep)
    }
}

fn noting(hook: Says) -> Agent {
    scripted(vec![note("a"), call("finish")]).hook(Arc::new(hook))
}

#[tokio::test]
async fn a_call_is_rewritten_and_the_conversation_keeps_what_the_model_wrote() {
    let rewriting = |text| Says { before_tool: Some(BeforeTool::Rewrite(json!({"text": text}))), ..Says::default() };
    // The second hook is asked about what the first one made of it; `finish` takes anything.
    let trajectory = run(&noting(rewriting("b")).hook(Arc::new(rewriting("c")))).await;
    assert_eq!(told(&trajectory)[1], "tool: c");
    let written = serde_json::to_string(&trajectory.messages[2]).unwrap();
    assert!(written.contains(r#"{"text":"a"}"#), "{written}");
}

#[tokio::test]
async fn a_refused_call_is_answered_in_its_place() {
    let rules = ToolRules::allowing().refuse("note", "No notes here.");
    let trajectory = run(&scripted(vec![note("a"), call("finish")]).hook(Arc::new(rules))).await;
    assert_eq!(told(&trajectory)[1], "tool: No notes here.");
    let usage = trajectory.usage;
    assert_eq!((trajectory.exit, usage.tool_calls, usage.bad_calls), (ExitReason::Agent, 1, 0));
    let refusing = Says { before_tool: Some(BeforeTool::Refuse("Test first.".into())), ..Says::default() };
    let sent_back = run(&noting(refusing)).await;
    assert_eq!(sent_back.exit, ExitReason::ModelError, "refused to finish, it had to go on, and the script was over");
}

#[tokio::test]
async fn answers_are_replaced_before_the_model_reads_them() {
    let hook = Says { after_tool: Some(AfterTool::Replace("[secret]".into())), ..Says::default() };
    assert_eq!(told(&run(&noting(hook)).await)[1], "tool: [secret]");
}

#[tokio::test]
async fn words_are_said_before_the_model_is_asked() {
    let hook = Says { before_model: vec![BeforeModel::Say("Be quick.".into())].into(), ..Says::default() };
    let trajectory = run(&noting(hook)).await;
    assert_eq!(told(&trajectory)[0], "user: Be quick.");
    assert_eq!(trajectory.exit, ExitReason::Agent);
}

#[tokio::test]
async fn every_hook_can_stop_the_run_and_no_call_is_left_open() {
    let why = || "enough".to_owned();
    let hooks = [
        Says { before_model: vec![BeforeModel::Stop(why())].into(), ..Says::default() },
        Says { after_model: Some(AfterModel::Stop(why())), ..Says::default() },
        Says { before_tool: Some(BeforeTool::Stop(why())), ..Says::default() },
        Says { after_tool: Some(AfterTool::Stop(why())), ..Says::default() },
    ];
    for hook in hooks {
        let trajectory = run(&noting(hook)).await;
        assert_eq!((trajectory.exit, trajectory.error.as_deref()), (ExitReason::Stopped, Some("enough")));
        entropo_core::condensation::check_pairs(&trajectory.messages).unwrap();
        assert_eq!(trajectory.outcome.patch, "Stopped", "its place is closed, its changes are kept");
    }
}

/// Stops the run when `look_a` was answered.
struct StopsAfterLooking;

#[async_trait]
impl Hook for StopsAfterLooking {
    async fn after_tool(&self, _: &Moment<'_>, call: &ToolCall, _: &ToolResult) -> AfterTool {
        if call.name == "look_a" { AfterTool::Stop("enough".to_owned()) } else { AfterTool::Keep }
    }
}

#[tokio::test]
async fn what_was_carried_out_before_a_stop_is_answered_as_it_was() {
    let hook = || Says { after_tool: Some(AfterTool::Stop("enough".into())), ..Says::default() };
    let trajectory = run(&noting(hook())).await;
    assert_eq!((told(&trajectory)[1].as_str(), trajectory.exit), ("tool: a", ExitReason::Stopped));
    let finishing = run(&scripted(vec![call("finish")]).hook(Arc::new(hook()))).await;
    assert_eq!((told(&finishing)[1].as_str(), finishing.exit), ("tool: Finished.", ExitReason::Stopped));

    // Calls that were carried out together with the one after which the run stops.
    let mut toolbox = Toolbox::new();
    for name in ["look_a", "look_b"] {
        let spec = ToolSpec { name: name.to_owned(), description: String::new(), parameters: json!({}) };
        toolbox.push(Arc::new(Look(spec))).unwrap();
    }
    let both = say("", &[("look_a", json!({})), ("look_b", json!({}))]);
    let agent = scripted(vec![both]).hook(Arc::new(StopsAfterLooking));
    let episode = Box::new(Conversation::new(vec![Message::user("Look.")], toolbox));
    let trajectory = agent.run(RolloutId::new("t", 0), 1, episode, &CancellationToken::new(), &()).await;
    let answers: Vec<_> = trajectory.messages.iter().skip(2).map(Message::content).collect();
    assert_eq!((answers, trajectory.exit), (vec!["look_a", "look_b"], ExitReason::Stopped));
}

/// Says its name, and may do so beside others.
struct Look(ToolSpec);

#[async_trait]
impl DynTool for Look {
    fn spec(&self) -> &ToolSpec {
        &self.0
    }

    fn concurrency(&self) -> Concurrency {
        Concurrency::Shared
    }

    async fn call(&self, _: &Value, _: &CancellationToken) -> Result<ToolOutput, CallError> {
        Ok(ToolOutput::text(&self.0.name))
    }
}

/// Answers after a while, or never.
struct Person(Option<Answer>);

#[async_trait]
impl Approver for Person {
    async fn answer(&self, question: &Question<'_>) -> Answer {
        assert_eq!((question.why, question.moment.turn), ("it writes", 1));
        match &self.0 {
            Some(answer) => answer.clone(),
            None => std::future::pending().await,
        }
    }
}

async fn asked(person: Option<Person>) -> (String, ExitReason) {
    let mut agent = scripted(vec![note("a"), call("finish")]);
    agent = agent.hook(Arc::new(ToolRules::allowing().ask("note", "it writes")));
    if let Some(person) = person {
        agent = agent.approver(Arc::new(person), Duration::from_millis(20));
    }
    let trajectory = run(&agent).await;
    (told(&trajectory)[1].clone(), trajectory.exit)
}

#[tokio::test]
async fn a_question_always_has_an_answer() {
    let (done, stopped) = (ExitReason::Agent, ExitReason::Stopped);
    let unanswered = "tool: Not carried out to its end: the run ended before.".to_owned();
    let cases = [
        (None, "tool: Not allowed: it writes. Nobody is there to approve it. Do it another way.".to_owned(), done),
        (Some(None), "tool: Not allowed: it writes. Nobody approved it in time. Do it another way.".to_owned(), done),
        (Some(Some(Answer::Allow)), "tool: a".to_owned(), done),
        (Some(Some(Answer::Rewrite(json!({"text": "b"})))), "tool: b".to_owned(), done),
        (Some(Some(Answer::Refuse("Not now.".into()))), "tool: Not now.".to_owned(), done),
        (Some(Some(Answer::Stop("Go home.".into()))), unanswered, stopped),
    ];
    for (person, answer, exit) in cases {
        assert_eq!(asked(person.map(Person)).await, (answer, exit));
    }
}
