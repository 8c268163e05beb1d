//! One choice of a reply: tokens that become text, and text that becomes tool calls.

use entropo::core::ToolCall;
use entropo::train::LocalModel;
use entropo::train::generate::{Ending, EngineError, SampledToken, Streamed, TokenStream};
use entropo::train::text::TextStream;

use crate::completion::Terms;
use crate::error::ServeError;
use crate::reply::{Finished, Reply};

/// A choice while it is written.
#[derive(Debug)]
pub struct Choice<'a> {
    model: &'a LocalModel,
    tokens: TokenStream,
    text: TextStream,
    reply: Reply,
}

/// What a choice adds to what it told before.
#[derive(Debug, Default)]
pub struct Told {
    /// Text.
    pub text: String,
    /// The tokens since the last time, told in text or not: the end-of-turn token, those that begin a tool call.
    pub tokens: Vec<SampledToken>,
    /// How it ended, if it did.
    pub end: Option<End>,
}

/// The end of a choice.
#[derive(Debug)]
pub struct End {
    /// The tools that the model wants called.
    pub tool_calls: Vec<ToolCall>,
    /// Why it ended.
    pub ending: Ending,
}

impl<'a> Choice<'a> {
    /// A choice of which nothing was told.
    pub fn new(model: &'a LocalModel, terms: &Terms, tokens: TokenStream) -> Self {
        let call = (!terms.tools.is_empty()).then(|| model.dialect().opening());
        Self { model, tokens, text: TextStream::default(), reply: Reply::new(&terms.stops, call) }
    }

    /// The next text that can be told, with the tokens until then; after [`Told::end`] nothing follows.
    pub async fn next(&mut self) -> Result<Told, ServeError> {
        let tokenizer = self.model.format().tokenizer();
        let mut told = Told::default();
        while let Some(item) = self.tokens.next().await {
            match item? {
                Streamed::Token(token) => {
                    if !self.model.stop_tokens().contains(&token.id) {
                        told.text = self.reply.push(&self.text.push(tokenizer, token.id)?);
                    }
                    told.tokens.push(token);
                    if !told.text.is_empty() {
                        return Ok(told);
                    }
                }
                Streamed::End(ending) => {
                    let last = std::mem::take(&mut self.text).finish(tokenizer)?;
                    told.text = self.reply.push(&last);
                    let Finished { rest, tool_calls } = std::mem::take(&mut self.reply).finish(self.model.dialect());
                    told.text += &rest;
                    told.end = Some(End { tool_calls, ending });
                    return Ok(told);
                }
            }
        }
        Err(EngineError::Stopped.into())
    }
}
