//! Models behind servers that speak OpenAI's chat completions: vLLM, SGLang, llama.cpp, Ollama, OpenRouter, OpenAI and
//! many more.
//!
//! ```
//! use std::sync::Arc;
//!
//! use entropo_agent::Agent;
//! use entropo_agent::model::http::{ApiKey, Connection};
//! use entropo_agent::model::openai::OpenAi;
//!
//! // vLLM on this machine; the tokens it tells can be trained on as they are.
//! let local = OpenAi::new(Connection::new("http://127.0.0.1:8000/v1"), "Qwen/Qwen3-8B")?.tokens();
//! // A provider that wants a key.
//! let connection = Connection::new("https://api.openai.com/v1").api_key(ApiKey::environment("OPENAI_API_KEY"));
//! let remote = OpenAi::new(connection, "gpt-5-mini")?.field("reasoning_effort", "low").field("temperature", ());
//! let agent = Agent::new(Arc::new(local));
//! # Ok::<(), entropo_agent::model::http::BuildError>(())
//! ```

mod conversation;
mod length;
mod listed;
mod llama_cpp;
mod request;
mod response;
mod sampling;
#[cfg(test)]
mod tests;
mod wire;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

pub use self::length::Length;
pub use self::listed::ListedToken;
use self::llama_cpp::Tokenized;
use self::request::Settings;
use self::response::Completion;
use self::sampling::TokenSource;
use super::http::{BuildError, Call, Client, Connection, KeyHeader, Received, Tell};
use super::{ChatModel, ChatRequest, ChatResponse, Delta, ModelError, Prices, Reply, StopReason, ToolCalling};

/// A model behind a server that speaks OpenAI's chat completions. Clones share connections and rate limit.
#[derive(Clone, Debug)]
pub struct OpenAi {
    client: Client,
    settings: Settings,
}

impl OpenAi {
    /// The model that the server calls `model`; trajectories record this name. OpenAI itself is asked with
    /// [`Length::MaxCompletionTokens`].
    pub fn new(connection: Connection, model: impl Into<String>) -> Result<Self, BuildError> {
        let client = Client::new(connection, "chat/completions", KeyHeader::Bearer, &[])?;
        let length = if client.host() == "api.openai.com" { Length::MaxCompletionTokens } else { Length::MaxTokens };
        let settings = Settings { model: model.into(), length, ..Settings::default() };
        Ok(Self { client, settings })
    }

    /// Sets how the server is told of tools. Default [`ToolCalling::Native`].
    #[must_use]
    pub fn tool_calling(mut self, calling: ToolCalling) -> Self {
        self.settings.calling = calling;
        self
    }

    /// Asks for tokens and their log-probabilities (`return_token_ids` and `logprobs`, as vLLM and entropo's own server
    /// have them). If the server tells them, they reach the trajectory and can be trained on as they were sampled. Other
    /// servers ignore the fields or refuse them.
    #[must_use]
    pub fn tokens(mut self) -> Self {
        self.settings.tokens = Some(TokenSource::ReturnTokenIds);
        self
    }

    /// Like [`tokens`](Self::tokens), of a server that is llama.cpp's. Replies come [whole](Self::whole), for it tells no
    /// log-probabilities of tool calls that are streamed; and as it tells the prompt in words only, it is asked after each
    /// reply what their tokens are, at `/tokenize` beside the base URL.
    #[must_use]
    pub fn llama_cpp_tokens(mut self) -> Self {
        self.settings.tokens = Some(TokenSource::LlamaCpp);
        self.settings.whole = true;
        self
    }

    /// Asks for replies in one piece. Without this they are streamed, so that a server that hangs is noticed.
    #[must_use]
    pub fn whole(mut self) -> Self {
        self.settings.whole = true;
        self
    }

    /// Sends the reasoning of earlier turns that called tools back, as `reasoning_content`; some models want it.
    #[must_use]
    pub fn send_reasoning(mut self) -> Self {
        self.settings.send_reasoning = true;
        self
    }

    /// Sets the field that limits the length of a reply.
    #[must_use]
    pub fn length(mut self, length: Length) -> Self {
        self.settings.length = length;
        self
    }

    /// Sets a field of every request's body, in the place of what would be sent; null (`()`) leaves a field out. The value
    /// is not secret: it may be logged.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, value: impl serde::Serialize) -> Self {
        // What is no JSON, such as a map with keys that are no text, is left out.
        let value = serde_json::to_value(value).unwrap_or(Value::Null);
        self.settings.fields.insert(name.into(), value);
        self
    }

    /// Sets what tokens cost; [`Usage::cost_nano_usd`](entropo_core::Usage::cost_nano_usd) is then known.
    #[must_use]
    pub fn prices(mut self, prices: Prices) -> Self {
        self.client.prices = Some(prices);
        self
    }

    /// Keeps the bytes of responses in [`Reply::raw`].
    #[must_use]
    pub fn keep_raw(mut self) -> Self {
        self.client.keep_raw = true;
        self
    }

    /// Has `see` called with every reply, in the task that asked for it: for what the trajectory does not keep.
    #[must_use]
    pub fn on_reply(mut self, see: impl Fn(&Reply) + Send + Sync + 'static) -> Self {
        self.client.on_reply = Some(Arc::new(see));
        self
    }

    /// Like [`ChatModel::stream`], with everything that the server told.
    pub async fn reply(&self, request: ChatRequest<'_>, tell: Tell<'_>) -> Result<Reply, ModelError> {
        let mut received = self.receive(&request, tell).await?;
        if let Some(prompt) = received.draft.prompt.take() {
            self.tell_prompt(&mut received, &prompt, &request).await?;
        }
        Ok(self.client.conclude(received, &self.settings.calling))
    }

    /// The tokens of a reply, each with the `count` likeliest tokens in its place (`logprobs` and `top_logprobs`; most
    /// servers allow 20). Empty if the server does not tell them. The reply comes whole.
    pub async fn listed(&self, request: ChatRequest<'_>, count: usize) -> Result<Vec<ListedToken>, ModelError> {
        let asking = self.clone().whole().field("logprobs", true).field("top_logprobs", count);
        Ok(asking.receive(&request, &mut |_| ()).await?.draft.listed)
    }

    /// Asks, and once more for a shorter reply if only that does not fit.
    async fn receive(&self, request: &ChatRequest<'_>, tell: Tell<'_>) -> Result<Received, ModelError> {
        let Settings { model, whole, .. } = &self.settings;
        let mut call = Call { provider: "openai", model, body: self.settings.body(request), stream: !whole };
        let longest = self.settings.length.of(&call.body.fields);
        let error = match self.client.receive::<Completion>(&call, request, tell).await {
            Ok(mut received) => {
                let draft = &mut received.draft;
                // Some servers call a reply complete that was cut in the middle of a call.
                if !draft.calls.is_empty() && longest.is_some_and(|longest| draft.usage.completion_tokens >= longest) {
                    draft.stop = StopReason::MaxTokens;
                }
                return Ok(received);
            }
            Err(error) => error,
        };
        if !self.settings.length.shorten(&mut call.body.fields, &error) {
            return Err(error);
        }
        tracing::debug!(model, %error, "a shorter reply is asked for");
        let mut received = self.client.receive::<Completion>(&call, request, tell).await?;
        received.attempts += 1;
        if received.draft.stop == StopReason::MaxTokens {
            received.draft.stop = StopReason::Context;
        }
        Ok(received)
    }

    /// Adds the tokens of the prompt, which the server told in words. Without them those of the reply are of no use.
    async fn tell_prompt(
        &self,
        received: &mut Received,
        prompt: &str,
        request: &ChatRequest<'_>,
    ) -> Result<(), ModelError> {
        let (model, body) = (self.settings.model.as_str(), llama_cpp::tokenize(prompt));
        let told = match self.client.ask_beside::<Tokenized>("tokenize", model, &body, request).await {
            Ok(told) => told.draft.tokens.unwrap_or_default().prompt,
            Err(ModelError::Cancelled) => return Err(ModelError::Cancelled),
            Err(error) => {
                tracing::warn!(model, %error, "the server does not tell the prompt's tokens; the reply's are dropped");
                Vec::new()
            }
        };
        let Received { draft, .. } = received;
        let (told_count, read) = (told.len(), draft.usage.prompt_tokens);
        if told_count == read && read > 0 {
            draft.tokens.iter_mut().for_each(|tokens| tokens.prompt.clone_from(&told));
        } else {
            tracing::warn!(model, told_count, read, "the prompt's tokens are not those that were read; none are kept");
            draft.tokens = None;
        }
        Ok(())
    }
}

#[async_trait]
impl ChatModel for OpenAi {
    fn name(&self) -> &str {
        &self.settings.model
    }

    async fn chat(&self, request: ChatRequest<'_>) -> Result<ChatResponse, ModelError> {
        Ok(self.reply(request, &mut |_| ()).await?.response)
    }

    async fn stream(
        &self,
        request: ChatRequest<'_>,
        tell: &mut (dyn for<'d> FnMut(Delta<'d>) + Send),
    ) -> Result<ChatResponse, ModelError> {
        Ok(self.reply(request, tell).await?.response)
    }
}
