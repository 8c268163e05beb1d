//! The XML form of Qwen3-Coder.
//!
//! ```text
//! What I think.
//! <tool_call>
//! <function=editor>
//! <parameter=command>
//! view
//! </parameter>
//! </function>
//! </tool_call>
//! ```
//!
//! One newline at each end of a value belongs to the form, everything between is the value as it stands: nothing is
//! escaped, so code passes unharmed, and a value cannot hold `</parameter>`. Values are strings; a
//! [`Toolbox`](crate::Toolbox) reads them as numbers where a tool wants numbers.

use entropo_core::{AssistantMessage, ToolCall};
use serde_json::{Map, Value};

use super::cursor::{Cursor, render};
use super::{Dialect, FormatError};

const FORM: &str = r"<tool_call>\n<function=NAME>\n<parameter=KEY>\nVALUE\n</parameter>\n</function>\n</tool_call>";
const CALL: &str = "<tool_call>";
const FUNCTION: &str = "<function=";
const PARAMETER: &str = "<parameter=";
const END_OF_CALL: &str = "</tool_call>";
const END_OF_FUNCTION: &str = "</function>";
const END_OF_PARAMETER: &str = "</parameter>";

/// The XML form of Qwen3-Coder; see the [module](self).
#[derive(Clone, Copy, Debug, Default)]
pub struct Xml;

impl Dialect for Xml {
    fn opening(&self) -> &'static str {
        CALL
    }

    fn parse(&self, raw: &str) -> Result<AssistantMessage, FormatError> {
        Cursor::new(raw, FORM).message(CALL, &[FUNCTION, PARAMETER, END_OF_CALL], call)
    }

    fn render(&self, message: &AssistantMessage) -> String {
        render(message, render_call)
    }
}

fn call(cursor: &mut Cursor<'_>) -> Result<ToolCall, FormatError> {
    cursor.expect(CALL)?;
    cursor.expect(FUNCTION)?;
    let name = tag_name(cursor, FUNCTION)?;
    let mut arguments = Map::new();
    while !cursor.accept(END_OF_FUNCTION) {
        if !cursor.accept(PARAMETER) {
            return Err(cursor.expected(&format!("{PARAMETER}KEY> or {END_OF_FUNCTION}")));
        }
        let key = tag_name(cursor, PARAMETER)?;
        let Some(value) = cursor.take_until(END_OF_PARAMETER) else {
            return Err(cursor.error(format!("{PARAMETER}{key}> has no {END_OF_PARAMETER}")));
        };
        cursor.accept(END_OF_PARAMETER);
        let value = value.strip_prefix('\n').unwrap_or(value);
        let value = value.strip_suffix('\n').unwrap_or(value);
        if arguments.insert(key.clone(), Value::String(value.to_owned())).is_some() {
            return Err(FormatError::new(format!(
                "{PARAMETER}{key}> stands twice in one call; give each argument once"
            )));
        }
    }
    cursor.expect(END_OF_CALL)?;
    Ok(ToolCall { id: String::new(), name, arguments: Value::Object(arguments) })
}

fn render_call(call: &ToolCall) -> String {
    let mut text = format!("{CALL}\n{FUNCTION}{}>\n", call.name);
    for (key, value) in call.arguments.as_object().into_iter().flatten() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        text.push_str(&format!("{PARAMETER}{key}>\n{value}\n{END_OF_PARAMETER}\n"));
    }
    text + END_OF_FUNCTION + "\n" + END_OF_CALL
}

/// The rest of a tag that ends in a name and `>`.
fn tag_name(cursor: &mut Cursor<'_>, tag: &str) -> Result<String, FormatError> {
    match cursor.rest().split_once('>') {
        Some((name, _)) if !name.trim().is_empty() && !name.contains(['\n', '<']) => {
            cursor.skip(name.len() + 1);
            Ok(name.trim().to_owned())
        }
        _ => Err(cursor.expected(&format!("a name and > after {tag}"))),
    }
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
        let raw = "Look.\n<tool_call>\n<function=view>\n<parameter=path>\na.py\n</parameter>\n<parameter=text>\n\n  x\n\n\
                   </parameter>\n</function>\n</tool_call>\n<tool_call>\n<function=finish>\n</function>\n</tool_call>\n";
        let message = Xml.parse(raw).unwrap();
        assert_eq!(message.content, "Look.");
        let calls = [call("view", json!({"path": "a.py", "text": "\n  x\n"})), call("finish", json!({}))];
        assert_eq!(message.tool_calls, calls);
        assert_eq!(Xml.render(&message), raw.trim_end());
    }

    #[test]
    fn no_call_is_no_error() {
        let message = Xml.parse(" I am done. ").unwrap();
        assert_eq!((message.content.as_str(), message.tool_calls.len()), ("I am done.", 0));
    }

    #[test]
    fn faults_are_told_precisely() {
        let faults = [
            ("<function=a></function>", "There is a <function= outside <tool_call>"),
            ("<tool_call>\n<function=a>\n</function>", "Line 3: </tool_call> is expected, found the end of the reply"),
            ("<tool_call>\n{\"name\": 1}", "Line 2: <function= is expected, found \"{\\\"name\\\": 1}\""),
            ("<tool_call><function=a><parameter=b>\nx", "<parameter=b> has no </parameter>"),
            ("<tool_call><function=>", "Line 1: a name and > after <function= is expected, found \">\""),
            ("<tool_call><function=a>x</function>", "Line 1: <parameter=KEY> or </function> is expected, found \"x<"),
            (
                "<tool_call><function=a><parameter=b>1</parameter><parameter=b>2</parameter>",
                "<parameter=b> stands twice",
            ),
            (
                "<tool_call><function=a></function></tool_call>\nWell,",
                "Line 2: <tool_call> is expected, found \"Well,\"",
            ),
        ];
        for (raw, start) in faults {
            let fault = Xml.parse(raw).unwrap_err().to_string();
            assert!(fault.starts_with(start), "{fault}");
            assert!(!fault.contains('\n'));
            let (message, error) = Xml.read(raw);
            assert_eq!((message.content.as_str(), error), (raw, Some(fault)));
        }
    }

    fn any_call() -> impl Strategy<Value = ToolCall> {
        let value = "(?s).{0,40}".prop_filter("not representable", |value| !value.contains(END_OF_PARAMETER));
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
            let raw = Xml.render(&written);
            let read = Xml.parse(&raw).unwrap();
            prop_assert_eq!(read, AssistantMessage { raw: Some(raw), ..written });
        }

        #[test]
        fn any_text_is_read_or_refused(pieces in prop::collection::vec(
            prop_oneof![
                Just(CALL), Just(FUNCTION), Just(PARAMETER), Just(END_OF_CALL), Just(END_OF_FUNCTION),
                Just(END_OF_PARAMETER), Just("a>"), Just("\n"), Just("é"), Just("x y")
            ], 0..20), noise in "(?s).{0,20}"
        ) {
            let raw = pieces.concat() + &noise;
            if let Err(error) = Xml.parse(&raw) {
                prop_assert!(!error.to_string().contains('\n'));
            }
        }
    }
}
