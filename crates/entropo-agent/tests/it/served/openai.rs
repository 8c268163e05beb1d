//! Servers that do what they should, each in its own way.

use std::sync::{Arc, Mutex};

use entropo_agent::ModelError;
use entropo_agent::dialect::{Hermes, Xml};
use entropo_agent::model::http::{ApiKey, RateLimit};
use entropo_agent::model::openai::OpenAi;
use entropo_agent::model::{Prices, Reply, ToolCalling};
use entropo_core::{ExitReason, Message, ToolCall};
use serde_json::{Value, json};

use super::server::{Act, Server, ask, calling, delta, end, events, json_body, pieces, saying};
use crate::support::{acting, run, told};

/// A server that notes once and finishes.
async fn noting() -> Server {
    Server::start(|number, _| match number {
        0 => calling("note", &json!({"text": "é"})),
        _ => calling("finish", &json!({})),
    })
    .await
}

#[tokio::test]
async fn a_run_over_a_stream() {
    let server = noting().await;
    let connection = server.connection().api_key(ApiKey::fixed("sk-123456")).header("x-title", "tests");
    let trajectory = run(&acting(OpenAi::new(connection, "m").unwrap().field("top_k", 5))).await;
    assert_eq!((trajectory.exit, trajectory.model.as_str()), (ExitReason::Agent, "m"));
    assert_eq!(told(&trajectory), ["assistant: ", "tool: é", "assistant: ", "tool: Finished."]);

    let [first, second] = &server.asked()[..] else { panic!("two requests") };
    assert_eq!(first.path, "/v1/chat/completions");
    assert_eq!((first.header("authorization"), first.header("x-title")), (Some("Bearer sk-123456"), Some("tests")));
    assert_eq!((&first.body["stream"], &first.body["top_k"]), (&json!(true), &json!(5)));
    assert_eq!(first.body["tools"][0]["function"]["name"], "note");
    let messages = second.body["messages"].as_array().unwrap();
    assert_eq!(messages[2]["tool_calls"][0]["id"], "call_0_0");
    assert_eq!(messages[3], json!({"role": "tool", "tool_call_id": "call_0_0", "content": "é"}));
}

#[tokio::test]
async fn a_reply_in_one_piece_whether_it_was_asked_for_or_not() {
    let body = json!({
        "choices": [{"message": {"role": "assistant", "content": "Hm."}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 40}},
    });
    let server = Server::always(json_body(200, &body)).await;
    let prices = Prices { cached_input: Some(0.5), ..Prices::new(2.0, 10.0) };
    for model in [server.openai().prices(prices), server.openai().whole().prices(prices)] {
        let response = ask(&model).await.unwrap();
        assert_eq!(response.message.content, "Hm.");
        let usage = response.usage;
        assert_eq!((usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens), (100, 10, 40));
        assert_eq!(usage.cost_nano_usd, Some(120_000 + 20_000 + 100_000));
    }
    assert_eq!(
        server.asked().iter().map(|asked| asked.body.get("stream").is_some()).collect::<Vec<_>>(),
        [true, false]
    );
}

#[tokio::test]
async fn tokens_reach_the_trajectory() {
    let reply = |prompt: &[u32], tokens: &[u32], name: &str| {
        let logprobs: Vec<_> = tokens.iter().map(|_| json!({"logprob": -0.5})).collect();
        let call = json!([{"index": 0, "id": "x", "function": {"name": name, "arguments": "{\"text\": \"x\"}"}}]);
        let mut first = delta(json!({"role": "assistant"}));
        first["prompt_token_ids"] = json!(prompt);
        let mut second = delta(json!({"tool_calls": call}));
        second["choices"][0]["token_ids"] = json!(tokens);
        second["choices"][0]["logprobs"] = json!({"content": logprobs});
        events(&pieces(&[first, second, end("tool_calls")]))
    };
    let server = Server::start(move |number, _| match number {
        0 => reply(&[1, 2], &[3, 4], "note"),
        _ => reply(&[1, 2, 3, 4, 5], &[6], "finish"),
    })
    .await;
    let trajectory = run(&acting(server.openai().tokens())).await;
    assert_eq!(server.asked()[0].body["return_token_ids"], true);
    let [segment] = trajectory.trace.segments() else { panic!("one segment") };
    assert_eq!((&segment.ids[..], &segment.logprobs[..]), (&[1, 2, 3, 4, 5, 6][..], &[-0.5; 3][..]));
    assert_eq!(segment.action_mask(), [false, false, true, true, false, true]);
}

#[tokio::test]
async fn reasoning_and_raw_bytes_are_seen_on_request() {
    let stream = pieces(&[delta(json!({"reasoning_content": "Hm."})), delta(json!({"content": "Yes."})), end("stop")]);
    let server = Server::always(events(&stream)).await;
    let seen: Arc<Mutex<Vec<Reply>>> = Arc::default();
    let noted = Arc::clone(&seen);
    ask(&server.openai().keep_raw().on_reply(move |reply| noted.lock().unwrap().push(reply.clone()))).await.unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!((seen[0].reasoning.as_str(), seen[0].raw.as_ref()), ("Hm.", Some(&stream)));
}

#[tokio::test]
async fn duplicate_call_ids_are_told_apart() {
    let call = |index: usize, text: &str| {
        let arguments = json!({"text": text}).to_string();
        json!({"index": index, "id": "same", "function": {"name": "note", "arguments": arguments}})
    };
    let twice = events(&pieces(&[delta(json!({"tool_calls": [call(0, "a"), call(1, "b")]})), end("tool_calls")]));
    let server =
        Server::start(move |number, _| if number == 0 { twice.clone() } else { calling("finish", &json!({})) }).await;
    let calls = ask(&server.openai()).await.unwrap().message.tool_calls;
    assert_eq!(calls.iter().map(|call: &ToolCall| call.id.as_str()).collect::<Vec<_>>(), ["same", "same_call_1"]);

    let twice = events(&pieces(&[delta(json!({"tool_calls": [call(0, "a"), call(1, "b")]})), end("tool_calls")]));
    let server =
        Server::start(move |number, _| if number == 0 { twice.clone() } else { calling("finish", &json!({})) }).await;
    let trajectory = run(&acting(server.openai())).await;
    assert_eq!(told(&trajectory)[1..3], ["tool: a", "tool: b"]);
    let ids = trajectory.messages.iter().filter_map(|message| match message {
        Message::Tool(result) => Some(result.call_id.as_str()),
        _ => None,
    });
    assert_eq!(ids.collect::<Vec<_>>(), ["call_0_0", "call_0_1", "call_1_0"]);
}

#[tokio::test]
async fn arguments_that_are_no_json_are_told_to_the_model() {
    let broken = json!([{"index": 0, "id": "x", "function": {"name": "note", "arguments": "{\"text\": "}}]);
    let server = Server::start(move |number, _| match number {
        0 => events(&pieces(&[delta(json!({"tool_calls": broken})), end("tool_calls")])),
        _ => calling("finish", &json!({})),
    })
    .await;
    let trajectory = run(&acting(server.openai())).await;
    let [said, complaint, ..] = &told(&trajectory)[..] else { panic!("a complaint") };
    assert_eq!(said, "assistant: note {\"text\": ");
    assert!(complaint.contains("The arguments of call 1, \"note\", are no JSON object: EOF while"), "{complaint}");
    assert_eq!((trajectory.exit, trajectory.usage.bad_calls), (ExitReason::Agent, 1));
}

#[tokio::test]
async fn a_server_that_ignores_tools_is_understood_in_its_dialect() {
    let text = |name: &str| {
        saying(&format!("<tool_call>\n<function={name}>\n<parameter=text>\nx\n</parameter>\n</function>\n</tool_call>"))
    };
    let server =
        Server::start(move |number, _| if number == 0 { text("note") } else { calling("finish", &json!({})) }).await;
    let model = server.openai().tool_calling(ToolCalling::NativeOrText(Arc::new(Xml)));
    let trajectory = run(&acting(model)).await;
    assert_eq!((trajectory.exit, trajectory.usage.bad_calls), (ExitReason::Agent, 0));
    assert_eq!(told(&trajectory)[1], "tool: x");
}

#[tokio::test]
async fn a_model_without_tools_is_told_of_them_in_words() {
    let server = Server::start(|number, _| {
        saying(match number {
            0 => "Look.\n<tool_call>\n{\"name\": \"note\", \"arguments\": {\"text\": \"x\"}}\n</tool_call>",
            _ => "<tool_call>\n{\"name\": \"finish\", \"arguments\": {}}\n</tool_call>",
        })
    })
    .await;
    let model = server.openai().tool_calling(ToolCalling::Text(Arc::new(Hermes)));
    assert_eq!(run(&acting(model)).await.exit, ExitReason::Agent);
    let body = &server.asked()[1].body;
    let contents: Vec<_> = body["messages"].as_array().unwrap().iter().map(|message| &message["content"]).collect();
    assert!(contents[0].as_str().unwrap().contains("Notes a text."));
    assert!(contents[2].as_str().unwrap().starts_with("Look.\n<tool_call>"));
    assert_eq!(contents[3], "Result of note:\nx");
    assert_eq!(body.get("tools"), None::<&Value>);
}

#[tokio::test]
async fn calls_that_nobody_reads_end_in_a_complaint() {
    let server = Server::always(saying("<tool_call>")).await;
    assert_eq!(run(&acting(server.openai())).await.exit, ExitReason::FormatErrors);
}

#[tokio::test]
async fn a_model_asked_too_often_waits_and_can_be_cancelled() {
    let server = Server::always(saying("Hm.")).await;
    let limit = RateLimit { requests_per_minute: std::num::NonZeroU32::new(1), tokens_per_minute: None };
    let model = OpenAi::new(server.connection().rate_limit(limit), "m").unwrap();
    ask(&model).await.unwrap();
    let cancel = entropo_agent::CancellationToken::new();
    let cancelling = async {
        tokio::task::yield_now().await;
        cancel.cancel();
    };
    let second = super::server::ask_until(&model, &cancel);
    let (second, ()) = tokio::join!(second, cancelling);
    assert!(matches!(second, Err(ModelError::Cancelled)));
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn tokens_that_were_not_written_are_not_counted() {
    let mut last = end("stop");
    last["usage"] = json!({"prompt_tokens": 5, "completion_tokens": 5});
    let server = Server::always(events(&pieces(&[delta(json!({"content": "Hm."})), last]))).await;
    // Room for one request that writes all it may, for a hundred of these.
    let limit = RateLimit { requests_per_minute: None, tokens_per_minute: std::num::NonZeroU32::new(1500) };
    let model = OpenAi::new(server.connection().rate_limit(limit), "m").unwrap();
    let asking = async {
        for _ in 0..30 {
            ask(&model).await.unwrap();
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(5), asking).await.unwrap();
}

#[tokio::test]
async fn a_stream_may_come_byte_by_byte() {
    let text = pieces(&[delta(json!({"content": "漢é"})), end("stop")]).replace("\n\n", "\r\n\r\n");
    let mut acts = events("");
    acts.extend(text.bytes().map(|byte| Act::Send(vec![byte])));
    let server = Server::always(acts).await;
    assert_eq!(ask(&server.openai()).await.unwrap().message.content, "漢é");
}
