//! The JSON form of Hermes, which Qwen2.5 and Qwen3 write.
//!
//! ```text
//! What I think.
//! <tool_call>
//! {"name": "editor", "arguments": {"command": "view", "view_range": [1, 20]}}
//! </tool_call>
//! ```
//!
//! Between the tags stands JSON, so values have types, and a string may hold anything, the closing tag too. JSON is
//! written with a blank after each comma and colon, as the models' chat templates write it.

use entropo_core::{AssistantMessage, ToolCall};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::cursor::{Cursor, render};
use super::json::{self, spaced};
use super::{Dialect, FormatError};

const FORM: &str = r#"<tool_call>\n{"name": NAME, "arguments": {KEY: VALUE}}\n</tool_call>"#;
const CALL: &str = "<tool_call>";
const END_OF_CALL: &str = "</tool_call>";

/// The JSON form of Hermes; see the [module](self).
#[derive(Clone, Copy, Debug, Default)]
pub struct Hermes;

/// What stands between the tags.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Call {
    name: String,
    #[serde(default)]
    arguments: Map<String, Value>,
}

impl Dialect for Hermes {
    fn opening(&self) -> &'static str {
        CALL
    }

    fn parse(&self, raw: &str) -> Result<AssistantMessage, FormatError> {
        Cursor::new(raw, FORM).message(CALL, &[END_OF_CALL], call)
    }

    fn render(&self, message: &AssistantMessage) -> String {
        render(message, render_call)
    }
}

fn call(cursor: &mut Cursor<'_>) -> Result<ToolCall, FormatError> {
    cursor.expect(CALL)?;
    let Call { name, arguments } = json::read(cursor, |call: &Call| &call.name)?;
    cursor.expect(END_OF_CALL)?;
    Ok(ToolCall { id: String::new(), name, arguments: Value::Object(arguments) })
}

fn render_call(call: &ToolCall) -> String {
    let (name, arguments) = (Value::from(call.name.as_str()), &call.arguments);
    format!("{CALL}\n{{\"name\": {}, \"arguments\": {}}}\n{END_OF_CALL}", spaced(&name), spaced(arguments))
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
        let raw = "Look.\n<tool_call>\n{\"name\": \"view\", \"arguments\": {\"path\": \"a.py\", \"lines\": [1, 2.5], \
                   \"text\": \"é </tool_call>\\n\"}}\n</tool_call>\n<tool_call>\n{\"name\": \"finish\", \"arguments\": \
                   {}}\n</tool_call>\n";
        let message = Hermes.parse(raw).unwrap();
        assert_eq!(message.content, "Look.");
        let arguments = json!({"path": "a.py", "lines": [1, 2.5], "text": "é </tool_call>\n"});
        assert_eq!(message.tool_calls, [call("view", arguments), call("finish", json!({}))]);
        assert_eq!(Hermes.render(&message), raw.trim_end());
    }

    #[test]
    fn no_call_is_no_error() {
        let message = Hermes.parse(" I am done. ").unwrap();
        assert_eq!((message.content.as_str(), message.tool_calls.len()), ("I am done.", 0));
    }

    #[test]
    fn layout_is_free_and_arguments_may_be_missing() {
        let message = Hermes.parse("<tool_call>{\n\"name\":\"finish\"\n}</tool_call>").unwrap();
        assert_eq!(message.tool_calls, [call("finish", json!({}))]);
    }

    #[test]
    fn faults_are_told_precisely() {
        let faults = [
            ("{}</tool_call>", "There is a </tool_call> outside <tool_call>"),
            ("<tool_call>\n", "Line 2: {\"name\":  is expected, found the end of the reply"),
            ("<tool_call>\n{\"name\": \"a\"}", "Line 2: </tool_call> is expected, found the end of the reply"),
            ("x\n<tool_call>\n{\"name\": \"a\",\n", "Line 4: the call is not as it should be: EOF"),
            ("<tool_call>\n<function=a>", "Line 2: the call is not as it should be: expected value"),
            ("<tool_call>\n{\"arguments\": {}}", "Line 2: the call is not as it should be: missing field `name`"),
            ("<tool_call>{\"name\": \"a\", \"x\": 1}", "Line 1: the call is not as it should be: unknown field `x`"),
            ("<tool_call>{\"name\": \"a\", \"arguments\": 1}", "Line 1: the call is not as it should be: invalid type"),
            ("<tool_call>{\"name\": \"\"}", "Line 1: the name is empty"),
            ("<tool_call>{\"name\": \"a\"}</tool_call>\nWell,", "Line 2: <tool_call> is expected, found \"Well,\""),
        ];
        for (raw, start) in faults {
            let fault = Hermes.parse(raw).unwrap_err().to_string();
            assert!(fault.starts_with(start), "{fault}");
            assert!(!fault.contains('\n'));
            let (message, error) = Hermes.read(raw);
            assert_eq!((message.content.as_str(), error), (raw, Some(fault)));
        }
    }

    fn any_call() -> impl Strategy<Value = ToolCall> {
        let leaf = prop_oneof![
            "(?s).{0,20}".prop_map(Value::from),
            Just(Value::from("a</tool_call>")),
            any::<i64>().prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
            Just(Value::Null),
        ];
        let value = prop_oneof![leaf.clone(), prop::collection::vec(leaf, 0..3).prop_map(Value::from)];
        let arguments = prop::collection::vec(("(?s).{1,8}", value), 0..4);
        ("[a-z_\"]{1,8}", arguments).prop_map(|(name, arguments)| ToolCall {
            id: String::new(),
            name,
            arguments: Value::Object(arguments.into_iter().collect()),
        })
    }

    proptest! {
        #[test]
        fn what_is_rendered_is_read_back(content in "[^<]{0,40}", calls in prop::collection::vec(any_call(), 0..4)) {
            let written = AssistantMessage { content: content.trim().to_owned(), tool_calls: calls, raw: None };
            let raw = Hermes.render(&written);
            let read = Hermes.parse(&raw).unwrap();
            prop_assert_eq!(read, AssistantMessage { raw: Some(raw), ..written });
        }

        #[test]
        fn any_text_is_read_or_refused(pieces in prop::collection::vec(
            prop_oneof![
                Just(CALL), Just(END_OF_CALL), Just("{\"name\": \"a\""), Just(", \"arguments\": {"), Just("}"),
                Just("\n"), Just("é"), Just("\"x\": [1]")
            ], 0..20), noise in "(?s).{0,20}"
        ) {
            let raw = pieces.concat() + &noise;
            if let Err(error) = Hermes.parse(&raw) {
                prop_assert!(!error.to_string().contains('\n'));
            }
        }
    }
}
