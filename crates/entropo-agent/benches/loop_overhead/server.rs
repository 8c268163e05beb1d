//! A server that answers at once. What it says follows from the request alone, so it keeps nothing of a conversation.

use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{Failure, STEPS};

/// The last request of each turn, for those who want to send the same.
type Seen = Arc<Mutex<Vec<Bytes>>>;

/// Prints the base URL, then serves until the standard input ends.
pub(crate) fn serve() -> Result<(), Failure> {
    // It goes with whoever started it.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("http://{}/v1", listener.local_addr()?);
        let seen: Seen = Arc::new(Mutex::new(vec![Bytes::new(); STEPS]));
        let router = Router::new()
            .route("/v1/chat/completions", post(complete))
            .route("/v1/seen/{turn}", get(told))
            .with_state(seen);
        let listener = listener.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        Ok(axum::serve(listener, router).await?)
    })
}

async fn told(State(seen): State<Seen>, Path(turn): Path<usize>) -> Bytes {
    seen.lock().unwrap_or_else(PoisonError::into_inner).get(turn).cloned().unwrap_or_default()
}

async fn complete(State(seen): State<Seen>, body: Bytes) -> Response {
    let text = str::from_utf8(&body).unwrap_or_default();
    let turn = text.matches("\"role\":\"assistant\"").count();
    let streams = text.contains("\"stream\":true");
    let size = body.len();
    if let Some(place) = seen.lock().unwrap_or_else(PoisonError::into_inner).get_mut(turn) {
        *place = body;
    }
    let command =
        if turn + 1 < STEPS { format!("true {turn}") } else { "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT".to_owned() };
    let words = format!("Step {turn}: I look at the next file to find where the value is computed before I change it.");
    let function = json!({"name": "bash", "arguments": json!({"command": command}).to_string()});
    let call = json!({"index": 0, "id": format!("call{turn}"), "type": "function", "function": function});
    let usage = json!({"prompt_tokens": size / 4, "completion_tokens": 40, "total_tokens": size / 4 + 40});
    if streams {
        let piece = |delta: Value, reason: Option<&str>| {
            let choice = json!({"index": 0, "delta": delta, "finish_reason": reason});
            chunk(&json!([choice]), &Value::Null)
        };
        let told = words.split_inclusive(' ').map(|word| piece(json!({"content": word}), None)).collect::<String>()
            + &piece(json!({"tool_calls": [call]}), None)
            + &piece(json!({}), Some("tool_calls"))
            + &chunk(&json!([]), &usage)
            + "data: [DONE]\n\n";
        return ([(CONTENT_TYPE, "text/event-stream")], told).into_response();
    }
    let message = json!({"role": "assistant", "content": words, "tool_calls": [call]});
    let choice = json!({"index": 0, "message": message, "finish_reason": "tool_calls"});
    let reply = json!({
        "id": "r", "object": "chat.completion", "created": 1, "model": "gpt-4o-mini", "choices": [choice], "usage": usage,
    });
    ([(CONTENT_TYPE, "application/json")], reply.to_string()).into_response()
}

fn chunk(choices: &Value, usage: &Value) -> String {
    let chunk = json!({
        "id": "r", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-mini", "choices": choices,
        "usage": usage,
    });
    format!("data: {chunk}\n\n")
}
