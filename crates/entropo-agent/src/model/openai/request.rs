//! A request as JSON.

use entropo_core::Message;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::Length;
use super::conversation::{Emitted, Messages, Tools};
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

/// The body of a request.
pub(super) struct Body<'a> {
    /// In their order. Null stands for the messages or the tools of the request.
    pub(super) fields: Map<String, Value>,
    messages: Messages<'a>,
    tools: Tools<'a>,
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut body = serializer.serialize_map(Some(self.fields.len()))?;
        for (name, value) in &self.fields {
            match (name.as_str(), value) {
                ("messages", Value::Null) => body.serialize_entry(name, &self.messages)?,
                ("tools", Value::Null) => body.serialize_entry(name, &self.tools)?,
                _ => body.serialize_entry(name, value)?,
            }
        }
        body.end()
    }
}

impl Settings {
    /// The body of a request.
    pub(super) fn body<'a>(&self, request: &ChatRequest<'a>) -> Body<'a> {
        let mut body = Map::new();
        body.insert("model".to_owned(), self.model.as_str().into());
        match &self.calling {
            ToolCalling::Text(dialect) => {
                body.insert("messages".to_owned(), text_messages(request, dialect.as_ref()).into());
            }
            _ => {
                body.insert("messages".to_owned(), Value::Null);
                if !request.tools.is_empty() {
                    body.insert("tools".to_owned(), Value::Null);
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
        let messages = Messages { messages: request.messages, send_reasoning: self.send_reasoning };
        Body { fields: body, messages, tools: Tools(request.tools) }
    }
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
                let raw = said.raw.clone().filter(|_| Emitted::of(said).is_none());
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

    use entropo_core::{AssistantMessage, TokenTrace, ToolCall, ToolMessage, ToolSpec};
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::dialect::Hermes;
    use crate::model::Sampling;

    fn body(settings: &Settings, messages: &[Message], tools: &[ToolSpec], sampling: &Sampling) -> Value {
        let (trace, cancel) = (TokenTrace::default(), CancellationToken::new());
        let body = settings.body(&ChatRequest {
            messages,
            tools,
            trace: &trace,
            sampling,
            turn: 0,
            seed: 1 << 40 | 5,
            cancel: &cancel,
        });
        serde_json::to_value(body).unwrap()
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
