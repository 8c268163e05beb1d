//! What the loop asks of a model.
//!
//! [`ChatModel`] is object-safe: which model acts is a run-time choice (`Arc<dyn ChatModel>`). A request borrows the
//! conversation, so that a thousand concurrent runs copy nothing to ask.
//!
//! Models behind servers are in `openai` and `anthropic`, features of these names; a [`pool`] makes several models one.
//! [`scripted`] and [`replay`] need no model at all.

#[cfg(feature = "anthropic")]
pub mod anthropic;
mod delta;
#[cfg(any(feature = "openai", feature = "anthropic"))]
mod draft;
mod error;
#[cfg(any(feature = "openai", feature = "anthropic"))]
pub mod http;
#[cfg(feature = "openai")]
pub mod openai;
pub mod pool;
#[cfg(any(feature = "openai", feature = "anthropic"))]
mod prices;
pub mod replay;
#[cfg(any(feature = "openai", feature = "anthropic"))]
mod reply;
pub mod scripted;
#[cfg(any(feature = "openai", feature = "anthropic"))]
mod tool_calling;

use async_trait::async_trait;
use entropo_core::{AssistantMessage, Message, TokenTrace, ToolSpec, Usage};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

pub use delta::Delta;
pub use error::ModelError;
#[cfg(any(feature = "openai", feature = "anthropic"))]
pub use prices::Prices;
#[cfg(any(feature = "openai", feature = "anthropic"))]
pub use reply::Reply;
#[cfg(any(feature = "openai", feature = "anthropic"))]
pub use tool_calling::ToolCalling;

/// Something that continues a conversation.
#[async_trait]
pub trait ChatModel: Send + Sync {
    /// The name recorded in trajectories.
    fn name(&self) -> &str;

    /// Writes the next assistant message.
    ///
    /// A reply that holds no readable tool call is no error: see [`ChatResponse::format_error`].
    async fn chat(&self, request: ChatRequest<'_>) -> Result<ChatResponse, ModelError>;

    /// Like [`chat`](Self::chat), and tells what is written while it is written. A model that cannot do so tells the text
    /// when it has all of it.
    async fn stream(
        &self,
        request: ChatRequest<'_>,
        tell: &mut (dyn for<'d> FnMut(Delta<'d>) + Send),
    ) -> Result<ChatResponse, ModelError> {
        let response = self.chat(request).await?;
        if !response.message.content.is_empty() {
            tell(Delta::Text(&response.message.content));
        }
        Ok(response)
    }

    /// How many tokens a prompt of these messages and tools has, if the model can tell without being asked for a reply.
    fn count_tokens(&self, _messages: &[Message], _tools: &[ToolSpec]) -> Option<usize> {
        None
    }
}

/// One question to a model.
#[derive(Clone, Debug)]
pub struct ChatRequest<'a> {
    /// The conversation so far.
    pub messages: &'a [Message],
    /// The tools that may be called.
    pub tools: &'a [ToolSpec],
    /// The conversation's tokens up to the last assistant message, if a model told them before. A model that works on
    /// tokens continues them and tokenises only what is new.
    pub trace: &'a TokenTrace,
    /// How to sample.
    pub sampling: &'a Sampling,
    /// The assistant turn that is asked for, counted from 0 over the whole rollout: where the context was condensed, there
    /// are more turns than assistant messages.
    pub turn: usize,
    /// Seed of this one reply; the same request with the same seed gives the same reply where a model can promise it.
    pub seed: u64,
    /// Ends the reply early with [`ModelError::Cancelled`].
    pub cancel: &'a CancellationToken,
}

/// How the next token is chosen: the penalty first, then the temperature, `top_k`, `top_p` and `min_p`, each on what the
/// one before left, as in transformers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sampling {
    /// Divides the logits; 0 is greedy. Default 1.
    pub temperature: f32,
    /// Keeps the smallest set of likeliest tokens whose probability reaches this, in (0, 1]. Default 1: all.
    pub top_p: f32,
    /// Keeps this many likeliest tokens. Default: all.
    pub top_k: Option<usize>,
    /// Keeps tokens whose probability is at least this fraction of the likeliest one's, in [0, 1]. Default 0: all.
    pub min_p: f32,
    /// Divides the positive logits of tokens that stand in the prompt or the reply, and multiplies the negative ones;
    /// above 1 repetition becomes rarer. Default 1: nothing.
    pub repetition_penalty: f32,
    /// Longest reply in tokens. Default 1,024.
    pub max_tokens: usize,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: 1.0, top_p: 1.0, top_k: None, min_p: 0.0, repetition_penalty: 1.0, max_tokens: 1024 }
    }
}

/// A model's reply.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ChatResponse {
    /// What was written.
    pub message: AssistantMessage,
    /// Why the reply cannot be read as tool calls, in one line for the model; `None` if it can, or if it calls none.
    pub format_error: Option<String>,
    /// Why the model stopped writing.
    pub stop: StopReason,
    /// Tokens of this call; `model_calls`, `tool_calls` and `bad_calls` stay 0.
    pub usage: Usage,
    /// The tokens themselves, if the model tells them.
    pub tokens: Option<SampledTokens>,
}

/// The tokens of one reply.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SampledTokens {
    /// Everything the model read, from the first token.
    pub prompt: Vec<u32>,
    /// What it sampled, the end-of-turn token included.
    pub completion: Vec<u32>,
    /// Natural log-probability of each sampled token under the policy at temperature 1, unfiltered; empty if unknown.
    pub logprobs: Vec<f32>,
}

/// Why a model stopped writing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StopReason {
    /// It ended its turn.
    #[default]
    EndOfTurn,
    /// The reply reached [`Sampling::max_tokens`].
    MaxTokens,
    /// The context is full.
    Context,
    /// The provider's filter, or the model itself, refused to go on.
    Filtered,
}
