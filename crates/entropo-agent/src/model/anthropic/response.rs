//! Replies, whole or as events. A whole reply is read as one event for each block.

use std::ops::ControlFlow;

use entropo_core::Usage;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::model::draft::{CallDraft, Draft, MAX_CALLS};
use crate::model::http::{Event, ReadReply, Refusal, Tell, WireError};
use crate::model::{Delta, StopReason};

/// Counts beyond this are taken for it.
const MAX_COUNT: u64 = u32::MAX as u64;
/// Blocks in one reply; several may stand around every call.
const MAX_BLOCKS: usize = 4 * MAX_CALLS;

/// What has been read of a reply.
#[derive(Debug, Default)]
pub(super) struct Reply {
    draft: Draft,
    blocks: Vec<Block>,
    counts: Counts,
    stop_reason: Option<String>,
    started: bool,
    done: bool,
}

/// A block of the reply, and what was added to it.
#[derive(Debug, Default)]
struct Block {
    index: u64,
    /// As it was when it began.
    fields: Map<String, Value>,
    text: String,
    thinking: String,
    signature: String,
    /// JSON text.
    input: String,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Piece {
    MessageStart {
        message: Message,
    },
    ContentBlockStart {
        index: u64,
        content_block: Map<String, Value>,
    },
    ContentBlockDelta {
        index: u64,
        delta: Addition,
    },
    MessageDelta {
        delta: Ending,
        #[serde(default)]
        usage: Option<Counts>,
    },
    MessageStop,
    Error {
        #[serde(default)]
        error: Value,
    },
    /// A ping, the end of a block, and what is yet to be invented.
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    content: Option<Vec<Map<String, Value>>>,
    #[serde(default)]
    stop_reason: Option<String>,
    #[serde(default)]
    usage: Option<Counts>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Addition {
    TextDelta {
        text: String,
    },
    ThinkingDelta {
        thinking: String,
    },
    SignatureDelta {
        signature: String,
    },
    InputJsonDelta {
        partial_json: String,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Ending {
    #[serde(default)]
    stop_reason: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct Counts {
    #[serde(default)]
    input_tokens: Option<u64>,
    #[serde(default)]
    output_tokens: Option<u64>,
    #[serde(default)]
    cache_read_input_tokens: Option<u64>,
    #[serde(default)]
    cache_creation_input_tokens: Option<u64>,
}

impl ReadReply for Reply {
    fn whole(&mut self, body: &[u8]) -> Result<(), WireError> {
        let value: Value = serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
        if let Some(refusal) = Refusal::from_value(&value) {
            return Err(WireError::Refused(refusal));
        }
        let message = serde_json::from_value(value).map_err(|error| unreadable(&error))?;
        self.start(message, &mut |_| ())?;
        self.done = self.stop_reason.is_some();
        Ok(())
    }

    fn event(&mut self, event: &Event, tell: Tell<'_>) -> Result<ControlFlow<()>, WireError> {
        let piece = serde_json::from_str(&event.data).map_err(|error| unreadable(&error))?;
        match piece {
            Piece::MessageStart { message } => self.start(message, tell)?,
            Piece::ContentBlockStart { index, content_block } => self.begin(index, content_block, tell)?,
            Piece::ContentBlockDelta { index, delta } => self.add(index, delta, tell)?,
            Piece::MessageDelta { delta, usage } => {
                self.stop_reason = delta.stop_reason.or(self.stop_reason.take());
                self.counts.update(usage.unwrap_or_default());
            }
            Piece::MessageStop => {
                self.done = true;
                return Ok(ControlFlow::Break(()));
            }
            Piece::Error { error } => {
                let refusal = Refusal::from_value(&serde_json::json!({"error": error}));
                return Err(WireError::Refused(refusal.unwrap_or_default()));
            }
            Piece::Other => {}
        }
        Ok(ControlFlow::Continue(()))
    }

    fn is_complete(&self) -> bool {
        self.done || self.stop_reason.is_some()
    }

    fn finish(mut self) -> Result<Draft, WireError> {
        if !self.is_complete() || !self.started {
            let problem = if self.started { "it breaks off before the reply ends" } else { "it holds no reply" };
            return Err(WireError::Unreadable(problem.to_owned()));
        }
        self.draft.stop = match self.stop_reason.as_deref() {
            Some("max_tokens") => StopReason::MaxTokens,
            Some("model_context_window_exceeded") => StopReason::Context,
            Some("refusal") => StopReason::Filtered,
            _ => StopReason::EndOfTurn,
        };
        (self.draft.usage, self.draft.cache_written) = self.counts.usage();
        let blocks: Vec<_> = self.blocks.into_iter().map(|block| block.finish(&mut self.draft)).collect();
        self.draft.emitted = Value::from(blocks).to_string();
        Ok(self.draft)
    }
}

impl Reply {
    fn start(&mut self, message: Message, tell: Tell<'_>) -> Result<(), WireError> {
        self.started = true;
        self.draft.id = message.id.unwrap_or_default();
        self.draft.served_model = message.model.unwrap_or_default();
        self.stop_reason = message.stop_reason;
        self.counts.update(message.usage.unwrap_or_default());
        let blocks = message.content.into_iter().flatten();
        (0..).zip(blocks).try_for_each(|(index, block)| self.begin(index, block, tell))
    }

    fn begin(&mut self, index: u64, mut fields: Map<String, Value>, tell: Tell<'_>) -> Result<(), WireError> {
        if self.blocks.len() >= MAX_BLOCKS {
            return Err(WireError::Unreadable(format!("it has more than {MAX_BLOCKS} blocks")));
        }
        let mut text = |name: &str| match fields.get_mut(name) {
            Some(Value::String(text)) => std::mem::take(text),
            _ => String::new(),
        };
        let (text, thinking, signature) = (text("text"), text("thinking"), text("signature"));
        if !text.is_empty() {
            tell(Delta::Text(&text));
        }
        if !thinking.is_empty() {
            tell(Delta::Reasoning(&thinking));
        }
        let block = Block { index, fields, text, thinking, signature, input: String::new() };
        if block.kind() == "tool_use" {
            let input =
                block.fields.get("input").filter(|input| input.as_object().is_some_and(|input| !input.is_empty()));
            let arguments = input.map(Value::to_string).unwrap_or_default();
            let name = block.fields.get("name").and_then(Value::as_str);
            tell(Delta::ToolCall { index: self.call_index(index), name, arguments: &arguments });
        }
        self.blocks.push(block);
        Ok(())
    }

    fn add(&mut self, index: u64, addition: Addition, tell: Tell<'_>) -> Result<(), WireError> {
        let call = self.call_index(index);
        let block = self.blocks.iter_mut().rfind(|block| block.index == index);
        let Some(block) = block else {
            return Err(WireError::Unreadable(format!("it adds to block {index}, which never began")));
        };
        match addition {
            Addition::TextDelta { text } => {
                tell(Delta::Text(&text));
                block.text.push_str(&text);
            }
            Addition::ThinkingDelta { thinking } => {
                tell(Delta::Reasoning(&thinking));
                block.thinking.push_str(&thinking);
            }
            Addition::SignatureDelta { signature } => block.signature.push_str(&signature),
            Addition::InputJsonDelta { partial_json } => {
                tell(Delta::ToolCall { index: call, name: None, arguments: &partial_json });
                block.input.push_str(&partial_json);
            }
            Addition::Other => {}
        }
        Ok(())
    }

    /// How many calls stand before the block `index`.
    fn call_index(&self, index: u64) -> usize {
        self.blocks.iter().take_while(|block| block.index != index).filter(|block| block.kind() == "tool_use").count()
    }
}

impl Block {
    fn kind(&self) -> &str {
        self.fields.get("type").and_then(Value::as_str).unwrap_or_default()
    }

    /// Adds what it says to the draft; the block as the server would have sent it whole.
    fn finish(self, draft: &mut Draft) -> Value {
        let kind = self.kind().to_owned();
        let Self { mut fields, text, thinking, signature, input, .. } = self;
        let mut set = |name: &str, text: String| fields.insert(name.to_owned(), text.into());
        match kind.as_str() {
            "text" => {
                draft.content.push_str(&text);
                set("text", text);
            }
            "thinking" => {
                draft.reasoning.push_str(&thinking);
                set("thinking", thinking);
                set("signature", signature);
            }
            "tool_use" => {
                let word = |name| fields.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
                let (id, name) = (word("id"), word("name"));
                let whole = fields.get("input").filter(|input| !input.is_null()).map(Value::to_string);
                let arguments = if input.is_empty() { whole.unwrap_or_default() } else { input };
                if let Ok(input) = serde_json::from_str::<Value>(&arguments) {
                    fields.insert("input".to_owned(), input);
                }
                draft.calls.push(CallDraft { id, name, arguments });
            }
            _ => {}
        }
        Value::Object(fields)
    }
}

impl Counts {
    /// Later counts are of the whole reply up to then.
    fn update(&mut self, later: Self) {
        self.input_tokens = later.input_tokens.or(self.input_tokens);
        self.output_tokens = later.output_tokens.or(self.output_tokens);
        self.cache_read_input_tokens = later.cache_read_input_tokens.or(self.cache_read_input_tokens);
        self.cache_creation_input_tokens = later.cache_creation_input_tokens.or(self.cache_creation_input_tokens);
    }

    /// Prompt tokens are counted apart by where they came from; here they are one sum. With those put into the cache.
    fn usage(self) -> (Usage, usize) {
        let count = |count: Option<u64>| usize::try_from(count.unwrap_or(0).min(MAX_COUNT)).unwrap_or(usize::MAX);
        let (cached_tokens, written) = (count(self.cache_read_input_tokens), count(self.cache_creation_input_tokens));
        let prompt_tokens = count(self.input_tokens).saturating_add(cached_tokens).saturating_add(written);
        let completion_tokens = count(self.output_tokens);
        (Usage { prompt_tokens, completion_tokens, cached_tokens, ..Usage::default() }, written)
    }
}

fn unreadable(error: &serde_json::Error) -> WireError {
    WireError::Unreadable(format!("it is not the JSON of a message: {error}"))
}
