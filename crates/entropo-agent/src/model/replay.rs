//! A model that says again what it said in a stored rollout.
//!
//! It checks that the conversation is the stored one, message by message. A replay that runs through has shown that the
//! environment answers the same calls with the same observations, which training assumes.

use async_trait::async_trait;
use entropo_core::{ExitReason, Message, Segment, Trajectory, Usage};

use super::{ChatModel, ChatRequest, ChatResponse, ModelError, SampledTokens, StopReason};
use crate::run::{CUT, UNREADABLE, without_note};

/// The model of a stored rollout.
pub struct ReplayModel {
    trajectory: Trajectory,
}

/// Where a conversation left the stored one. It reaches the caller inside [`ModelError::Other`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("the conversation leaves rollout {rollout} at message {index}: stored is {stored:?}, now there is {now:?}")]
pub struct Divergence {
    /// The rollout, as text.
    pub rollout: String,
    /// Index of the first message that differs.
    pub index: usize,
    /// What was said in the stored rollout; `None` if it was over.
    pub stored: Option<Message>,
    /// What is said now; `None` if the model is asked for a message that was not its own.
    pub now: Option<Message>,
}

impl ReplayModel {
    /// The model that acted in `trajectory`.
    pub fn new(trajectory: Trajectory) -> Self {
        Self { trajectory }
    }

    fn reply(&self, messages: &[Message], turn: usize) -> Result<ChatResponse, Box<Divergence>> {
        let context = self.trajectory.context(turn);
        let stored = context.as_deref().unwrap_or(&self.trajectory.messages);
        let index = stored.iter().zip(messages).take_while(|(stored, now)| stored == now).count();
        let mut written = self.trajectory.messages.iter().enumerate().filter_map(|(index, message)| match message {
            Message::Assistant(message) => Some((index, message)),
            _ => None,
        });
        let (place, message) = match written.nth(turn) {
            Some(reply) if index == stored.len() && index == messages.len() => reply,
            _ => {
                let (stored, now) = (stored.get(index).cloned(), messages.get(index).cloned());
                let rollout = self.trajectory.id.to_string();
                return Err(Box::new(Divergence { rollout, index, stored, now }));
            }
        };
        let tokens = self.trajectory.trace.segments().iter().find_map(|segment| sampled(segment, turn));
        let usage = tokens.as_ref().map_or_else(Usage::default, |tokens| Usage {
            prompt_tokens: tokens.prompt.len(),
            completion_tokens: tokens.completion.len(),
            ..Usage::default()
        });
        let answer = self.trajectory.messages.get(place + 1).map(|message| without_note(message.content()));
        let format_error = answer.and_then(|answer| answer.strip_prefix(UNREADABLE)).map(str::to_owned);
        let stop = match answer {
            Some(CUT) => StopReason::MaxTokens,
            None if self.trajectory.exit == ExitReason::Context => StopReason::Context,
            _ => StopReason::EndOfTurn,
        };
        Ok(ChatResponse { message: message.clone(), format_error, stop, usage, tokens })
    }
}

/// The tokens of `turn`, if they are in `segment`.
fn sampled(segment: &Segment, turn: usize) -> Option<SampledTokens> {
    let mut before = 0;
    for span in &segment.actions {
        let tokens = span.end.checked_sub(span.start)?;
        if span.turn == turn {
            return Some(SampledTokens {
                prompt: segment.ids.get(..span.start)?.to_vec(),
                completion: segment.ids.get(span.start..span.end)?.to_vec(),
                logprobs: segment.logprobs.get(before..before + tokens).unwrap_or_default().to_vec(),
            });
        }
        before += tokens;
    }
    None
}

#[async_trait]
impl ChatModel for ReplayModel {
    fn name(&self) -> &str {
        &self.trajectory.model
    }

    async fn chat(&self, request: ChatRequest<'_>) -> Result<ChatResponse, ModelError> {
        self.reply(request.messages, request.turn)
            .map_err(|divergence| ModelError::Other { model: self.name().to_owned(), source: divergence })
    }
}
