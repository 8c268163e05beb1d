//! Tool calls of a policy that makes some.

use serde_json::{Value, json};

use crate::served::{POLICY, Served};

/// What the policy was trained on.
fn request(messages: &[Value]) -> Value {
    let tool = |name: &str, parameters: Value| {
        json!({"type": "function", "function": {"name": name, "description": name,
            "parameters": {"type": "object", "properties": parameters}}})
    };
    let text = json!({"type": "string"});
    let tools = [
        tool("shell", json!({"command": text})),
        tool("editor", json!({"command": text, "path": text, "old_str": text, "new_str": text})),
        tool("search", json!({"pattern": text})),
        tool("finish", json!({})),
    ];
    json!({"messages": messages, "tools": tools, "temperature": 0, "max_tokens": 200})
}

#[tokio::test]
async fn a_call_and_its_result_go_round() {
    let served = Served::new(POLICY).await;
    let mut messages = vec![
        json!({"role": "system", "content": "You repair sh code. Find the bug, edit it, run `sh test.sh`, then finish."}),
        json!({"role": "user", "content": "`discount 200 30` prints 260, expected 140."}),
    ];
    for turn in 0..2 {
        let whole = served.complete(&request(&messages)).await;
        let choice = &whole["choices"][0];
        assert_eq!(choice["finish_reason"], "tool_calls", "turn {turn}: {whole}");
        let message = &choice["message"];
        let call = &message["tool_calls"][0];
        assert!(call["id"].as_str().unwrap().starts_with("call_") && call["type"] == "function", "{call}");
        let arguments = call["function"]["arguments"].as_str().unwrap();
        assert!(serde_json::from_str::<Value>(arguments).unwrap().is_object());
        assert!(!message.to_string().contains("<tool_call>"), "{message}");

        let pieces = served.stream(&request(&messages)).await;
        let deltas: Vec<&Value> = pieces.iter().filter_map(|piece| piece.pointer("/choices/0/delta")).collect();
        let text: String = deltas.iter().filter_map(|delta| delta["content"].as_str()).collect();
        assert_eq!(text, message["content"].as_str().unwrap_or_default());
        let calls: Vec<&Value> = deltas.iter().filter_map(|delta| delta.get("tool_calls")).collect();
        assert_eq!(calls.len(), 1);
        assert_eq!((&calls[0][0]["index"], &calls[0][0]["function"]), (&json!(0), &call["function"]));
        assert_eq!(pieces[pieces.len() - 2]["choices"][0]["finish_reason"], "tool_calls");

        let known = whole["usage"]["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap();
        assert!(turn == 0 || known > 50, "{known}");
        messages.push(message.clone());
        messages.push(json!({"role": "tool", "tool_call_id": call["id"], "content": "shop.sh\ntest.sh"}));
    }
}

#[tokio::test]
async fn without_tools_a_call_is_text() {
    let served = Served::new(POLICY).await;
    let messages = [
        json!({"role": "system", "content": "You repair sh code. Find the bug, edit it, run `sh test.sh`, then finish.\nTools: shell editor search finish"}),
        json!({"role": "user", "content": "`discount 200 30` prints 260, expected 140."}),
    ];
    let reply = served.complete(&json!({"messages": messages, "temperature": 0, "max_tokens": 200})).await;
    let choice = &reply["choices"][0];
    assert_eq!(choice["finish_reason"], "stop");
    assert!(choice["message"]["content"].as_str().unwrap().contains("<tool_call>"), "{reply}");
}
