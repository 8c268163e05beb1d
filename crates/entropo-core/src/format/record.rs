//! From sides to records: the conditions that hold for every format.

use serde_json::{Map, Value};

use super::place::Place;
use super::row::prompt_ids;
use super::value::{boolean, get};
use super::{Record, RowError, Side};

/// The columns in which TRL and LLaMA-Factory say whether an answer is wanted.
const LABELS: [&str; 2] = ["label", "kto_tag"];

/// A labelled answer if the row has a label, else a demonstration.
pub(super) fn single(row: &Map<String, Value>, side: Side) -> Result<Record, RowError> {
    check_learned(&side, Place::ROW)?;
    Ok(match label(row)? {
        Some(desirable) => Record::Labelled { side, desirable },
        None => Record::Demonstration(side),
    })
}

/// A pair of two answers to one prompt.
pub(super) fn pair(row: &Map<String, Value>, chosen: Side, rejected: Side) -> Result<Record, RowError> {
    if let Some(label) = LABELS.into_iter().find(|key| get(row, key).is_some()) {
        return Err(RowError::Conflict { at: Place::ROW.to_string(), first: "chosen", second: label });
    }
    check_learned(&chosen, Place::ROW.key("chosen"))?;
    check_learned(&rejected, Place::ROW.key("rejected"))?;
    if !same_prompt(&chosen, &rejected) {
        return Err(RowError::PromptsDiffer);
    }
    if same_actions(&chosen, &rejected) {
        return Err(RowError::EqualSides);
    }
    Ok(Record::Preference { chosen, rejected })
}

/// The values under `chosen` and `rejected`, if there is either.
pub(super) fn pair_of(row: &Map<String, Value>) -> Result<Option<(&Value, &Value)>, RowError> {
    match (get(row, "chosen"), get(row, "rejected")) {
        (None, None) => Ok(None),
        (Some(chosen), Some(rejected)) => Ok(Some((chosen, rejected))),
        (None, Some(_)) => Err(RowError::missing(Place::ROW, "chosen")),
        (Some(_), None) => Err(RowError::missing(Place::ROW, "rejected")),
    }
}

/// Whether the answer is wanted, if the row says so.
pub(super) fn label(row: &Map<String, Value>) -> Result<Option<bool>, RowError> {
    let [first, second] = LABELS;
    let key = match (get(row, first), get(row, second)) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => return Err(RowError::Conflict { at: Place::ROW.to_string(), first, second }),
        (Some(value), None) => (value, first),
        (None, Some(value)) => (value, second),
    };
    boolean(key.0, Place::ROW.key(key.1)).map(Some)
}

fn check_learned(side: &Side, at: Place<'_>) -> Result<(), RowError> {
    if side.is_learned() { Ok(()) } else { Err(RowError::NothingLearned { at: at.to_string() }) }
}

/// Whether the sides are of one kind and the same up to the first thing that is learned.
pub(super) fn same_prompt(chosen: &Side, rejected: &Side) -> bool {
    match (chosen, rejected) {
        (Side::Dialogue(one), Side::Dialogue(other)) => one.prompt() == other.prompt() && one.tools == other.tools,
        (Side::Text { prompt: one, .. }, Side::Text { prompt: other, .. }) => one == other,
        (Side::Tokens(one), Side::Tokens(other)) => prompt_ids(one) == prompt_ids(other),
        _ => false,
    }
}

/// A message without the ids of its calls.
fn without_ids(message: &Value) -> Value {
    let mut message = message.clone();
    for call in message.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(call) = call.as_object_mut() {
            call.shift_remove("id");
        }
    }
    message
}

/// Whether the sides learn the same; results of tools do not count, nor do ids of calls, which are drawn by whoever serves
/// the model.
fn same_actions(chosen: &Side, rejected: &Side) -> bool {
    match (chosen, rejected) {
        (Side::Dialogue(one), Side::Dialogue(other)) => {
            one.actions().map(without_ids).eq(other.actions().map(without_ids))
        }
        (Side::Tokens(one), Side::Tokens(other)) => one.action_ids().eq(other.action_ids()),
        (one, other) => one == other,
    }
}
