//! Asking a JSON value for what a format says it is.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::error::shortened;
use super::place::Place;
use super::{RowError, strict};

/// Levels of lists and objects in a row.
pub(super) const ROW_DEPTH: usize = 100;
/// Levels of lists and objects in JSON that is a string inside a row. Less than that of a row, so that a row whose
/// strings were opened can still be written and read.
const EMBEDDED_DEPTH: usize = 64;

/// The entry `key`; data sets spell "not there" as null too.
pub(super) fn get<'a>(map: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    map.get(key).filter(|value| !value.is_null())
}

/// The entry `key`, which has to be there.
pub(super) fn need<'a>(map: &'a Map<String, Value>, key: &'static str, at: Place<'_>) -> Result<&'a Value, RowError> {
    get(map, key).ok_or_else(|| RowError::missing(at, key))
}

pub(super) fn object<'a>(value: &'a Value, at: Place<'_>) -> Result<&'a Map<String, Value>, RowError> {
    value.as_object().ok_or_else(|| RowError::of_type(at, value, "an object"))
}

pub(super) fn list<'a>(value: &'a Value, at: Place<'_>) -> Result<&'a [Value], RowError> {
    value.as_array().map(Vec::as_slice).ok_or_else(|| RowError::of_type(at, value, "a list"))
}

pub(super) fn text<'a>(value: &'a Value, at: Place<'_>) -> Result<&'a str, RowError> {
    value.as_str().ok_or_else(|| RowError::of_type(at, value, "a string"))
}

pub(super) fn boolean(value: &Value, at: Place<'_>) -> Result<bool, RowError> {
    value.as_bool().ok_or_else(|| RowError::of_type(at, value, "true or false"))
}

/// The text under `key`, empty if there is none.
pub(super) fn optional_text<'a>(
    map: &'a Map<String, Value>,
    key: &'static str,
    at: Place<'_>,
) -> Result<&'a str, RowError> {
    get(map, key).map_or(Ok(""), |value| text(value, at.key(key)))
}

/// A name that is a string or a whole number, under `key`.
pub(super) fn optional_name(
    map: &Map<String, Value>,
    key: &'static str,
    at: Place<'_>,
) -> Result<Option<String>, RowError> {
    match get(map, key) {
        None => Ok(None),
        Some(Value::String(name)) => Ok(Some(name.clone())),
        Some(Value::Number(number)) if !number.is_f64() => Ok(Some(number.to_string())),
        Some(other) => Err(RowError::of_type(at.key(key), other, "a string or a whole number")),
    }
}

/// JSON that is a string inside a row.
pub(super) fn embedded(text: &str, at: Place<'_>, expected: &'static str) -> Result<Value, RowError> {
    let value = strict::from_slice(text.as_bytes()).map_err(|error| RowError::Json {
        at: at.to_string(),
        expected,
        reason: shortened(&error.to_string()),
    })?;
    check_depth(&value, EMBEDDED_DEPTH, at)?;
    Ok(value)
}

/// Refuses values nested more than `limit` levels deep.
pub(super) fn check_depth(value: &Value, limit: usize, at: Place<'_>) -> Result<(), RowError> {
    if fits(value, limit) { Ok(()) } else { Err(RowError::TooDeep { at: at.to_string(), limit }) }
}

/// Looks no deeper than `levels`, so that its own recursion is bounded.
fn fits(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(items) => levels > 0 && items.iter().all(|item| fits(item, levels - 1)),
        Value::Object(entries) => levels > 0 && entries.values().all(|item| fits(item, levels - 1)),
        _ => true,
    }
}

/// A value as its type has it; an error says where in the value, and why.
pub(super) fn typed<T: DeserializeOwned>(value: &Value) -> Result<T, RowError> {
    check_depth(value, ROW_DEPTH, Place::ROW)?;
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let at = if path == "." { Place::ROW.to_string() } else { shortened(&path) };
        RowError::Field { at, reason: shortened(&error.inner().to_string()) }
    })
}
