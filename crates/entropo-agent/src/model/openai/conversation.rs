//! The conversation and the tools as they are sent.
//!
//! They are written into the request from where they stand. It is sent anew in every step, and as a tree of JSON values it
//! would first be copied in every step: that took most of what a step takes (docs/benchmarks.md).

use std::borrow::Cow;

use entropo_core::{AssistantMessage, Message, ToolCall, ToolSpec};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

/// Messages for a server that knows tools.
pub(super) struct Messages<'a> {
    pub(super) messages: &'a [Message],
    pub(super) send_reasoning: bool,
}

impl Serialize for Messages<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.messages.iter().map(|message| match message {
            Message::Assistant(said) => Sent::Said(Said::new(said, self.send_reasoning)),
            Message::Tool(result) => {
                Sent::Returned { role: "tool", tool_call_id: &result.call_id, content: &result.content }
            }
            _ => Sent::Told { role: message.role(), content: message.content() },
        }))
    }
}

/// What can be called.
pub(super) struct Tools<'a>(pub(super) &'a [ToolSpec]);

impl Serialize for Tools<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|function| Tool { r#type: "function", function }))
    }
}

#[derive(Serialize)]
struct Tool<'a> {
    r#type: &'static str,
    function: &'a ToolSpec,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Sent<'a> {
    Said(Said<'a>),
    Returned { role: &'static str, tool_call_id: &'a str, content: &'a str },
    Told { role: &'static str, content: &'a str },
}

/// What the model said, with arguments as it wrote them if they are still the call's.
#[derive(Serialize)]
struct Said<'a> {
    role: &'static str,
    content: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<SentCall<'a>>,
}

#[derive(Serialize)]
struct SentCall<'a> {
    id: &'a str,
    r#type: &'static str,
    function: SentFunction<'a>,
}

#[derive(Serialize)]
struct SentFunction<'a> {
    name: &'a str,
    arguments: Cow<'a, str>,
}

impl<'a> Said<'a> {
    fn new(said: &'a AssistantMessage, send_reasoning: bool) -> Self {
        let wanted = send_reasoning || !said.tool_calls.is_empty();
        let emitted = if wanted { Emitted::of(said) } else { None };
        let Emitted { reasoning_content, tool_calls, .. } = emitted.unwrap_or_default();
        let mut written = tool_calls.into_iter().map(|call| call.function.arguments);
        let calls = said.tool_calls.iter().map(|call| SentCall::new(call, written.next()));
        Self {
            role: "assistant",
            content: &said.content,
            tool_calls: calls.collect(),
            reasoning_content: reasoning_content.filter(|_| send_reasoning),
        }
    }
}

impl<'a> SentCall<'a> {
    fn new(call: &'a ToolCall, written: Option<Cow<'a, str>>) -> Self {
        let unchanged =
            written.filter(|text| serde_json::from_str::<Value>(text).is_ok_and(|now| now == call.arguments));
        let arguments = unchanged.unwrap_or_else(|| call.arguments.to_string().into());
        Self { id: &call.id, r#type: "function", function: SentFunction { name: &call.name, arguments } }
    }
}

/// What is used of a message as the server sent it, if it was sent as data.
#[derive(Default, Deserialize)]
pub(super) struct Emitted<'a> {
    #[serde(borrow)]
    role: Cow<'a, str>,
    #[serde(default)]
    reasoning_content: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    tool_calls: Vec<EmittedCall<'a>>,
}

#[derive(Deserialize)]
struct EmittedCall<'a> {
    #[serde(borrow)]
    function: EmittedFunction<'a>,
}

#[derive(Deserialize)]
struct EmittedFunction<'a> {
    #[serde(borrow)]
    arguments: Cow<'a, str>,
}

impl<'a> Emitted<'a> {
    pub(super) fn of(said: &'a AssistantMessage) -> Option<Self> {
        let raw = said.raw.as_deref().filter(|raw| raw.starts_with('{'))?;
        serde_json::from_str::<Self>(raw).ok().filter(|emitted| emitted.role == "assistant")
    }
}
