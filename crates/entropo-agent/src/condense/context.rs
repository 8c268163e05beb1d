use entropo_core::{Condensation, Message, ToolSpec};
use tokio_util::sync::CancellationToken;

use crate::model::ChatModel;
use crate::run::Run;

/// What a [`Condenser`](super::Condenser) decides about.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    run: &'a Run,
    model: &'a dyn ChatModel,
    tools: &'a [ToolSpec],
    full: bool,
    cancel: &'a CancellationToken,
}

/// Bytes of a token before any was counted; English and code have between three and four.
const USUAL_BYTES_PER_TOKEN: f64 = 3.5;

impl<'a> Context<'a> {
    pub(crate) fn new(
        run: &'a Run,
        model: &'a dyn ChatModel,
        tools: &'a [ToolSpec],
        full: bool,
        cancel: &'a CancellationToken,
    ) -> Self {
        Self { run, model, tools, full, cancel }
    }

    /// The whole conversation.
    pub fn messages(&self) -> &'a [Message] {
        self.run.messages()
    }

    /// What the model reads now.
    pub fn current(&self) -> &'a [Message] {
        self.run.context()
    }

    /// The tools that the model knows. A model that is asked about the conversation has to be told of them too: some servers
    /// refuse calls of tools that they were not told of.
    pub fn tools(&self) -> &'a [ToolSpec] {
        self.tools
    }

    /// How the context was condensed before, if it was.
    pub fn condensation(&self) -> Option<&'a Condensation> {
        self.run.condensation()
    }

    /// Whether the model has just refused the context for its length.
    pub fn full(&self) -> bool {
        self.full
    }

    /// Ends when the run does.
    pub fn cancel(&self) -> &'a CancellationToken {
        self.cancel
    }

    /// How many messages at the beginning are the task, and stay.
    pub fn task(&self) -> usize {
        let messages = self.messages();
        messages.iter().position(|message| matches!(message, Message::Assistant(_))).unwrap_or(messages.len())
    }

    /// Tokens of what the model reads now: what the last model call told, and an estimate of what was added since.
    pub fn tokens(&self) -> usize {
        match self.run.measured() {
            (0, _) => self.tokens_of(self.current()),
            (tokens, messages) => {
                let added = self.current().get(messages..).unwrap_or_default();
                tokens + self.estimate(added)
            }
        }
    }

    /// Tokens of a prompt of these messages and the tools: exact if the model [tells](ChatModel::count_tokens), else by the
    /// bytes that a token had in the last call.
    pub fn tokens_of(&self, messages: &[Message]) -> usize {
        self.model.count_tokens(messages, self.tools).unwrap_or_else(|| self.estimate(messages) + self.of_the_tools())
    }

    /// Tokens of `messages` alone, by the bytes that a token had in the last call.
    pub fn estimate(&self, messages: &[Message]) -> usize {
        (messages.iter().map(bytes).sum::<usize>() as f64 / self.bytes_per_token()).ceil() as usize
    }

    fn of_the_tools(&self) -> usize {
        let bytes: usize =
            self.tools.iter().map(|tool| tool.parameters.to_string().len() + tool.description.len()).sum();
        (bytes as f64 / self.bytes_per_token()).ceil() as usize
    }

    fn bytes_per_token(&self) -> f64 {
        let (tokens, messages) = self.run.measured();
        let measured: usize = self.current().iter().take(messages).map(bytes).sum();
        if tokens == 0 { USUAL_BYTES_PER_TOKEN } else { (measured as f64 / tokens as f64).clamp(1.0, 8.0) }
    }
}

/// Bytes of a message's words and calls.
fn bytes(message: &Message) -> usize {
    /// What a template writes around a message.
    const FRAME: usize = 16;
    let calls = match message {
        Message::Assistant(message) => {
            message.tool_calls.iter().map(|call| call.name.len() + call.arguments.to_string().len()).sum()
        }
        _ => 0,
    };
    FRAME + message.content().len() + calls
}
