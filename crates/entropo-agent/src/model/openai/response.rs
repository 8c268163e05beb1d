//! Replies, whole or in pieces. A whole reply is read as one piece.

use std::ops::ControlFlow;

use serde_json::{Map, Value, json};

use super::listed::ListedToken;
use super::llama_cpp;
use super::wire::{CallPiece, Content, Function, Logprob, Piece, Words};
use crate::model::draft::{CallDraft, Draft, MAX_CALLS};
use crate::model::http::{Event, ReadReply, Refusal, Tell, WireError};
use crate::model::{Delta, SampledTokens, StopReason};

/// What follows the last piece.
const DONE: &str = "[DONE]";

/// What has been read of a reply.
#[derive(Debug, Default)]
pub(super) struct Completion {
    draft: Draft,
    /// Where the pieces of each call say that they belong.
    indices: Vec<u64>,
    refusal: String,
    prompt: Option<Vec<u32>>,
    completion: Vec<u32>,
    logprobs: Vec<f32>,
    finish_reason: Option<String>,
    done: bool,
    pieces: usize,
}

impl ReadReply for Completion {
    fn whole(&mut self, body: &[u8]) -> Result<(), WireError> {
        let text = str::from_utf8(body)
            .map_err(|error| WireError::Unreadable(format!("it is no UTF-8 at byte {}", error.valid_up_to())))?;
        self.read(text, &mut |_| ())?;
        if self.finish_reason.is_none() && self.pieces > 0 {
            self.done = true; // what came whole is whole
        }
        Ok(())
    }

    fn event(&mut self, event: &Event, tell: Tell<'_>) -> Result<ControlFlow<()>, WireError> {
        let data = event.data.trim();
        if data == DONE {
            self.done = true;
            return Ok(ControlFlow::Break(()));
        }
        if !data.is_empty() {
            self.read(data, tell)?;
        }
        Ok(ControlFlow::Continue(()))
    }

    fn is_complete(&self) -> bool {
        self.done || self.finish_reason.is_some()
    }

    fn finish(mut self) -> Result<Draft, WireError> {
        if !self.is_complete() || self.pieces == 0 {
            let problem = if self.pieces == 0 { "it holds no reply" } else { "it breaks off before the reply ends" };
            return Err(WireError::Unreadable(problem.to_owned()));
        }
        self.draft.stop = match self.finish_reason.as_deref() {
            Some("length" | "max_tokens") => StopReason::MaxTokens,
            Some("content_filter" | "refusal") => StopReason::Filtered,
            _ => StopReason::EndOfTurn,
        };
        if self.draft.content.is_empty() && !self.refusal.is_empty() {
            self.draft.content = std::mem::take(&mut self.refusal);
            self.draft.stop = StopReason::Filtered;
        }
        self.draft.emitted = emitted(&self.draft);
        self.draft.tokens = self.tokens();
        Ok(self.draft)
    }
}

impl Completion {
    fn read(&mut self, text: &str, tell: Tell<'_>) -> Result<(), WireError> {
        let piece = match serde_json::from_str::<Piece>(text) {
            Ok(piece) => piece,
            Err(error) => {
                let value = serde_json::from_str::<Value>(text).ok();
                let refusal = value.as_ref().and_then(Refusal::from_value);
                let refusal = refusal.or_else(|| torn_error(text));
                return Err(refusal.map_or_else(|| unreadable(&error), WireError::Refused));
            }
        };
        // An error is JSON too, and in the middle of a stream it is the only sign of one.
        if piece.choices.as_ref().is_none_or(Vec::is_empty) || text.contains("\"error\"") {
            let value = serde_json::from_str::<Value>(text).map_err(|error| unreadable(&error))?;
            if let Some(refusal) = Refusal::from_value(&value) {
                return Err(WireError::Refused(refusal));
            }
        }
        self.add(piece, tell)
    }

    fn add(&mut self, piece: Piece, tell: Tell<'_>) -> Result<(), WireError> {
        let Piece { id, model, choices, usage, prompt_token_ids, verbose } = piece;
        keep(&mut self.draft.id, id);
        keep(&mut self.draft.served_model, model);
        self.prompt = self.prompt.take().or(prompt_token_ids);
        if let Some(told) = verbose {
            let (prompt, tokens) = llama_cpp::verbose(&told);
            self.draft.prompt = prompt.or(self.draft.prompt.take());
            self.completion.extend(tokens);
        }
        if let Some(counts) = usage {
            self.draft.usage = counts.usage();
        }
        for choice in choices.into_iter().flatten().filter(|choice| choice.index.unwrap_or(0) == 0) {
            self.pieces += 1;
            self.prompt = self.prompt.take().or(choice.prompt_token_ids);
            self.completion.extend(choice.token_ids.into_iter().flatten());
            let logprobs = choice.logprobs.and_then(|logprobs| logprobs.content);
            for token in logprobs.into_iter().flatten() {
                self.logprobs.push(token.logprob);
                self.draft.listed.extend(listed(token));
            }
            if let Some(words) = choice.message.or(choice.delta) {
                self.add_words(words, tell)?;
            }
            self.finish_reason = choice.finish_reason.or(self.finish_reason.take());
        }
        Ok(())
    }

    fn add_words(&mut self, words: Words, tell: Tell<'_>) -> Result<(), WireError> {
        let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
        if let Some(reasoning) = filled(words.reasoning_content).or(filled(words.reasoning)) {
            tell(Delta::Reasoning(&reasoning));
            self.draft.reasoning.push_str(&reasoning);
        }
        let text = match words.content {
            Some(Content::Text(text)) => text,
            Some(Content::Parts(parts)) => parts.into_iter().filter_map(|part| part.text).collect(),
            None => String::new(),
        };
        if !text.is_empty() {
            tell(Delta::Text(&text));
            self.draft.content.push_str(&text);
        }
        self.refusal.push_str(&words.refusal.unwrap_or_default());
        words.tool_calls.into_iter().flatten().try_for_each(|call| self.add_call(call, tell))
    }

    /// Adds a piece of a call. Pieces belong together by their index; where a server counts wrongly, or not at all, a piece
    /// with a name and another id begins a call.
    fn add_call(&mut self, piece: CallPiece, tell: Tell<'_>) -> Result<(), WireError> {
        let Function { name, arguments } = piece.function.unwrap_or(Function { name: None, arguments: Value::Null });
        let (id, name) = (piece.id.unwrap_or_default(), name.unwrap_or_default());
        let arguments = match arguments {
            Value::Null => String::new(),
            Value::String(text) => text,
            other => other.to_string(),
        };
        let at = match piece.index {
            Some(index) => self.indices.iter().rposition(|known| *known == index),
            None => self.draft.calls.len().checked_sub(1).filter(|_| name.is_empty()),
        };
        let known = at.and_then(|at| Some((at, self.draft.calls.get(at)?)));
        let begins = known.is_none_or(|(_, call)| {
            !name.is_empty() && !id.is_empty() && !call.id.is_empty() && call.id != id && !call.name.is_empty()
        });
        if begins {
            if self.draft.calls.len() >= MAX_CALLS {
                return Err(WireError::Unreadable(format!("it has more than {MAX_CALLS} tool calls")));
            }
            self.indices.push(piece.index.unwrap_or(u64::MAX));
            self.draft.calls.push(CallDraft::default());
        }
        let index = if begins { self.draft.calls.len().saturating_sub(1) } else { at.unwrap_or_default() };
        let Some(call) = self.draft.calls.get_mut(index) else { return Ok(()) };
        tell(Delta::ToolCall {
            index,
            name: Some(name.as_str()).filter(|name| call.name.is_empty() && !name.is_empty()),
            arguments: &arguments,
        });
        keep(&mut call.id, Some(id));
        keep(&mut call.name, Some(name));
        call.arguments.push_str(&arguments);
        Ok(())
    }

    /// The tokens, if the server told all of them.
    fn tokens(&mut self) -> Option<SampledTokens> {
        let prompt = self.prompt.take().unwrap_or_default();
        if prompt.is_empty() && self.draft.prompt.is_none() {
            return None;
        }
        let (completion, mut logprobs) = (std::mem::take(&mut self.completion), std::mem::take(&mut self.logprobs));
        if completion.is_empty() {
            self.draft.prompt = None; // of no use without what follows it
            return None;
        }
        if !logprobs.is_empty() && logprobs.len() != completion.len() {
            tracing::warn!(
                tokens = completion.len(),
                logprobs = logprobs.len(),
                "the server told log-probabilities of some tokens only; none are kept"
            );
            logprobs.clear();
        }
        Some(SampledTokens { prompt, completion, logprobs })
    }
}

/// A token with those that could have stood in its place, if the server tells of such.
fn listed(token: Logprob) -> Option<ListedToken> {
    let known = token.top_logprobs?.into_iter().filter_map(|other| Some((other.token?, other.logprob?)));
    Some(ListedToken {
        text: token.token.unwrap_or_default(),
        logprob: f64::from(token.logprob),
        alternatives: known.collect(),
    })
}

fn unreadable(error: &serde_json::Error) -> WireError {
    WireError::Unreadable(format!("it is not the JSON of a chat completion: {error}"))
}

/// An error whose JSON was made by hand, as `transformers serve` does: of a text with line breaks only the first line is
/// in the event.
fn torn_error(text: &str) -> Option<Refusal> {
    let words = text.trim_start().strip_prefix("{\"error\":")?.trim_start().strip_prefix('"')?;
    Refusal::from_value(&json!({"error": words.trim_end_matches(['"', '}'])}))
}

/// Keeps the first text that is not empty.
fn keep(kept: &mut String, new: Option<String>) {
    if kept.is_empty() {
        *kept = new.unwrap_or_default();
    }
}

/// The message as OpenAI writes one, with every text as it came.
fn emitted(draft: &Draft) -> String {
    let mut message = Map::new();
    message.insert("role".to_owned(), "assistant".into());
    message.insert("content".to_owned(), draft.content.as_str().into());
    if !draft.reasoning.is_empty() {
        message.insert("reasoning_content".to_owned(), draft.reasoning.as_str().into());
    }
    let calls = draft.calls.iter().map(|call| {
        let function = json!({"name": call.name, "arguments": call.arguments});
        json!({"id": call.id, "type": "function", "function": function})
    });
    message.insert("tool_calls".to_owned(), calls.collect());
    Value::Object(message).to_string()
}
