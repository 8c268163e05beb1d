//! TRL's columns.

use serde_json::{Map, Value};

use super::{ExportError, Loss, check_pair, dialogue, learns_all, named};
use crate::format::{Dialogue, Record, Row, Side};

const FORMAT: &str = "TRL";

/// A row of TRL: `messages` or `prompt` and `completion` for a demonstration, `prompt`, `chosen` and `rejected` for a
/// pair, `prompt`, `completion` and `label` for a labelled answer; `text` if there is no prompt. `tools` is a column of
/// JSON, which TRL opens: tools of different schemas would not survive a column of records.
///
/// TRL learns every token after the prompt, results of tools included; its `assistant_only_loss` changes that for
/// demonstrations only.
///
/// # Errors
/// [`ExportError`] for recorded tokens, for dialogues that leave out an assistant message after the first that is
/// learned, and for pairs without a common prompt.
pub fn trl(row: &Row) -> Result<Value, ExportError> {
    let mut columns = named(row);
    match &row.record {
        Record::Demonstration(side) => single(&mut columns, side, true)?,
        Record::Labelled { side, desirable } => {
            single(&mut columns, side, false)?;
            columns.insert("label".to_owned(), (*desirable).into());
        }
        Record::Preference { chosen, rejected } => pair(&mut columns, chosen, rejected)?,
    }
    Ok(Value::Object(columns))
}

/// One answer; as a whole conversation if it `may_be_whole` and everything of the assistant is learned.
fn single(columns: &mut Map<String, Value>, side: &Side, may_be_whole: bool) -> Result<(), ExportError> {
    if let Side::Text { prompt, completion } = side {
        if prompt.is_empty() && may_be_whole {
            columns.insert("text".to_owned(), completion.as_str().into());
        } else {
            columns.insert("prompt".to_owned(), prompt.as_str().into());
            columns.insert("completion".to_owned(), completion.as_str().into());
        }
        return Ok(());
    }
    let dialogue = dialogue(side, FORMAT, "the row")?;
    if may_be_whole && learns_all(dialogue, 0) {
        columns.insert("messages".to_owned(), dialogue.messages.clone().into());
    } else {
        let (prompt, completion) = split(dialogue, dialogue.first_learned(), "completion")?;
        columns.insert("prompt".to_owned(), prompt);
        columns.insert("completion".to_owned(), completion);
    }
    insert_tools(columns, dialogue);
    Ok(())
}

fn pair(columns: &mut Map<String, Value>, chosen: &Side, rejected: &Side) -> Result<(), ExportError> {
    check_pair(chosen, rejected)?;
    if let (Side::Text { prompt, completion: chosen }, Side::Text { completion: rejected, .. }) = (chosen, rejected) {
        for (key, text) in [("prompt", prompt), ("chosen", chosen), ("rejected", rejected)] {
            columns.insert(key.to_owned(), text.as_str().into());
        }
        return Ok(());
    }
    let sides = [("chosen", chosen), ("rejected", rejected)];
    for (key, side) in sides {
        let dialogue = dialogue(side, FORMAT, key)?;
        let (prompt, completion) = split(dialogue, dialogue.first_learned(), key)?;
        columns.insert("prompt".to_owned(), prompt);
        columns.insert(key.to_owned(), completion);
        insert_tools(columns, dialogue);
    }
    Ok(())
}

/// Prompt and the rest, all of whose assistant messages have to be learned.
fn split(dialogue: &Dialogue, at: usize, key: &str) -> Result<(Value, Value), ExportError> {
    if !learns_all(dialogue, at) {
        return Err(ExportError::Lost { format: FORMAT, loss: Loss::Mask, at: key.to_owned() });
    }
    let (prompt, rest) = dialogue.messages.split_at_checked(at).unwrap_or((&dialogue.messages, &[]));
    Ok((prompt.into(), rest.into()))
}

fn insert_tools(columns: &mut Map<String, Value>, dialogue: &Dialogue) {
    if !dialogue.tools.is_empty() {
        let tools = Value::from(dialogue.tools.clone()).to_string();
        columns.insert("tools".to_owned(), tools.into());
    }
}
