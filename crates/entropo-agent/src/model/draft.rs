//! A reply that has been read from the wire, before its calls are.

use entropo_core::{AssistantMessage, ToolCall, Usage};
use serde_json::{Map, Value};

use super::{ChatResponse, Prices, Reply, SampledTokens, StopReason, ToolCalling};

/// Calls in one reply; more is no reply that a model means.
pub(crate) const MAX_CALLS: usize = 256;

/// What a server sent, wire format aside.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Draft {
    pub(crate) id: String,
    pub(crate) served_model: String,
    pub(crate) content: String,
    pub(crate) reasoning: String,
    pub(crate) calls: Vec<CallDraft>,
    pub(crate) stop: StopReason,
    pub(crate) usage: Usage,
    /// Prompt tokens that went into the server's cache.
    pub(crate) cache_written: usize,
    pub(crate) tokens: Option<SampledTokens>,
    /// The prompt in words, if the server told its tokens in no other form; `tokens` holds none of them then.
    #[cfg_attr(not(feature = "openai"), allow(dead_code))]
    pub(crate) prompt: Option<String>,
    /// The reply's tokens with the likeliest others, if they were asked for.
    #[cfg(feature = "openai")]
    pub(crate) listed: Vec<super::openai::ListedToken>,
    /// The message in the form in which the server sent it, kept beside what was read from it.
    pub(crate) emitted: String,
}

/// A call whose arguments are text yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct CallDraft {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) arguments: String,
}

impl Draft {
    /// The reply, with calls read and counted.
    pub(crate) fn into_reply(mut self, calling: &ToolCalling, prices: Option<&Prices>) -> Reply {
        self.usage.cost_nano_usd = prices.map(|prices| prices.nano_usd(&self.usage, self.cache_written));
        let (message, format_error) = match calling.dialect() {
            Some(dialect) if self.calls.is_empty() => dialect.read(&self.content),
            _ => self.native_message(),
        };
        let Self { id, served_model, reasoning, stop, usage, tokens, .. } = self;
        let response = ChatResponse { message, format_error, stop, usage, tokens };
        Reply { response, reasoning, id, served_model, attempts: 1, raw: None }
    }

    /// The message of calls that came as data. What the model emitted is kept as it came; of a reply that the loop answers
    /// with a complaint, in the words that the model has to see to understand it.
    fn native_message(&mut self) -> (AssistantMessage, Option<String>) {
        let mut tool_calls = Vec::with_capacity(self.calls.len());
        let mut format_error = None;
        for (index, call) in self.calls.iter().enumerate() {
            match arguments(&call.arguments) {
                _ if call.name.trim().is_empty() => format_error = Some(format!("Call {} has no name.", index + 1)),
                Ok(arguments) => {
                    let id = unique_id(&call.id, index, &tool_calls);
                    tool_calls.push(ToolCall { id, name: call.name.clone(), arguments: Value::Object(arguments) });
                    continue;
                }
                Err(problem) => {
                    format_error = Some(format!(
                        "The arguments of call {}, {:?}, are no JSON object: {problem}; write them as {{\"KEY\": VALUE}}.",
                        index + 1,
                        call.name,
                    ));
                }
            }
            break;
        }
        let content = std::mem::take(&mut self.content);
        let cut = self.stop != StopReason::EndOfTurn;
        if format_error.is_some() || cut {
            let raw = (!self.calls.is_empty()).then(|| words(&content, &self.calls));
            return (AssistantMessage { content, tool_calls: Vec::new(), raw }, format_error);
        }
        let raw = (!tool_calls.is_empty()).then(|| std::mem::take(&mut self.emitted));
        (AssistantMessage { content, tool_calls, raw }, None)
    }
}

/// The arguments of a call without any may be empty text.
fn arguments(text: &str) -> Result<Map<String, Value>, String> {
    if text.trim().is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_str(text).map_err(|error| error.to_string())
}

/// An id that no call before has.
fn unique_id(id: &str, index: usize, before: &[ToolCall]) -> String {
    let taken = |id: &str| id.is_empty() || before.iter().any(|call| call.id == id);
    if !taken(id) {
        return id.to_owned();
    }
    let mut id = format!("{id}{}call_{index}", if id.is_empty() { "" } else { "_" });
    while taken(&id) {
        id.push('_');
    }
    id
}

/// Text and calls as the model can be shown them.
fn words(content: &str, calls: &[CallDraft]) -> String {
    let calls = calls.iter().map(|call| format!("{} {}", call.name, call.arguments));
    let content = Some(content.to_owned()).filter(|content| !content.is_empty());
    content.into_iter().chain(calls).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::dialect::Hermes;

    fn draft(calls: &[(&str, &str, &str)]) -> Draft {
        let calls = calls.iter().map(|(id, name, arguments)| CallDraft {
            id: (*id).to_owned(),
            name: (*name).to_owned(),
            arguments: (*arguments).to_owned(),
        });
        Draft { content: "Look.".to_owned(), calls: calls.collect(), emitted: "{}".to_owned(), ..Draft::default() }
    }

    #[test]
    fn ids_are_unique_and_arguments_may_be_missing() {
        let draft = draft(&[("a", "view", "{\"x\": 1}"), ("a", "view", ""), ("", "view", " ")]);
        let response = draft.into_reply(&ToolCalling::Native, None).response;
        let calls = &response.message.tool_calls;
        assert_eq!(calls.iter().map(|call| call.id.as_str()).collect::<Vec<_>>(), ["a", "a_call_1", "call_2"]);
        assert_eq!((&calls[0].arguments, &calls[1].arguments), (&json!({"x": 1}), &json!({})));
        assert_eq!((response.message.raw.as_deref(), response.format_error), (Some("{}"), None));
    }

    #[test]
    fn what_cannot_be_read_is_told_in_a_line_and_shown_as_it_was_written() {
        for (calls, problem) in [
            ([("", "view", "{\"x\": 1")], "The arguments of call 1, \"view\", are no JSON object: EOF while parsing"),
            ([("", "view", "[1]")], "The arguments of call 1, \"view\", are no JSON object: invalid type: sequence"),
            ([("", " ", "{}")], "Call 1 has no name."),
        ] {
            let response = draft(&calls).into_reply(&ToolCalling::Native, None).response;
            let error = response.format_error.unwrap();
            assert!(error.starts_with(problem) && !error.contains('\n'), "{error}");
            assert!(response.message.raw.unwrap().starts_with(&format!("Look.\n{} ", calls[0].1)));
            assert!(response.message.tool_calls.is_empty());
        }
    }

    #[test]
    fn a_cut_reply_has_words_and_no_calls() {
        let draft = Draft { stop: StopReason::MaxTokens, ..draft(&[("", "view", "{\"x")]) };
        let message = draft.into_reply(&ToolCalling::Native, None).response.message;
        assert_eq!((message.raw.as_deref(), message.tool_calls.len()), (Some("Look.\nview {\"x"), 0));
    }

    #[test]
    fn text_is_read_in_the_dialect_if_there_are_no_calls() {
        let text = "<tool_call>\n{\"name\": \"finish\", \"arguments\": {}}\n</tool_call>";
        let calling = ToolCalling::NativeOrText(Arc::new(Hermes));
        let spoken = Draft { content: text.to_owned(), ..Draft::default() };
        let message = spoken.into_reply(&calling, None).response.message;
        assert_eq!((message.tool_calls[0].name.as_str(), message.raw.as_deref()), ("finish", Some(text)));
        let native = Draft { content: text.to_owned(), ..draft(&[("", "view", "")]) };
        assert_eq!(native.into_reply(&calling, None).response.message.tool_calls[0].name, "view");
    }
}
