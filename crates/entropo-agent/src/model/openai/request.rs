//! A request as JSON.

use entropo_core::{AssistantMessage, Message, ToolCall, ToolSpec};
use serde_json::{Map, Value, json};

use super::Length;
use super::sampling::{self, TokenSource};
use crate::dialect::Dialect;
use crate::model::{ChatRequest, ToolCalling};

/// What a client always asks for.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    pub(super) model: String,
    pub(super) calling: ToolCalling,
    pub(super) length: Length,
    pub(super) whole: bool,
    pub(super) tokens: Option<TokenSource>,
    pub(super) send_reasoning: bool,
    /// Fields of the body; null leaves a field out.
    pub(super) fields: Map<String, Value>,
}

impl Settings {
    /// The body of a request.
    pub(super) fn body(&self, request: &ChatRequest<'_>) -> Value {
        let mut body = Map::new();
        body.insert("model".to_owned(), self.model.as_str().into());
        match &self.calling {
            ToolCalling::Text(dialect) => {
                body.insert("messages".to_owned(), text_messages(request, dialect.as_ref()).into());
            }
            _ => {
                let messages: Vec<_> = request.messages.iter().map(|message| self.message(message)).collect();
                body.insert("messages".to_owned(), messages.into());
                if !request.tools.is_empty() {
                    body.insert("tools".to_owned(), request.tools.iter().map(tool).collect());
                }
            }
        }
        body.extend(sampling::fields(request.sampling, self.tokens));
        body.insert(self.length.field().to_owned(), request.sampling.max_tokens.into());
        // Some servers keep a seed in 32 bits with a sign.
        body.insert("seed".to_owned(), ((request.seed ^ (request.seed >> 32)) & 0x7fff_ffff).into());
        if !self.whole {
            body.insert("stream".to_owned(), true.into());
            body.insert("stream_options".to_owned(), json!({"include_usage": true}));
        }
        for (name, value) in &self.fields {
            if value.is_null() {
                body.shift_remove(name);
            } else {
                body.insert(name.clone(), value.clone());
            }
        }
        Value::Object(body)
    }

    fn message(&self, message: &Message) -> Value {
        match message {
            Message::Assistant(said) => self.assistant(said),
            Message::Tool(result) => {
                json!({"role": "tool", "tool_call_id": result.call_id, "content": result.content})
            }
            _ => json!({"role": message.role(), "content": message.content()}),
        }
    }

    /// What the model said, with arguments as it wrote them if they are still the call's.
    fn assistant(&self, said: &AssistantMessage) -> Value {
        let emitted = emitted(said);
        let mut message = json!({"role": "assistant", "content": said.content});
        let Some(fields) = message.as_object_mut() else { return message };
        if self.send_reasoning
            && let Some(reasoning) = emitted.as_ref().and_then(|emitted| emitted.get("reasoning_content"))
        {
            fields.insert("reasoning_content".to_owned(), reasoning.clone());
        }
        if !said.tool_calls.is_empty() {
            let calls = said.tool_calls.iter().enumerate();
            let calls = calls.map(|(index, call)| tool_call(call, arguments_of(emitted.as_ref(), index)));
            fields.insert("tool_calls".to_owned(), calls.collect());
        }
        message
    }
}

/// The message as the server sent it, if it was sent as data.
fn emitted(said: &AssistantMessage) -> Option<Value> {
    let raw = said.raw.as_deref().filter(|raw| raw.starts_with('{'))?;
    serde_json::from_str::<Value>(raw).ok().filter(|emitted| emitted.get("role") == Some(&Value::from("assistant")))
}

fn arguments_of(emitted: Option<&Value>, index: usize) -> Option<&str> {
    emitted?.get("tool_calls")?.get(index)?.get("function")?.get("arguments")?.as_str()
}

fn tool_call(call: &ToolCall, emitted: Option<&str>) -> Value {
    let unchanged = emitted.filter(|text| serde_json::from_str::<Value>(text).is_ok_and(|now| now == call.arguments));
    let arguments = unchanged.map_or_else(|| call.arguments.to_string(), str::to_owned);
    json!({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}})
}

fn tool(tool: &ToolSpec) -> Value {
    json!({
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
    })
}

/// A conversation for a server that knows nothing of tools: `system`, then `user` and `assistant` by turns, which is all
/// that some templates take.
fn text_messages(request: &ChatRequest<'_>, dialect: &dyn Dialect) -> Vec<Value> {
    let mut told: Vec<(&str, String)> = Vec::new();
    if !request.tools.is_empty() && !matches!(request.messages.first(), Some(Message::System { .. })) {
        told.push(("system", dialect.instructions(request.tools)));
    }
    for (index, message) in request.messages.iter().enumerate() {
        let (role, text) = match message {
            Message::System { content } if index == 0 && !request.tools.is_empty() => {
                ("system", format!("{content}\n\n{}", dialect.instructions(request.tools)))
            }
            Message::Assistant(said) => {
                let raw = said.raw.clone().filter(|_| emitted(said).is_none());
                ("assistant", raw.unwrap_or_else(|| dialect.render(said)))
            }
            Message::Tool(result) => ("user", dialect.result(&result.name, &result.content)),
            Message::System { content } => ("system", content.clone()),
            Message::User { content } => ("user", content.clone()),
        };
        match told.last_mut() {
            Some((last, before)) if *last == role => {
                before.push_str("\n\n");
                before.push_str(&text);
            }
            _ => told.push((role, text)),
        }
    }
    told.into_iter().map(|(role, content)| json!({"role": role, "content": content})).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use entropo_core::{TokenTrace, ToolMessage};
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::dialect::Hermes;
    use crate::model::Sampling;

    fn body(settings: &Settings, messages: &[Message], tools: &[ToolSpec], sampling: &Sampling) -> Value {
        let (trace, cancel) = (TokenTrace::default(), CancellationToken::new());
        settings.body(&ChatRequest {
            messages,
            tools,
            trace: &trace,
            sampling,
            turn: 0,
            seed: 1 << 40 | 5,
            cancel: &cancel,
        })
    }

    fn conversation() -> Vec<Message> {
        let raw =
            r#"{"role":"assistant","reasoning_content":"Hm.","tool_calls":[{"function":{"arguments":"{\"a\":  1}"}}]}"#;
        let call = |index| ToolCall { id: format!("call_0_{index}"), name: "f".to_owned(), arguments: json!({"a": 1}) };
        let said =
            AssistantMessage { tool_calls: vec![call(0), call(1)], raw: Some(raw.to_owned()), ..Default::default() };
        let result = |content: &str| {
            Message::Tool(ToolMessage { call_id: "call_0_0".into(), name: "f".into(), content: content.into() })
        };
        vec![Message::system("Work."), Message::user("Go."), Message::Assistant(said), result("x"), result("y")]
    }

    fn tools() -> Vec<ToolSpec> {
        vec![ToolSpec { name: "f".into(), description: "Does.".into(), parameters: json!({"type": "object"}) }]
    }

    #[test]
    fn calls_and_results_are_sent_as_data() {
        let settings = Settings { model: "m".to_owned(), ..Settings::default() };
        let body = body(&settings, &conversation(), &tools(), &Sampling::default());
        let call = |index: usize, arguments: &str| json!({"id": format!("call_0_{index}"), "type": "function", "function": {"name": "f", "arguments": arguments}});
        // The first call goes back in the model's own words, blanks included.
        let calls = [call(0, "{\"a\":  1}"), call(1, "{\"a\":1}")];
        assert_eq!(
            body,
            json!({
                "model": "m",
                "messages": [
                    {"role": "system", "content": "Work."},
                    {"role": "user", "content": "Go."},
                    {"role": "assistant", "content": "", "tool_calls": calls},
                    {"role": "tool", "tool_call_id": "call_0_0", "content": "x"},
                    {"role": "tool", "tool_call_id": "call_0_0", "content": "y"},
                ],
                "tools": [{"type": "function", "function":
                    {"name": "f", "description": "Does.", "parameters": {"type": "object"}}}],
                "temperature": 1.0, "max_tokens": 1024, "seed": 261,
                "stream": true, "stream_options": {"include_usage": true},
            })
        );
    }

    #[test]
    fn settings_change_the_body() {
        let settings = Settings {
            length: Length::MaxCompletionTokens,
            whole: true,
            tokens: Some(TokenSource::ReturnTokenIds),
            send_reasoning: true,
            fields: json!({"seed": null, "temperature": 0.5, "provider": {"sort": "price"}})
                .as_object()
                .unwrap()
                .clone(),
            ..Settings::default()
        };
        let sampling =
            Sampling { top_p: 0.9, top_k: Some(20), min_p: 0.05, repetition_penalty: 1.1, ..Default::default() };
        let mut body = body(&settings, &conversation(), &[], &sampling);
        assert_eq!(body["messages"][2]["reasoning_content"], "Hm.");
        body.as_object_mut().unwrap().remove("messages");
        assert_eq!(
            body,
            json!({
                "model": "", "temperature": 0.5, "top_p": 0.9, "top_k": 20, "min_p": 0.05, "repetition_penalty": 1.1,
                "max_completion_tokens": 1024, "return_token_ids": true, "logprobs": true, "provider": {"sort": "price"},
            })
        );
    }

    #[test]
    fn a_call_that_was_changed_is_not_sent_as_it_was() {
        let mut messages = conversation();
        if let Message::Assistant(said) = &mut messages[2] {
            said.tool_calls[0].arguments = json!({"a": 2});
        }
        let body = body(&Settings::default(), &messages, &[], &Sampling::default());
        assert_eq!(body["messages"][2]["tool_calls"][0]["function"]["arguments"], "{\"a\":2}");
    }

    #[test]
    fn a_server_without_tools_is_told_in_words() {
        let settings = Settings { calling: ToolCalling::Text(Arc::new(Hermes)), ..Settings::default() };
        let body = body(&settings, &conversation(), &tools(), &Sampling::default());
        let messages = body["messages"].as_array().unwrap();
        let roles: Vec<_> = messages.iter().map(|message| message["role"].as_str().unwrap()).collect();
        assert_eq!(roles, ["system", "user", "assistant", "user"]);
        let text = |index: usize| messages[index]["content"].as_str().unwrap();
        assert!(text(0).starts_with("Work.\n\n") && text(0).contains("Does."));
        assert!(text(2).contains("<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}"));
        assert!(text(3).contains('x') && text(3).contains('y'));
        assert_eq!(body.get("tools"), None);
    }
}
