//! One rollout as a value.
//!
//! A [`Run`] decides, and does nothing: [`Run::next`] says what to do, the other methods say what happened. The async
//! [`Agent`](crate::Agent), replays and tests drive the same machine; it can be stored between any two steps and taken
//! up again. Told anything when it is done, or an answer that it did not ask for, it stays as it is.

use entropo_core::{
    AssistantMessage, ExitReason, Message, Outcome, RolloutId, TRAJECTORY_FORMAT, TokenTrace, ToolCall, ToolResult,
    ToolStatus, Trajectory, Usage,
};
use serde::{Deserialize, Serialize};

use crate::limit::Limits;
use crate::model::{ChatResponse, ModelError, SampledTokens, StopReason};
use crate::seed::turn_seed;

/// What the model reads after a reply without a call.
pub(crate) const NO_CALL: &str = "Your reply calls no tool. Reply with a tool call, and finish with one too.";
/// What the model reads after a reply that was cut.
pub(crate) const CUT: &str = "Your reply was cut off, it is too long. Write a shorter one that ends with a tool call.";
/// What precedes the reason why a reply cannot be read.
pub(crate) const UNREADABLE: &str = "Your tool call cannot be read. ";

/// A rollout between two steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    id: RolloutId,
    model: String,
    seed: u64,
    limits: Limits,
    messages: Vec<Message>,
    trace: TokenTrace,
    usage: Usage,
    /// Prompt and completion of the last model call.
    context_tokens: usize,
    /// Turns in a row without a valid call.
    format_errors: usize,
    state: State,
    error: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Model,
    Tools(Vec<ToolCall>),
    Done(ExitReason),
}

/// What a [`Run`] waits for.
#[derive(Clone, Debug, PartialEq)]
pub enum Step<'a> {
    /// A reply of the model: [`Run::model_replied`] or [`Run::model_failed`].
    CallModel {
        /// The conversation so far.
        messages: &'a [Message],
        /// Its tokens, as far as the model told them.
        trace: &'a TokenTrace,
        /// The assistant turn that is asked for, counted from 0.
        turn: usize,
        /// [`turn_seed`] of the run's seed and the turn.
        seed: u64,
    },
    /// The results of these calls, carried out in order up to one that finishes: [`Run::tools_returned`].
    CallTools(&'a [ToolCall]),
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
            trace: TokenTrace::default(),
            usage: Usage::default(),
            context_tokens: 0,
            format_errors: 0,
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

    /// What to do now.
    pub fn next(&self) -> Step<'_> {
        match &self.state {
            State::Model => {
                let turn = self.turn();
                let seed = turn_seed(self.seed, turn);
                Step::CallModel { messages: &self.messages, trace: &self.trace, turn, seed }
            }
            State::Tools(calls) => Step::CallTools(calls),
            State::Done(exit) => Step::Done(*exit),
        }
    }

    /// The model replied. Its calls are renamed `call_<turn>_<index>`. A reply without a call, with one that cannot be
    /// read or that was cut is answered in a line and counted as a bad call; of an unreadable or cut one only the words
    /// are kept, so that no call in the conversation is without its answer.
    pub fn model_replied(&mut self, response: ChatResponse) {
        if self.state != State::Model {
            return;
        }
        let turn = self.turn();
        let ChatResponse { mut message, format_error, stop, usage, tokens } = response;
        let fault = match (stop, format_error) {
            (StopReason::MaxTokens, _) => Some(CUT.to_owned()),
            (_, Some(why)) => Some(format!("{UNREADABLE}{}", why.replace('\n', " "))),
            (_, None) if message.tool_calls.is_empty() => Some(NO_CALL.to_owned()),
            _ => None,
        };
        if fault.is_some() || stop == StopReason::Context {
            message.tool_calls.clear();
            message.content = message.raw.clone().unwrap_or(message.content);
        }
        for (index, call) in message.tool_calls.iter_mut().enumerate() {
            call.id = format!("call_{turn}_{index}");
        }
        let calls = message.tool_calls.clone();
        self.record_reply(turn, message, usage, tokens);
        match fault {
            _ if self.state != State::Model => {} // its tokens were unusable
            _ if stop == StopReason::Context => self.finish(ExitReason::Context),
            Some(answer) => self.refuse(answer),
            None => self.state = State::Tools(calls),
        }
    }

    /// The model gave no reply.
    pub fn model_failed(&mut self, error: &ModelError) {
        match error {
            ModelError::Cancelled => self.cancel(),
            ModelError::ContextFull { .. } => self.fail(ExitReason::Context, error.to_string()),
            _ => self.fail(ExitReason::ModelError, error.to_string()),
        }
    }

    /// The calls of [`Step::CallTools`] were carried out. A turn in which no call reached a tool counts towards
    /// [`Limits::max_format_errors`].
    pub fn tools_returned(&mut self, results: Vec<ToolResult>) {
        if !matches!(self.state, State::Tools(_)) {
            return;
        }
        self.usage.tool_calls += results.len();
        self.usage.bad_calls += results.iter().filter(|result| result.status.is_bad()).count();
        let finished = results.iter().any(|result| result.status == ToolStatus::Finish);
        let valid = results.iter().any(|result| result.status != ToolStatus::Invalid);
        self.messages.extend(results.into_iter().map(|result| Message::Tool(result.into())));
        self.format_errors = if valid { 0 } else { self.format_errors + 1 };
        if finished {
            self.finish(ExitReason::Agent);
        } else if self.format_errors >= self.limits.max_format_errors {
            self.finish(ExitReason::FormatErrors);
        } else {
            self.ask_model();
        }
    }

    /// [`Limits::max_seconds`] have passed.
    pub fn time_is_up(&mut self) {
        self.finish(ExitReason::TimeLimit);
    }

    /// Somebody wants it to stop.
    pub fn cancel(&mut self) {
        self.finish(ExitReason::Cancelled);
    }

    /// Something outside the run went wrong.
    pub fn fail(&mut self, exit: ExitReason, message: impl Into<String>) {
        if !matches!(self.state, State::Done(_)) {
            self.error = Some(message.into());
            self.finish(exit);
        }
    }

    /// What happened, with what was achieved. A run that is not done counts as cancelled.
    pub fn into_trajectory(self, outcome: Outcome) -> Trajectory {
        let exit = match self.state {
            State::Done(exit) => exit,
            State::Model | State::Tools(_) => ExitReason::Cancelled,
        };
        Trajectory {
            format: TRAJECTORY_FORMAT.to_owned(),
            id: self.id,
            model: self.model,
            seed: self.seed,
            messages: self.messages,
            trace: self.trace,
            exit,
            error: self.error,
            usage: self.usage,
            outcome,
        }
    }

    /// The number of the next assistant turn.
    fn turn(&self) -> usize {
        self.messages.iter().filter(|message| matches!(message, Message::Assistant(_))).count()
    }

    fn record_reply(&mut self, turn: usize, message: AssistantMessage, usage: Usage, tokens: Option<SampledTokens>) {
        self.messages.push(Message::Assistant(message));
        self.usage.model_calls += 1;
        self.usage.prompt_tokens += usage.prompt_tokens;
        self.usage.completion_tokens += usage.completion_tokens;
        self.usage.cached_tokens += usage.cached_tokens;
        self.usage.cost_nano_usd = match (self.usage.cost_nano_usd, usage.cost_nano_usd) {
            (Some(before), Some(now)) => Some(before.saturating_add(now)),
            (before, now) => before.or(now),
        };
        self.context_tokens = usage.prompt_tokens + usage.completion_tokens;
        if let Some(SampledTokens { prompt, completion, logprobs }) = tokens {
            let recorded = self.trace.record(turn, &prompt, &completion, &logprobs, self.messages.len());
            if let Err(error) = recorded {
                self.fail(ExitReason::ModelError, format!("{} told unusable tokens: {error}", self.model));
            }
        }
    }

    /// Answers a turn without a readable call, unless it was one too many.
    fn refuse(&mut self, answer: String) {
        self.usage.bad_calls += 1;
        self.format_errors += 1;
        if self.format_errors >= self.limits.max_format_errors {
            self.finish(ExitReason::FormatErrors);
        } else {
            self.messages.push(Message::user(answer));
            self.ask_model();
        }
    }

    fn ask_model(&mut self) {
        let exceeded = |used: usize, limit: Option<usize>| limit.is_some_and(|limit| used >= limit);
        if self.usage.model_calls >= self.limits.max_steps {
            self.finish(ExitReason::StepLimit);
        } else if exceeded(self.context_tokens, self.limits.max_tokens)
            || exceeded(self.usage.completion_tokens, self.limits.max_completion_tokens)
        {
            self.finish(ExitReason::TokenLimit);
        } else {
            self.state = State::Model;
        }
    }

    fn finish(&mut self, exit: ExitReason) {
        if !matches!(self.state, State::Done(_)) {
            self.state = State::Done(exit);
        }
    }
}
