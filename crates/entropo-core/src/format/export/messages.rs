//! Messages of the OpenAI API, which can say of each assistant message whether it is learned.

use serde_json::Value;

use super::{ExportError, check_pair, dialogue, named};
use crate::format::row::role;
use crate::format::{Dialogue, Record, Row};

const FORMAT: &str = "messages";

/// A row with `messages` as verl and others read them, and `label`, or `chosen` and `rejected` with the
/// prompt in `messages`. An assistant message that is not learned has the weight 0. Arguments of calls and `tools` are
/// JSON in strings, so that columns of other rows cannot add keys to them.
///
/// # Errors
/// [`ExportError`] for text, recorded tokens and pairs without a common prompt.
pub fn messages(row: &Row) -> Result<Value, ExportError> {
    let mut columns = named(row);
    let tools = match &row.record {
        Record::Demonstration(side) | Record::Labelled { side, .. } => {
            let dialogue = dialogue(side, FORMAT, "the row")?;
            columns.insert("messages".to_owned(), weighted(dialogue, 0));
            if let Record::Labelled { desirable, .. } = &row.record {
                columns.insert("label".to_owned(), (*desirable).into());
            }
            &dialogue.tools
        }
        Record::Preference { chosen, rejected } => {
            check_pair(chosen, rejected)?;
            let (chosen, rejected) = (dialogue(chosen, FORMAT, "chosen")?, dialogue(rejected, FORMAT, "rejected")?);
            let prompt = chosen.prompt().iter().map(with_written_arguments).collect();
            columns.insert("messages".to_owned(), prompt);
            columns.insert("chosen".to_owned(), weighted(chosen, chosen.first_learned()));
            columns.insert("rejected".to_owned(), weighted(rejected, rejected.first_learned()));
            &chosen.tools
        }
    };
    if !tools.is_empty() {
        columns.insert("tools".to_owned(), Value::from(tools.clone()).to_string().into());
    }
    Ok(Value::Object(columns))
}

/// The messages from `start` on.
fn weighted(dialogue: &Dialogue, start: usize) -> Value {
    let messages = dialogue.messages.iter().zip(&dialogue.learned).skip(start);
    let weighted = messages.map(|(message, learned)| {
        let mut written = with_written_arguments(message);
        if role(message) == "assistant" && !learned {
            insert(&mut written, "weight", 0.into());
        }
        written
    });
    weighted.collect()
}

/// The message with the arguments of its calls as the strings that the API has.
pub(super) fn with_written_arguments(message: &Value) -> Value {
    let mut message = message.clone();
    let calls = message.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten();
    for function in calls.filter_map(|call| call.get_mut("function")) {
        if let Some(arguments) = function.get("arguments").map(Value::to_string) {
            insert(function, "arguments", arguments.into());
        }
    }
    message
}

fn insert(object: &mut Value, key: &str, value: Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(key.to_owned(), value);
    }
}
