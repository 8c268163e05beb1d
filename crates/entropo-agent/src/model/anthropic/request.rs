//! A request as JSON.

use entropo_core::{AssistantMessage, Message, ToolSpec};
use serde_json::{Map, Value, json};

use crate::model::ChatRequest;

/// What a client always asks for.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    pub(super) model: String,
    pub(super) whole: bool,
    pub(super) uncached: bool,
    /// Fields of the body; null leaves a field out.
    pub(super) fields: Map<String, Value>,
}

impl Settings {
    /// The body of a request.
    pub(super) fn body(&self, request: &ChatRequest<'_>) -> Value {
        let mut body = Map::new();
        body.insert("model".to_owned(), self.model.as_str().into());
        body.insert("max_tokens".to_owned(), request.sampling.max_tokens.into());
        if let Some(system) = self.system(request.messages) {
            body.insert("system".to_owned(), system);
        }
        let mut turns = turns(request.messages);
        if !self.uncached
            && let Some(block) = turns.last_mut().and_then(|(_, blocks)| blocks.last_mut())
        {
            cache(block);
        }
        let turns = turns.into_iter().map(|(role, content)| json!({"role": role, "content": content}));
        body.insert("messages".to_owned(), turns.collect());
        if !request.tools.is_empty() {
            body.insert("tools".to_owned(), request.tools.iter().map(tool).collect());
        }
        // Newer models refuse even the defaults, next to one another or to thinking.
        let sampling = request.sampling;
        let decimal = |number: f32| number.to_string().parse::<f64>().map_or(Value::Null, Value::from);
        if sampling.temperature != 1.0 {
            body.insert("temperature".to_owned(), decimal(sampling.temperature));
        }
        if sampling.top_p != 1.0 {
            body.insert("top_p".to_owned(), decimal(sampling.top_p));
        }
        if let Some(top_k) = sampling.top_k {
            body.insert("top_k".to_owned(), top_k.into());
        }
        if !self.whole {
            body.insert("stream".to_owned(), true.into());
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

    /// System messages have a place of their own; tools come before it, so its end is where both can be kept.
    fn system(&self, messages: &[Message]) -> Option<Value> {
        let system = messages.iter().filter(|message| matches!(message, Message::System { .. }));
        let system: Vec<_> = system.map(Message::content).filter(|text| !text.trim().is_empty()).collect();
        let mut block = json!({"type": "text", "text": system.join("\n\n")});
        if !self.uncached {
            cache(&mut block);
        }
        (!system.is_empty()).then(|| json!([block]))
    }
}

fn set(block: &mut Value, name: &str, value: Value) {
    if let Some(fields) = block.as_object_mut() {
        fields.insert(name.to_owned(), value);
    }
}

/// Marks where a prompt that may be continued ends.
fn cache(block: &mut Value) {
    let kind = block.get("type").and_then(Value::as_str).unwrap_or_default();
    if !matches!(kind, "thinking" | "redacted_thinking") {
        set(block, "cache_control", json!({"type": "ephemeral"}));
    }
}

/// The conversation by turns, as the server wants it: what users and tools say is one turn until the model speaks, and no
/// text is empty.
fn turns(messages: &[Message]) -> Vec<(&'static str, Vec<Value>)> {
    let mut turns: Vec<(&'static str, Vec<Value>)> = Vec::new();
    for message in messages {
        let (role, blocks) = match message {
            Message::System { .. } => continue,
            Message::User { content } => ("user", text(content).into_iter().collect()),
            Message::Assistant(said) => ("assistant", assistant(said)),
            Message::Tool(result) => {
                let content = text(&result.content).into_iter().collect::<Vec<_>>();
                ("user", vec![json!({"type": "tool_result", "tool_use_id": result.call_id, "content": content})])
            }
        };
        match turns.last_mut() {
            _ if blocks.is_empty() => {}
            Some((last, before)) if *last == role => before.extend(blocks),
            _ => turns.push((role, blocks)),
        }
    }
    turns
}

fn text(content: &str) -> Option<Value> {
    (!content.trim().is_empty()).then(|| json!({"type": "text", "text": content}))
}

/// What the model said: the blocks as it sent them, signed thinking included, as long as they are what the message says;
/// else its thinking, then what the message says now.
fn assistant(said: &AssistantMessage) -> Vec<Value> {
    let emitted = emitted(said).unwrap_or_default();
    let kind = |block: &Value| block.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    let uses = || emitted.iter().filter(|block| kind(block) == "tool_use");
    let texts: String = emitted.iter().filter_map(|block| block.get("text").and_then(Value::as_str)).collect();
    let same = uses().count() == said.tool_calls.len()
        && texts == said.content
        && uses().zip(&said.tool_calls).all(|(block, call)| {
            block.get("name") == Some(&Value::from(call.name.as_str())) && block.get("input") == Some(&call.arguments)
        });
    if same && !emitted.is_empty() {
        let mut ids = said.tool_calls.iter().map(|call| call.id.as_str());
        let mut blocks = emitted;
        for block in blocks.iter_mut().filter(|block| kind(block) == "tool_use") {
            set(block, "id", ids.next().unwrap_or_default().into());
        }
        return blocks;
    }
    let calls = said.tool_calls.iter();
    let calls =
        calls.map(|call| json!({"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments}));
    let thinking = emitted.iter().filter(|block| matches!(kind(block).as_str(), "thinking" | "redacted_thinking"));
    thinking.cloned().chain(text(&said.content)).chain(calls).collect()
}

/// The blocks as the server sent them, if it did.
fn emitted(said: &AssistantMessage) -> Option<Vec<Value>> {
    let raw = said.raw.as_deref().filter(|raw| raw.starts_with('['))?;
    let blocks = serde_json::from_str::<Vec<Value>>(raw).ok()?;
    blocks.iter().all(|block| block.get("type").is_some_and(Value::is_string)).then_some(blocks)
}

fn tool(tool: &ToolSpec) -> Value {
    json!({"name": tool.name, "description": tool.description, "input_schema": tool.parameters})
}

#[cfg(test)]
mod tests {
    use entropo_core::{TokenTrace, ToolCall, ToolMessage};
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::model::Sampling;

    fn body(settings: &Settings, messages: &[Message], tools: &[ToolSpec], sampling: &Sampling) -> Value {
        let (trace, cancel) = (TokenTrace::default(), CancellationToken::new());
        settings.body(&ChatRequest { messages, tools, trace: &trace, sampling, turn: 0, seed: 1, cancel: &cancel })
    }

    fn blocks() -> Value {
        json!([
            {"type": "thinking", "thinking": "Hm.", "signature": "s"},
            {"type": "text", "text": "Look."},
            {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}},
        ])
    }

    fn said() -> AssistantMessage {
        let call = ToolCall { id: "call_0_0".into(), name: "f".into(), arguments: json!({"a": 1}) };
        AssistantMessage { content: "Look.".into(), tool_calls: vec![call], raw: Some(blocks().to_string()) }
    }

    fn result(content: &str) -> Message {
        Message::Tool(ToolMessage { call_id: "call_0_0".into(), name: "f".into(), content: content.into() })
    }

    #[test]
    fn a_conversation_has_turns_and_blocks() {
        let messages = [
            Message::system("Work."),
            Message::user("Go."),
            Message::Assistant(said()),
            result("x"),
            result(""),
            Message::user("Hurry."),
        ];
        let tools = [ToolSpec { name: "f".into(), description: "Does.".into(), parameters: json!({"type": "object"}) }];
        let mut now = blocks();
        now[2]["id"] = json!("call_0_0");
        let mark = json!({"type": "ephemeral"});
        assert_eq!(
            body(&Settings { model: "m".into(), ..Settings::default() }, &messages, &tools, &Sampling::default()),
            json!({
                "model": "m", "max_tokens": 1024, "stream": true,
                "system": [{"type": "text", "text": "Work.", "cache_control": mark}],
                "messages": [
                    {"role": "user", "content": [{"type": "text", "text": "Go."}]},
                    {"role": "assistant", "content": now},
                    {"role": "user", "content": [
                        {"type": "tool_result", "tool_use_id": "call_0_0", "content": [{"type": "text", "text": "x"}]},
                        {"type": "tool_result", "tool_use_id": "call_0_0", "content": []},
                        {"type": "text", "text": "Hurry.", "cache_control": mark},
                    ]},
                ],
                "tools": [{"name": "f", "description": "Does.", "input_schema": {"type": "object"}}],
            })
        );
    }

    #[test]
    fn settings_change_the_body() {
        let fields = json!({"thinking": {"type": "enabled", "budget_tokens": 512}, "max_tokens": 2048});
        let fields = fields.as_object().unwrap().clone();
        let settings = Settings { whole: true, uncached: true, fields, ..Settings::default() };
        let sampling = Sampling { temperature: 0.6, top_p: 0.9, top_k: Some(20), ..Sampling::default() };
        let body = body(&settings, &[Message::user("Go."), Message::user(" ")], &[], &sampling);
        assert_eq!(
            body,
            json!({
                "model": "", "max_tokens": 2048, "temperature": 0.6, "top_p": 0.9, "top_k": 20,
                "thinking": {"type": "enabled", "budget_tokens": 512},
                "messages": [{"role": "user", "content": [{"type": "text", "text": "Go."}]}],
            })
        );
    }

    #[test]
    fn what_was_changed_since_is_sent_as_it_is_now() {
        let kinds = |said: &AssistantMessage| {
            let blocks = assistant(said);
            blocks.iter().map(|block| block["type"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let mut changed = said();
        changed.tool_calls[0].arguments = json!({"a": 2});
        assert_eq!(kinds(&changed), ["thinking", "text", "tool_use"]);
        assert_eq!(assistant(&changed)[2]["input"], json!({"a": 2}));
        changed.tool_calls.clear();
        assert_eq!(kinds(&changed), ["thinking", "text"]);
        for raw in [None, Some("[1]"), Some("[\"x\"]"), Some("{}"), Some("[")] {
            assert_eq!(kinds(&AssistantMessage { raw: raw.map(str::to_owned), ..said() }), ["text", "tool_use"]);
        }
        assert!(assistant(&AssistantMessage::default()).is_empty());
    }
}
