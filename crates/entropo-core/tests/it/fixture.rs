//! Files of other programs' formats, written for these tests.

use std::path::PathBuf;

use entropo_core::format::{Lines, document};
use serde_json::Value;

/// Where the file `name` of `tests/data` is.
pub(crate) fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

pub(crate) fn text(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A file that is one value.
pub(crate) fn value(name: &str) -> Value {
    document(text(name).as_bytes(), 1 << 20).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The rows of a file of lines.
pub(crate) fn rows(name: &str) -> Vec<Value> {
    Lines::new(text(name).as_bytes()).map(|line| line.value.unwrap()).collect()
}

/// A value with what is at `pointer` replaced, or removed.
pub(crate) fn with(value: &Value, pointer: &str, other: Option<Value>) -> Value {
    let mut value = value.clone();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = value.pointer_mut(parent).unwrap_or_else(|| panic!("nothing is at {parent}"));
    match (parent, other) {
        (Value::Object(fields), Some(other)) => drop(fields.insert(key.to_owned(), other)),
        (Value::Object(fields), None) => drop(fields.shift_remove(key)),
        (Value::Array(items), Some(other)) => items[key.parse::<usize>().unwrap()] = other,
        (Value::Array(items), None) => drop(items.remove(key.parse().unwrap())),
        (other, _) => panic!("{other} has no entries"),
    }
    value
}
