//! One message, of the OpenAI API or of ShareGPT.

use serde_json::{Map, Value};

use super::RowError;
use super::calls::{call, calls, calls_in_text};
use super::error::shown;
use super::place::Place;
use super::value::{boolean, get, list, need, object, text};

/// A message in the shape that [`Dialogue`](super::Dialogue) promises.
pub(super) struct Turn {
    pub(super) message: Map<String, Value>,
    pub(super) role: Role,
    /// Whether the row wants it learned, where it may be.
    pub(super) wanted: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    System,
    User,
    Assistant,
    Tool,
}

impl Role {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }
}

/// What an entry of `role` or `from` makes of its message.
enum Speaker {
    Role(Role),
    /// ShareGPT's assistant message that consists of calls.
    Calls,
}

/// Reads a message by whichever of `role` and `from` it has.
pub(super) fn read(value: &Value, at: Place<'_>) -> Result<Turn, RowError> {
    let fields = object(value, at)?;
    match (get(fields, "role"), get(fields, "from")) {
        (Some(_), Some(_)) => Err(RowError::Conflict { at: at.to_string(), first: "role", second: "from" }),
        (Some(name), None) => {
            let role = openai_role(name, at.key("role"))?;
            let content = content(get(fields, "content"), role, at.key("content"))?;
            finish(fields, role, content, Vec::new(), at)
        }
        (None, Some(name)) => sharegpt(fields, speaker(name, at.key("from"))?, at),
        (None, None) => Err(RowError::missing(at, "role")),
    }
}

fn openai_role(name: &Value, at: Place<'_>) -> Result<Role, RowError> {
    match text(name, at)? {
        "system" | "developer" => Ok(Role::System),
        "user" => Ok(Role::User),
        "assistant" => Ok(Role::Assistant),
        "tool" | "function" => Ok(Role::Tool),
        _ => Err(RowError::Role {
            at: at.to_string(),
            found: shown(name),
            known: "system, developer, user, assistant, tool and function",
        }),
    }
}

fn speaker(name: &Value, at: Place<'_>) -> Result<Speaker, RowError> {
    Ok(Speaker::Role(match text(name, at)? {
        "system" | "developer" => Role::System,
        "human" | "user" => Role::User,
        "gpt" | "assistant" | "model" => Role::Assistant,
        "observation" | "tool" => Role::Tool,
        "function_call" => return Ok(Speaker::Calls),
        _ => {
            return Err(RowError::Role {
                at: at.to_string(),
                found: shown(name),
                known: "system, human, gpt, function_call and observation, or user, assistant, model and tool",
            });
        }
    }))
}

fn sharegpt(fields: &Map<String, Value>, speaker: Speaker, at: Place<'_>) -> Result<Turn, RowError> {
    let at_value = at.key("value");
    match speaker {
        Speaker::Role(role) => {
            let content = content(get(fields, "value"), role, at_value)?;
            finish(fields, role, content, Vec::new(), at)
        }
        Speaker::Calls => {
            let value = need(fields, "value", at)?;
            let (thought, calls) = match value.as_str().map(split_thought) {
                Some((thought @ "", _)) => (thought, calls_in_text(value, at_value)?),
                Some((thought, rest)) => (thought, calls_in_text(&Value::from(rest), at_value)?),
                None => ("", calls_in_text(value, at_value)?),
            };
            if calls.is_empty() {
                return Err(RowError::Value {
                    at: at_value.to_string(),
                    found: "an empty list".to_owned(),
                    expected: "a call or a list of calls",
                });
            }
            finish(fields, Role::Assistant, thought.to_owned(), calls, at)
        }
    }
}

/// Splits `<think>…</think>`, with the white space after it, from the JSON that follows, as LLaMA-Factory does.
pub(super) fn split_thought(text: &str) -> (&str, &str) {
    const END: &str = "</think>";
    let end = text.starts_with("<think>").then(|| text.find(END)).flatten();
    let Some((before, after)) = end.and_then(|end| text.split_at_checked(end + END.len())) else { return ("", text) };
    let spaces = after.len() - after.trim_start().len();
    text.split_at_checked(before.len() + spaces).unwrap_or(("", text))
}

/// The text of a message: a string, or parts that are all text, joined.
fn content(value: Option<&Value>, role: Role, at: Place<'_>) -> Result<String, RowError> {
    match value {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Array(parts)) => {
            parts.iter().enumerate().map(|(index, value)| part(value, at.index(index))).collect()
        }
        None if role == Role::Assistant => Ok(String::new()),
        other => Err(RowError::of_type(at, other.unwrap_or(&Value::Null), "a string or a list of text parts")),
    }
}

fn part<'a>(value: &'a Value, at: Place<'_>) -> Result<&'a str, RowError> {
    let part = object(value, at)?;
    let kind = need(part, "type", at)?;
    if kind != "text" {
        return Err(RowError::Part { at: at.to_string(), kind: shown(kind) });
    }
    text(need(part, "text", at)?, at.key("text"))
}

/// Puts a message together; `made` are calls that were not under `tool_calls`.
fn finish(
    fields: &Map<String, Value>,
    role: Role,
    content: String,
    mut made: Vec<Value>,
    at: Place<'_>,
) -> Result<Turn, RowError> {
    const READ: [&str; 9] =
        ["role", "from", "content", "value", "tool_calls", "function_call", "weight", "train", "tool_call_id"];
    if let Some(value) = get(fields, "tool_calls") {
        made.extend(calls(value, at.key("tool_calls"))?);
    }
    if let Some(value) = get(fields, "function_call") {
        made.push(call(value, at.key("function_call"))?);
    }
    if !made.is_empty() && role != Role::Assistant {
        return Err(RowError::Value {
            at: at.key("tool_calls").to_string(),
            found: format!("set on a message of role {}", role.name()),
            expected: "an assistant message: nobody else calls tools",
        });
    }
    let mut message = Map::new();
    message.insert("role".to_owned(), role.name().into());
    message.insert("content".to_owned(), content.into());
    if !made.is_empty() {
        message.insert("tool_calls".to_owned(), made.into());
    }
    if let Some(id) = get(fields, "tool_call_id") {
        message.insert("tool_call_id".to_owned(), text(id, at.key("tool_call_id"))?.into());
    }
    let others = fields.iter().filter(|(key, _)| !READ.contains(&key.as_str()));
    // nulls are what columns of other rows leave behind
    let others = others.filter(|(_, value)| !value.is_null());
    message.extend(others.map(|(key, value)| (key.clone(), value.clone())));
    if let Some(name) = message.get("name") {
        text(name, at.key("name"))?;
    }
    Ok(Turn { message, role, wanted: wanted(fields, role, at)? })
}

/// Whether `weight` and `train` let a message be learned.
fn wanted(fields: &Map<String, Value>, role: Role, at: Place<'_>) -> Result<bool, RowError> {
    let weight = get(fields, "weight").map(|value| weight(value, at.key("weight"))).transpose()?;
    let train = get(fields, "train").map(|value| boolean(value, at.key("train"))).transpose()?;
    for (key, asked) in [("weight", weight), ("train", train)] {
        if asked == Some(true) && role != Role::Assistant {
            return Err(RowError::Value {
                at: at.key(key).to_string(),
                found: format!("set on a message of role {}", role.name()),
                expected: "an assistant message: nothing else is learned",
            });
        }
    }
    Ok(weight != Some(false) && train != Some(false))
}

fn weight(value: &Value, at: Place<'_>) -> Result<bool, RowError> {
    match value.as_f64() {
        Some(0.0) => Ok(false),
        Some(1.0) => Ok(true),
        _ => Err(RowError::of_value(at, value, "0 or 1")),
    }
}

/// The messages of a value that is a list of them, or one.
pub(super) fn several<'a>(value: &'a Value, at: Place<'_>) -> Result<&'a [Value], RowError> {
    match value {
        Value::Object(_) => Ok(std::slice::from_ref(value)),
        Value::Array(_) => list(value, at),
        other => Err(RowError::of_type(at, other, "a message or a list of messages")),
    }
}
