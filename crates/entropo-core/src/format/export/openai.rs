//! Rows of OpenAI's own fine-tuning, supervised and of preferences.

use serde_json::{Map, Value, json};

use super::messages::with_written_arguments;
use super::{ExportError, Loss, check_pair, dialogue, learns_all};
use crate::format::row::role;
use crate::format::{Dialogue, Record, RecordKind, Row, carried};

const FORMAT: &str = "OpenAI's fine-tuning";

/// A row as OpenAI's fine-tuning takes it: `messages` and `tools` for a demonstration, an assistant message that is not
/// learned with the weight 0; `input`, `preferred_output` and `non_preferred_output` for a pair. `tools` is a list.
///
/// `id` and `group` have no place and are left out. Calls and results without ids are given those that their order says,
/// for the API wants them.
///
/// # Errors
/// [`ExportError`] for labelled answers, text and recorded tokens; for pairs in which a message after the first answer is
/// not learned, or is neither the assistant's nor a tool's; for fields of messages that the API does not know; for results
/// whose call the order does not tell.
pub fn openai(row: &Row) -> Result<Value, ExportError> {
    match &row.record {
        Record::Demonstration(side) => {
            let dialogue = dialogue(side, FORMAT, "the row")?;
            let mut columns = Map::new();
            columns.insert("messages".to_owned(), written(dialogue, "messages")?.into());
            insert_tools(&mut columns, dialogue);
            Ok(Value::Object(columns))
        }
        Record::Preference { chosen, rejected } => {
            check_pair(chosen, rejected)?;
            let (chosen, rejected) = (dialogue(chosen, FORMAT, "chosen")?, dialogue(rejected, FORMAT, "rejected")?);
            let (input, preferred) = split(chosen, "chosen")?;
            let (_, other) = split(rejected, "rejected")?;
            let mut columns = Map::new();
            columns.insert("messages".to_owned(), input.into());
            insert_tools(&mut columns, chosen);
            Ok(json!({"input": columns, "preferred_output": preferred, "non_preferred_output": other}))
        }
        Record::Labelled { .. } => Err(ExportError::Kind { format: FORMAT, kind: RecordKind::Labelled }),
    }
}

fn insert_tools(columns: &mut Map<String, Value>, dialogue: &Dialogue) {
    if !dialogue.tools.is_empty() {
        columns.insert("tools".to_owned(), dialogue.tools.clone().into());
    }
}

fn lost(loss: Loss, at: String) -> ExportError {
    ExportError::Lost { format: FORMAT, loss, at }
}

/// The prompt and the answer of a side.
fn split(dialogue: &Dialogue, at: &str) -> Result<(Vec<Value>, Vec<Value>), ExportError> {
    let start = dialogue.first_learned();
    if !learns_all(dialogue, start) {
        return Err(lost(Loss::Mask, at.to_owned()));
    }
    let mut messages = written(dialogue, at)?;
    let answer = messages.split_off(start.min(messages.len()));
    if answer.iter().any(|message| !["assistant", "tool"].contains(&role(message))) {
        return Err(lost(Loss::LaterMessages, at.to_owned()));
    }
    // what is learned only beside a prompt needs no mark
    for message in messages.iter_mut().filter_map(Value::as_object_mut) {
        message.shift_remove("weight");
    }
    Ok((messages, answer))
}

/// Every message with the ids that the API wants.
fn written(dialogue: &Dialogue, at: &str) -> Result<Vec<Value>, ExportError> {
    const KNOWN: [&str; 5] = ["role", "content", "name", "tool_calls", "tool_call_id"];
    let (mut messages, mut open, mut count) = (Vec::new(), Vec::new(), 0);
    for (index, (message, learned)) in dialogue.messages.iter().zip(&dialogue.learned).enumerate() {
        let at = format!("{at}[{index}]");
        let mut fields = with_written_arguments(message).as_object().cloned().unwrap_or_default();
        if let Some(key) = fields.keys().find(|key| !KNOWN.contains(&key.as_str())) {
            return Err(lost(Loss::Field(key.clone()), at));
        }
        if role(message) == "tool" {
            let id = answered(&mut fields, &mut open).ok_or_else(|| lost(Loss::CallIds, at))?;
            fields.insert("tool_call_id".to_owned(), id.into());
        } else {
            open.clear();
        }
        for call in fields.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten() {
            open.push(identified(call, count));
            count += 1;
        }
        if role(message) == "assistant" && !learned {
            fields.insert("weight".to_owned(), 0.into());
        }
        messages.push(Value::Object(fields));
    }
    Ok(messages)
}

/// The id of a call, which is given one if it has none.
fn identified(call: &mut Value, number: usize) -> String {
    if let Some(id) = call.get("id").and_then(Value::as_str) {
        return id.to_owned();
    }
    let id = carried::call_id(number);
    if let Some(fields) = call.as_object_mut() {
        fields.insert("id".to_owned(), id.as_str().into());
    }
    id
}

/// The id of the call that a result answers: its own, else that of the first call before it that has no result yet.
fn answered(fields: &mut Map<String, Value>, open: &mut Vec<String>) -> Option<String> {
    let position = match fields.get("tool_call_id").and_then(Value::as_str) {
        Some(id) => open.iter().position(|call| call == id)?,
        None if open.is_empty() => return None,
        None => 0,
    };
    Some(open.remove(position))
}
