//! What llama.cpp's server has beside OpenAI's protocol, to tell tokens.

use std::ops::ControlFlow;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::model::SampledTokens;
use crate::model::draft::Draft;
use crate::model::http::{Event, ReadReply, Tell, WireError};

/// The body that asks for the tokens of a prompt as it was read: what begins it is in the words already.
pub(super) fn tokenize(prompt: &str) -> Value {
    json!({"content": prompt, "add_special": false, "parse_special": true})
}

/// What a verbose reply says besides: the prompt in words, and the reply's tokens.
pub(super) fn verbose(told: &Value) -> (Option<String>, Vec<u32>) {
    let prompt = told.get("prompt").and_then(Value::as_str).map(str::to_owned);
    let tokens = told.get("tokens").and_then(|tokens| Vec::<u32>::deserialize(tokens).ok());
    (prompt, tokens.unwrap_or_default())
}

/// The answer to [`tokenize`].
#[derive(Debug, Default)]
pub(super) struct Tokenized(Option<Vec<u32>>);

#[derive(Deserialize)]
struct Answer {
    tokens: Vec<u32>,
}

impl ReadReply for Tokenized {
    fn whole(&mut self, body: &[u8]) -> Result<(), WireError> {
        let answer: Answer = serde_json::from_slice(body)
            .map_err(|error| WireError::Unreadable(format!("it does not tell tokens: {error}")))?;
        self.0 = Some(answer.tokens);
        Ok(())
    }

    fn event(&mut self, _: &Event, _: Tell<'_>) -> Result<ControlFlow<()>, WireError> {
        Err(WireError::Unreadable("it tells tokens in a stream".to_owned()))
    }

    fn is_complete(&self) -> bool {
        self.0.is_some()
    }

    fn finish(self) -> Result<Draft, WireError> {
        let prompt = self.0.ok_or_else(|| WireError::Unreadable("it tells no tokens".to_owned()))?;
        Ok(Draft { tokens: Some(SampledTokens { prompt, ..SampledTokens::default() }), ..Draft::default() })
    }
}
