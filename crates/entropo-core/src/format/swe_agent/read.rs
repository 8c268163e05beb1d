//! From a `.traj` to a trajectory.

use serde_json::{Map, Value};

use super::{EXITS, model};
use crate::format::carried::{Carried, Conversation, exit, is_empty, nano_dollars};
use crate::format::error::shown;
use crate::format::export::Loss;
use crate::format::place::Place;
use crate::format::value::{ROW_DEPTH, check_depth, get, list, need, object, optional_text, text};
use crate::format::{RowError, strict};
use crate::{ExitReason, RolloutId, Trajectory};

/// Reads a `.traj` as the rollout `id`.
///
/// Lost is what the model thought before it answered (`thinking_blocks`). A status like `submitted (exit_cost)`, a patch
/// that was saved from a run that did not finish, is read as the reason in brackets.
///
/// # Errors
/// [`RowError`], with the place, for a file that is none, a status that is not known, and demonstrations that were put in
/// the history step by step: they are not this model's, and nothing in a trajectory could say so.
pub fn read(file: &Value, id: RolloutId) -> Result<Carried<Trajectory>, RowError> {
    check_depth(file, ROW_DEPTH, Place::ROW)?;
    let fields = object(file, Place::ROW)?;
    let at = Place::ROW.key("history");
    let mut conversation = Conversation::default();
    for (index, item) in list(need(fields, "history", Place::ROW)?, at)?.iter().enumerate() {
        let at = at.index(index);
        entry(&mut conversation, object(item, at)?, at)?;
    }
    let (at, none) = (Place::ROW.key("info"), Map::new());
    // a demonstration has its history only
    let info = get(fields, "info").map_or(Ok(&none), |info| object(info, at))?;
    let mut trajectory = Trajectory::empty(id, "", 0, status(info, at)?);
    trajectory.outcome.patch = optional_text(info, "submission", at)?.to_owned();
    if let Some(config) = get(fields, "replay_config") {
        trajectory.model = named(config, Place::ROW.key("replay_config"))?;
    }
    usage(&mut trajectory, info, at)?;
    trajectory.usage.tool_calls = conversation.calls();
    trajectory.messages = conversation.messages;
    Ok(Carried { value: trajectory, lost: conversation.lost })
}

/// Adds an entry of the history.
fn entry(conversation: &mut Conversation, item: &Map<String, Value>, at: Place<'_>) -> Result<(), RowError> {
    const READ: [&str; 6] = ["role", "content", "tool_calls", "tool_call_id", "name", "thinking_blocks"];
    let role = get(item, "role").and_then(Value::as_str).unwrap_or_default();
    if item.get("is_demo") == Some(&Value::Bool(true)) && role != "user" {
        return Err(RowError::Value {
            at: at.key("is_demo").to_string(),
            found: format!("set on a message of role {}", shown(&Value::from(role))),
            expected: "a user message: a demonstration that is one message",
        });
    }
    let mut message: Map<String, Value> = item.clone();
    message.retain(|key, _| READ.contains(&key.as_str()));
    if item.get("thinking_blocks").is_some_and(|blocks| !is_empty(blocks)) {
        conversation.lost.insert(Loss::Reasoning);
    }
    if let Some(ids) = get(item, "tool_call_ids") {
        let at = at.key("tool_call_ids");
        let [id] = list(ids, at)? else { return Err(RowError::of_type(at, ids, "a list of one id")) };
        message.insert("tool_call_id".to_owned(), text(id, at.index(0))?.into());
    }
    conversation.read(&Value::Object(message), at)
}

fn status(info: &Map<String, Value>, at: Place<'_>) -> Result<ExitReason, RowError> {
    // a file is written after every step, and the status only after the last
    let Some(value) = get(info, "exit_status") else { return Ok(ExitReason::Cancelled) };
    let at = at.key("exit_status");
    let status = text(value, at)?;
    let saved = status.strip_prefix("submitted (").and_then(|rest| rest.strip_suffix(')'));
    exit(EXITS, saved.unwrap_or(status))
        .ok_or_else(|| RowError::of_value(at, value, "submitted, an exit_… of SWE-agent, or submitted (exit_…)"))
}

/// The model's name in a configuration that is JSON in a string, or an object in older files.
fn named(config: &Value, at: Place<'_>) -> Result<String, RowError> {
    let opened;
    let config = match config {
        Value::String(text) => {
            opened = strict::from_slice(text.as_bytes()).map_err(|error| RowError::Json {
                at: at.to_string(),
                expected: "a configuration",
                reason: crate::format::error::shortened(&error.to_string()),
            })?;
            &opened
        }
        other => other,
    };
    Ok(model(config).unwrap_or_default().to_owned())
}

fn usage(trajectory: &mut Trajectory, info: &Map<String, Value>, at: Place<'_>) -> Result<(), RowError> {
    let at = at.key("model_stats");
    let Some(stats) = get(info, "model_stats").map(|stats| object(stats, at)).transpose()? else { return Ok(()) };
    // counts are written as whole numbers or as fractions
    let count = |key| match get(stats, key) {
        None => Ok(0),
        Some(value) => value
            .as_u64()
            .or_else(|| value.as_f64().filter(|count| (0.0..9e15).contains(count)).map(|count| count as u64))
            .and_then(|count| usize::try_from(count).ok())
            .ok_or_else(|| RowError::of_value(at.key(key), value, "a number from 0")),
    };
    trajectory.usage.model_calls = count("api_calls")?;
    trajectory.usage.prompt_tokens = count("tokens_sent")?;
    trajectory.usage.completion_tokens = count("tokens_received")?;
    trajectory.usage.cost_nano_usd = get(stats, "instance_cost").and_then(Value::as_f64).and_then(nano_dollars);
    Ok(())
}
