//! Replies as the server writes them.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::response::Reply;
use crate::model::draft::{CallDraft, Draft};
use crate::model::http::{ReadReply, WireError, reply_of};
use crate::model::{StopReason, ToolCalling};

fn stream(events: &[Value]) -> String {
    let named = |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default());
    events.iter().map(named).collect()
}

fn streamed(events: &[Value]) -> Result<(Draft, String), WireError> {
    reply_of::<Reply>([stream(events).as_bytes()])
}

fn whole(body: &Value) -> Result<Draft, WireError> {
    let mut reader = Reply::default();
    reader.whole(body.to_string().as_bytes())?;
    reader.finish()
}

fn start() -> Value {
    let usage = json!({"input_tokens": 10, "cache_read_input_tokens": 30, "cache_creation_input_tokens": 5,
        "output_tokens": 1});
    json!({"type": "message_start", "message": {"id": "msg", "type": "message", "role": "assistant", "model": "m",
        "content": [], "stop_reason": null, "usage": usage}})
}

fn begin(index: usize, block: Value) -> Value {
    json!({"type": "content_block_start", "index": index, "content_block": block})
}

fn add(index: usize, delta: Value) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": delta})
}

fn end(reason: &str) -> [Value; 2] {
    [
        json!({"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 42}}),
        json!({"type": "message_stop"}),
    ]
}

/// A reply with everything in it.
fn full() -> Vec<Value> {
    let mut events = vec![
        start(),
        begin(0, json!({"type": "thinking", "thinking": "", "signature": ""})),
        json!({"type": "ping"}),
        add(0, json!({"type": "thinking_delta", "thinking": "Hm "})),
        add(0, json!({"type": "thinking_delta", "thinking": "é."})),
        add(0, json!({"type": "signature_delta", "signature": "sig"})),
        json!({"type": "content_block_stop", "index": 0}),
        begin(1, json!({"type": "redacted_thinking", "data": "secret"})),
        begin(2, json!({"type": "text", "text": ""})),
        add(2, json!({"type": "text_delta", "text": "Look."})),
        add(2, json!({"type": "citations_delta", "citation": {}})),
        begin(3, json!({"type": "tool_use", "id": "t1", "name": "view", "input": {}})),
        add(3, json!({"type": "input_json_delta", "partial_json": ""})),
        add(3, json!({"type": "input_json_delta", "partial_json": "{\"x\""})),
        add(3, json!({"type": "input_json_delta", "partial_json": ": 1}"})),
        begin(4, json!({"type": "tool_use", "id": "t2", "name": "finish", "input": {}})),
        json!({"type": "something_new"}),
    ];
    events.extend(end("tool_use"));
    events
}

fn blocks() -> Value {
    json!([
        {"type": "thinking", "thinking": "Hm é.", "signature": "sig"},
        {"type": "redacted_thinking", "data": "secret"},
        {"type": "text", "text": "Look."},
        {"type": "tool_use", "id": "t1", "name": "view", "input": {"x": 1}},
        {"type": "tool_use", "id": "t2", "name": "finish", "input": {}},
    ])
}

#[test]
fn a_stream_gives_everything_that_is_in_it() {
    let (draft, told) = streamed(&full()).unwrap();
    assert_eq!((draft.id.as_str(), draft.served_model.as_str()), ("msg", "m"));
    assert_eq!((draft.reasoning.as_str(), draft.content.as_str()), ("Hm é.", "Look."));
    let call = |id: &str, name: &str, arguments: &str| CallDraft {
        id: id.into(),
        name: name.into(),
        arguments: arguments.into(),
    };
    assert_eq!(draft.calls, [call("t1", "view", "{\"x\": 1}"), call("t2", "finish", "{}")]);
    let usage = &draft.usage;
    assert_eq!((usage.prompt_tokens, usage.cached_tokens, draft.cache_written), (45, 30, 5));
    assert_eq!((usage.completion_tokens, draft.stop), (42, StopReason::EndOfTurn));
    assert_eq!(serde_json::from_str::<Value>(&draft.emitted).unwrap(), blocks());
    assert!(told.contains("ToolCall { index: 0, name: Some(\"view\"), arguments: \"\" }"), "{told}");
    assert!(told.contains("ToolCall { index: 1, name: Some(\"finish\"), arguments: \"\" }"), "{told}");
    assert!(told.starts_with("Reasoning(\"Hm \")\nReasoning(\"é.\")\nText(\"Look.\")\n"), "{told}");
}

#[test]
fn a_whole_reply_is_the_same() {
    let mut message = start()["message"].clone();
    message["content"] = blocks();
    message["stop_reason"] = json!("tool_use");
    message["usage"]["output_tokens"] = json!(42);
    let (mut whole, streamed) = (whole(&message).unwrap(), streamed(&full()).unwrap().0);
    // Whole, arguments come as JSON and not as the text that the model wrote.
    assert_eq!(whole.calls[0].arguments, "{\"x\":1}");
    whole.calls[0].arguments = "{\"x\": 1}".to_owned();
    assert_eq!(whole, streamed);
}

#[test]
fn stop_reasons_are_understood() {
    for (reason, stop) in [
        ("end_turn", StopReason::EndOfTurn),
        ("max_tokens", StopReason::MaxTokens),
        ("model_context_window_exceeded", StopReason::Context),
        ("refusal", StopReason::Filtered),
        ("pause_turn", StopReason::EndOfTurn),
    ] {
        let events = [vec![start()], end(reason).to_vec()].concat();
        assert_eq!(streamed(&events).unwrap().0.stop, stop);
    }
}

#[test]
fn what_is_no_reply_says_so() {
    let problem = |text: &str| match reply_of::<Reply>([text.as_bytes()]) {
        Err(WireError::Unreadable(problem)) => problem,
        other => panic!("{other:?}"),
    };
    assert_eq!(problem(""), "it holds no reply");
    assert_eq!(problem(&stream(&[start()])), "it breaks off before the reply ends");
    assert!(problem("data: {\"type\": \"mess\n\n").starts_with("it is not the JSON of a message: EOF"));
    let lost = add(7, json!({"type": "text_delta", "text": "x"}));
    assert_eq!(problem(&stream(&[start(), lost])), "it adds to block 7, which never began");
    let many: Vec<_> = (0..2000).map(|index| begin(index, json!({"type": "text", "text": ""}))).collect();
    assert_eq!(problem(&stream(&many)), "it has more than 1024 blocks");
}

#[test]
fn an_error_is_told_wherever_it_stands() {
    let error = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    for result in [streamed(&[start(), error.clone()]).map(|(draft, _)| draft), whole(&error)] {
        let Err(WireError::Refused(refusal)) = result else { panic!("an error") };
        assert_eq!((refusal.status, refusal.message.as_str()), (529, "Overloaded"));
    }
}

#[test]
fn arguments_that_are_cut_off_are_kept_as_text() {
    let mut events = vec![
        start(),
        begin(0, json!({"type": "tool_use", "id": "t1", "name": "view", "input": {}})),
        add(0, json!({"type": "input_json_delta", "partial_json": "{\"x"})),
    ];
    events.extend(end("tool_use"));
    let response = streamed(&events).unwrap().0.into_reply(&ToolCalling::Native, None).response;
    assert!(response.format_error.unwrap().starts_with("The arguments of call 1, \"view\", are no JSON object: EOF"));
    assert_eq!(response.message.raw.as_deref(), Some("view {\"x"));
}

proptest! {
    #[test]
    fn cuts_change_nothing(cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12)) {
        let text = stream(&full());
        let bytes = text.as_bytes();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let cut = cuts.windows(2).map(|ends| &bytes[ends[0]..ends[1]]);
        prop_assert_eq!(reply_of::<Reply>(cut), reply_of::<Reply>([bytes]));
    }

    #[test]
    fn any_order_of_events_is_read_or_refused(
        order in prop::collection::vec((any::<prop::sample::Index>(), 0_u64..5, prop::option::of(any::<u64>())), 0..20)
    ) {
        let all = full();
        let events = order.iter().map(|(at, index, odd)| {
            let mut event = at.get(&all).clone();
            if event.get("index").is_some() {
                event["index"] = odd.unwrap_or(*index).into();
            }
            event
        });
        let events: Vec<_> = events.collect();
        if let Ok((draft, _)) = streamed(&events) {
            let _ = draft.into_reply(&ToolCalling::Native, None);
        }
    }
}
