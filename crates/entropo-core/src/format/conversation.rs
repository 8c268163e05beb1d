//! Rows that are a conversation: `messages` of the OpenAI API and TRL, `conversations` of ShareGPT and LLaMA-Factory.
//!
//! Either may carry a label, or be the prompt of a pair.

use serde_json::{Map, Value};

use super::dialogue::{Builder, Learn};
use super::message::several;
use super::place::Place;
use super::row::role;
use super::value::{list, need};
use super::{Record, RowError, Side, record};

/// Reads a row whose messages are under `key`.
pub(super) fn read(row: &Map<String, Value>, key: &'static str) -> Result<Record, RowError> {
    let at = Place::ROW.key(key);
    let messages = list(need(row, key, Place::ROW)?, at)?;
    let mut builder = Builder::new(row)?;
    builder.system(row, messages)?;
    match record::pair_of(row)? {
        None => {
            builder.extend(messages, at, Learn::Assistant)?;
            record::single(row, Side::Dialogue(builder.finish()))
        }
        Some((chosen, rejected)) => {
            builder.extend(messages, at, Learn::Nothing)?;
            let chosen = continued(builder.clone(), chosen, "chosen")?;
            record::pair(row, chosen, continued(builder, rejected, "rejected")?)
        }
    }
}

/// The prompt in `builder`, continued by the messages under `key`; its assistant messages are learned.
pub(super) fn continued(mut builder: Builder, value: &Value, key: &'static str) -> Result<Side, RowError> {
    let at = Place::ROW.key(key);
    let prompt = builder.len();
    builder.extend(several(value, at)?, at, Learn::Assistant)?;
    let dialogue = builder.finish();
    // some data sets give the prompt beside conversations that contain it
    let begins_again = |first: &Value| role(first) != "assistant" && dialogue.messages.get(prompt) == Some(first);
    if prompt > 0 && dialogue.messages.first().is_some_and(begins_again) {
        return Err(RowError::Value {
            at: at.to_string(),
            found: "a conversation that begins with the prompt again".to_owned(),
            expected: "what comes after the prompt; leave out the prompt column",
        });
    }
    Ok(Side::Dialogue(dialogue))
}
