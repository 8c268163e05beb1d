//! JSON as Python's `json.dumps` writes it.
//!
//! Templates put tool declarations and arguments into the prompt with `tojson`. Models were trained on Python's
//! spacing, key order and numbers, so every byte matters.

use std::fmt::Write as _;

use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{Error, ErrorKind, State};

use super::print::{deeper, float, invalid, items, pay};

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
pub(super) fn tojson(
    state: &State<'_, '_>,
    value: Value,
    ensure_ascii: Option<bool>,
    indent: Option<usize>,
    options: Kwargs,
) -> Result<Value, Error> {
    let indent = indent.or(options.get("indent")?);
    let (item_separator, key_separator) = match options.get::<Option<Vec<String>>>("separators")?.as_deref() {
        Some([item, key]) => (item.clone(), key.clone()),
        Some(_) => return Err(invalid("tojson: separators must be two strings")),
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
    let mut writer = Writer { style, state, out: String::new() };
    writer.write(&value, 0)?;
    Ok(Value::from(writer.out))
}

/// JSON in the making, paid for with the template's fuel.
struct Writer<'a, 'template, 'env> {
    style: Style,
    state: &'a State<'template, 'env>,
    out: String,
}

impl Writer<'_, '_, '_> {
    fn write(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        pay(self.state, 0)?;
        match value.kind() {
            ValueKind::String => self.write_text(value.as_str().unwrap_or_default())?,
            ValueKind::None | ValueKind::Bool | ValueKind::Number => self.out.push_str(&scalar(value)),
            ValueKind::Seq | ValueKind::Iterable => {
                let items = items(self.state, value)?;
                self.write_container(['[', ']'], &items, depth, |writer, item, depth| writer.write(item, depth))?;
            }
            ValueKind::Map => {
                let mut keys = items(self.state, value)?;
                if self.style.sort_keys {
                    keys.sort();
                }
                self.write_container(['{', '}'], &keys, depth, |writer, key, depth| {
                    match key.as_str() {
                        Some(text) => writer.write_text(text)?,
                        None => writer.write_text(&scalar(key))?,
                    }
                    writer.out.push_str(&writer.style.key_separator);
                    writer.write(&value.get_item(key)?, depth)
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
        &mut self,
        [open, close]: [char; 2],
        items: &[Value],
        depth: usize,
        mut write_item: impl FnMut(&mut Self, &Value, usize) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let inner = deeper(depth)?;
        self.out.push(open);
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                pay(self.state, self.style.item_separator.len() + self.style.key_separator.len())?;
                self.out.push_str(&self.style.item_separator);
            }
            self.break_line(inner)?;
            write_item(self, item, inner)?;
        }
        if !items.is_empty() {
            self.break_line(depth)?;
        }
        self.out.push(close);
        Ok(())
    }

    fn break_line(&mut self, depth: usize) -> Result<(), Error> {
        if let Some(indent) = self.style.indent {
            let spaces = indent.saturating_mul(depth);
            pay(self.state, spaces)?;
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n(' ', spaces));
        }
        Ok(())
    }

    fn write_text(&mut self, text: &str) -> Result<(), Error> {
        pay(self.state, text.len())?;
        self.out.push('"');
        for character in text.chars() {
            match character {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                _ if character < ' ' || (self.style.ensure_ascii && !character.is_ascii()) => {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        let _ = write!(self.out, "\\u{unit:04x}");
                    }
                }
                _ => self.out.push(character),
            }
        }
        self.out.push('"');
        Ok(())
    }
}

/// `null`, a boolean or a number.
fn scalar(value: &Value) -> String {
    match value.kind() {
        ValueKind::None => "null".to_owned(),
        ValueKind::Bool => value.is_true().to_string(),
        _ => match float(value).as_deref() {
            Some("inf") => "Infinity".to_owned(),
            Some("-inf") => "-Infinity".to_owned(),
            Some("nan") => "NaN".to_owned(),
            Some(number) => number.to_owned(),
            None => value.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dumps(value: Value, options: &[(&str, Value)]) -> String {
        try_dumps(value, options).unwrap()
    }

    fn try_dumps(value: Value, options: &[(&str, Value)]) -> Result<String, Error> {
        let options = options.iter().map(|(name, value)| (*name, value.clone())).collect();
        let environment = minijinja::Environment::new();
        tojson(&environment.empty_state(), value, None, None, options).map(|json| json.to_string())
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
        assert!(try_dumps(Value::UNDEFINED, &[("indent", Value::from(2))]).is_err());
        assert!(try_dumps(Value::from(1), &[("color", Value::from(2))]).is_err());
    }
}
