//! The form of GLM-4.5 and its successors.
//!
//! ```text
//! What I think.
//! <tool_call>editor
//! <arg_key>command</arg_key>
//! <arg_value>view</arg_value>
//! </tool_call>
//! ```
//!
//! Everything between the tags of a value is the value as it stands: nothing is escaped, so a value cannot hold
//! `</arg_value>`. Values are strings; a [`Toolbox`](crate::Toolbox) reads them as numbers or JSON where a tool wants these.

use entropo_core::{AssistantMessage, ToolCall};
use serde_json::{Map, Value};

use super::cursor::{Cursor, render};
use super::{Dialect, FormatError};

const FORM: &str = r"<tool_call>NAME\n<arg_key>KEY</arg_key>\n<arg_value>VALUE</arg_value>\n</tool_call>";
const CALL: &str = "<tool_call>";
const KEY: &str = "<arg_key>";
const VALUE: &str = "<arg_value>";
const END_OF_CALL: &str = "</tool_call>";
const END_OF_KEY: &str = "</arg_key>";
const END_OF_VALUE: &str = "</arg_value>";

/// The form of GLM-4.5; see the [module](self).
#[derive(Clone, Copy, Debug, Default)]
pub struct Glm;

impl Dialect for Glm {
    fn opening(&self) -> &'static str {
        CALL
    }

    fn parse(&self, raw: &str) -> Result<AssistantMessage, FormatError> {
        Cursor::new(raw, FORM).message(CALL, &[KEY, VALUE, END_OF_CALL], call)
    }

    fn render(&self, message: &AssistantMessage) -> String {
        render(message, render_call)
    }
}

fn call(cursor: &mut Cursor<'_>) -> Result<ToolCall, FormatError> {
    cursor.expect(CALL)?;
    let name = name(cursor)?;
    let mut arguments = Map::new();
    while !cursor.accept(END_OF_CALL) {
        if !cursor.accept(KEY) {
            return Err(cursor.expected(&format!("{KEY} or {END_OF_CALL}")));
        }
        let key = text(cursor, KEY, END_OF_KEY)?.trim().to_owned();
        cursor.expect(VALUE)?;
        let value = text(cursor, VALUE, END_OF_VALUE)?.to_owned();
        if arguments.insert(key.clone(), Value::String(value)).is_some() {
            let twice = format!("the argument {key:?} stands twice in one call; give each argument once");
            return Err(FormatError::new(format!("Line {}: {twice}", cursor.line())));
        }
    }
    Ok(ToolCall { id: String::new(), name, arguments: Value::Object(arguments) })
}

/// The name ends where the line or the first argument does.
fn name(cursor: &mut Cursor<'_>) -> Result<String, FormatError> {
    let rest = cursor.rest().trim_start();
    let name = rest.split(['\n', '<']).next().unwrap_or_default().trim();
    if name.is_empty() || name.contains(|char: char| char.is_whitespace() || "{}\"".contains(char)) {
        return Err(cursor.expected(&format!("a name after {CALL}")));
    }
    cursor.accept(name);
    Ok(name.to_owned())
}

/// What stands before `end`, which `begin` asks for.
fn text<'a>(cursor: &mut Cursor<'a>, begin: &str, end: &str) -> Result<&'a str, FormatError> {
    let Some(text) = cursor.take_until(end) else {
        return Err(cursor.error(format!("Line {}: {begin} has no {end}", cursor.line())));
    };
    cursor.accept(end);
    Ok(text)
}

fn render_call(call: &ToolCall) -> String {
    let mut text = format!("{CALL}{}\n", call.name);
    for (key, value) in call.arguments.as_object().into_iter().flatten() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        text.push_str(&format!("{KEY}{key}{END_OF_KEY}\n{VALUE}{value}{END_OF_VALUE}\n"));
    }
    text + END_OF_CALL
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn call(name: &str, arguments: Value) -> ToolCall {
        ToolCall { id: String::new(), name: name.to_owned(), arguments }
    }

    #[test]
    fn text_and_several_calls() {
        let raw = "<think>Hm.</think>\nLook.\n<tool_call>view\n<arg_key>path</arg_key>\n<arg_value>a.py</arg_value>\n\
                   <arg_key>text</arg_key>\n<arg_value>\n  x < 1\n</arg_value>\n</tool_call>\n<tool_call>finish\n\
                   </tool_call>\n";
        let message = Glm.parse(raw).unwrap();
        assert_eq!(message.content, "<think>Hm.</think>\nLook.");
        let calls = [call("view", json!({"path": "a.py", "text": "\n  x < 1\n"})), call("finish", json!({}))];
        assert_eq!(message.tool_calls, calls);
        assert_eq!(Glm.render(&message), raw.trim_end());
    }

    #[test]
    fn layout_is_free() {
        let raw = "<tool_call> view <arg_key> path </arg_key><arg_value>a b</arg_value></tool_call>";
        assert_eq!(Glm.parse(raw).unwrap().tool_calls, [call("view", json!({"path": "a b"}))]);
        let message = Glm.parse(" I am done. ").unwrap();
        assert_eq!((message.content.as_str(), message.tool_calls.len()), ("I am done.", 0));
    }

    #[test]
    fn faults_are_told_precisely() {
        let faults = [
            ("x <arg_key>", "There is a <arg_key> outside <tool_call>"),
            ("<tool_call>\n", "Line 2: a name after <tool_call> is expected, found the end of the reply"),
            ("<tool_call>\n{\"name\": 1}", "Line 2: a name after <tool_call> is expected, found \"{\\\"name\\\": 1}\""),
            ("<tool_call>view\n", "Line 2: <arg_key> or </tool_call> is expected, found the end of the reply"),
            ("<tool_call>view\nx", "Line 2: <arg_key> or </tool_call> is expected, found \"x\""),
            ("<tool_call>view\n<arg_key>x", "Line 2: <arg_key> has no </arg_key>"),
            ("<tool_call>view\n<arg_key>x</arg_key>\n1", "Line 3: <arg_value> is expected, found \"1\""),
            ("<tool_call>view\n<arg_key>x</arg_key>\n<arg_value>1", "Line 3: <arg_value> has no </arg_value>"),
            (
                "<tool_call>f<arg_key>x</arg_key><arg_value>1</arg_value>\n<arg_key>x</arg_key><arg_value>2</arg_value>",
                "Line 2: the argument \"x\" stands twice in one call",
            ),
            ("<tool_call>f</tool_call>\nWell,", "Line 2: <tool_call> is expected, found \"Well,\""),
        ];
        for (raw, start) in faults {
            let fault = Glm.parse(raw).unwrap_err().to_string();
            assert!(fault.starts_with(start), "{fault}");
            assert!(!fault.contains('\n'));
            let (message, error) = Glm.read(raw);
            assert_eq!((message.content.as_str(), error), (raw, Some(fault)));
        }
    }

    fn any_call() -> impl Strategy<Value = ToolCall> {
        let value = "(?s).{0,40}".prop_filter("not representable", |value| !value.contains(END_OF_VALUE));
        let arguments = prop::collection::vec(("[a-z_]{1,8}", value), 0..4);
        ("[a-z_]{1,8}", arguments).prop_map(|(name, arguments)| {
            let arguments: Map<_, _> = arguments.into_iter().map(|(key, value)| (key, Value::String(value))).collect();
            ToolCall { id: String::new(), name, arguments: Value::Object(arguments) }
        })
    }

    proptest! {
        #[test]
        fn what_is_rendered_is_read_back(content in "[^<]{0,40}", calls in prop::collection::vec(any_call(), 0..4)) {
            let written = AssistantMessage { content: content.trim().to_owned(), tool_calls: calls, raw: None };
            let raw = Glm.render(&written);
            let read = Glm.parse(&raw).unwrap();
            prop_assert_eq!(read, AssistantMessage { raw: Some(raw), ..written });
        }

        #[test]
        fn any_text_is_read_or_refused(pieces in prop::collection::vec(
            prop_oneof![
                Just(CALL), Just(KEY), Just(VALUE), Just(END_OF_CALL), Just(END_OF_KEY), Just(END_OF_VALUE), Just("a"),
                Just("\n"), Just("é"), Just("x y")
            ], 0..20), noise in "(?s).{0,20}"
        ) {
            let raw = pieces.concat() + &noise;
            if let Err(error) = Glm.parse(&raw) {
                prop_assert!(!error.to_string().contains('\n'));
            }
        }
    }
}
