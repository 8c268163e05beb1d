//! One rollout as a value.
//!
//! A [`Run`] decides, and does nothing: [`Run::next`] says what to do, and is told what happened as a [`Fact`]. The async
//! [`Agent`](crate::Agent), replays and tests drive the same machine; it can be stored between any two facts and taken up
//! again. Told anything when it is done, or an answer that it did not ask for, it stays as it is.

mod apply;
mod fact;
mod repeats;

use std::borrow::Cow;

use entropo_core::{
    Condensation, CondensationError, ExitReason, Message, Outcome, Replacement, RolloutId, TRAJECTORY_FORMAT,
    TokenTrace, ToolCall, ToolResult, Trajectory, Usage,
};
use serde::{Deserialize, Serialize};

pub use fact::Fact;
use repeats::Repeats;

use crate::limit::Limits;
use crate::model::{ChatResponse, ModelError, SampledTokens};
use crate::seed::turn_seed;

pub(crate) use apply::{CUT, UNREADABLE, without_note};

/// A rollout between two steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    id: RolloutId,
    model: String,
    seed: u64,
    limits: Limits,
    /// The whole conversation.
    messages: Vec<Message>,
    condensations: Vec<Condensation>,
    /// What the model reads in the conversation's place, once it was condensed.
    condensed: Option<Vec<Message>>,
    trace: TokenTrace,
    /// Whether the next prompt does not continue the last tokens.
    fresh_context: bool,
    usage: Usage,
    /// Assistant turns.
    turns: usize,
    /// Prompt and completion of the last model call, and how many messages of the context they cover.
    context_tokens: usize,
    context_messages: usize,
    /// Turns in a row without a valid call.
    format_errors: usize,
    repeats: Repeats,
    state: State,
    error: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Model,
    Tools(Calls),
    Done(ExitReason),
}

/// The calls of a turn, and what has become of each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Calls {
    calls: Vec<ToolCall>,
    started: Vec<bool>,
    answers: Vec<Option<ToolResult>>,
}

/// What a [`Run`] waits for.
#[derive(Clone, Debug, PartialEq)]
pub enum Step<'a> {
    /// A reply of the model: [`Run::model_replied`] or [`Run::model_failed`].
    CallModel {
        /// What the model reads.
        messages: &'a [Message],
        /// Its tokens, as far as the model told them.
        trace: Cow<'a, TokenTrace>,
        /// The assistant turn that is asked for, counted from 0.
        turn: usize,
        /// [`turn_seed`] of the run's seed and the turn.
        seed: u64,
    },
    /// Answers to these calls: [`Run::tool_returned`] or [`Run::tools_returned`].
    CallTools {
        /// All calls of the turn.
        calls: &'a [ToolCall],
        /// The answers so far, one place for each call.
        answers: &'a [Option<ToolResult>],
    },
    /// Nothing; take [`Run::into_trajectory`].
    Done(ExitReason),
}

impl Run {
    /// A run that starts with `messages`.
    pub fn new(id: RolloutId, model: impl Into<String>, seed: u64, messages: Vec<Message>, limits: Limits) -> Self {
        let mut run = Self {
            id,
            model: model.into(),
            seed,
            limits,
            messages,
            condensations: Vec::new(),
            condensed: None,
            trace: TokenTrace::default(),
            fresh_context: false,
            usage: Usage::default(),
            turns: 0,
            context_tokens: 0,
            context_messages: 0,
            format_errors: 0,
            repeats: Repeats::default(),
            state: State::Model,
            error: None,
        };
        run.ask_model();
        run
    }

    /// Which rollout this is.
    pub fn id(&self) -> &RolloutId {
        &self.id
    }

    /// The limits that it keeps, those that its driver keeps included.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The whole conversation, whatever of it was condensed.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// What the model reads.
    pub fn context(&self) -> &[Message] {
        self.condensed.as_deref().unwrap_or(&self.messages)
    }

    /// How the context was condensed last.
    pub fn condensation(&self) -> Option<&Condensation> {
        self.condensations.last()
    }

    /// Tokens of the last model call, prompt and completion, and how many messages of the [context](Self::context) they
    /// are; 0 and 0 after the context was condensed, until the model is asked again.
    pub fn measured(&self) -> (usize, usize) {
        (self.context_tokens, self.context_messages)
    }

    /// What was used so far.
    pub fn usage(&self) -> &Usage {
        &self.usage
    }

    /// Assistant turns so far.
    pub fn turns(&self) -> usize {
        self.turns
    }

    /// What to do now.
    pub fn next(&self) -> Step<'_> {
        match &self.state {
            State::Model => {
                let trace =
                    if self.fresh_context { Cow::Owned(TokenTrace::default()) } else { Cow::Borrowed(&self.trace) };
                let seed = turn_seed(self.seed, self.turns);
                Step::CallModel { messages: self.context(), trace, turn: self.turns, seed }
            }
            State::Tools(Calls { calls, answers, .. }) => Step::CallTools { calls, answers },
            State::Done(exit) => Step::Done(*exit),
        }
    }

    /// The model replied. Its calls are renamed `call_<turn>_<index>`. A reply without a call, with one that cannot be
    /// read or that was cut is answered in a line and counted as a bad call; of an unreadable or cut one only the words
    /// are kept, so that no call in the conversation is without its answer.
    pub fn model_replied(&mut self, response: ChatResponse) {
        self.apply(self.reply(response));
    }

    /// The fact that the model replied so.
    pub fn reply(&self, mut response: ChatResponse) -> Fact {
        let before = self.trace.segments().last().filter(|_| !self.fresh_context);
        let before = before.map(|segment| segment.ids.as_slice()).unwrap_or_default();
        let mut continued = 0;
        if let Some(SampledTokens { prompt, .. }) = &mut response.tokens
            && prompt.starts_with(before)
        {
            continued = before.len();
            prompt.drain(..continued);
        }
        Fact::Replied { response, continued }
    }

    /// The model gave no reply.
    pub fn model_failed(&mut self, error: &ModelError) {
        self.apply(Self::failure(error));
    }

    /// The fact that the model failed so.
    pub fn failure(error: &ModelError) -> Fact {
        let exit = match error {
            ModelError::Cancelled => return Fact::Ended { exit: ExitReason::Cancelled, error: None },
            ModelError::ContextFull { .. } => ExitReason::Context,
            _ => ExitReason::ModelError,
        };
        Fact::Ended { exit, error: Some(error.to_string()) }
    }

    /// A call was answered. When all are, or when one finished and none is under way, the turn is over. A turn in which no
    /// call reached a tool counts towards [`Limits::max_format_errors`].
    pub fn tool_returned(&mut self, result: ToolResult) {
        self.apply(Fact::Returned { result });
    }

    /// Calls were answered, in order up to one that finishes.
    pub fn tools_returned(&mut self, results: Vec<ToolResult>) {
        results.into_iter().for_each(|result| self.tool_returned(result));
    }

    /// Somebody says something: the model reads it next. A run that was done goes on, unless one of its limits is reached
    /// still; one that waits for tools gives them up.
    pub fn say(&mut self, content: impl Into<String>) {
        self.apply(Fact::Said { content: content.into() });
    }

    /// What would make the context shorter in this way, if it may be. The check comes first: a [`Fact`] is a thing of the
    /// past, and always applied.
    ///
    /// # Errors
    /// Those of [`Condensation::check`].
    pub fn condense(&self, replacements: Vec<Replacement>, usage: Usage) -> Result<Fact, CondensationError> {
        let condensation = Condensation { turn: self.turns, replacements };
        condensation.check(&self.messages)?;
        Ok(Fact::Condensed { replacements: condensation.replacements, usage })
    }

    /// [`Limits::max_seconds`] have passed.
    pub fn time_is_up(&mut self) {
        self.apply(Fact::Ended { exit: ExitReason::TimeLimit, error: None });
    }

    /// Somebody wants it to stop.
    pub fn cancel(&mut self) {
        self.apply(Fact::Ended { exit: ExitReason::Cancelled, error: None });
    }

    /// Something outside the run went wrong.
    pub fn fail(&mut self, exit: ExitReason, message: impl Into<String>) {
        self.apply(Fact::Ended { exit, error: Some(message.into()) });
    }

    /// What happened, with what was achieved. A run that is not done counts as cancelled.
    pub fn into_trajectory(mut self, outcome: Outcome) -> Trajectory {
        self.cancel();
        let exit = if let State::Done(exit) = self.state { exit } else { ExitReason::Cancelled };
        Trajectory {
            format: TRAJECTORY_FORMAT.to_owned(),
            id: self.id,
            model: self.model,
            seed: self.seed,
            messages: self.messages,
            condensations: self.condensations,
            trace: self.trace,
            exit,
            error: self.error,
            usage: self.usage,
            outcome,
        }
    }
}
