//! What good requests get.

use entropo::train::generate::{GenerateRequest, Streamed};
use serde_json::{Value, json};

use crate::served::{RANDOM, Served, hello, with};

#[tokio::test]
async fn a_reply_has_the_shape_that_clients_know() {
    let served = Served::new(RANDOM).await;
    let first = served.complete(&hello(json!({"model": "tiny"}))).await;
    assert_eq!((&first["object"], &first["model"]), (&json!("chat.completion"), &json!("tiny")));
    assert!(first["id"].as_str().unwrap().starts_with("chatcmpl-"));
    let choice = &first["choices"][0];
    assert_eq!((&choice["index"], &choice["message"]["role"]), (&json!(0), &json!("assistant")));
    assert_eq!((&choice["finish_reason"], &choice["logprobs"]), (&json!("length"), &Value::Null));
    let usage = &first["usage"];
    let prompt = usage["prompt_tokens"].as_u64().unwrap();
    assert_eq!((&usage["completion_tokens"], &usage["total_tokens"]), (&json!(24), &json!(prompt + 24)));
    assert_eq!(usage["prompt_tokens_details"]["cached_tokens"], 0);

    let again = served.complete(&hello(json!({}))).await;
    assert_eq!(again["choices"], first["choices"]);
    assert_eq!(again["usage"]["prompt_tokens_details"]["cached_tokens"], prompt - 1);
    let other = served.complete(&hello(json!({"seed": 8}))).await;
    assert_ne!(other["choices"], first["choices"]);
    let empty = served.complete(&hello(json!({"max_tokens": 0}))).await;
    assert_eq!(
        (&empty["choices"][0]["message"]["content"], &empty["usage"]["completion_tokens"]),
        (&json!(""), &json!(0))
    );
}

/// The choices of a whole reply, put together of pieces.
fn joined(pieces: &[Value], count: usize) -> Vec<Value> {
    let mut choices: Vec<Value> =
        (0..count).map(|index| json!({"index": index, "content": "", "logprobs": [], "ids": []})).collect();
    for piece in pieces.iter().flat_map(|piece| piece["choices"].as_array().unwrap()) {
        let choice = &mut choices[piece["index"].as_u64().unwrap() as usize];
        assert!(choice.get("end").is_none(), "after its end: {piece}");
        if let Some(text) = piece["delta"]["content"].as_str() {
            choice["content"] = format!("{}{text}", choice["content"].as_str().unwrap()).into();
        }
        for (name, more) in [("logprobs", piece.pointer("/logprobs/content")), ("ids", piece.get("token_ids"))] {
            let more = more.and_then(Value::as_array).cloned().unwrap_or_default();
            choice[name].as_array_mut().unwrap().extend(more);
        }
        if let Some(reason) = piece["finish_reason"].as_str() {
            choice["end"] = reason.into();
        }
    }
    choices
}

#[tokio::test]
async fn pieces_make_the_whole() {
    let served = Served::new(RANDOM).await;
    let details = json!({"logprobs": true, "top_logprobs": 3, "return_token_ids": true});
    for change in
        [json!({}), details, json!({"n": 3, "logprobs": true}), json!({"stop": ["e", "o"], "max_tokens": 200})]
    {
        let request = hello(change);
        let whole = served.complete(&request).await;
        let pieces = served.stream(&request).await;
        let choices = whole["choices"].as_array().unwrap();
        for (index, first) in pieces.iter().take(choices.len()).enumerate() {
            let role = json!([{"index": index, "delta": {"role": "assistant", "content": ""}, "finish_reason": null}]);
            assert_eq!((&first["object"], &first["choices"]), (&json!("chat.completion.chunk"), &role));
        }
        assert_eq!(pieces[0].get("prompt_token_ids"), whole.get("prompt_token_ids"));
        let (last, others) = pieces.split_last().unwrap();
        assert!(others.iter().all(|piece| piece["usage"].is_null()));
        assert_eq!((&last["choices"], &last["usage"]["total_tokens"]), (&json!([]), &whole["usage"]["total_tokens"]));
        let expected: Vec<Value> = choices
            .iter()
            .map(|choice| {
                let logprobs = choice.pointer("/logprobs/content").cloned().unwrap_or(json!([]));
                let ids = choice.get("token_ids").cloned().unwrap_or(json!([]));
                json!({"index": choice["index"], "content": choice["message"]["content"], "logprobs": logprobs,
                    "ids": ids, "end": choice["finish_reason"]})
            })
            .collect();
        assert_eq!(joined(&pieces, choices.len()), expected);
    }
}

#[tokio::test]
async fn choices_are_those_of_the_following_seeds() {
    let served = Served::new(RANDOM).await;
    let three = served.complete(&hello(json!({"n": 3}))).await;
    assert_eq!(three["usage"]["prompt_tokens_details"]["cached_tokens"], 0);
    for (index, choice) in three["choices"].as_array().unwrap().iter().enumerate() {
        let one = served.complete(&hello(json!({"seed": 7 + index}))).await;
        assert_eq!(one["choices"][0]["message"], choice["message"]);
    }
    assert_ne!(three["choices"][0]["message"], three["choices"][1]["message"]);
}

#[tokio::test]
async fn a_reply_ends_before_a_stop_string() {
    let served = Served::new(RANDOM).await;
    let free = served.complete(&hello(json!({}))).await;
    let text: Vec<char> = free["choices"][0]["message"]["content"].as_str().unwrap().chars().collect();
    let stop: String = text[text.len() / 2..][..3].iter().collect();
    let text: String = text.iter().collect();
    let stopped = served.complete(&hello(json!({"stop": stop}))).await;
    assert_eq!(stopped["choices"][0]["finish_reason"], "stop");
    assert_eq!(stopped["choices"][0]["message"]["content"], text.split(&stop).next().unwrap());
    assert!(stopped["usage"]["completion_tokens"].as_u64() < free["usage"]["completion_tokens"].as_u64());
}

#[tokio::test]
async fn token_ids_reproduce_the_log_probabilities() {
    let served = Served::new(RANDOM).await;
    let request = hello(json!({"logprobs": true, "top_logprobs": 2, "return_token_ids": true}));
    let reply = served.complete(&request).await;
    let ids = |value: &Value| -> Vec<u32> { serde_json::from_value(value.clone()).unwrap() };
    let (mut prompt, completion) = (ids(&reply["prompt_token_ids"]), ids(&reply["choices"][0]["token_ids"]));
    let content = reply["choices"][0]["logprobs"]["content"].as_array().unwrap();
    assert_eq!((content.len(), completion.len()), (24, 24));
    let engine = served.server.model().engine();
    for (token, told) in completion.into_iter().zip(content) {
        let mut request = GenerateRequest { prompt: prompt.clone(), top_logprobs: 496, ..GenerateRequest::default() };
        request.sampling.max_tokens = 1;
        let Some(Ok(Streamed::Token(next))) = engine.stream(request).unwrap().next().await else { panic!() };
        let logprob = next.top.iter().find(|(id, _)| *id == token).unwrap().1;
        assert_eq!(told["logprob"].as_f64(), Some(f64::from(logprob)));
        assert_eq!(told["top_logprobs"][1]["logprob"].as_f64(), Some(f64::from(next.top[1].1)));
        match told["bytes"].as_array() {
            Some(bytes) => assert_eq!(bytes.len(), told["token"].as_str().unwrap().len()),
            None => assert!(told["token"].as_str().unwrap().contains('\u{FFFD}')),
        }
        prompt.push(token);
    }
}

#[tokio::test]
async fn tools_offered_are_part_of_the_prompt() {
    let served = Served::new(RANDOM).await;
    let tool = json!({"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}});
    let offered = hello(json!({"tools": [tool], "max_tokens": 1}));
    let tokens = async |request: &Value| served.complete(request).await["usage"]["prompt_tokens"].as_u64();
    assert!(tokens(&offered).await > tokens(&hello(json!({}))).await);
    assert_eq!(tokens(&with(&offered, json!({"tool_choice": "none"}))).await, tokens(&hello(json!({}))).await);
}
