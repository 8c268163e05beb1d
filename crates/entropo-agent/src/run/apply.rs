//! What each fact does to a run.

use entropo_core::{
    AssistantMessage, Condensation, ExitReason, Message, Replacement, ToolResult, ToolStatus, TraceError, Usage,
};

use super::{Calls, Fact, Run, State};
use crate::model::{ChatResponse, SampledTokens, StopReason};

/// What the model reads after a reply without a call.
pub(crate) const NO_CALL: &str = "Your reply calls no tool. Reply with a tool call, and finish with one too.";
/// What the model reads after a reply that was cut.
pub(crate) const CUT: &str = "Your reply was cut off, it is too long. Write a shorter one that ends with a tool call.";
/// What precedes the reason why a reply cannot be read.
pub(crate) const UNREADABLE: &str = "Your tool call cannot be read. ";
/// The notes about the turns that are left.
const LAST_STEP: &str = "[This is your last step: finish now.]";
const STEPS_LEFT: &str = " steps left.]";
/// The answer to a call that was under way when the process went away.
const INTERRUPTED: &str =
    "This call was interrupted and may have been carried out in part. Check what it did before you repeat it.";

impl Run {
    /// Whether the fact can happen to the run as it stands.
    pub fn accepts(&self, fact: &Fact) -> bool {
        match fact {
            Fact::Said { .. } => true,
            Fact::Replied { .. } | Fact::Condensed { .. } => self.state == State::Model,
            Fact::Started { .. } | Fact::Returned { .. } | Fact::Interrupted => matches!(self.state, State::Tools(_)),
            Fact::Ended { .. } => !matches!(self.state, State::Done(_)),
        }
    }

    /// Takes in what happened. What it does not [accept](Self::accepts) changes nothing.
    pub fn apply(&mut self, fact: Fact) {
        if !self.accepts(&fact) {
            return;
        }
        match fact {
            Fact::Replied { response, continued } => self.replied(response, continued),
            Fact::Condensed { replacements, usage } => self.condensed(replacements, &usage),
            Fact::Started { call_id } => self.started(&call_id),
            Fact::Returned { result } => self.returned(result),
            Fact::Interrupted => self.interrupted(),
            Fact::Said { content } => self.said(content),
            Fact::Ended { exit, error } => {
                self.error = error;
                self.finish(exit);
            }
        }
    }

    fn replied(&mut self, response: ChatResponse, continued: usize) {
        let turn = self.turns;
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
        let recorded = self.record_reply(message, usage, tokens, continued);
        if fault.is_none() && stop != StopReason::Context {
            let (started, answers) = (vec![false; calls.len()], vec![None; calls.len()]);
            self.state = State::Tools(Calls { calls, started, answers });
        }
        match (recorded, fault) {
            (Err(problem), _) => {
                self.error = Some(format!("{} told unusable tokens: {problem}", self.model));
                self.finish(ExitReason::ModelError);
            }
            _ if stop == StopReason::Context => self.finish(ExitReason::Context),
            (Ok(()), Some(answer)) => self.refuse(answer),
            (Ok(()), None) => {}
        }
    }

    fn record_reply(
        &mut self,
        message: AssistantMessage,
        usage: Usage,
        tokens: Option<SampledTokens>,
        continued: usize,
    ) -> Result<(), TraceError> {
        let turn = self.turns;
        self.push(Message::Assistant(message));
        self.turns += 1;
        self.usage.model_calls += 1;
        self.usage.add(&usage);
        self.context_tokens = usage.prompt_tokens + usage.completion_tokens;
        self.context_messages = self.context().len();
        if let Some(SampledTokens { prompt, completion, logprobs }) = tokens {
            let before = self.trace.segments().last().map(|segment| segment.ids.as_slice()).unwrap_or_default();
            let prompt = [before.get(..continued).unwrap_or_default(), &prompt].concat();
            self.trace.record(turn, &prompt, &completion, &logprobs, self.context_messages)?;
            self.fresh_context = false;
        }
        Ok(())
    }

    /// Answers a turn without a readable call, unless it was one too many.
    fn refuse(&mut self, answer: String) {
        self.usage.bad_calls += 1;
        self.format_errors += 1;
        if self.format_errors >= self.limits.max_format_errors {
            self.finish(ExitReason::FormatErrors);
        } else {
            let note = self.steps_left();
            self.push(Message::user(with_note(answer, note)));
            self.ask_model();
        }
    }

    fn condensed(&mut self, replacements: Vec<Replacement>, usage: &Usage) {
        let condensation = Condensation { turn: self.turns, replacements };
        self.condensed = Some(condensation.context(&self.messages));
        self.condensations.push(condensation);
        self.usage.add(usage);
        (self.context_tokens, self.context_messages) = (0, 0);
        self.fresh_context = true;
    }

    fn said(&mut self, content: String) {
        if let State::Tools(_) = self.state {
            self.refuse_open_calls("Not carried out: something was said meanwhile.");
        }
        (self.error, self.format_errors) = (None, 0);
        self.push(Message::user(content));
        self.ask_model();
    }

    fn started(&mut self, call_id: &str) {
        if let State::Tools(Calls { calls, started, .. }) = &mut self.state {
            let started = calls.iter().zip(started).filter(|(call, _)| call.id == call_id);
            started.for_each(|(_, started)| *started = true);
        }
    }

    fn returned(&mut self, result: ToolResult) {
        let State::Tools(Calls { calls, started, answers }) = &mut self.state else { return };
        let place = calls.iter().zip(answers.iter_mut()).find(|(call, _)| call.id == result.call_id);
        let Some((_, answer @ None)) = place else { return };
        *answer = Some(result);
        let finished = answers.iter().flatten().any(|answer| answer.status == ToolStatus::Finish);
        let under_way = started.iter().zip(answers.iter()).any(|(started, answer)| *started && answer.is_none());
        if answers.iter().all(Option::is_some) || (finished && !under_way) {
            self.turn_is_over(finished);
        }
    }

    /// The process went away: nobody will answer what it had started.
    fn interrupted(&mut self) {
        let State::Tools(Calls { calls, started, answers }) = &self.state else { return };
        let lost =
            calls.iter().zip(started).zip(answers).filter(|((_, started), answer)| **started && answer.is_none());
        let lost: Vec<ToolResult> = lost.map(|((call, _), _)| call.answer(ToolStatus::Refused, INTERRUPTED)).collect();
        lost.into_iter().for_each(|result| self.returned(result));
    }

    fn turn_is_over(&mut self, finished: bool) {
        let State::Tools(Calls { calls, answers, .. }) = &self.state else { return };
        let answered = || answers.iter().flatten();
        let valid = answered().any(|result| result.status != ToolStatus::Invalid);
        let repeats = match self.limits.max_repeats {
            Some(limit) if !finished => self.repeats.record(calls, answers, limit.max(1)),
            _ => 0,
        };
        self.format_errors = if valid { 0 } else { self.format_errors + 1 };
        let stuck = self.limits.max_repeats.is_some_and(|limit| repeats >= limit.max(2));
        let nearly = self.limits.max_repeats.is_some_and(|limit| limit > 2 && repeats == limit - 1);
        let note = nearly.then(|| {
            format!("[You have had this answer to the same call {repeats} times in a row. Do something else.]")
        });
        self.close_calls("Not carried out: the task was finished before.", note);
        if finished {
            self.finish(ExitReason::Agent);
        } else if self.format_errors >= self.limits.max_format_errors {
            self.finish(ExitReason::FormatErrors);
        } else {
            self.ask_model();
            if stuck && self.state == State::Model {
                self.finish(ExitReason::Stuck);
            }
        }
    }

    /// Moves the answers into the conversation. What has none is answered with `why`, so that no call is left open.
    fn close_calls(&mut self, why: &str, note: Option<String>) {
        let State::Tools(Calls { calls, answers, .. }) = std::mem::replace(&mut self.state, State::Model) else {
            return;
        };
        let last = calls.len().saturating_sub(1);
        let steps = self.steps_left();
        for (index, (call, answer)) in calls.iter().zip(answers).enumerate() {
            let mut result = answer.unwrap_or_else(|| call.answer(ToolStatus::Refused, why));
            self.usage.tool_calls += usize::from(result.status != ToolStatus::Refused);
            self.usage.bad_calls += usize::from(result.status.is_bad());
            self.usage.add(&Usage { model_calls: 0, tool_calls: 0, bad_calls: 0, ..result.usage });
            if index == last && result.status != ToolStatus::Finish {
                result.content = with_note(with_note(result.content, note.clone()), steps.clone());
            }
            self.push(Message::Tool(result.into()));
        }
    }

    fn refuse_open_calls(&mut self, why: &str) {
        self.close_calls(why, None);
    }

    /// What the model is told about the turns that are left, if it is.
    fn steps_left(&self) -> Option<String> {
        let left = self.limits.max_steps.saturating_sub(self.turns);
        let announced = self.limits.announce_steps.is_some_and(|from| left <= from);
        match left {
            _ if !announced => None,
            0 => None,
            1 => Some(LAST_STEP.to_owned()),
            left => Some(format!("[{left}{STEPS_LEFT}")),
        }
    }

    pub(super) fn ask_model(&mut self) {
        let exceeded = |used: usize, limit: Option<usize>| limit.is_some_and(|limit| used >= limit);
        let cost = self.usage.cost_nano_usd.map_or(0.0, |nano| nano as f64 / 1e9);
        self.state = State::Model;
        if self.turns >= self.limits.max_steps {
            self.finish(ExitReason::StepLimit);
        } else if exceeded(self.context_tokens, self.limits.max_tokens)
            || exceeded(self.usage.completion_tokens, self.limits.max_completion_tokens)
        {
            self.finish(ExitReason::TokenLimit);
        } else if self.limits.max_cost_usd.is_some_and(|limit| cost >= limit) {
            self.finish(ExitReason::CostLimit);
        }
    }

    /// Ends the run. Calls that are still open are answered, so that the conversation can be continued.
    fn finish(&mut self, exit: ExitReason) {
        if let State::Tools(_) = self.state {
            self.refuse_open_calls("Not carried out to its end: the run ended before.");
        }
        self.state = State::Done(exit);
    }

    fn push(&mut self, message: Message) {
        if let Some(context) = &mut self.condensed {
            context.push(message.clone());
        }
        self.messages.push(message);
    }
}

/// The words, and a note below them.
fn with_note(mut words: String, note: Option<String>) -> String {
    if let Some(note) = note {
        if !words.is_empty() {
            words.push_str("\n\n");
        }
        words.push_str(&note);
    }
    words
}

/// The words without what was noted below them about the turns that are left.
pub(crate) fn without_note(words: &str) -> &str {
    match words.rsplit_once("\n\n") {
        Some((words, note)) if note == LAST_STEP || note.ends_with(STEPS_LEFT) => words,
        _ => words,
    }
}
