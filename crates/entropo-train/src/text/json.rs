//! JSON as Python's `json.dumps` writes it.
//!
//! Templates put tool declarations and arguments into the prompt with `tojson`. Models were trained on Python's
//! spacing, key order and numbers, so every byte matters.

use std::fmt::Write as _;

use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{Error, ErrorKind};

/// How `json.dumps` was asked to write.
struct Style {
    ensure_ascii: bool,
    sort_keys: bool,
    indent: Option<usize>,
    item_separator: String,
    key_separator: String,
}

/// The `tojson` filter of transformers: `json.dumps` with `ensure_ascii=False` unless asked otherwise, nothing escaped
/// for HTML.
pub(super) fn tojson(value: Value, ensure_ascii: Option<bool>, options: Kwargs) -> Result<Value, Error> {
    let indent: Option<usize> = options.get("indent")?;
    let (item_separator, key_separator) = match options.get::<Option<Vec<String>>>("separators")?.as_deref() {
        Some([item, key]) => (item.clone(), key.clone()),
        Some(_) => return Err(Error::new(ErrorKind::InvalidOperation, "tojson: separators must be two strings")),
        None => (if indent.is_some() { "," } else { ", " }.to_owned(), ": ".to_owned()),
    };
    let style = Style {
        ensure_ascii: ensure_ascii.or(options.get("ensure_ascii")?).unwrap_or(false),
        sort_keys: options.get::<Option<bool>>("sort_keys")?.unwrap_or(false),
        indent,
        item_separator,
        key_separator,
    };
    options.assert_all_used()?;
    let mut out = String::new();
    style.write(&mut out, &value, 0)?;
    Ok(Value::from(out))
}

impl Style {
    fn write(&self, out: &mut String, value: &Value, depth: usize) -> Result<(), Error> {
        match value.kind() {
            ValueKind::String => self.write_text(out, value.as_str().unwrap_or_default()),
            ValueKind::None | ValueKind::Bool | ValueKind::Number => out.push_str(&scalar(value)),
            ValueKind::Seq | ValueKind::Iterable => {
                let items: Vec<Value> = value.try_iter()?.collect();
                self.write_container(out, ['[', ']'], &items, depth, |out, item| self.write(out, item, depth + 1))?;
            }
            ValueKind::Map => {
                let mut keys: Vec<Value> = value.try_iter()?.collect();
                if self.sort_keys {
                    keys.sort();
                }
                self.write_container(out, ['{', '}'], &keys, depth, |out, key| {
                    match key.as_str() {
                        Some(text) => self.write_text(out, text),
                        None => self.write_text(out, &scalar(key)),
                    }
                    out.push_str(&self.key_separator);
                    self.write(out, &value.get_item(key)?, depth + 1)
                })?;
            }
            kind => {
                let message = format!("tojson: a value of type {kind} cannot be written as JSON");
                return Err(Error::new(ErrorKind::BadSerialization, message));
            }
        }
        Ok(())
    }

    fn write_container(
        &self,
        out: &mut String,
        [open, close]: [char; 2],
        items: &[Value],
        depth: usize,
        mut write_item: impl FnMut(&mut String, &Value) -> Result<(), Error>,
    ) -> Result<(), Error> {
        out.push(open);
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                out.push_str(&self.item_separator);
            }
            self.break_line(out, depth + 1);
            write_item(out, item)?;
        }
        if !items.is_empty() {
            self.break_line(out, depth);
        }
        out.push(close);
        Ok(())
    }

    fn break_line(&self, out: &mut String, depth: usize) {
        if let Some(indent) = self.indent {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent * depth));
        }
    }

    fn write_text(&self, out: &mut String, text: &str) {
        out.push('"');
        for character in text.chars() {
            match character {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                _ if character < ' ' || (self.ensure_ascii && !character.is_ascii()) => {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        let _ = write!(out, "\\u{unit:04x}");
                    }
                }
                _ => out.push(character),
            }
        }
        out.push('"');
    }
}

/// `null`, a boolean or a number.
fn scalar(value: &Value) -> String {
    match value.kind() {
        ValueKind::None => "null".to_owned(),
        ValueKind::Bool => value.is_true().to_string(),
        _ => float(value).unwrap_or_else(|| value.to_string()),
    }
}

/// A floating-point number as Python writes it: the fewest digits that read back as the same number, an exponent below
/// 1e-4 and from 1e16 on. `None` for every other value.
pub(super) fn float(value: &Value) -> Option<String> {
    if value.kind() != ValueKind::Number || value.is_integer() {
        return None;
    }
    let number = f64::try_from(value.clone()).ok()?;
    if !number.is_finite() {
        let infinity = if number > 0.0 { "Infinity" } else { "-Infinity" };
        return Some(if number.is_nan() { "NaN" } else { infinity }.to_owned());
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
    use super::*;

    fn dumps(value: Value, options: &[(&str, Value)]) -> String {
        let options = options.iter().map(|(name, value)| (*name, value.clone())).collect();
        tojson(value, None, options).unwrap().to_string()
    }

    #[test]
    fn floats_as_python_prints_them() {
        let cases = [
            (0.1, "0.1"),
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (1e-4, "0.0001"),
            (0.00012345, "0.00012345"),
            (1e-5, "1e-05"),
            (2.5e-9, "2.5e-09"),
            (1e15, "1000000000000000.0"),
            (123456789012345680.0, "1.2345678901234568e+17"),
            (1e16, "1e+16"),
            (9007199254740993.0, "9007199254740992.0"),
            (1e100, "1e+100"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
            (f64::NAN, "NaN"),
        ];
        for (number, expected) in cases {
            assert_eq!(dumps(Value::from(number), &[]), expected);
        }
    }

    #[test]
    fn strings_escape_what_python_escapes() {
        let text = "q\"\\\n\r\t\u{8}\u{c}\u{1}\u{7f}/é<&>'\u{2028}🙂";
        let expected = "\"q\\\"\\\\\\n\\r\\t\\b\\f\\u0001\u{7f}/é<&>'\u{2028}🙂\"";
        assert_eq!(dumps(Value::from(text), &[]), expected);
        assert_eq!(dumps(Value::from("é🙂"), &[("ensure_ascii", true.into())]), r#""\u00e9\ud83d\ude42""#);
    }

    #[test]
    fn containers_follow_separators_indent_and_order() {
        let inner = Value::from_pairs([("z", Value::from(())), ("a", Value::from(true))]);
        let empty = Value::from(Vec::<Value>::new());
        let value = Value::from_pairs([("list", Value::from(vec![inner, Value::from(3)])), ("none", empty)]);
        assert_eq!(dumps(value.clone(), &[]), r#"{"list": [{"z": null, "a": true}, 3], "none": []}"#);
        let indented = "{\n  \"list\": [\n    {\n      \"z\": null,\n      \"a\": true\n    },\n    3\n  ],\n  \
            \"none\": []\n}";
        assert_eq!(dumps(value.clone(), &[("indent", 2.into())]), indented);
        let options = [("separators", Value::from(vec![",", ":"])), ("sort_keys", true.into())];
        assert_eq!(dumps(value, &options), r#"{"list":[{"a":true,"z":null},3],"none":[]}"#);
    }

    #[test]
    fn undefined_and_unknown_options_are_refused() {
        assert!(tojson(Value::UNDEFINED, None, Kwargs::from_iter([("indent", Value::from(2))])).is_err());
        assert!(tojson(Value::from(1), None, Kwargs::from_iter([("color", Value::from(2))])).is_err());
    }
}
