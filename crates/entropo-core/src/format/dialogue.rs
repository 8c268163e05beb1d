//! From lists of messages to a [`Dialogue`].

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::message::{self, Role, Turn};
use super::place::Place;
use super::value::{get, text};
use super::{Dialogue, RowError, calls};

/// Which assistant messages of a list are learned.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Learn {
    /// Those that the row does not exclude.
    Assistant,
    /// None: the list is a prompt.
    Nothing,
}

/// A conversation under construction.
#[derive(Clone)]
pub(super) struct Builder {
    dialogue: Dialogue,
    call_ids: HashSet<String>,
}

impl Builder {
    /// A conversation with the row's `tools`, before any message.
    pub(super) fn new(row: &Map<String, Value>) -> Result<Self, RowError> {
        let dialogue = Dialogue { tools: calls::tools(row)?, ..Dialogue::default() };
        Ok(Self { dialogue, call_ids: HashSet::new() })
    }

    /// Adds the column `system` unless `messages` bring one.
    pub(super) fn system(&mut self, row: &Map<String, Value>, messages: &[Value]) -> Result<(), RowError> {
        let at = Place::ROW.key("system");
        let Some(value) = get(row, "system") else { return Ok(()) };
        let system = text(value, at)?;
        if system.is_empty() {
            return Ok(());
        }
        if let Some(first) = messages.first() {
            let turn = message::read(first, Place::ROW.key("messages").index(0));
            if turn.is_ok_and(|turn| turn.role == Role::System) {
                return Err(RowError::Conflict {
                    at: Place::ROW.to_string(),
                    first: "system",
                    second: "a system message",
                });
            }
        }
        self.say(Role::System, system, Learn::Nothing);
        Ok(())
    }

    /// Adds every message of `messages`, which are at `at` of the row.
    pub(super) fn extend(&mut self, messages: &[Value], at: Place<'_>, learn: Learn) -> Result<(), RowError> {
        for (index, value) in messages.iter().enumerate() {
            let at = at.index(index);
            let turn = message::read(value, at)?;
            self.push(turn, at, learn)?;
        }
        Ok(())
    }

    /// Adds a message that consists of text.
    pub(super) fn say(&mut self, role: Role, content: &str, learn: Learn) {
        let mut message = Map::new();
        message.insert("role".to_owned(), role.name().into());
        message.insert("content".to_owned(), content.into());
        self.dialogue.messages.push(Value::Object(message));
        self.dialogue.learned.push(role == Role::Assistant && learn == Learn::Assistant);
    }

    fn push(&mut self, turn: Turn, at: Place<'_>, learn: Learn) -> Result<(), RowError> {
        let Turn { message, role, wanted } = turn;
        if role == Role::Tool
            && let Some(id) = message.get("tool_call_id").and_then(Value::as_str)
            && !self.call_ids.contains(id)
        {
            let id = super::error::shown(&Value::from(id));
            return Err(RowError::UnknownCall { at: at.key("tool_call_id").to_string(), id });
        }
        let calls = message.get("tool_calls").and_then(Value::as_array).into_iter().flatten();
        self.call_ids.extend(calls.filter_map(|call| call.get("id")?.as_str().map(str::to_owned)));
        self.dialogue.learned.push(role == Role::Assistant && wanted && learn == Learn::Assistant);
        self.dialogue.messages.push(Value::Object(message));
        Ok(())
    }

    /// How many messages there are so far.
    pub(super) fn len(&self) -> usize {
        self.dialogue.messages.len()
    }

    pub(super) fn finish(self) -> Dialogue {
        self.dialogue
    }
}
