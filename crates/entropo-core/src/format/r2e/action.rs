//! Calls as R2E-Gym writes them.
//!
//! ```text
//! <function=file_editor>
//!   <parameter=command>view</parameter>
//! </function>
//! ```
//!
//! Nothing is escaped, and every value is text. R2E-Gym cuts white space off both ends of a value when it reads what the
//! model wrote, before it writes this; values are read here as they stand.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::ToolCall;
use crate::format::export::Loss;

const FUNCTION: &str = "<function=";
const PARAMETER: &str = "<parameter=";
const END: &str = "</parameter>";

/// The name and the arguments of the first call in `action`; none if it names no function.
///
/// It is read as R2E-Gym reads it: whatever is between the parts is passed over, and the last of two equal keys holds.
pub(super) fn parse(action: &str) -> Option<(String, Value)> {
    let (name, rest) = action.split_once(FUNCTION)?.1.split_once('>')?;
    let name = name.trim();
    if name.is_empty() {
        return None;
    }
    let (mut arguments, mut rest) = (Map::new(), rest);
    while let Some((_, parameter)) = rest.split_once(PARAMETER) {
        let Some((key, after)) = parameter.split_once('>') else { break };
        let Some((value, after)) = after.split_once(END) else { break };
        arguments.insert(key.trim().to_owned(), value.into());
        rest = after;
    }
    Some((name.to_owned(), Value::Object(arguments)))
}

/// The call as an action. Values that are not text become JSON, which is lost; text that would be read as a mark is not
/// written.
pub(super) fn render(call: Option<&ToolCall>, lost: &mut BTreeSet<Loss>) -> Result<String, Loss> {
    let Some(call) = call else { return Ok(format!("{FUNCTION}>\n</function>")) };
    let mut text = format!("{FUNCTION}{}>\n", call.name);
    for (key, value) in call.arguments.as_object().into_iter().flatten() {
        let value = value.as_str().map(str::to_owned).unwrap_or_else(|| {
            lost.insert(Loss::ArgumentTypes);
            value.to_string()
        });
        text.push_str(&format!("  {PARAMETER}{key}>{value}{END}\n"));
    }
    text.push_str("</function>");
    let written =
        call.arguments.as_object().into_iter().flatten().map(|(key, value)| {
            (key.clone(), value.as_str().map_or_else(|| Value::from(value.to_string()), Value::from))
        });
    let expected = (call.name.clone(), Value::Object(written.collect()));
    if parse(&text) == Some(expected) { Ok(text) } else { Err(Loss::Marks) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_action_is_read_as_it_was_written() {
        let arguments = json!({"command": "create", "path": "a.py", "text": "if a < b:\n    return <x>\n"});
        let call = ToolCall { id: String::new(), name: "file_editor".into(), arguments: arguments.clone() };
        let mut lost = BTreeSet::new();
        let text = render(Some(&call), &mut lost).unwrap();
        assert_eq!(
            text,
            "<function=file_editor>\n  <parameter=command>create</parameter>\n  <parameter=path>a.py</parameter>\n  \
             <parameter=text>if a < b:\n    return <x>\n</parameter>\n</function>"
        );
        assert_eq!((parse(&text), lost.len()), (Some(("file_editor".to_owned(), arguments)), 0));
        assert_eq!(parse(&render(None, &mut lost).unwrap()), None);
    }

    #[test]
    fn what_would_be_read_otherwise_is_not_written() {
        for (name, arguments) in [
            ("bash", json!({"cmd": "echo '</parameter>'"})),
            ("bash", json!({"a>b": "x"})),
            ("bash", json!({" a": "x"})),
            (" ", json!({})),
            ("a>b", json!({})),
        ] {
            let call = ToolCall { id: String::new(), name: name.into(), arguments };
            assert_eq!(render(Some(&call), &mut BTreeSet::new()), Err(Loss::Marks), "{call:?}");
        }
        let call = ToolCall { id: String::new(), name: "bash".into(), arguments: json!({"lines": [1, 2]}) };
        let mut lost = BTreeSet::new();
        assert!(render(Some(&call), &mut lost).unwrap().contains("<parameter=lines>[1,2]</parameter>"));
        assert_eq!(lost, [Loss::ArgumentTypes].into());
    }

    #[test]
    fn broken_actions_are_read_as_far_as_they_go() {
        for (action, arguments) in [
            ("<function=a>", json!({})),
            ("x<function=a>y<parameter=k>v</parameter><parameter=l>w", json!({"k": "v"})),
            ("<function=a><parameter=k", json!({})),
            ("<function=a><parameter=k>1</parameter><parameter=k>2</parameter>", json!({"k": "2"})),
        ] {
            assert_eq!(parse(action), Some(("a".to_owned(), arguments)), "{action}");
        }
        assert!(["", "<function=", "<function= >", "text"].into_iter().all(|action| parse(action).is_none()));
    }
}
