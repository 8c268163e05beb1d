//! Replies as servers write them.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::response::Completion;
use crate::model::draft::{CallDraft, Draft};
use crate::model::http::{ReadReply, WireError, reply_of};
use crate::model::{SampledTokens, StopReason};

fn whole(body: &Value) -> Result<Draft, WireError> {
    let mut reader = Completion::default();
    reader.whole(body.to_string().as_bytes())?;
    reader.finish()
}

/// A stream of these pieces, and that it is done.
fn stream(pieces: &[Value]) -> String {
    pieces.iter().map(|piece| format!("data: {piece}\n\n")).collect::<String>() + "data: [DONE]\n\n"
}

fn streamed(pieces: &[Value]) -> Result<(Draft, String), WireError> {
    reply_of::<Completion>([stream(pieces).as_bytes()])
}

fn delta(delta: Value) -> Value {
    json!({"id": "r", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
}

fn end(reason: &str) -> Value {
    json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
}

fn calls(pieces: &[Value]) -> Vec<(String, String, String)> {
    let pieces: Vec<_> =
        pieces.iter().map(|call| delta(json!({"tool_calls": [call]}))).chain([end("tool_calls")]).collect();
    let (draft, _) = streamed(&pieces).unwrap();
    draft.calls.into_iter().map(|CallDraft { id, name, arguments }| (id, name, arguments)).collect()
}

fn call(id: &str, name: &str, arguments: &str) -> (String, String, String) {
    (id.to_owned(), name.to_owned(), arguments.to_owned())
}

/// A reply of vLLM with everything in it.
fn full() -> Vec<Value> {
    let tokens = |ids: &[u32], logprobs: &[f32], delta: Value| {
        let logprobs: Vec<_> = logprobs.iter().map(|logprob| json!({"token": "x", "logprob": logprob})).collect();
        json!({"id": "r", "model": "m", "choices": [
            {"index": 0, "delta": delta, "logprobs": {"content": logprobs}, "token_ids": ids, "finish_reason": null}]})
    };
    let mut first = delta(json!({"role": "assistant", "content": ""}));
    first["prompt_token_ids"] = json!([1, 2, 3]);
    vec![
        first,
        tokens(&[4], &[-0.5], json!({"reasoning_content": "Hm é"})),
        tokens(&[5, 6], &[-0.25, -1.5], json!({"content": "Look 漢."})),
        tokens(
            &[7],
            &[0.0],
            json!({"tool_calls": [
            {"index": 0, "id": "a", "type": "function", "function": {"name": "view", "arguments": ""}}]}),
        ),
        tokens(&[8], &[-2.0], json!({"tool_calls": [{"index": 0, "function": {"arguments": "{\"x\""}}]})),
        tokens(&[9], &[-2.0], json!({"tool_calls": [{"index": 0, "function": {"arguments": ": 1}"}}]})),
        end("tool_calls"),
        json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 6, "total_tokens": 9,
            "prompt_tokens_details": {"cached_tokens": 2}}}),
    ]
}

#[test]
fn a_stream_gives_everything_that_is_in_it() {
    let (draft, told) = streamed(&full()).unwrap();
    assert_eq!((draft.id.as_str(), draft.served_model.as_str()), ("r", "m"));
    assert_eq!((draft.reasoning.as_str(), draft.content.as_str()), ("Hm é", "Look 漢."));
    assert_eq!(draft.calls, [CallDraft { id: "a".into(), name: "view".into(), arguments: "{\"x\": 1}".into() }]);
    assert_eq!(draft.stop, StopReason::EndOfTurn);
    assert_eq!((draft.usage.prompt_tokens, draft.usage.completion_tokens, draft.usage.cached_tokens), (3, 6, 2));
    let logprobs = vec![-0.5, -0.25, -1.5, 0.0, -2.0, -2.0];
    assert_eq!(
        draft.tokens,
        Some(SampledTokens { prompt: vec![1, 2, 3], completion: vec![4, 5, 6, 7, 8, 9], logprobs })
    );
    assert_eq!(
        told,
        "Reasoning(\"Hm é\")\nText(\"Look 漢.\")\nToolCall { index: 0, name: Some(\"view\"), arguments: \"\" }\n\
         ToolCall { index: 0, name: None, arguments: \"{\\\"x\\\"\" }\nToolCall { index: 0, name: None, arguments: \
         \": 1}\" }\n"
    );
    let emitted: Value = serde_json::from_str(&draft.emitted).unwrap();
    assert_eq!(emitted["tool_calls"][0]["function"]["arguments"], "{\"x\": 1}");
}

#[test]
fn a_whole_reply_is_the_same() {
    let calls = json!([{"id": "a", "type": "function", "function": {"name": "view", "arguments": "{\"x\": 1}"}}]);
    let logprobs: Vec<_> =
        [-0.5, -0.25, -1.5, 0.0, -2.0, -2.0].iter().map(|logprob| json!({"logprob": logprob})).collect();
    let body = json!({
        "id": "r", "model": "m", "prompt_token_ids": [1, 2, 3],
        "choices": [{
            "index": 0, "finish_reason": "tool_calls", "token_ids": [4, 5, 6, 7, 8, 9], "logprobs": {"content": logprobs},
            "message": {"role": "assistant", "content": "Look 漢.", "reasoning": "Hm é", "tool_calls": calls},
        }],
        "usage": {"prompt_tokens": 3, "completion_tokens": 6, "prompt_tokens_details": {"cached_tokens": 2}},
    });
    assert_eq!(whole(&body).unwrap(), streamed(&full()).unwrap().0);
}

#[test]
fn nulls_stand_for_what_is_missing() {
    let message = json!({"role": "assistant", "content": null, "tool_calls": null, "refusal": null, "reasoning": null});
    let body = json!({"choices": [{"message": message, "logprobs": null, "finish_reason": "stop"}], "usage": null,
        "error": null, "id": null});
    assert_eq!(whole(&body).unwrap().content, "");
    let parts =
        json!([{"type": "thinking", "thinking": []}, {"type": "text", "text": "a"}, {"type": "text", "text": "b"}]);
    let body = json!({"choices": [{"message": {"content": parts}}]});
    assert_eq!(whole(&body).unwrap().content, "ab");
}

#[test]
fn finish_reasons_are_understood() {
    for (reason, stop) in [
        ("stop", StopReason::EndOfTurn),
        ("tool_calls", StopReason::EndOfTurn),
        ("length", StopReason::MaxTokens),
        ("content_filter", StopReason::Filtered),
        ("new", StopReason::EndOfTurn),
    ] {
        assert_eq!(streamed(&[delta(json!({"content": "x"})), end(reason)]).unwrap().0.stop, stop);
    }
    let refused = streamed(&[delta(json!({"refusal": "No."})), end("stop")]).unwrap().0;
    assert_eq!((refused.content.as_str(), refused.stop), ("No.", StopReason::Filtered));
}

#[test]
fn pieces_of_calls_find_each_other() {
    let piece = |index: Option<u64>, id: &str, name: &str, arguments: &str| {
        let mut piece = json!({"function": {"arguments": arguments}});
        index.into_iter().for_each(|index| piece["index"] = index.into());
        [id].iter().filter(|id| !id.is_empty()).for_each(|id| piece["id"] = (*id).into());
        [name].iter().filter(|name| !name.is_empty()).for_each(|name| piece["function"]["name"] = (*name).into());
        piece
    };
    let two = [call("a", "f", "{}"), call("b", "g", "[1]")];
    let interleaved = [
        piece(Some(0), "a", "f", "{"),
        piece(Some(7), "b", "g", "[1"),
        piece(Some(0), "", "", "}"),
        piece(Some(7), "", "", "]"),
    ];
    assert_eq!(calls(&interleaved), two);
    // A server that does not count.
    assert_eq!(calls(&[piece(None, "a", "f", "{"), piece(None, "", "", "}"), piece(None, "b", "g", "[1]")]), two);
    // One that always counts 0, and one that repeats name and id.
    assert_eq!(calls(&[piece(Some(0), "a", "f", "{}"), piece(Some(0), "b", "g", "[1]")]), two);
    assert_eq!(calls(&[piece(Some(0), "a", "f", "{"), piece(Some(0), "a", "f", "}")]), two[..1]);
    // One with a new id in every piece.
    assert_eq!(calls(&[piece(Some(0), "a", "f", "{"), piece(Some(0), "c", "", "}")]), two[..1]);
    let objects = [json!({"index": 0, "id": "a", "function": {"name": "f", "arguments": {"x": 1}}})];
    assert_eq!(calls(&objects), [call("a", "f", "{\"x\":1}")]);
}

#[test]
fn tokens_are_all_or_none() {
    let tokens = |change: &dyn Fn(&mut Value)| {
        let mut pieces = full();
        pieces.iter_mut().for_each(change);
        streamed(&pieces).unwrap().0.tokens
    };
    let pointer = "/choices/0/token_ids";
    assert_eq!(tokens(&|piece| piece["prompt_token_ids"] = Value::Null), None);
    assert_eq!(tokens(&|piece| piece.pointer_mut(pointer).into_iter().for_each(|ids| *ids = Value::Null)), None);
    let odd = tokens(&|piece| {
        piece.pointer_mut(pointer).filter(|ids| **ids == json!([4])).into_iter().for_each(|ids| *ids = json!([4, 4]));
    });
    assert_eq!(odd.map(|tokens| (tokens.completion.len(), tokens.logprobs.len())), Some((7, 0)));
}

#[test]
fn other_choices_are_not_mixed_in() {
    let mut other = delta(json!({"content": "other"}));
    other["choices"][0]["index"] = json!(1);
    assert_eq!(streamed(&[delta(json!({"content": "x"})), other, end("stop")]).unwrap().0.content, "x");
}

#[test]
fn what_is_no_reply_says_so() {
    let problem = |text: &str| match reply_of::<Completion>([text.as_bytes()]) {
        Err(WireError::Unreadable(problem)) => problem,
        other => panic!("{other:?}"),
    };
    assert_eq!(problem(""), "it holds no reply");
    assert_eq!(problem("data: [DONE]\n\n"), "it holds no reply");
    let half = stream(&[delta(json!({"content": "x"}))]).replace("data: [DONE]\n\n", "");
    assert_eq!(problem(&half), "it breaks off before the reply ends");
    assert!(problem("data: {\"choices\": [{\"del\n\n").starts_with("it is not the JSON of a chat completion: EOF"));
    assert!(problem("data: {\"choices\": 1}\n\n").contains("invalid type: integer `1`"));
    assert!(problem(&stream(&[json!({"choices": [{"token_ids": [-1]}]})])).contains("invalid value: integer `-1`"));
}

#[test]
fn an_error_is_told_wherever_it_stands() {
    let error = json!({"error": {"message": "Overloaded", "code": 503}});
    let mut inside = delta(json!({"content": ""}));
    inside["error"] = error["error"].clone();
    for pieces in [vec![error.clone()], vec![delta(json!({"content": "\"error\""})), error.clone()], vec![inside]] {
        let Err(WireError::Refused(refusal)) = streamed(&pieces) else { panic!("an error") };
        assert_eq!((refusal.status, refusal.message.as_str()), (503, "Overloaded"));
    }
    assert!(matches!(whole(&error), Err(WireError::Refused(_))));
}

#[test]
fn calls_without_end_are_refused() {
    let many: Vec<_> = (0..1000).map(|index| json!({"index": index, "function": {"name": "f"}})).collect();
    assert_eq!(
        streamed(&[delta(json!({"tool_calls": many})), end("tool_calls")]),
        Err(WireError::Unreadable("it has more than 256 tool calls".to_owned()))
    );
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
        prop_assert_eq!(reply_of::<Completion>(cut), reply_of::<Completion>([bytes]));
    }

    #[test]
    fn any_piece_is_read_or_refused(piece in piece(), more in prop::collection::vec(piece(), 0..3)) {
        let pieces: Vec<_> = [piece].into_iter().chain(more).collect();
        let _ = streamed(&pieces);
        let _ = whole(&pieces[0]);
    }
}

/// JSON of the fields that matter, each with any value.
fn piece() -> impl Strategy<Value = Value> {
    const KEYS: [&str; 22] = [
        "choices",
        "delta",
        "message",
        "content",
        "tool_calls",
        "index",
        "id",
        "function",
        "name",
        "arguments",
        "error",
        "usage",
        "prompt_tokens",
        "completion_tokens",
        "prompt_tokens_details",
        "token_ids",
        "prompt_token_ids",
        "logprobs",
        "logprob",
        "finish_reason",
        "type",
        "text",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        Just(json!(0)),
        Just(json!("x")),
        Just(json!("stop")),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(&KEYS[..]), inner), 0..6)
                .prop_map(|fields| fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}
