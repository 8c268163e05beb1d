//! From a [`Row`] back to a row of a format.
//!
//! Everything in the row is carried, `id` and `group` as columns of these names, so that [`parse`](super::parse) gives
//! the row back; the exceptions are told at [`llama_factory`], [`sharegpt`] and [`openai`]. What a format has no place for is an [`ExportError`] that
//! names it.

mod error;
mod messages;
mod openai;
mod sharegpt;
mod tokens;
mod trl;

use serde_json::{Map, Value};

pub use self::error::{ExportError, Loss};
pub use self::messages::messages;
pub use self::openai::openai;
pub use self::sharegpt::{dataset_info, llama_factory, sharegpt};
pub use self::tokens::tokens;
pub use self::trl::trl;
use super::row::role;
use super::{Dialogue, Row, Side, record};

/// A row with `id` and `group`.
fn named(row: &Row) -> Map<String, Value> {
    let names = [("id", &row.id), ("group", &row.group)];
    names.into_iter().filter_map(|(key, name)| Some((key.to_owned(), name.clone()?.into()))).collect()
}

/// Refuses pairs whose sides could not be read back as one.
fn check_pair(chosen: &Side, rejected: &Side) -> Result<(), ExportError> {
    if record::same_prompt(chosen, rejected) { Ok(()) } else { Err(ExportError::NoPair) }
}

/// Refuses dialogues that were put together by hand and wrongly.
fn check(dialogue: &Dialogue, at: &str) -> Result<(), ExportError> {
    let malformed = |reason| Err(ExportError::Malformed { at: at.to_owned(), reason });
    if dialogue.messages.len() != dialogue.learned.len() {
        return malformed("`learned` has another length than `messages`");
    }
    if dialogue.actions().any(|message| role(message) != "assistant") {
        return malformed("a message is learned that is not the assistant's");
    }
    if !dialogue.learned.contains(&true) {
        return malformed("nothing is learned");
    }
    if !dialogue.messages.iter().all(|message| ["system", "user", "assistant", "tool"].contains(&role(message))) {
        return malformed("a message has none of the roles system, user, assistant and tool");
    }
    if !dialogue.messages.iter().all(|message| message.get("content").is_some_and(Value::is_string)) {
        return malformed("a message has no text as its content");
    }
    Ok(())
}

/// The dialogue of a side, or what the format would lose.
fn dialogue<'a>(side: &'a Side, format: &'static str, at: &str) -> Result<&'a Dialogue, ExportError> {
    let lost = |loss| Err(ExportError::Lost { format, loss, at: at.to_owned() });
    match side {
        Side::Dialogue(dialogue) => check(dialogue, at).map(|()| dialogue),
        Side::Text { .. } => lost(Loss::Text),
        Side::Tokens(_) => lost(Loss::Tokens),
    }
}

/// Whether every assistant message from `start` on is learned.
fn learns_all(dialogue: &Dialogue, start: usize) -> bool {
    let mut rest = dialogue.messages.iter().zip(&dialogue.learned).skip(start);
    rest.all(|(message, learned)| *learned || role(message) != "assistant")
}
