//! The methods of Python's strings, lists and dictionaries that templates call.
//!
//! Most are those of minijinja's own Python compatibility. Here are the ones it lacks or does differently, and the
//! price of all of them: minijinja charges a template only for what a method returns, after the fact, but
//! `text.replace('', text)` must be refused before it fills the memory.

use minijinja::value::{Tuple, Value, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State};
use minijinja_contrib::pycompat;

use super::print::{self, invalid, items, pay};

/// Calls a method of a value.
pub(super) fn call(
    state: &mut State<'_, '_>,
    value: &Value,
    method: &str,
    arguments: &[Value],
) -> Result<Value, Error> {
    let read: usize = arguments.iter().filter_map(Value::as_str).map(str::len).sum();
    match (value.as_str(), value.kind()) {
        (Some(text), _) => {
            pay(state, text.len() + read)?;
            string_method(state, value, text, method, arguments)
        }
        (None, ValueKind::Seq) => {
            pay(state, value.len().unwrap_or(0).saturating_mul(size_of::<Value>()))?;
            match method {
                "index" => {
                    let (wanted,): (&Value,) = from_args(arguments)?;
                    let found = items(state, value)?.iter().position(|item| item == wanted);
                    found.map(Value::from).ok_or_else(|| invalid("index: the list does not hold that value"))
                }
                _ => pycompat::unknown_method_callback(state, value, method, arguments),
            }
        }
        _ => pycompat::unknown_method_callback(state, value, method, arguments),
    }
}

fn string_method(
    state: &mut State<'_, '_>,
    value: &Value,
    text: &str,
    method: &str,
    arguments: &[Value],
) -> Result<Value, Error> {
    match method {
        "join" => join(state, text, arguments),
        "replace" => {
            let (old, new, _count): (&str, &str, Option<i32>) = from_args(arguments)?;
            pay(state, text.matches(old).count().saturating_mul(new.len()))?;
            pycompat::unknown_method_callback(state, value, method, arguments)
        }
        "split" | "splitlines" => {
            let separator = arguments.first().and_then(Value::as_str);
            let pieces = separator.map_or(text.len() / 2, |separator| text.matches(separator).count());
            pay(state, pieces.saturating_mul(size_of::<Value>()))?;
            pycompat::unknown_method_callback(state, value, method, arguments)
        }
        "format" => {
            pay(state, widths(text).fold(0, usize::saturating_add))?;
            let printed: Result<Vec<Value>, Error> =
                arguments.iter().map(|argument| printed_container(state, argument)).collect();
            pycompat::unknown_method_callback(state, value, method, &printed?)
        }
        "center" | "ljust" | "rjust" | "zfill" => pad(state, text, method, arguments),
        "rsplit" => rsplit(text, arguments),
        "partition" | "rpartition" => partition(text, method == "rpartition", arguments),
        "removeprefix" => {
            let (prefix,): (&str,) = from_args(arguments)?;
            Ok(text.strip_prefix(prefix).unwrap_or(text).into())
        }
        "removesuffix" => {
            let (suffix,): (&str,) = from_args(arguments)?;
            Ok(text.strip_suffix(suffix).unwrap_or(text).into())
        }
        "index" | "rindex" => {
            let name = if method == "index" { "find" } else { "rfind" };
            let found = pycompat::unknown_method_callback(state, value, name, arguments)?;
            let missing = found.as_i64().is_none_or(|place| place < 0);
            if missing { Err(invalid(format!("{method}: the text does not hold that text"))) } else { Ok(found) }
        }
        "title" => {
            let () = from_args(arguments)?;
            Ok(title(text).into())
        }
        "swapcase" => {
            let () = from_args(arguments)?;
            let swap = |character: char| match character.is_uppercase() {
                true => character.to_lowercase().to_string(),
                false => character.to_uppercase().to_string(),
            };
            Ok(text.chars().map(swap).collect::<String>().into())
        }
        _ => pycompat::unknown_method_callback(state, value, method, arguments),
    }
}

/// `separator.join(texts)`, which as in Python joins nothing but texts.
fn join(state: &State<'_, '_>, separator: &str, arguments: &[Value]) -> Result<Value, Error> {
    let (texts,): (&Value,) = from_args(arguments)?;
    let mut joined = String::new();
    for (index, item) in texts.try_iter()?.enumerate() {
        let text = item.as_str().ok_or_else(|| invalid(format!("join: item {index} is a {}, no text", item.kind())))?;
        pay(state, separator.len() + text.len())?;
        joined.push_str(if index > 0 { separator } else { "" });
        joined.push_str(text);
    }
    Ok(joined.into())
}

/// The `join` filter: values of any type, or an attribute of each.
pub(super) fn join_filter(
    state: &mut State<'_, '_>,
    value: &Value,
    separator: Option<&str>,
    attribute: Option<Value>,
    options: minijinja::value::Kwargs,
) -> Result<Value, Error> {
    let separator = separator.or(options.get("d")?).unwrap_or_default();
    let attribute = attribute.or(options.get("attribute")?);
    options.assert_all_used()?;
    let value = match attribute {
        Some(attribute) => {
            let options = minijinja::value::Kwargs::from_iter([("attribute", attribute)]);
            state.apply_filter("map", &[value.clone(), options.into()])?
        }
        None => value.clone(),
    };
    let mut joined = String::new();
    for (index, item) in value.try_iter()?.enumerate() {
        pay(state, separator.len())?;
        joined.push_str(if index > 0 { separator } else { "" });
        print::print(state, &mut joined, &item)?;
    }
    Ok(joined.into())
}

/// Lists and dictionaries as their text; everything else as it is.
fn printed_container(state: &State<'_, '_>, value: &Value) -> Result<Value, Error> {
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => print::text(state, value).map(Value::from),
        ValueKind::Map if !value.is_kwargs() => print::text(state, value).map(Value::from),
        _ => Ok(value.clone()),
    }
}

/// Every number in a format text: the widths and precisions that it asks for are among them.
fn widths(format: &str) -> impl Iterator<Item = usize> {
    let numbers = format.split(|character: char| !character.is_ascii_digit()).filter(|digits| !digits.is_empty());
    numbers.map(|digits| digits.parse().unwrap_or(usize::MAX))
}

fn pad(state: &State<'_, '_>, text: &str, method: &str, arguments: &[Value]) -> Result<Value, Error> {
    let (width, fill): (usize, Option<char>) = from_args(arguments)?;
    let fill = if method == "zfill" { '0' } else { fill.unwrap_or(' ') };
    let missing = width.saturating_sub(text.chars().count());
    pay(state, missing.saturating_mul(fill.len_utf8()))?;
    let (sign, text) = match method {
        "zfill" if text.starts_with(['+', '-']) => text.split_at(1),
        _ => ("", text),
    };
    let left = match method {
        "ljust" => 0,
        // Where the two sides cannot be equal, Python gives the left one more if the width is odd.
        "center" => missing / 2 + (missing & width & 1),
        _ => missing,
    };
    let filled = |count| std::iter::repeat_n(fill, count);
    let padded: String = sign.chars().chain(filled(left)).chain(text.chars()).chain(filled(missing - left)).collect();
    Ok(padded.into())
}

fn rsplit(text: &str, arguments: &[Value]) -> Result<Value, Error> {
    let (separator, most): (Option<&str>, Option<i64>) = from_args(arguments)?;
    let pieces = most.and_then(|most| usize::try_from(most).ok()).map_or(usize::MAX, |most| most.saturating_add(1));
    let mut split: Vec<Value> = match separator {
        Some("") => return Err(invalid("rsplit: the separator is empty")),
        Some(separator) => text.rsplitn(pieces, separator).map(Value::from).collect(),
        None => {
            let (mut rest, mut split) = (text.trim_end(), Vec::new());
            while !rest.is_empty() {
                let last = split.len() + 1 == pieces;
                let start = if last { None } else { rest.rfind(char::is_whitespace) };
                let start = start.map_or(0, |space| super::look_alike::after_character(rest, space));
                let (before, piece) = rest.split_at(start);
                split.push(Value::from(piece));
                rest = before.trim_end();
            }
            split
        }
    };
    split.reverse();
    Ok(split.into())
}

fn partition(text: &str, from_right: bool, arguments: &[Value]) -> Result<Value, Error> {
    let (separator,): (&str,) = from_args(arguments)?;
    if separator.is_empty() {
        return Err(Error::new(ErrorKind::InvalidOperation, "partition: the separator is empty"));
    }
    let parts = match (text.split_once(separator), text.rsplit_once(separator)) {
        (Some((before, after)), _) if !from_right => [before, separator, after],
        (_, Some((before, after))) if from_right => [before, separator, after],
        _ if from_right => ["", "", text],
        _ => [text, "", ""],
    };
    Ok(Value::from(Tuple::from(parts.map(Value::from))))
}

/// Letters after anything but a letter large, all others small.
fn title(text: &str) -> String {
    let mut titled = String::with_capacity(text.len());
    let mut inside = false;
    for character in text.chars() {
        match inside {
            true => titled.extend(character.to_lowercase()),
            false => titled.extend(character.to_uppercase()),
        }
        inside = character.is_lowercase() || character.is_uppercase();
    }
    titled
}
