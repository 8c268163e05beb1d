//! What clients send.
//!
//! Fields that change nothing here (`user`, `store`, `metadata` …) are accepted and ignored; a field that would change the
//! answer and cannot be honoured is an error that names it.

use entropo::agent::Sampling;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::error::ServeError;

/// Most choices of one request.
const MOST_CHOICES: usize = 128;
/// Most alternatives reported beside each token, as in OpenAI's protocol.
const MOST_TOP_LOGPROBS: usize = 20;

/// The body of `POST /v1/chat/completions`.
#[derive(Clone, Debug, Deserialize)]
pub struct ChatCompletionRequest {
    /// The model's name; may be left out where only one is served.
    pub model: Option<String>,
    /// The conversation.
    pub messages: Vec<Value>,
    /// Tools that may be called.
    pub tools: Option<Vec<Value>>,
    /// `auto` or `none`.
    pub tool_choice: Option<Value>,
    /// Divides the logits. Default 1.
    pub temperature: Option<f32>,
    /// Keeps the likeliest tokens that reach this probability together.
    pub top_p: Option<f32>,
    /// Keeps this many likeliest tokens; −1 or 0: all (vLLM's extension).
    pub top_k: Option<i64>,
    /// Keeps tokens at least this likely relative to the likeliest (vLLM's extension).
    pub min_p: Option<f32>,
    /// Divides the logits of tokens that have occurred (vLLM's extension).
    pub repetition_penalty: Option<f32>,
    /// Longest reply in tokens.
    pub max_completion_tokens: Option<usize>,
    /// The older name of the same.
    pub max_tokens: Option<usize>,
    /// How many replies.
    pub n: Option<usize>,
    /// Governs the sampling; the same request with the same seed gives the same reply.
    pub seed: Option<i64>,
    /// Strings that end the reply.
    pub stop: Option<Stop>,
    /// Whether the reply comes in pieces.
    pub stream: Option<bool>,
    /// What else a stream tells.
    pub stream_options: Option<StreamOptions>,
    /// Whether log-probabilities are told.
    pub logprobs: Option<bool>,
    /// How many alternatives to each token are told.
    pub top_logprobs: Option<usize>,
    /// Whether token ids are told (vLLM's extension).
    pub return_token_ids: Option<bool>,
    /// Must be text.
    pub response_format: Option<Value>,
    /// Must be 0.
    pub frequency_penalty: Option<f32>,
    /// Must be 0.
    pub presence_penalty: Option<f32>,
    /// Must be empty.
    pub logit_bias: Option<Map<String, Value>>,
}

/// One string or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Stop {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

/// What else a stream tells.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct StreamOptions {
    /// Whether a last piece counts the tokens.
    #[serde(default)]
    pub include_usage: bool,
}

impl ChatCompletionRequest {
    /// Refuses what cannot be honoured.
    pub fn check(&self) -> Result<(), ServeError> {
        let unsupported = |parameter, supported: &str| {
            Err(ServeError::parameter(parameter, format!("`{parameter}` is not supported here; {supported}")))
        };
        if self.messages.is_empty() {
            return Err(ServeError::parameter("messages", "`messages` is empty; send at least one message"));
        }
        if !(1..=MOST_CHOICES).contains(&self.choices()) {
            return Err(ServeError::parameter("n", format!("`n` must be between 1 and {MOST_CHOICES}")));
        }
        if self.top_logprobs.unwrap_or(0) > MOST_TOP_LOGPROBS {
            return Err(ServeError::parameter(
                "top_logprobs",
                format!("`top_logprobs` must be at most {MOST_TOP_LOGPROBS}"),
            ));
        }
        if self.frequency_penalty.unwrap_or(0.0) != 0.0 {
            return unsupported("frequency_penalty", "use `repetition_penalty`");
        }
        if self.presence_penalty.unwrap_or(0.0) != 0.0 {
            return unsupported("presence_penalty", "use `repetition_penalty`");
        }
        if self.logit_bias.as_ref().is_some_and(|bias| !bias.is_empty()) {
            return unsupported("logit_bias", "leave it out");
        }
        match self.response_format.as_ref().and_then(|format| format.get("type")).and_then(Value::as_str) {
            None | Some("text") => {}
            Some(_) => {
                return unsupported("response_format", "replies are free text; use a tool for structured output");
            }
        }
        match self.tool_choice.as_ref().map(|choice| choice.as_str()) {
            None | Some(Some("auto" | "none")) => Ok(()),
            Some(_) => unsupported("tool_choice", "a model can be offered tools (`auto`) or none, not be forced"),
        }
    }

    /// How many replies are wanted.
    pub fn choices(&self) -> usize {
        self.n.unwrap_or(1)
    }

    /// How many alternatives to each token are told.
    pub fn alternatives(&self) -> usize {
        if self.logprobs.unwrap_or(false) { self.top_logprobs.unwrap_or(0) } else { 0 }
    }

    /// How to sample; `room` is what the context leaves for a reply.
    pub fn sampling(&self, room: usize) -> Sampling {
        let default = Sampling::default();
        Sampling {
            temperature: self.temperature.unwrap_or(default.temperature),
            top_p: self.top_p.unwrap_or(default.top_p),
            top_k: self.top_k.and_then(|k| usize::try_from(k).ok()).filter(|&k| k > 0),
            min_p: self.min_p.unwrap_or(default.min_p),
            repetition_penalty: self.repetition_penalty.unwrap_or(default.repetition_penalty),
            max_tokens: self.max_completion_tokens.or(self.max_tokens).unwrap_or(default.max_tokens).min(room),
        }
    }

    /// Strings that end the reply.
    pub fn stop_strings(&self) -> Vec<String> {
        match &self.stop {
            None => Vec::new(),
            Some(Stop::One(one)) => vec![one.clone()],
            Some(Stop::Several(several)) => several.clone(),
        }
    }

    /// The tools that the model is offered.
    pub fn offered_tools(&self) -> Vec<Value> {
        match self.tool_choice.as_ref().and_then(Value::as_str) {
            Some("none") => Vec::new(),
            _ => self.tools.clone().unwrap_or_default(),
        }
    }

    /// The messages as chat templates read them: text as one string, arguments of tool calls as objects.
    pub fn template_messages(&self) -> Result<Vec<Value>, ServeError> {
        self.messages.iter().enumerate().map(|(index, message)| template_message(index, message)).collect()
    }
}

fn template_message(index: usize, message: &Value) -> Result<Value, ServeError> {
    let wrong = |what: &str| ServeError::parameter("messages", format!("message {index} {what}"));
    let mut message = message.as_object().cloned().ok_or_else(|| wrong("is no object"))?;
    let role = message.get("role").and_then(Value::as_str).ok_or_else(|| wrong("has no `role`"))?;
    match role {
        "system" | "user" | "assistant" | "tool" => {}
        // The newer name of the same.
        "developer" => drop(message.insert("role".to_owned(), "system".into())),
        other => return Err(wrong(&format!("has the role `{other}`; system, user, assistant and tool are known"))),
    }
    let text = match message.get("content") {
        None | Some(Value::Null) => Value::from(""),
        Some(Value::String(text)) => text.as_str().into(),
        Some(Value::Array(parts)) => joined(parts).ok_or_else(|| wrong("has content that is not text"))?.into(),
        Some(_) => return Err(wrong("has content that is neither text nor a list of parts")),
    };
    message.insert("content".to_owned(), text);
    for call in message.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(arguments) = call.pointer_mut("/function/arguments")
            && let Some(object) =
                arguments.as_str().and_then(|text| serde_json::from_str::<Map<String, Value>>(text).ok())
        {
            *arguments = Value::Object(object);
        }
    }
    Ok(Value::Object(message))
}

/// The text of content given in parts; `None` if a part is an image or the like.
fn joined(parts: &[Value]) -> Option<String> {
    let text = |part: &Value| match part.get("type").and_then(Value::as_str) {
        Some("text") => part.get("text").and_then(Value::as_str).map(str::to_owned),
        _ => None,
    };
    parts.iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(change: Value) -> ChatCompletionRequest {
        let mut request = json!({"messages": [{"role": "user", "content": "Hello"}]});
        request.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        serde_json::from_value(request).unwrap()
    }

    #[test]
    fn what_cannot_be_honoured_is_named() {
        for (change, parameter) in [
            (json!({"messages": []}), "messages"),
            (json!({"n": 0}), "n"),
            (json!({"n": 1_000_000}), "n"),
            (json!({"top_logprobs": 21}), "top_logprobs"),
            (json!({"presence_penalty": 0.5}), "presence_penalty"),
            (json!({"frequency_penalty": -1}), "frequency_penalty"),
            (json!({"logit_bias": {"5": 1}}), "logit_bias"),
            (json!({"response_format": {"type": "json_schema"}}), "response_format"),
            (json!({"tool_choice": "required"}), "tool_choice"),
            (json!({"tool_choice": {"type": "function"}}), "tool_choice"),
        ] {
            let error = request(change).check().unwrap_err();
            assert_eq!(error.body()["error"]["param"], parameter, "{error}");
        }
        request(json!({"user": "me", "tool_choice": "auto", "response_format": {"type": "text"}})).check().unwrap();
    }

    #[test]
    fn messages_take_the_shape_of_templates() {
        let request = request(json!({"messages": [
            {"role": "developer", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{\"x\": 1}"}}]},
            {"role": "tool", "tool_call_id": "1", "content": "c"},
        ]}));
        let messages = request.template_messages().unwrap();
        assert_eq!(messages[0], json!({"role": "system", "content": "ab"}));
        assert_eq!(messages[1]["content"], "");
        assert_eq!(messages[1]["tool_calls"][0]["function"]["arguments"], json!({"x": 1}));
    }

    #[test]
    fn messages_without_sense_are_named_by_number() {
        for message in [
            json!("hi"),
            json!({"content": "x"}),
            json!({"role": "robot", "content": "x"}),
            json!({"role": "user", "content": 5}),
            json!({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}),
        ] {
            let error = request(json!({"messages": [{"role": "user", "content": "x"}, message]})).template_messages();
            assert!(error.unwrap_err().to_string().starts_with("message 1 "));
        }
    }
}
