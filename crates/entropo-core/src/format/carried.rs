//! What the formats of other agents' rollouts share: messages in the shape of the OpenAI API, and an account of what was
//! left behind.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::RowError;
use super::export::{ExportError, Loss};
use super::message::{self, Role};
use super::place::Place;
use super::value::{get, need, text};
use crate::{AssistantMessage, ExitReason, Message, ToolCall, ToolMessage, Trajectory};

/// Something in another form, and what that form has no place for.
///
/// What training needs word for word is never among the losses: such a rollout is refused. Tokens are, for no other
/// format has them, and what comes back is text that has to be tokenised again.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct Carried<T> {
    /// The thing.
    pub value: T,
    /// What was left behind; nothing if it is empty.
    pub lost: BTreeSet<Loss>,
}

/// Words for the ways in which a rollout ends. The first of several for one reason is written.
pub(super) type Exits = [(&'static str, ExitReason)];

pub(super) fn exit(exits: &Exits, word: &str) -> Option<ExitReason> {
    exits.iter().find_map(|(known, reason)| (*known == word).then_some(*reason))
}

pub(super) fn word(exits: &Exits, exit: ExitReason) -> &'static str {
    exits.iter().find_map(|(word, reason)| (*reason == exit).then_some(*word)).unwrap_or_default()
}

/// Messages under construction, as they are read.
#[derive(Default)]
pub(super) struct Conversation {
    pub(super) messages: Vec<Message>,
    pub(super) lost: BTreeSet<Loss>,
    /// Names of the calls so far by their ids; of two calls with one id, that of the later.
    names: HashMap<String, String>,
    calls: usize,
    last_call: Option<String>,
}

impl Conversation {
    /// Adds a message in the shape of the OpenAI API.
    pub(super) fn read(&mut self, value: &Value, at: Place<'_>) -> Result<(), RowError> {
        let turn = message::read(value, at)?;
        let content = turn.message.get("content").and_then(Value::as_str).unwrap_or_default().to_owned();
        for key in ["reasoning_content", "reasoning", "thinking", "thinking_blocks"] {
            if turn.message.get(key).is_some_and(|value| !is_empty(value)) {
                self.lost.insert(Loss::Reasoning);
            }
        }
        match turn.role {
            Role::System => self.messages.push(Message::system(content)),
            Role::User => self.messages.push(Message::user(content)),
            Role::Assistant => {
                let calls = turn.message.get("tool_calls").and_then(Value::as_array).into_iter().flatten();
                self.say(content, calls.map(|call| (id_of(call), function(call))).collect());
            }
            Role::Tool => {
                let id = text(need(&turn.message, "tool_call_id", at)?, at.key("tool_call_id"))?;
                let name = get(&turn.message, "name").and_then(Value::as_str);
                self.answer(id, name, content, at)?;
            }
        }
        Ok(())
    }

    /// Adds what the model wrote. A call without an id is given one.
    pub(super) fn say(&mut self, content: String, calls: Vec<(Option<String>, (String, Value))>) {
        let calls = calls.into_iter().map(|(id, (name, arguments))| {
            let id = id.unwrap_or_else(|| call_id(self.calls));
            self.calls += 1;
            self.names.insert(id.clone(), name.clone());
            self.last_call = Some(id.clone());
            ToolCall { id, name, arguments }
        });
        let tool_calls = calls.collect();
        self.messages.push(Message::Assistant(AssistantMessage { content, tool_calls, raw: None }));
    }

    /// Adds the answer to an earlier call.
    pub(super) fn answer(
        &mut self,
        id: &str,
        name: Option<&str>,
        content: String,
        at: Place<'_>,
    ) -> Result<(), RowError> {
        let Some(called) = self.names.get(id) else {
            return Err(RowError::UnknownCall { at: at.to_string(), id: super::error::shown(&Value::from(id)) });
        };
        let name = name.unwrap_or(called).to_owned();
        self.messages.push(Message::Tool(ToolMessage { call_id: id.to_owned(), name, content }));
        Ok(())
    }

    /// The id of the last call.
    pub(super) fn last_call(&self) -> Option<String> {
        self.last_call.clone()
    }

    /// How many calls there were.
    pub(super) fn calls(&self) -> usize {
        self.calls
    }
}

/// The id that a call without one is given; `number` counts all calls before it.
pub(super) fn call_id(number: usize) -> String {
    format!("call_{number}")
}

fn id_of(call: &Value) -> Option<String> {
    call.get("id").and_then(Value::as_str).map(str::to_owned)
}

fn function(call: &Value) -> (String, Value) {
    let name = call.pointer("/function/name").and_then(Value::as_str).unwrap_or_default();
    (name.to_owned(), call.pointer("/function/arguments").cloned().unwrap_or_default())
}

pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// A message in the shape of the OpenAI API, with an object as the arguments of every call.
pub(super) fn openai(message: &Message) -> Value {
    let mut fields = Map::new();
    fields.insert("role".to_owned(), message.role().into());
    fields.insert("content".to_owned(), message.content().into());
    match message {
        Message::Assistant(said) if !said.tool_calls.is_empty() => {
            let calls = said.tool_calls.iter().map(|ToolCall { id, name, arguments }| {
                json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
            });
            fields.insert("tool_calls".to_owned(), calls.collect());
        }
        Message::Tool(tool) => {
            fields.insert("tool_call_id".to_owned(), tool.call_id.as_str().into());
            fields.insert("name".to_owned(), tool.name.as_str().into());
        }
        _ => {}
    }
    Value::Object(fields)
}

/// Refuses what none of the formats can tell: arguments that are no object, answers to no call, and two calls of one turn
/// with one id. Calls of several turns may have one: some servers count anew in every answer.
pub(super) fn check(trajectory: &Trajectory) -> Result<(), ExportError> {
    let mut ids: HashSet<&str> = HashSet::new();
    for (index, message) in trajectory.messages.iter().enumerate() {
        let malformed = |reason| Err(ExportError::Malformed { at: format!("messages[{index}]"), reason });
        match message {
            Message::Assistant(said) => {
                let mut here = HashSet::new();
                for call in &said.tool_calls {
                    if !call.arguments.is_object() {
                        return malformed("the arguments of a call are no object");
                    }
                    if call.name.is_empty() {
                        return malformed("a call has no name");
                    }
                    if !here.insert(call.id.as_str()) {
                        return malformed("a call has the id of another in its turn");
                    }
                    ids.insert(&call.id);
                }
            }
            Message::Tool(tool) if !ids.contains(tool.call_id.as_str()) => {
                return malformed("a result answers no earlier call");
            }
            _ => {}
        }
    }
    Ok(())
}

/// What no format of other agents has a place for, and what this rollout has of it.
pub(super) fn losses(trajectory: &Trajectory) -> BTreeSet<Loss> {
    let said = || trajectory.messages.iter().filter_map(Message::as_assistant);
    let lost = [
        (Loss::Tokens, !trajectory.trace.is_empty()),
        (Loss::Condensations, !trajectory.condensations.is_empty()),
        (Loss::Seed, trajectory.seed != 0),
        (Loss::Raw, said().any(|message| message.raw.is_some())),
        (Loss::CallNames, misnames(trajectory)),
    ];
    lost.into_iter().filter_map(|(loss, is_lost)| is_lost.then_some(loss)).collect()
}

/// Whether a result has another name than its call.
fn misnames(trajectory: &Trajectory) -> bool {
    let mut names: HashMap<&str, &str> = HashMap::new();
    trajectory.messages.iter().any(|message| match message {
        Message::Assistant(said) => {
            names.extend(said.tool_calls.iter().map(|call| (call.id.as_str(), call.name.as_str())));
            false
        }
        Message::Tool(tool) => names.get(tool.call_id.as_str()) != Some(&tool.name.as_str()),
        Message::System { .. } | Message::User { .. } => false,
    })
}

/// A cost as other agents write it. Exact up to some millions of dollars.
pub(super) fn dollars(nano: u64) -> f64 {
    nano as f64 / 1e9
}

/// The cost that other agents wrote; none for what is no amount.
pub(super) fn nano_dollars(dollars: f64) -> Option<u64> {
    let nano = (dollars * 1e9).round();
    (nano.is_finite() && (0.0..9e15).contains(&nano)).then_some(nano as u64)
}

/// A call as the API has it, its arguments JSON in a string.
pub(super) fn api_call(call: &ToolCall) -> Value {
    let ToolCall { id, name, arguments } = call;
    json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments.to_string()}})
}
