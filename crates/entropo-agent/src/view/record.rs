//! A rollout as both views tell it.

use entropo_core::{AssistantMessage, Condensation, ExitReason, Message, Trajectory};
use serde::Serialize;
use serde_json::Value;

use super::View;

/// What was said and done.
#[derive(Serialize)]
pub(super) struct Record {
    pub(super) turns: Vec<Turn>,
    pub(super) patch: String,
}

/// A message.
#[derive(Serialize)]
pub(super) struct Turn {
    pub(super) role: &'static str,
    /// The assistant turn, counted from 0; `None` for everybody else.
    pub(super) step: Option<usize>,
    /// The tool that answers.
    pub(super) name: Option<String>,
    /// What the conversation itself does not say.
    pub(super) note: Option<String>,
    pub(super) text: String,
    pub(super) calls: Vec<Call>,
}

/// A tool call.
#[derive(Serialize)]
pub(super) struct Call {
    pub(super) name: String,
    /// Each argument's name and text; a call whose arguments are no object has one without a name.
    pub(super) arguments: Vec<(String, String)>,
}

impl Record {
    pub(super) fn of(view: &View<'_>, rollout: &Trajectory) -> Self {
        let mut step = 0;
        let turns = rollout.messages.iter().map(|message| {
            let said = message.as_assistant();
            let own = said.map(|_| step);
            step += usize::from(said.is_some());
            let condensation = rollout.condensations.iter().find(|condensation| Some(condensation.turn) == own);
            Turn {
                role: message.role(),
                step: own,
                name: if let Message::Tool(tool) = message { Some(view.shown(&tool.name)) } else { None },
                note: condensation.map(note),
                text: view.shown(message.content()),
                calls: said.map(|said| calls(view, said)).unwrap_or_default(),
            }
        });
        Self { turns: turns.collect(), patch: view.shown(&rollout.outcome.patch) }
    }
}

fn note(condensation: &Condensation) -> String {
    let parts = condensation
        .replacements
        .iter()
        .map(|part| format!("messages {} to {} became {}", part.start, part.end.saturating_sub(1), part.by.len()));
    format!("The context was condensed before this turn: {}.", parts.collect::<Vec<_>>().join(", "))
}

fn calls(view: &View<'_>, said: &AssistantMessage) -> Vec<Call> {
    let text = |value: &Value| match value {
        Value::String(text) => view.shown(text),
        other => view.shown(&other.to_string()),
    };
    let calls = said.tool_calls.iter().map(|call| Call {
        name: view.shown(&call.name),
        arguments: match &call.arguments {
            Value::Object(fields) => fields.iter().map(|(key, value)| (view.shown(key), text(value))).collect(),
            other => vec![(String::new(), text(other))],
        },
    });
    calls.collect()
}

/// The exit reason as it is stored.
pub(super) fn exit(reason: ExitReason) -> String {
    match serde_json::to_value(reason) {
        Ok(Value::String(name)) => name,
        _ => format!("{reason:?}"),
    }
}

/// What the rollout used, in words.
pub(super) fn usage(rollout: &Trajectory) -> String {
    let used = &rollout.usage;
    let bad = if used.bad_calls > 0 { format!(", {} bad", used.bad_calls) } else { String::new() };
    let cost = used.cost_nano_usd.map(|cost| format!(", {:.4} US dollars", cost as f64 / 1e9)).unwrap_or_default();
    let (turns, calls) = (rollout.steps(), used.tool_calls);
    let (read, written) = (used.prompt_tokens, used.completion_tokens);
    format!("{turns} turns, {calls} calls{bad}, {read} tokens read, {written} written{cost}")
}
