//! LLaMA-Factory's ShareGPT rows and the entry that describes their file.

use serde_json::{Map, Value, json};

use super::{ExportError, Loss, check_pair, dialogue, learns_all, named};
use crate::format::message::split_thought;
use crate::format::row::role;
use crate::format::{Dialogue, Record, RecordKind, Row};

const FORMAT: &str = "LLaMA-Factory";

/// A row of LLaMA-Factory: `conversations` and `tools`, with `kto_tag` for a labelled answer, with `chosen` and
/// `rejected` for a pair.
///
/// Ids of calls, and names of results where they are those of the calls, are left out: with one call before each result,
/// the order says the same.
///
/// # Errors
/// [`ExportError`] for what LLaMA-Factory would drop, skip or learn otherwise: text and tokens; several learned messages
/// in a pair or a labelled answer; assistant messages of a demonstration that are not learned; turns that do not
/// alternate; text beside calls other than `<think>…</think>` before them; results of several calls; fields of messages
/// that it does not read; pairs without a common prompt.
pub fn llama_factory(row: &Row) -> Result<Value, ExportError> {
    let mut columns = named(row);
    let dialogue = match &row.record {
        Record::Demonstration(side) => {
            let dialogue = dialogue(side, FORMAT, "the row")?;
            if !learns_all(dialogue, 0) {
                return Err(lost(Loss::Mask, "the row"));
            }
            columns.insert("conversations".to_owned(), conversation(dialogue, "conversations")?.into());
            dialogue
        }
        Record::Labelled { side, desirable } => {
            let dialogue = dialogue(side, FORMAT, "the row")?;
            check_last_only(dialogue, "the row")?;
            columns.insert("conversations".to_owned(), conversation(dialogue, "conversations")?.into());
            columns.insert("kto_tag".to_owned(), (*desirable).into());
            dialogue
        }
        Record::Preference { chosen, rejected } => {
            check_pair(chosen, rejected)?;
            let (chosen, rejected) = (dialogue(chosen, FORMAT, "chosen")?, dialogue(rejected, FORMAT, "rejected")?);
            for (key, dialogue) in [("chosen", chosen), ("rejected", rejected)] {
                check_last_only(dialogue, key)?;
                let mut turns = conversation(dialogue, key)?;
                columns.insert(key.to_owned(), turns.pop().unwrap_or_default());
                columns.insert("conversations".to_owned(), unmarked(turns).into());
            }
            chosen
        }
    };
    Ok(with_tools(columns, dialogue))
}

/// Turns of a prompt: what is learned only beside a prompt needs no mark.
fn unmarked(mut turns: Vec<Value>) -> Vec<Value> {
    turns.iter_mut().filter_map(Value::as_object_mut).for_each(|turn| drop(turn.remove("weight")));
    turns
}

/// The row with `tools`, which LLaMA-Factory wants in every row.
fn with_tools(mut columns: Map<String, Value>, dialogue: &Dialogue) -> Value {
    let tools = &dialogue.tools;
    let tools = if tools.is_empty() { String::new() } else { Value::from(tools.clone()).to_string() };
    columns.insert("tools".to_owned(), tools.into());
    Value::Object(columns)
}

/// A row like those of [`llama_factory`] for readers that learn every message of an answer: `chosen` and `rejected` are
/// lists, and an answer with a `kto_tag` may have several messages. LLaMA-Factory itself passes such pairs over and learns
/// the last message of such an answer, so this is not for it.
///
/// # Errors
/// Those of [`llama_factory`], but for several learned messages; what is learned has to be every assistant message from
/// the first on, of a labelled answer every one.
pub fn sharegpt(row: &Row) -> Result<Value, ExportError> {
    let mut columns = named(row);
    let dialogue = match &row.record {
        Record::Demonstration(_) => return llama_factory(row),
        Record::Labelled { side, desirable } => {
            let dialogue = dialogue(side, FORMAT, "the row")?;
            if !learns_all(dialogue, 0) {
                return Err(lost(Loss::Mask, "the row"));
            }
            columns.insert("conversations".to_owned(), conversation(dialogue, "conversations")?.into());
            columns.insert("kto_tag".to_owned(), (*desirable).into());
            dialogue
        }
        Record::Preference { chosen, rejected } => {
            check_pair(chosen, rejected)?;
            let (chosen, rejected) = (dialogue(chosen, FORMAT, "chosen")?, dialogue(rejected, FORMAT, "rejected")?);
            for (key, dialogue) in [("chosen", chosen), ("rejected", rejected)] {
                if !learns_all(dialogue, dialogue.first_learned()) {
                    return Err(lost(Loss::Mask, key));
                }
                let mut turns = conversation(dialogue, key)?;
                let answer = turns.split_off(dialogue.first_learned().min(turns.len()));
                columns.insert(key.to_owned(), answer.into());
                columns.insert("conversations".to_owned(), unmarked(turns).into());
            }
            chosen
        }
    };
    Ok(with_tools(columns, dialogue))
}

/// The entry of `dataset_info.json` for a file of rows of one kind that [`llama_factory`] wrote.
pub fn dataset_info(file_name: &str, kind: RecordKind) -> Value {
    let mut columns = Map::new();
    columns.insert("messages".to_owned(), "conversations".into());
    columns.insert("tools".to_owned(), "tools".into());
    let named: &[&str] = match kind {
        RecordKind::Demonstration => &[],
        RecordKind::Preference => &["chosen", "rejected"],
        RecordKind::Labelled => &["kto_tag"],
    };
    columns.extend(named.iter().map(|key| ((*key).to_owned(), (*key).into())));
    let mut entry = Map::new();
    entry.insert("file_name".to_owned(), file_name.into());
    entry.insert("formatting".to_owned(), "sharegpt".into());
    if kind == RecordKind::Preference {
        entry.insert("ranking".to_owned(), true.into());
    }
    entry.insert("columns".to_owned(), columns.into());
    Value::Object(entry)
}

fn lost(loss: Loss, at: &str) -> ExportError {
    ExportError::Lost { format: FORMAT, loss, at: at.to_owned() }
}

/// Of an answer, LLaMA-Factory learns the last message.
fn check_last_only(dialogue: &Dialogue, at: &str) -> Result<(), ExportError> {
    if dialogue.first_learned() + 1 == dialogue.messages.len() { Ok(()) } else { Err(lost(Loss::SeveralTurns, at)) }
}

/// Every message as a turn. A system message may come first; then what is asked or observed, then the assistant.
fn conversation(dialogue: &Dialogue, at: &str) -> Result<Vec<Value>, ExportError> {
    let is_system = |message: &&Value| role(message) == "system";
    let start = usize::from(dialogue.messages.first().is_some_and(|first| is_system(&first)));
    let mut turns = Vec::with_capacity(dialogue.messages.len());
    for (index, (message, learned)) in dialogue.messages.iter().zip(&dialogue.learned).enumerate() {
        let at = format!("{at}[{index}]");
        let expected = index.checked_sub(start).map(|position| position % 2 == 1);
        if expected.is_some_and(|assistant| assistant != (role(message) == "assistant"))
            || (index >= start && is_system(&message))
        {
            return Err(lost(Loss::Alternation, &at));
        }
        let before = index.checked_sub(1).and_then(|before| dialogue.messages.get(before));
        let mut turn = turn(message, before, &at)?;
        if !learned && role(message) == "assistant" {
            turn.insert("weight".to_owned(), 0.into());
        }
        turns.push(Value::Object(turn));
    }
    if dialogue.messages.last().is_none_or(|last| role(last) != "assistant") {
        return Err(lost(Loss::Alternation, at));
    }
    Ok(turns)
}

fn turn(message: &Value, before: Option<&Value>, at: &str) -> Result<Map<String, Value>, ExportError> {
    let content = message.get("content").and_then(Value::as_str).unwrap_or_default();
    let calls = calls(message);
    let (from, value) = match role(message) {
        "system" => ("system", content.to_owned()),
        "assistant" if calls.is_empty() => ("gpt", content.to_owned()),
        "assistant" => ("function_call", written_calls(content, calls, at)?),
        "tool" => {
            check_answer(message, before, at)?;
            ("observation", content.to_owned())
        }
        _ => ("human", content.to_owned()),
    };
    let carried = ["role", "content", "tool_calls", "tool_call_id"];
    let implied = |key: &str| from == "observation" && key == "name";
    let fields = message.as_object().into_iter().flatten();
    if let Some((key, _)) =
        fields.map(|(key, value)| (key.as_str(), value)).find(|(key, _)| !carried.contains(key) && !implied(key))
    {
        return Err(lost(Loss::Field(key.to_owned()), at));
    }
    let turn = [("from", from.to_owned()), ("value", value)];
    Ok(turn.into_iter().map(|(key, text)| (key.to_owned(), Value::from(text))).collect())
}

fn calls(message: &Value) -> &[Value] {
    message.get("tool_calls").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// A call as JSON, or a list of several, after the thought that LLaMA-Factory lets precede it.
fn written_calls(content: &str, calls: &[Value], at: &str) -> Result<String, ExportError> {
    let functions: Vec<&Value> = calls.iter().filter_map(|call| call.get("function")).collect();
    let json = match functions.as_slice() {
        [function] => function.to_string(),
        several => json!(several).to_string(),
    };
    let text = content.to_owned() + &json;
    if split_thought(&text) == (content, json.as_str()) { Ok(text) } else { Err(lost(Loss::TextBesideCalls, at)) }
}

/// Whether the order says which call a result answers, and its name.
fn check_answer(message: &Value, before: Option<&Value>, at: &str) -> Result<(), ExportError> {
    let calls = before.map(calls).unwrap_or_default();
    let id = message.get("tool_call_id");
    if id.is_some() && !matches!(calls, [call] if call.get("id") == id) {
        return Err(lost(Loss::CallIds, at));
    }
    match message.get("name") {
        Some(name) if !matches!(calls, [call] if call.pointer("/function/name") == Some(name)) => {
            Err(lost(Loss::Field("name".to_owned()), at))
        }
        _ => Ok(()),
    }
}
