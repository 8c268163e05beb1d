//! How tool calls are written in plain text.
//!
//! A model behind an API returns calls as data. A model that we run ourselves writes text, in the form it was trained
//! on; a [`Dialect`] is that form. Reading leaves [`ToolCall::id`](entropo_core::ToolCall::id) empty: the
//! [`Run`](crate::Run) numbers the calls of a conversation, so that ids never depend on who parsed.

pub mod bash;
mod cursor;
pub mod glm;
pub mod hermes;
mod json;
pub mod llama;
pub mod xml;

use entropo_core::{AssistantMessage, ToolCall, ToolSpec};
use serde_json::json;

pub use bash::Bash;
pub use glm::Glm;
pub use hermes::Hermes;
pub use llama::Llama;
pub use xml::Xml;

/// A textual form of tool calls.
pub trait Dialect: Send + Sync {
    /// What opens a call: text before it is told as it is written.
    fn opening(&self) -> &'static str;

    /// Splits what a model wrote into free text and calls; `raw` of the message keeps the words. No call at all is no
    /// error.
    fn parse(&self, raw: &str) -> Result<AssistantMessage, FormatError>;

    /// Writes a message the way [`parse`](Self::parse) reads it; `raw` is not looked at.
    fn render(&self, message: &AssistantMessage) -> String;

    /// What a model is told that has no template for tools: which there are and how to call one.
    fn instructions(&self, tools: &[ToolSpec]) -> String {
        let call = ToolCall { id: String::new(), name: "NAME".to_owned(), arguments: json!({"KEY": "VALUE"}) };
        let form = self.render(&AssistantMessage { tool_calls: vec![call], ..AssistantMessage::default() });
        let tools: Vec<_> = tools
            .iter()
            .map(|tool| json!({"name": tool.name, "description": tool.description, "parameters": tool.parameters}))
            .map(|tool| tool.to_string())
            .collect();
        format!(
            "You may call these tools, described in JSON one a line:\n\n{}\n\nWrite a call at the end of your reply \
             in exactly this form:\n\n{form}\n\nThe result is in the next message.",
            tools.join("\n")
        )
    }

    /// How a model that has no template for tools is told what the tool `name` answered.
    fn result(&self, name: &str, content: &str) -> String {
        format!("Result of {name}:\n{content}")
    }

    /// Like [`parse`](Self::parse), as a [`ChatResponse`](crate::ChatResponse) wants it: what cannot be read becomes a
    /// message of bare text, next to the reason.
    fn read(&self, raw: &str) -> (AssistantMessage, Option<String>) {
        match self.parse(raw) {
            Ok(message) => (message, None),
            Err(error) => {
                let raw = raw.to_owned();
                (AssistantMessage { content: raw.clone(), tool_calls: Vec::new(), raw: Some(raw) }, Some(error.0))
            }
        }
    }
}

/// The dialect that a chat template teaches: that in which the `source` of the template, a Jinja text, writes calls. For a
/// template without tools it is [`Xml`].
pub fn of_template(source: &str) -> Box<dyn Dialect> {
    let writes = |text| source.contains(text);
    if writes("<arg_key>") {
        Box::new(Glm)
    } else if writes("<function=") {
        Box::new(Xml)
    } else if writes("<tool_call>") {
        Box::new(Hermes)
    } else if writes("\"parameters\": ") && (writes("<|python_tag|>") || writes("ipython")) {
        Box::new(Llama)
    } else {
        Box::new(Xml)
    }
}

/// Why text is no call: what was found, where, and what is expected. One line, for the model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FormatError(String);

impl FormatError {
    /// An error that reads `reason`; line breaks become spaces.
    pub fn new(reason: impl AsRef<str>) -> Self {
        Self(reason.as_ref().split('\n').map(str::trim).collect::<Vec<_>>().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use entropo_core::ToolCall;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_template_tells_its_dialect() {
        let hermes = r#"{{ '<tool_call>\n{"name": "' + call.name + '"}\n</tool_call>' }}"#;
        let xml = r"{{ '<tool_call>\n<function=' + call.name + '>' }}";
        let glm = r"{{ '\n<tool_call>' + call.name }}{% for k, v in args %}<arg_key>{{ k }}</arg_key>{% endfor %}";
        let llama = r#"{{- "Environment: ipython\n" }}{{- '{"name": "' + call.name + '", ' }}{{- '"parameters": ' }}"#;
        for (source, written) in [
            (hermes, "<tool_call>\n{\"name\": \"f\""),
            (xml, "<function=f>"),
            (glm, "<tool_call>f\n"),
            (llama, "{\"name\": \"f\", \"parameters\": {}}"),
            ("{{ messages }}", "<function=f>"),
        ] {
            let call = ToolCall { id: String::new(), name: "f".to_owned(), arguments: json!({}) };
            let message = AssistantMessage { tool_calls: vec![call], ..AssistantMessage::default() };
            assert!(of_template(source).render(&message).contains(written), "{source}");
        }
    }

    #[test]
    fn a_model_without_a_template_is_told_of_tools_and_form() {
        let parameters = json!({"type": "object", "properties": {"path": {"type": "string"}}});
        let tool = ToolSpec { name: "view".to_owned(), description: "Shows a file.".to_owned(), parameters };
        let dialects: [&dyn Dialect; 4] = [&Hermes, &Xml, &Glm, &Llama];
        for dialect in dialects {
            let told = dialect.instructions(std::slice::from_ref(&tool));
            assert!(told.contains("{\"name\":\"view\",\"description\":\"Shows a file.\""), "{told}");
            let (_, form) = told.split_once("in exactly this form:\n\n").unwrap();
            let (form, _) = form.rsplit_once("\n\n").unwrap();
            let call = &dialect.parse(form).unwrap().tool_calls[0];
            assert_eq!((call.name.as_str(), &call.arguments), ("NAME", &json!({"KEY": "VALUE"})), "{form}");
        }
    }
}
