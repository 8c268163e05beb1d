//! Tools as data: what a model is told about them, how it calls them and what comes back.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::usage::Usage;

/// What a model is told about a tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolSpec {
    /// The name by which it is called; unique in a toolbox.
    pub name: String,
    /// What it does and when to use it.
    pub description: String,
    /// A JSON Schema for the arguments, an object at the top.
    pub parameters: Value,
}

/// One call that a model asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// Unique in its conversation; the answer carries it back.
    pub id: String,
    /// The tool's name, as the model wrote it: it may name no tool.
    pub name: String,
    /// The arguments, as the model wrote them: they may not fit the schema.
    pub arguments: Value,
}

/// The answer to one [`ToolCall`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolResult {
    /// The call that this answers.
    pub call_id: String,
    /// The tool's name, as the call had it.
    pub name: String,
    /// What the model is shown.
    pub content: String,
    /// What became of the call.
    #[serde(default)]
    pub status: ToolStatus,
    /// What models used that the tool asked itself.
    #[serde(default, skip_serializing_if = "Usage::is_zero")]
    pub usage: Usage,
}

/// The part of a [`ToolResult`] that stays in the conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolMessage {
    /// The [`ToolCall::id`] that this answers.
    pub call_id: String,
    /// The tool's name.
    pub name: String,
    /// What the model is shown.
    pub content: String,
}

/// What became of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ToolStatus {
    /// It was carried out.
    #[default]
    Done,
    /// It was carried out, and ends the episode.
    Finish,
    /// The tool refused or failed; the content says why.
    Failed,
    /// It never reached a tool: unknown name or arguments that do not fit the schema.
    Invalid,
    /// It never reached a tool, for somebody or a policy refused it, or because the run ended first. The model is not to
    /// blame.
    Refused,
}

impl ToolCall {
    /// The answer to this call that shows the model `content`.
    pub fn answer(&self, status: ToolStatus, content: impl Into<String>) -> ToolResult {
        let (call_id, name) = (self.id.clone(), self.name.clone());
        ToolResult { call_id, name, content: content.into(), status, usage: Usage::default() }
    }
}

impl ToolStatus {
    /// Whether the model should have called differently: [`Failed`](Self::Failed) or [`Invalid`](Self::Invalid).
    pub fn is_bad(self) -> bool {
        matches!(self, Self::Failed | Self::Invalid)
    }
}

impl From<ToolResult> for ToolMessage {
    fn from(result: ToolResult) -> Self {
        Self { call_id: result.call_id, name: result.name, content: result.content }
    }
}
