//! Values as Python prints them: `str` and `repr`.
//!
//! A template can build in a few steps a list that holds itself many times over, so that a page of Jinja would print
//! for years. Everything that walks a value therefore pays for each step with the template's fuel, here and in
//! [`super::json`].

use std::fmt::Write;

use minijinja::value::{Value, ValueKind};
use minijinja::{Error, ErrorKind, State};

/// How deep values may be nested. Messages and tools come from JSON, whose reader stops at 128.
const MAX_DEPTH: usize = 200;
/// How many bytes one unit of fuel pays for, as in minijinja itself.
const BYTES_PER_FUEL: u64 = 64;

/// Pays for one step and for reading or writing `bytes`.
pub(super) fn pay(state: &State<'_, '_>, bytes: usize) -> Result<(), Error> {
    state.consume_fuel(1 + bytes as u64 / BYTES_PER_FUEL)
}

/// The depth below `depth`, unless that is too deep.
pub(super) fn deeper(depth: usize) -> Result<usize, Error> {
    if depth >= MAX_DEPTH {
        return Err(invalid(format!("a value is nested in itself, or deeper than {MAX_DEPTH}")));
    }
    Ok(depth + 1)
}

/// An operation that cannot be done.
pub(super) fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}

/// The items of a list, or the keys of a map.
pub(super) fn items(state: &State<'_, '_>, value: &Value) -> Result<Vec<Value>, Error> {
    value.try_iter()?.map(|item| pay(state, size_of::<Value>()).map(|()| item)).collect()
}

/// Python's `str(value)`.
pub(super) fn text(state: &State<'_, '_>, value: &Value) -> Result<String, Error> {
    let mut out = String::new();
    print(state, &mut out, value)?;
    Ok(out)
}

/// Writes Python's `str(value)`.
pub(super) fn print(state: &State<'_, '_>, out: &mut dyn Write, value: &Value) -> Result<(), Error> {
    match value.as_str() {
        Some(text) => {
            pay(state, text.len())?;
            Ok(out.write_str(text)?)
        }
        None => represent(state, out, value, 0),
    }
}

/// Writes Python's `repr(value)`.
fn represent(state: &State<'_, '_>, out: &mut dyn Write, value: &Value, depth: usize) -> Result<(), Error> {
    pay(state, 0)?;
    match value.kind() {
        ValueKind::String => {
            let text = value.as_str().unwrap_or_default();
            pay(state, text.len())?;
            Ok(quote(out, text)?)
        }
        ValueKind::Seq | ValueKind::Iterable => {
            let depth = deeper(depth)?;
            let (open, close) = if value.is_tuple() { ('(', ')') } else { ('[', ']') };
            out.write_char(open)?;
            let mut items = 0;
            for item in value.try_iter()? {
                out.write_str(if items > 0 { ", " } else { "" })?;
                represent(state, out, &item, depth)?;
                items += 1;
            }
            out.write_str(if value.is_tuple() && items == 1 { "," } else { "" })?;
            Ok(out.write_char(close)?)
        }
        ValueKind::Map => {
            let depth = deeper(depth)?;
            out.write_char('{')?;
            for (index, key) in value.try_iter()?.enumerate() {
                out.write_str(if index > 0 { ", " } else { "" })?;
                represent(state, out, &key, depth)?;
                out.write_str(": ")?;
                represent(state, out, &value.get_item(&key)?, depth)?;
            }
            Ok(out.write_char('}')?)
        }
        _ => match float(value) {
            Some(number) => Ok(out.write_str(&number)?),
            None => Ok(write!(out, "{value}")?),
        },
    }
}

/// A text in quotes: single ones, unless it holds those and no double ones.
fn quote(out: &mut dyn Write, text: &str) -> std::fmt::Result {
    let mark = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.write_char(mark)?;
    for character in text.chars() {
        match character {
            '\\' => out.write_str("\\\\")?,
            '\n' => out.write_str("\\n")?,
            '\r' => out.write_str("\\r")?,
            '\t' => out.write_str("\\t")?,
            _ if character == mark => write!(out, "\\{character}")?,
            _ if is_printable(character) => out.write_char(character)?,
            _ => match u32::from(character) {
                code @ ..0x100 => write!(out, "\\x{code:02x}")?,
                code @ ..0x10000 => write!(out, "\\u{code:04x}")?,
                code => write!(out, "\\U{code:08x}")?,
            },
        }
    }
    out.write_char(mark)
}

/// Python's `str.isprintable`, by the tables behind Rust's own debug output. There, marks that combine with the
/// character before them count as printable only if there is one.
fn is_printable(character: char) -> bool {
    let mut text = [0; 5];
    if character.is_ascii() {
        return !character.is_ascii_control();
    }
    let length = 1 + character.encode_utf8(text.get_mut(1..).unwrap_or_default()).len();
    if let Some(first) = text.first_mut() {
        *first = b'x';
    }
    let text = text.get(..length).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default();
    text.escape_debug().count() == 2
}

/// A floating-point number as Python writes it: the fewest digits that read back as the same number, an exponent below
/// 1e-4 and from 1e16 on. `None` for every other value.
pub(super) fn float(value: &Value) -> Option<String> {
    if value.kind() != ValueKind::Number || value.is_integer() {
        return None;
    }
    let number = f64::try_from(value.clone()).ok()?;
    if !number.is_finite() {
        let infinity = if number > 0.0 { "inf" } else { "-inf" };
        return Some(if number.is_nan() { "nan" } else { infinity }.to_owned());
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e')?;
    let exponent: i32 = exponent.parse().ok()?;
    if number == 0.0 || (-4..16).contains(&exponent) {
        return Some(format!("{number:?}"));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    Some(format!("{digits}e{sign}{:02}", exponent.abs()))
}

#[cfg(test)]
mod tests {
    use minijinja::Environment;

    use super::*;

    fn printed(value: impl Into<Value>) -> String {
        text(&Environment::new().empty_state(), &value.into()).unwrap()
    }

    /// Expected values from Python's `str`.
    #[test]
    fn values_print_as_in_python() {
        assert_eq!(printed("it's"), "it's");
        assert_eq!(printed(vec![Value::from("it's"), Value::from(1e16), Value::from(())]), "[\"it's\", 1e+16, None]");
        assert_eq!(printed(Value::from_pairs([("a", vec![true])])), "{'a': [True]}");
        assert_eq!(printed(f64::NEG_INFINITY), "-inf");
        let odd = "\u{0}\u{7f}é\u{301}\u{ad}\u{a0}\u{200d}\u{2028}日\u{e000}👩\u{e0001}\\'\"";
        let expected = "['\\x00\\x7fé\u{301}\\xad\\xa0\\u200d\\u2028日\\ue000👩\\U000e0001\\\\\\'\"']";
        assert_eq!(printed(vec![Value::from(odd)]), expected);
    }

    #[test]
    fn what_holds_itself_many_times_is_not_walked_to_the_end() {
        let mut environment = Environment::new();
        environment.set_fuel(Some(10_000));
        let state = environment.empty_state();
        let doubled = (0..60).fold(Value::from(1), |value, _| Value::from(vec![value.clone(), value]));
        assert_eq!(text(&state, &doubled).unwrap_err().kind(), ErrorKind::OutOfFuel);
        let nested = (0..MAX_DEPTH + 1).fold(Value::from(1), |value, _| Value::from(vec![value]));
        assert!(text(&Environment::new().empty_state(), &nested).unwrap_err().to_string().contains("200"));
    }
}
