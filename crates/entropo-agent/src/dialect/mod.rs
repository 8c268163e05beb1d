//! How tool calls are written in plain text.
//!
//! A model behind an API returns calls as data. A model that we run ourselves writes text, in the form it was trained
//! on; a [`Dialect`] is that form. Reading leaves [`ToolCall::id`](entropo_core::ToolCall::id) empty: the
//! [`Run`](crate::Run) numbers the calls of a conversation, so that ids never depend on who parsed.

pub mod xml;

use entropo_core::AssistantMessage;

/// A textual form of tool calls.
pub trait Dialect: Send + Sync {
    /// Splits what a model wrote into free text and calls; `raw` of the message keeps the words. No call at all is no
    /// error.
    fn parse(&self, raw: &str) -> Result<AssistantMessage, FormatError>;

    /// Writes a message the way [`parse`](Self::parse) reads it; `raw` is not looked at.
    fn render(&self, message: &AssistantMessage) -> String;

    /// Like [`parse`](Self::parse), as a [`ChatResponse`](crate::ChatResponse) wants it: what cannot be read becomes a
    /// message of bare text, next to the reason.
    fn read(&self, raw: &str) -> (AssistantMessage, Option<String>) {
        match self.parse(raw) {
            Ok(message) => (message, None),
            Err(error) => {
                let raw = raw.to_owned();
                (AssistantMessage { content: raw.clone(), tool_calls: Vec::new(), raw: Some(raw) }, Some(error.0))
            }
        }
    }
}

/// Why text is no call: what was found, where, and what is expected. One line, for the model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FormatError(String);

impl FormatError {
    /// An error that reads `reason`; line breaks become spaces.
    pub fn new(reason: impl AsRef<str>) -> Self {
        Self(reason.as_ref().split('\n').map(str::trim).collect::<Vec<_>>().join(" "))
    }
}
