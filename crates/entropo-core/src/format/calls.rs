//! Tools and the calls of them.

use serde_json::{Map, Value, json};

use super::RowError;
use super::place::Place;
use super::value::{embedded, get, list, need, object, text};

/// Calls of an assistant message: a list in the shape of the OpenAI API, or of bare `{name, arguments}`.
pub(super) fn calls(value: &Value, at: Place<'_>) -> Result<Vec<Value>, RowError> {
    list(value, at)?.iter().enumerate().map(|(index, item)| call(item, at.index(index))).collect()
}

/// One call or a list of them, as a value or as JSON in a string: what ShareGPT puts under `function_call`.
pub(super) fn calls_in_text(value: &Value, at: Place<'_>) -> Result<Vec<Value>, RowError> {
    match value {
        Value::String(text) => match embedded(text, at, "a call or a list of calls")? {
            Value::String(_) => Err(RowError::of_type(at, value, "JSON of a call or a list of calls")),
            opened => calls_in_text(&opened, at),
        },
        Value::Array(_) => calls(value, at),
        _ => Ok(vec![call(value, at)?]),
    }
}

/// One call, its arguments an object.
pub(super) fn call(value: &Value, at: Place<'_>) -> Result<Value, RowError> {
    let outer = object(value, at)?;
    let at_function = at.key("function");
    let (function, at_inner) = match get(outer, "function") {
        Some(inner) => (object(inner, at_function)?, at_function),
        None => (outer, at),
    };
    check_type(outer, at)?;
    let name = name(function, at_inner)?;
    let arguments = arguments(function, at_inner)?;

    let mut call = Map::new();
    if let Some(id) = get(outer, "id") {
        call.insert("id".to_owned(), text(id, at.key("id"))?.into());
    }
    call.insert("type".to_owned(), "function".into());
    call.insert("function".to_owned(), json!({"name": name, "arguments": arguments}));
    Ok(Value::Object(call))
}

fn arguments(function: &Map<String, Value>, at: Place<'_>) -> Result<Value, RowError> {
    const EXPECTED: &str = "an object of arguments";
    // Llama 3 writes `parameters`
    let key = if get(function, "arguments").is_none() && get(function, "parameters").is_some() {
        "parameters"
    } else {
        "arguments"
    };
    let (value, at) = (need(function, key, at)?, at.key(key));
    match value {
        Value::Object(_) => Ok(value.clone()),
        Value::String(text) => match embedded(text, at, EXPECTED)? {
            opened @ Value::Object(_) => Ok(opened),
            other => Err(RowError::of_type(at, &other, EXPECTED)),
        },
        other => Err(RowError::of_type(at, other, EXPECTED)),
    }
}

/// The column `tools`: a list or JSON of one, each tool in the shape of the OpenAI API or bare.
pub(super) fn tools(row: &Map<String, Value>) -> Result<Vec<Value>, RowError> {
    let at = Place::ROW.key("tools");
    let opened;
    let value = match get(row, "tools") {
        None => return Ok(Vec::new()),
        Some(Value::String(text)) if text.trim().is_empty() => return Ok(Vec::new()),
        Some(Value::String(text)) => {
            opened = embedded(text, at, "a list of tools")?;
            &opened
        }
        Some(value) => value,
    };
    list(value, at)?.iter().enumerate().map(|(index, item)| tool(item, at.index(index))).collect()
}

fn tool(value: &Value, at: Place<'_>) -> Result<Value, RowError> {
    let outer = object(value, at)?;
    check_type(outer, at)?;
    match get(outer, "function") {
        Some(function) => {
            let at = at.key("function");
            name(object(function, at)?, at)?;
            let mut tool = outer.clone();
            tool.insert("type".to_owned(), "function".into());
            Ok(Value::Object(tool))
        }
        None => {
            name(outer, at)?;
            Ok(json!({"type": "function", "function": value}))
        }
    }
}

fn name<'a>(function: &'a Map<String, Value>, at: Place<'_>) -> Result<&'a str, RowError> {
    let (value, at) = (need(function, "name", at)?, at.key("name"));
    match text(value, at)? {
        "" => Err(RowError::of_value(at, value, "the name of a function")),
        name => Ok(name),
    }
}

/// Only functions can be called; `type` may be left out.
fn check_type(outer: &Map<String, Value>, at: Place<'_>) -> Result<(), RowError> {
    match get(outer, "type") {
        None => Ok(()),
        Some(kind) if kind == "function" => Ok(()),
        Some(kind) => Err(RowError::of_value(at.key("type"), kind, "\"function\"")),
    }
}
