//! How long a reply may be.

use serde_json::{Map, Value};

use crate::model::ModelError;

/// The field that limits the length of a reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Length {
    /// `max_tokens`, which every server knows except OpenAI's newer models.
    #[default]
    MaxTokens,
    /// `max_completion_tokens`, which OpenAI's newer models want.
    MaxCompletionTokens,
}

impl Length {
    pub(super) fn field(self) -> &'static str {
        match self {
            Self::MaxTokens => "max_tokens",
            Self::MaxCompletionTokens => "max_completion_tokens",
        }
    }

    /// Most tokens that the reply to a body of these fields may have, if it says.
    pub(super) fn of(self, fields: &Map<String, Value>) -> Option<usize> {
        usize::try_from(fields.get(self.field())?.as_u64()?).ok()
    }

    /// Whether a request that was refused can be sent again with a shorter reply; the fields are changed then. Some servers,
    /// vLLM among them, refuse a prompt that fits if the longest reply does not fit behind it.
    pub(super) fn shorten(self, fields: &mut Map<String, Value>, error: &ModelError) -> bool {
        let &ModelError::ContextFull { prompt, context } = error else { return false };
        let Some(longest) = self.of(fields) else { return false };
        if context == 0 || prompt >= context {
            return false;
        }
        // A prompt that is too long by one was counted only so far, and one that was not counted has 0 tokens: what is
        // left for the reply nobody but the server knows, and it takes all of it if the length is left open.
        if prompt == 0 || prompt.saturating_add(longest) == context + 1 {
            fields.shift_remove(self.field());
        } else {
            fields.insert(self.field().to_owned(), longest.min(context - prompt).into());
        }
        true
    }
}
