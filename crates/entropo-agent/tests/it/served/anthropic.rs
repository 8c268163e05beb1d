//! The Messages API over real connections.

use entropo_agent::ModelError;
use entropo_agent::model::Prices;
use entropo_agent::model::anthropic::Anthropic;
use entropo_agent::model::http::ApiKey;
use entropo_core::ExitReason;
use serde_json::{Value, json};

use super::server::{Act, Server, ask, events, head, json_body, send};
use crate::support::{acting, run, told};

fn stream(events: &[Value]) -> String {
    events.iter().map(|event| format!("event: x\ndata: {event}\n\n")).collect()
}

/// A reply that thinks and calls a tool.
fn calling(name: &str, arguments: &Value) -> Vec<Act> {
    let usage = json!({"input_tokens": 10, "cache_read_input_tokens": 30, "cache_creation_input_tokens": 5});
    let block = json!({"type": "tool_use", "id": "toolu_1", "name": name, "input": {}});
    events(&stream(&[
        json!({"type": "message_start", "message": {"id": "msg", "content": [], "usage": usage}}),
        json!({"type": "content_block_start", "index": 0, "content_block":
            {"type": "thinking", "thinking": "Hm.", "signature": "sig"}}),
        json!({"type": "content_block_start", "index": 1, "content_block": block}),
        json!({"type": "content_block_delta", "index": 1, "delta":
            {"type": "input_json_delta", "partial_json": arguments.to_string()}}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 4}}),
        json!({"type": "message_stop"}),
    ]))
}

#[tokio::test]
async fn a_run_keeps_what_was_thought() {
    let server = Server::start(|number, _| match number {
        0 => calling("note", &json!({"text": "x"})),
        _ => calling("finish", &json!({})),
    })
    .await;
    let connection = server.connection().api_key(ApiKey::fixed("sk-ant-1"));
    let prices = Prices { cached_input: Some(0.3), cache_write: Some(3.75), ..Prices::new(3.0, 15.0) };
    let trajectory = run(&acting(Anthropic::new(connection, "claude").unwrap().prices(prices))).await;
    assert_eq!(trajectory.exit, ExitReason::Agent);
    assert_eq!(told(&trajectory), ["assistant: ", "tool: x", "assistant: ", "tool: Finished."]);
    let usage = trajectory.usage;
    assert_eq!((usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens), (90, 8, 60));
    assert_eq!(usage.cost_nano_usd, Some(2 * (30_000 + 9_000 + 18_750 + 60_000)));

    let asked = &server.asked()[1];
    assert_eq!((asked.path.as_str(), asked.header("x-api-key")), ("/v1/messages", Some("sk-ant-1")));
    assert_eq!(asked.header("anthropic-version"), Some("2023-06-01"));
    let messages = &asked.body["messages"];
    assert_eq!(messages[1]["content"][0], json!({"type": "thinking", "thinking": "Hm.", "signature": "sig"}));
    assert_eq!(messages[1]["content"][1]["id"], "call_0_0");
    assert_eq!(messages[2]["content"][0]["tool_use_id"], "call_0_0");
}

#[tokio::test]
async fn a_reply_in_one_piece() {
    let body = json!({"type": "message", "content": [{"type": "text", "text": "Hm."}], "stop_reason": "end_turn"});
    let server = Server::always(json_body(200, &body)).await;
    let response = ask(&Anthropic::new(server.connection(), "claude").unwrap().whole()).await.unwrap();
    assert_eq!((response.message.content.as_str(), response.message.raw), ("Hm.", None));
    assert_eq!(server.asked()[0].body.get("stream"), None);
}

#[tokio::test]
async fn failures_have_types() {
    let error = |kind: &str, message: &str| json!({"type": "error", "error": {"type": kind, "message": message}});
    let model = |server: &Server| Anthropic::new(server.connection(), "claude").unwrap();
    let server = Server::always(json_body(401, &error("authentication_error", "invalid x-api-key"))).await;
    assert!(matches!(ask(&model(&server)).await, Err(ModelError::Unauthorised { .. })));
    let server = Server::always(json_body(529, &error("overloaded_error", "Overloaded"))).await;
    assert!(matches!(ask(&model(&server)).await, Err(ModelError::Server { status: 529, .. })));
    let limited = vec![head(429, "application/json", "retry-after: 600\r\n"), send("{}")];
    let server = Server::always(limited).await;
    assert!(matches!(ask(&model(&server)).await, Err(ModelError::RateLimited { retry_after: Some(_), .. })));
    let long = error("invalid_request_error", "prompt is too long: 208310 tokens > 200000 maximum");
    let server = Server::always(json_body(400, &long)).await;
    let full = ask(&model(&server)).await.unwrap_err();
    assert!(matches!(full, ModelError::ContextFull { prompt: 208_310, context: 200_000 }), "{full}");
    let server = Server::always(events(&stream(&[error("overloaded_error", "Overloaded")]))).await;
    assert!(matches!(ask(&model(&server)).await, Err(ModelError::Server { status: 529, .. })));
}
