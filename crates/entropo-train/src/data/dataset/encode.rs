//! From a side of a row to tokens with their actions.

use entropo_core::format::{Dialogue, Side};
use entropo_core::{ActionSpan, Segment};
use serde_json::Value;

use super::cut::Encoded;
use crate::text::{ChatFormat, Conversation, EncodeError, SpecialText, encode};

/// Why a side has no tokens.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoTokens {
    /// Text without a tokenizer.
    #[error("it is text, and there is no tokenizer; give the checkpoint's")]
    NoTokenizer,
    /// A template or tokenizer that cannot take it.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A template that does not write each assistant message once.
    #[error(
        "the chat template writes {spans} assistant turns of {messages} assistant messages, so it is not known which of \
         them are learned"
    )]
    Turns {
        /// Turns that were found.
        spans: usize,
        /// Messages.
        messages: usize,
    },
}

impl NoTokens {
    /// A name to count it under.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::NoTokenizer => "text without a tokenizer",
            Self::Encode(EncodeError::Turn(_)) | Self::Turns { .. } => "turns that the template does not tell apart",
            Self::Encode(EncodeError::Template(_)) => "refused by the chat template",
            Self::Encode(_) => "not encodable",
        }
    }
}

/// Tokens of one side. Recorded ones are taken as they are.
pub(super) fn tokens_of(side: &Side, chat: Option<&ChatFormat>) -> Result<Encoded, NoTokens> {
    match side {
        Side::Tokens(Segment { ids, actions, .. }) => Ok(Encoded { ids: ids.clone(), actions: actions.clone() }),
        Side::Dialogue(dialogue) => of_dialogue(dialogue, chat.ok_or(NoTokens::NoTokenizer)?),
        Side::Text { prompt, completion } => of_text(prompt, completion, chat.ok_or(NoTokens::NoTokenizer)?),
    }
}

fn of_dialogue(dialogue: &Dialogue, chat: &ChatFormat) -> Result<Encoded, NoTokens> {
    let conversation = Conversation::from_values(dialogue.messages.clone(), dialogue.tools.clone());
    let rendered = chat.render(&conversation, SpecialText::Escape)?;
    let assistant = |message: &Value| message.get("role").is_some_and(|role| role == "assistant");
    let learned: Vec<bool> = dialogue
        .messages
        .iter()
        .zip(&dialogue.learned)
        .filter(|(message, _)| assistant(message))
        .map(|(_, learned)| *learned)
        .collect();
    let (spans, messages) = (rendered.assistant_spans.len(), learned.len());
    if spans != messages && !learned.iter().all(|learned| *learned) {
        return Err(NoTokens::Turns { spans, messages });
    }
    let encoded = encode(chat.tokenizer(), &rendered).map_err(EncodeError::from)?;
    let mut actions = encoded.actions;
    actions.retain(|action| learned.get(action.turn).copied().unwrap_or(spans != messages));
    Ok(Encoded { ids: encoded.ids, actions })
}

/// A text is tokenised in two pieces, as a model would have read the one and written the other, and ends with the token
/// that ends texts, if the template knows one.
fn of_text(prompt: &str, completion: &str, chat: &ChatFormat) -> Result<Encoded, NoTokens> {
    let tokenizer = chat.tokenizer();
    let encode = |text| tokenizer.encode(text, SpecialText::Escape).map_err(EncodeError::from);
    let variable = |name| chat.template().variable(name).and_then(Value::as_str);
    let token = |name| variable(name).and_then(|text| tokenizer.token_id(text));
    let mut ids: Vec<u32> = token("bos_token").into_iter().collect();
    ids.extend(encode(prompt)?);
    let start = ids.len();
    ids.extend(encode(completion)?);
    ids.extend(token("eos_token"));
    let end = ids.len();
    Ok(Encoded { ids, actions: vec![ActionSpan { turn: 0, start, end }] })
}
