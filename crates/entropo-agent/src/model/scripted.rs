//! A model that says what it was told to say: for tests, examples and demonstrations.

use async_trait::async_trait;
use entropo_core::AssistantMessage;

use super::{ChatModel, ChatRequest, ChatResponse, ModelError};

/// Replies from a list or a function. It keeps no state, so one serves any number of rollouts at once.
pub struct ScriptedModel {
    name: String,
    reply: Box<Reply>,
}

type Reply = dyn Fn(&ChatRequest<'_>) -> Option<ChatResponse> + Send + Sync;

impl ScriptedModel {
    /// The reply in turn `n` is `replies[n]`; after the last there is an error.
    pub fn new(name: impl Into<String>, replies: Vec<AssistantMessage>) -> Self {
        let reply = move |request: &ChatRequest<'_>| {
            let message = replies.get(request.turn)?.clone();
            Some(ChatResponse { message, ..ChatResponse::default() })
        };
        Self { name: name.into(), reply: Box::new(reply) }
    }

    /// Every reply is what `reply` returns.
    pub fn from_fn(
        name: impl Into<String>,
        reply: impl Fn(&ChatRequest<'_>) -> ChatResponse + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), reply: Box::new(move |request| Some(reply(request))) }
    }
}

#[async_trait]
impl ChatModel for ScriptedModel {
    fn name(&self) -> &str {
        &self.name
    }

    async fn chat(&self, request: ChatRequest<'_>) -> Result<ChatResponse, ModelError> {
        (self.reply)(&request).ok_or_else(|| ModelError::Exhausted { model: self.name.clone(), turn: request.turn })
    }
}
