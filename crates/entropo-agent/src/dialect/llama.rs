//! The JSON form of Llama 3.1 and its successors.
//!
//! ```text
//! {"name": "editor", "parameters": {"command": "view", "view_range": [1, 20]}}
//! ```
//!
//! There are no tags: a call begins where a line begins with `{"name"` or `{"type"`, or after `<|python_tag|>`. Several are
//! written one below the other, or parted by semicolons. What Llama writes most often instead of `parameters`, `arguments`,
//! is read as well, and so is `"type": "function"`.

use entropo_core::{AssistantMessage, ToolCall};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::cursor::{Cursor, render};
use super::json::{self, spaced};
use super::{Dialect, FormatError};

const FORM: &str = r#"{"name": NAME, "parameters": {KEY: VALUE}}"#;
const PYTHON: &str = "<|python_tag|>";

/// The JSON form of Llama 3.1; see the [module](self).
#[derive(Clone, Copy, Debug, Default)]
pub struct Llama;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Call {
    name: String,
    #[serde(default, alias = "arguments")]
    parameters: Map<String, Value>,
    #[serde(default, rename = "type")]
    _type: Option<String>,
}

impl Dialect for Llama {
    fn opening(&self) -> &'static str {
        "{\"name\""
    }

    fn parse(&self, raw: &str) -> Result<AssistantMessage, FormatError> {
        let mut cursor = Cursor::new(raw, FORM);
        let content = cursor.skip(start(raw).unwrap_or(raw.len())).unwrap_or_default();
        let mut tool_calls = Vec::new();
        while !cursor.rest().trim().is_empty() {
            cursor.accept(PYTHON);
            if !cursor.rest().trim_start().starts_with('{') {
                return Err(cursor.expected("{\"name\": "));
            }
            let Call { name, parameters, .. } = json::read(&mut cursor, |call: &Call| &call.name)?;
            tool_calls.push(ToolCall { id: String::new(), name, arguments: Value::Object(parameters) });
            cursor.accept(";");
        }
        Ok(AssistantMessage { content: content.trim().to_owned(), tool_calls, raw: Some(raw.to_owned()) })
    }

    fn render(&self, message: &AssistantMessage) -> String {
        render(message, |call| {
            let (name, arguments) = (Value::from(call.name.as_str()), &call.arguments);
            format!("{{\"name\": {}, \"parameters\": {}}}", spaced(&name), spaced(arguments))
        })
    }
}

/// The byte at which the first call begins.
fn start(raw: &str) -> Option<usize> {
    let mut at = 0;
    for line in raw.split_inclusive('\n') {
        if let Some(tag) = line.find(PYTHON) {
            return Some(at + tag);
        }
        let text = line.trim_start();
        let first = text.strip_prefix('{').map(str::trim_start);
        if first.is_some_and(|first| first.starts_with("\"name\"") || first.starts_with("\"type\": \"function\"")) {
            return Some(at);
        }
        at += line.len();
    }
    None
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
        let raw = "Look.\n{\"name\": \"view\", \"parameters\": {\"path\": \"a.py\", \"lines\": [1, 2.5]}}\n\
                   {\"name\": \"finish\", \"parameters\": {}}";
        let message = Llama.parse(raw).unwrap();
        assert_eq!(message.content, "Look.");
        let calls = [call("view", json!({"path": "a.py", "lines": [1, 2.5]})), call("finish", json!({}))];
        assert_eq!(message.tool_calls, calls);
        assert_eq!(Llama.render(&message), raw);
    }

    #[test]
    fn what_llama_writes_instead_is_read_too() {
        for raw in [
            "<|python_tag|>{\"name\": \"f\", \"parameters\": {\"x\": 1}}",
            "  {\"type\": \"function\", \"name\": \"f\", \"parameters\": {\"x\": 1}}\n",
            "{ \"name\": \"f\",\n  \"arguments\": {\"x\": 1} };",
        ] {
            assert_eq!(Llama.parse(raw).unwrap().tool_calls, [call("f", json!({"x": 1}))], "{raw}");
        }
        let two = "{\"name\": \"f\"}; {\"name\": \"g\"}";
        assert_eq!(Llama.parse(two).unwrap().tool_calls, [call("f", json!({})), call("g", json!({}))]);
    }

    #[test]
    fn other_json_is_text() {
        for raw in ["I am done.", "Use {\"name\": 1} there.", "{\"key\": 1}", ""] {
            let message = Llama.parse(raw).unwrap();
            assert_eq!((message.content.as_str(), message.tool_calls.len()), (raw, 0));
        }
    }

    #[test]
    fn faults_are_told_precisely() {
        let faults = [
            ("{\"name\": \"a\",\n", "Line 2: the call is not as it should be: EOF"),
            ("x\n{\"name\": \"a\", \"x\": 1}", "Line 2: the call is not as it should be: unknown field `x`"),
            ("{\"name\": \"a\", \"parameters\": 1}", "Line 1: the call is not as it should be: invalid type"),
            ("{\"name\": \"\"}", "Line 1: the name is empty"),
            ("<|python_tag|>print(1)", "Line 1: {\"name\":  is expected, found \"print(1)\""),
            ("<|python_tag|>[\"f\", {}]", "Line 1: {\"name\":  is expected, found \"[\\\"f\\\", {}]\""),
            ("{\"name\": \"a\"}\nWell,", "Line 2: {\"name\":  is expected, found \"Well,\""),
        ];
        for (raw, start) in faults {
            let fault = Llama.parse(raw).unwrap_err().to_string();
            assert!(fault.starts_with(start), "{fault}");
            assert!(!fault.contains('\n'));
            let (message, error) = Llama.read(raw);
            assert_eq!((message.content.as_str(), error), (raw, Some(fault)));
        }
    }

    fn any_call() -> impl Strategy<Value = ToolCall> {
        let value = prop_oneof![
            "(?s).{0,20}".prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            prop::collection::vec(any::<bool>(), 0..3).prop_map(Value::from),
        ];
        let arguments = prop::collection::vec(("(?s).{1,8}", value), 0..4);
        ("[a-z_\"]{1,8}", arguments).prop_map(|(name, arguments)| ToolCall {
            id: String::new(),
            name,
            arguments: Value::Object(arguments.into_iter().collect()),
        })
    }

    proptest! {
        #[test]
        fn what_is_rendered_is_read_back(content in "[^<{]{0,40}", calls in prop::collection::vec(any_call(), 0..4)) {
            let written = AssistantMessage { content: content.trim().to_owned(), tool_calls: calls, raw: None };
            let raw = Llama.render(&written);
            let read = Llama.parse(&raw).unwrap();
            prop_assert_eq!(read, AssistantMessage { raw: Some(raw), ..written });
        }

        #[test]
        fn any_text_is_read_or_refused(pieces in prop::collection::vec(
            prop_oneof![
                Just(PYTHON), Just("{\"name\": \"a\""), Just(", \"parameters\": {"), Just("}"), Just(";"), Just("\n"),
                Just("é"), Just("\"x\": [1]"), Just("{\"type\": \"function\", ")
            ], 0..20), noise in "(?s).{0,20}"
        ) {
            let raw = pieces.concat() + &noise;
            if let Err(error) = Llama.parse(&raw) {
                prop_assert!(!error.to_string().contains('\n'));
            }
        }
    }
}
