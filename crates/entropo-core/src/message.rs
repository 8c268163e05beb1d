//! The conversation between a model and its tools.
//!
//! A [`Message`] is what people and chat templates read. What a policy sampled, token for token, lives beside it in a
//! [`TokenTrace`](crate::TokenTrace); text is never turned back into tokens for training.

use serde::{Deserialize, Serialize};

use crate::tool::{ToolCall, ToolMessage};

/// One message of a conversation.
///
/// Serialised with its role as tag: `{"role":"user","content":"…"}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "snake_case")]
pub enum Message {
    /// Instructions that precede the conversation.
    System {
        /// The text.
        content: String,
    },
    /// What a person, or the task, asks.
    User {
        /// The text.
        content: String,
    },
    /// What the model wrote.
    Assistant(AssistantMessage),
    /// What a tool answered.
    Tool(ToolMessage),
}

/// What a model wrote in one turn: free text, tool calls, or both.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AssistantMessage {
    /// Text outside the tool calls.
    pub content: String,
    /// The calls, in the order they were written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// The model's words before they were parsed, if the model's wire format is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
}

impl Message {
    /// A system message.
    pub fn system(content: impl Into<String>) -> Self {
        Self::System { content: content.into() }
    }

    /// A user message.
    pub fn user(content: impl Into<String>) -> Self {
        Self::User { content: content.into() }
    }

    /// An assistant message without tool calls.
    pub fn assistant(content: impl Into<String>) -> Self {
        Self::Assistant(AssistantMessage { content: content.into(), ..AssistantMessage::default() })
    }

    /// The role's name as chat templates spell it: `system`, `user`, `assistant` or `tool`.
    pub fn role(&self) -> &'static str {
        match self {
            Self::System { .. } => "system",
            Self::User { .. } => "user",
            Self::Assistant(_) => "assistant",
            Self::Tool(_) => "tool",
        }
    }

    /// What the model wrote, if this is it.
    pub fn as_assistant(&self) -> Option<&AssistantMessage> {
        if let Self::Assistant(message) = self { Some(message) } else { None }
    }

    /// The message's text, tool calls left out.
    pub fn content(&self) -> &str {
        match self {
            Self::System { content } | Self::User { content } => content,
            Self::Assistant(message) => &message.content,
            Self::Tool(message) => &message.content,
        }
    }
}
