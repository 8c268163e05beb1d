//! From a `.traj.json` to a trajectory.

use serde_json::{Map, Value, json};

use super::{EXITS, FIRST_FORMAT, FORMAT};
use crate::format::RowError;
use crate::format::carried::{Carried, Conversation, exit, nano_dollars};
use crate::format::error::shown;
use crate::format::export::Loss;
use crate::format::place::Place;
use crate::format::value::{ROW_DEPTH, check_depth, get, list, need, object, optional_text, text};
use crate::{ExitReason, RolloutId, Trajectory, Usage};

/// Reads a `.traj.json` as the rollout `id`.
///
/// The closing message, which is for the reader of the file, is left out. A turn whose form was wrong is only there as the
/// complaint about it: mini-swe-agent does not keep it in the conversation. Lost is what the model thought before it
/// answered.
///
/// # Errors
/// [`RowError`], with the place, for a file that is none or of another version.
pub fn read(file: &Value, id: RolloutId) -> Result<Carried<Trajectory>, RowError> {
    check_depth(file, ROW_DEPTH, Place::ROW)?;
    if let Value::Array(messages) = file {
        let conversation = conversation(messages, Place::ROW)?;
        let mut trajectory = Trajectory::empty(id, "", 0, ExitReason::Cancelled);
        trajectory.messages = conversation.messages;
        return Ok(Carried { value: trajectory, lost: conversation.lost });
    }
    let fields = object(file, Place::ROW)?;
    if let Some(format) = get(fields, "trajectory_format").filter(|format| *format != FORMAT && *format != FIRST_FORMAT)
    {
        return Err(RowError::FormatVersion { found: shown(format), expected: "mini-swe-agent-1 and 1.1" });
    }
    let at = Place::ROW.key("info");
    let info = object(need(fields, "info", Place::ROW)?, at)?;
    let patch = optional_text(info, "submission", at)?;
    let at_messages = Place::ROW.key("messages");
    let messages = list(need(fields, "messages", Place::ROW)?, at_messages)?;
    let kept = match messages.split_last() {
        Some((last, before)) if closes(last, info, patch) => before,
        _ => messages,
    };
    let conversation = conversation(kept, at_messages)?;
    let model = info.get("config").and_then(|config| config.pointer("/model/model_name")).and_then(Value::as_str);
    let mut trajectory = Trajectory::empty(id, model.unwrap_or_default(), 0, status(info, at)?);
    trajectory.error =
        get(info, "exception_str").map(|words| text(words, at.key("exception_str"))).transpose()?.map(str::to_owned);
    // versions 1 put the words of an exception where a patch would be
    let is_first = get(fields, "trajectory_format").is_some_and(|format| format == FIRST_FORMAT);
    if is_first && trajectory.exit == ExitReason::Panic && trajectory.error.is_none() {
        trajectory.error = Some(patch.to_owned());
    } else {
        trajectory.outcome.patch = patch.to_owned();
    }
    trajectory.usage = usage(info, messages);
    trajectory.usage.tool_calls = conversation.calls();
    trajectory.messages = conversation.messages;
    Ok(Carried { value: trajectory, lost: conversation.lost })
}

/// Whether a last message only says how the run ended: of the role `exit`, or in versions 1 a user message that is the
/// patch and not an answer to anything.
fn closes(last: &Value, info: &Map<String, Value>, patch: &str) -> bool {
    let role = last.get("role").and_then(Value::as_str).unwrap_or_default();
    role == "exit"
        || last.pointer("/extra/exit_status").is_some()
        || (role == "user"
            && last.get("timestamp").is_some()
            && get(info, "exit_status").is_some()
            && last.get("content").is_some_and(|content| content == patch))
}

fn status(info: &Map<String, Value>, at: Place<'_>) -> Result<ExitReason, RowError> {
    let status = optional_text(info, "exit_status", at)?;
    if status.is_empty() {
        return Ok(ExitReason::Cancelled);
    }
    let limit = info.get("config").and_then(|config| config.pointer("/agent/step_limit")).and_then(Value::as_u64);
    let calls = info.get("model_stats").and_then(|stats| stats.get("api_calls")).and_then(Value::as_u64);
    if status == "LimitsExceeded" && limit.zip(calls).is_some_and(|(limit, calls)| 0 < limit && limit <= calls) {
        return Ok(ExitReason::StepLimit);
    }
    // every other word is the type of an exception that nobody caught
    Ok(exit(EXITS, status).unwrap_or(ExitReason::Panic))
}

fn conversation(messages: &[Value], at: Place<'_>) -> Result<Conversation, RowError> {
    let mut conversation = Conversation::default();
    for (index, item) in messages.iter().enumerate() {
        let at = at.index(index);
        let fields = object(item, at)?;
        if let Some(output) = get(fields, "output").filter(|output| output.is_array()) {
            response(&mut conversation, list(output, at.key("output"))?, at.key("output"))?;
        } else if get(fields, "type").is_some_and(|kind| kind == "function_call_output") {
            let id = text(need(fields, "call_id", at)?, at.key("call_id"))?;
            let content = text(need(fields, "output", at)?, at.key("output"))?;
            conversation.answer(id, None, content.to_owned(), at.key("call_id"))?;
        } else {
            let mut message = fields.clone();
            message.retain(|key, _| !["extra", "timestamp", "type"].contains(&key.as_str()));
            parts(&mut message);
            conversation.read(&Value::Object(message), at)?;
        }
    }
    Ok(conversation)
}

/// Parts of the Responses API have other names than those of chat completions.
fn parts(message: &mut Map<String, Value>) {
    for part in message.get_mut("content").and_then(Value::as_array_mut).into_iter().flatten() {
        let is_text = part.get("type").is_some_and(|kind| kind == "input_text" || kind == "output_text");
        if let Some(kind) = part.get_mut("type").filter(|_| is_text) {
            *kind = "text".into();
        }
    }
}

/// Adds what the model wrote, as the Responses API has it.
fn response(conversation: &mut Conversation, items: &[Value], at: Place<'_>) -> Result<(), RowError> {
    let (mut content, mut calls) = (String::new(), Vec::new());
    for (index, item) in items.iter().enumerate() {
        let at = at.index(index);
        let fields = object(item, at)?;
        match get(fields, "type").and_then(Value::as_str) {
            Some("message") => {
                let at = at.key("content");
                for (index, part) in list(need(fields, "content", at)?, at)?.iter().enumerate() {
                    let at = at.index(index);
                    content.push_str(text(need(object(part, at)?, "text", at)?, at.key("text"))?);
                }
            }
            Some("function_call") => {
                let id = get(fields, "call_id").or_else(|| get(fields, "id"));
                let id = id.map(|id| text(id, at.key("call_id"))).transpose()?;
                let read = crate::format::calls::call(
                    &json!({"name": get(fields, "name"), "arguments": get(fields, "arguments")}),
                    at,
                )?;
                let part = |pointer| read.pointer(pointer).cloned().unwrap_or_default();
                let name = part("/function/name").as_str().unwrap_or_default().to_owned();
                calls.push((id.map(str::to_owned), (name, part("/function/arguments"))));
            }
            Some("reasoning") => drop(conversation.lost.insert(Loss::Reasoning)),
            _ => {
                let kind = get(fields, "type").unwrap_or(&Value::Null);
                return Err(RowError::of_value(at.key("type"), kind, "message, function_call or reasoning"));
            }
        }
    }
    conversation.say(content, calls);
    Ok(())
}

/// What the run used: its own counts, and tokens where the responses are kept.
fn usage(info: &Map<String, Value>, messages: &[Value]) -> Usage {
    let stats = info.get("model_stats");
    let stat = |key| stats.and_then(|stats| stats.get(key));
    let mut usage = Usage {
        model_calls: stat("api_calls").and_then(Value::as_u64).map_or(0, count),
        cost_nano_usd: stat("instance_cost").and_then(Value::as_f64).and_then(nano_dollars),
        ..Usage::default()
    };
    for message in messages {
        let kept = message.pointer("/extra/response/usage").or_else(|| message.get("usage"));
        let tokens = |keys: [&str; 2]| {
            let found = keys.into_iter().find_map(|key| kept?.get(key)?.as_u64());
            found.map_or(0, count)
        };
        usage.prompt_tokens = usage.prompt_tokens.saturating_add(tokens(["prompt_tokens", "input_tokens"]));
        usage.completion_tokens =
            usage.completion_tokens.saturating_add(tokens(["completion_tokens", "output_tokens"]));
    }
    usage
}

fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
