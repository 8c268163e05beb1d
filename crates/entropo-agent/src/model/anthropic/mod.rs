//! Models behind Anthropic's Messages API.
//!
//! ```
//! use entropo_agent::model::Prices;
//! use entropo_agent::model::anthropic::Anthropic;
//! use serde_json::json;
//!
//! let prices = Prices { cached_input: Some(0.3), cache_write: Some(3.75), ..Prices::new(3.0, 15.0) };
//! let model = Anthropic::from_environment("claude-sonnet-4-5")?
//!     .prices(prices)
//!     .field("thinking", json!({"type": "enabled", "budget_tokens": 4096}))
//!     .field("max_tokens", 16_384);
//! # Ok::<(), entropo_agent::model::http::BuildError>(())
//! ```
//!
//! Thinking is kept: the blocks of a turn that calls tools stand in [`AssistantMessage::raw`](entropo_core::AssistantMessage)
//! as they came, signatures included, and are sent back as long as the message still says what they say.

mod request;
mod response;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use self::request::Settings;
use super::http::{ApiKey, BuildError, Call, Client, Connection, KeyHeader, Tell};
use super::{ChatModel, ChatRequest, ChatResponse, Delta, ModelError, Prices, Reply, ToolCalling};

/// Where Anthropic serves.
const BASE_URL: &str = "https://api.anthropic.com/v1";
/// The version of the protocol that is spoken here.
const VERSION: &str = "2023-06-01";

/// A model behind a server that speaks Anthropic's Messages API. Clones share connections and rate limit.
#[derive(Clone, Debug)]
pub struct Anthropic {
    client: Client,
    settings: Settings,
}

impl Anthropic {
    /// The model that the server calls `model`; trajectories record this name. The base URL ends in `/v1`.
    pub fn new(connection: Connection, model: impl Into<String>) -> Result<Self, BuildError> {
        let fixed = [("anthropic-version", VERSION)];
        let client = Client::new(connection, "messages", KeyHeader::Named("x-api-key"), &fixed)?;
        let settings = Settings { model: model.into(), ..Settings::default() };
        Ok(Self { client, settings })
    }

    /// A model at Anthropic, with the key in `$ANTHROPIC_API_KEY`.
    pub fn from_environment(model: impl Into<String>) -> Result<Self, BuildError> {
        Self::new(Connection::new(BASE_URL).api_key(ApiKey::environment("ANTHROPIC_API_KEY")), model)
    }

    /// Asks for replies in one piece. Without this they are streamed, so that a server that hangs is noticed.
    #[must_use]
    pub fn whole(mut self) -> Self {
        self.settings.whole = true;
        self
    }

    /// Asks the server to keep no prompt. Without this it is asked to keep the prompt to its end, which costs a quarter
    /// more once and saves nine tenths in every later turn.
    #[must_use]
    pub fn uncached(mut self) -> Self {
        self.settings.uncached = true;
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
        let Settings { model, whole, .. } = &self.settings;
        let call = Call { provider: "anthropic", model, body: self.settings.body(&request), stream: !whole };
        let received = self.client.receive::<response::Reply>(&call, &request, tell).await?;
        Ok(self.client.conclude(received, &ToolCalling::Native))
    }
}

#[async_trait]
impl ChatModel for Anthropic {
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
