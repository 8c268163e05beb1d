//! Replies that call nothing that can be called.

use entropo_agent::{ChatResponse, Limits, ScriptedModel, StopReason};
use entropo_core::{AssistantMessage, ExitReason, Message, Trajectory};
use serde_json::json;

use crate::support::{acting, call, run, say, scripted, told};

/// A model that always answers the same.
async fn repeating(response: ChatResponse) -> Trajectory {
    let model = ScriptedModel::from_fn("stubborn", move |_| response.clone());
    run(&acting(model)).await
}

fn reply(message: AssistantMessage) -> ChatResponse {
    ChatResponse { message, ..ChatResponse::default() }
}

#[tokio::test]
async fn every_kind_is_answered_in_a_line_and_bounded() {
    let raw = AssistantMessage { content: "<tool".to_owned(), raw: Some("<tool".to_owned()), ..call("finish") };
    let cases = [
        (reply(say("Hm.", &[])), "user: Your reply calls no tool. Reply with a tool call, and finish with one too."),
        (
            ChatResponse { format_error: Some("Line 1:\nno.".to_owned()), ..reply(raw.clone()) },
            "user: Your tool call cannot be read. Line 1: no.",
        ),
        (
            ChatResponse { stop: StopReason::MaxTokens, ..reply(raw) },
            "user: Your reply was cut off, it is too long. Write a shorter one that ends with a tool call.",
        ),
        (
            reply(call("nothing")),
            "tool: There is no tool named \"nothing\"; the tools are note, finish, fail, panic, wait.",
        ),
        (reply(call("note")), "tool: Invalid arguments for note: \"text\" is required."),
    ];
    for (response, answer) in cases {
        let trajectory = repeating(response).await;
        assert_eq!(trajectory.exit, ExitReason::FormatErrors);
        assert_eq!((trajectory.usage.model_calls, trajectory.usage.bad_calls), (3, 3));
        assert_eq!(told(&trajectory)[1], answer);
    }
}

#[tokio::test]
async fn of_an_unreadable_reply_the_words_are_kept_and_no_call() {
    let message = AssistantMessage { content: "Hm.".to_owned(), raw: Some("Hm. <tool".to_owned()), ..call("finish") };
    let trajectory = repeating(ChatResponse { format_error: Some("no".to_owned()), ..reply(message) }).await;
    let Message::Assistant(kept) = &trajectory.messages[2] else { panic!("a reply") };
    assert_eq!((kept.content.as_str(), kept.tool_calls.len()), ("Hm. <tool", 0));
}

#[tokio::test]
async fn a_call_that_reaches_a_tool_starts_the_count_anew() {
    let limits = Limits { max_format_errors: 2, ..Limits::default() };
    let both = say("", &[("nothing", json!({})), ("fail", json!({}))]);
    let replies = vec![say("Hm.", &[]), call("fail"), call("nothing"), both, say("Hm.", &[]), call("finish")];
    let trajectory = run(&scripted(replies).limits(limits)).await;
    assert_eq!((trajectory.exit, trajectory.usage.model_calls, trajectory.usage.bad_calls), (ExitReason::Agent, 6, 6));
}
