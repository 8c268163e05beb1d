//! Messages and tools in the shape that chat templates read.
//!
//! Templates are written for the dictionaries of the OpenAI API. Keeping those, not our own types, as the input lets
//! recorded data with more fields (`reasoning_content`, say) through.

use entropo_core::{Message, ToolSpec};
use serde_json::{Map, Value, json};

/// What a chat template renders.
///
/// ```
/// # use entropo_train::text::Conversation;
/// use entropo_core::Message;
///
/// let conversation = Conversation::new(&[Message::user("Hello")], &[]).with_generation_prompt(true);
/// assert_eq!(conversation.messages[0]["content"], "Hello");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conversation {
    /// `{role, content, tool_calls, …}` each, in order.
    pub messages: Vec<Value>,
    /// `{type: "function", function: {name, description, parameters}}` each; a template sees none if it is empty.
    pub tools: Vec<Value>,
    /// Whether the text ends in the header of the assistant's next turn.
    pub generation_prompt: bool,
}

impl Conversation {
    /// A conversation of the agent's own types.
    pub fn new(messages: &[Message], tools: &[ToolSpec]) -> Self {
        Self::from_values(messages.iter().map(message_value).collect(), tools.iter().map(tool_value).collect())
    }

    /// A conversation that has the shape already.
    pub fn from_values(messages: Vec<Value>, tools: Vec<Value>) -> Self {
        Self { messages, tools, generation_prompt: false }
    }

    /// Whether to end the text in the header of the assistant's next turn; without this call it does not.
    #[must_use]
    pub fn with_generation_prompt(mut self, yes: bool) -> Self {
        self.generation_prompt = yes;
        self
    }

    /// Every string and key in messages and tools.
    pub(super) fn texts(&self) -> Vec<&str> {
        let mut texts = Vec::new();
        self.messages.iter().chain(&self.tools).for_each(|value| collect_texts(value, &mut texts));
        texts
    }
}

fn collect_texts<'a>(value: &'a Value, texts: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => texts.push(text),
        Value::Array(items) => items.iter().for_each(|item| collect_texts(item, texts)),
        Value::Object(entries) => entries.iter().for_each(|(key, item)| {
            texts.push(key);
            collect_texts(item, texts);
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The fields of a message that a template sees. As in transformers, reasoning under any of its names is there under
/// the name that most templates read, `reasoning_content`, and under gpt-oss's `thinking`.
pub(super) fn fields(message: &Map<String, Value>) -> Vec<(&str, &Value)> {
    const REASONING: [&str; 3] = ["reasoning_content", "thinking", "reasoning"];
    let given = REASONING.iter().find_map(|name| message.get(*name).filter(|value| !value.is_null()));
    let fields = message.iter().map(|(name, value)| (name.as_str(), value));
    let Some(reasoning) = given else { return fields.collect() };
    let [standard, thinking, _] = REASONING;
    let mut seen = vec![(thinking, message.get(thinking).unwrap_or(reasoning))];
    seen.extend(
        fields
            .filter(|(name, _)| *name != thinking)
            .map(|(name, value)| if name == standard { (name, reasoning) } else { (name, value) }),
    );
    if !message.contains_key(standard) {
        seen.push((standard, reasoning));
    }
    seen
}

fn message_value(message: &Message) -> Value {
    let mut entries = Map::new();
    entries.insert("role".to_owned(), message.role().into());
    entries.insert("content".to_owned(), message.content().into());
    match message {
        Message::Assistant(assistant) if !assistant.tool_calls.is_empty() => {
            let calls = assistant.tool_calls.iter().map(|call| {
                json!({
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments},
                })
            });
            entries.insert("tool_calls".to_owned(), calls.collect());
        }
        Message::Tool(tool) => {
            entries.insert("name".to_owned(), tool.name.as_str().into());
            entries.insert("tool_call_id".to_owned(), tool.call_id.as_str().into());
        }
        _ => {}
    }
    Value::Object(entries)
}

fn tool_value(tool: &ToolSpec) -> Value {
    json!({
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
    })
}

#[cfg(test)]
mod tests {
    use entropo_core::{AssistantMessage, ToolCall, ToolMessage};

    use super::*;

    #[test]
    fn messages_take_the_shape_that_templates_read() {
        let call = ToolCall { id: "c1".into(), name: "bash".into(), arguments: json!({"command": "ls"}) };
        let messages = [
            Message::Assistant(AssistantMessage { content: "Look.".into(), tool_calls: vec![call], raw: None }),
            Message::Tool(ToolMessage { call_id: "c1".into(), name: "bash".into(), content: "a.py".into() }),
        ];
        let tool = ToolSpec { name: "bash".into(), description: "Run".into(), parameters: json!({"type": "object"}) };

        let conversation = Conversation::new(&messages, &[tool]);

        let expected = [
            json!({"role": "assistant", "content": "Look.", "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "bash", "arguments": {"command": "ls"}}}]}),
            json!({"role": "tool", "content": "a.py", "name": "bash", "tool_call_id": "c1"}),
        ];
        assert_eq!(conversation.messages, expected);
        assert_eq!(
            conversation.tools,
            [json!({"type": "function", "function":
                {"name": "bash", "description": "Run", "parameters": {"type": "object"}}})]
        );
    }

    /// Expected values from transformers' `_alias_reasoning_fields`.
    #[test]
    fn reasoning_is_seen_under_the_names_that_templates_read() {
        let seen = |message: Value| json!(fields(message.as_object().unwrap())).to_string();
        assert_eq!(
            seen(json!({"role": "a", "reasoning": "r"})),
            r#"[["thinking","r"],["role","a"],["reasoning","r"],["reasoning_content","r"]]"#
        );
        assert_eq!(
            seen(json!({"reasoning_content": null, "thinking": "t", "role": "a"})),
            r#"[["thinking","t"],["reasoning_content","t"],["role","a"]]"#
        );
        assert_eq!(seen(json!({"role": "a", "thinking": null})), r#"[["role","a"],["thinking",null]]"#);
    }

    #[test]
    fn an_assistant_without_calls_has_no_tool_calls_entry() {
        let conversation = Conversation::new(&[Message::assistant("Hi")], &[]);
        assert_eq!(conversation.messages, [json!({"role": "assistant", "content": "Hi"})]);
    }
}
