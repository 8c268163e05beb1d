//! Contexts that were made shorter.
//!
//! A conversation that outgrows the model's context is condensed: what the model reads from then on is not the
//! conversation but a shorter context in its place. The conversation is kept as it was, and a [`Condensation`] beside it
//! says what stood in for what, so that what the model saw at any turn can be had again, word for word
//! ([`Trajectory::context`](crate::Trajectory::context)).

use serde::{Deserialize, Serialize};

use crate::message::Message;

/// What the model reads in place of parts of the conversation. It holds for all of the conversation: a later one is put in
/// the place of an earlier one, not on top of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condensation {
    /// The first assistant turn that was written after it, counted from 0.
    pub turn: usize,
    /// Ascending and disjoint.
    pub replacements: Vec<Replacement>,
}

/// Some messages, and what stands in their place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replacement {
    /// Index of the first message that is replaced.
    pub start: usize,
    /// One past the last; greater than `start`.
    pub end: usize,
    /// What the model reads there; nothing if it is empty.
    pub by: Vec<Message>,
}

/// Why a context cannot be condensed in this way.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CondensationError {
    /// The replacement is empty, out of order or out of range.
    #[error(
        "messages {start}..{end} cannot be replaced after {after} in a conversation of {len}; give ascending ranges"
    )]
    Range {
        /// First message.
        start: usize,
        /// One past the last.
        end: usize,
        /// Where the replacement before it ended.
        after: usize,
        /// Messages in the conversation.
        len: usize,
    },
    /// The task would be lost: the messages before the model's first are never replaced.
    #[error("message {index} belongs to the task, which is never condensed; start at message {first} or later")]
    Task {
        /// The message.
        index: usize,
        /// The first that may be replaced.
        first: usize,
    },
    /// A call would be without its answer, or an answer without its call.
    #[error("message {index} of the condensed context breaks a pair of call and answer: {problem}")]
    Pair {
        /// The message, counted in the condensed context.
        index: usize,
        /// What is wrong.
        problem: String,
    },
}

impl Condensation {
    /// The context that stands in the place of `messages`.
    pub fn context(&self, messages: &[Message]) -> Vec<Message> {
        let (mut context, mut next) = (Vec::new(), 0);
        for Replacement { start, end, by } in &self.replacements {
            context.extend_from_slice(messages.get(next..*start).unwrap_or_default());
            context.extend_from_slice(by);
            next = *end;
        }
        context.extend_from_slice(messages.get(next..).unwrap_or_default());
        context
    }

    /// Checks that the ranges are in order, that the task is untouched and that every call keeps its answer.
    ///
    /// # Errors
    /// Those of [`CondensationError`].
    pub fn check(&self, messages: &[Message]) -> Result<(), CondensationError> {
        let len = messages.len();
        let first = messages.iter().position(|message| matches!(message, Message::Assistant(_))).unwrap_or(len);
        let mut after = 0;
        for &Replacement { start, end, .. } in &self.replacements {
            if start < after || start >= end || end > len {
                return Err(CondensationError::Range { start, end, after, len });
            }
            if start < first {
                return Err(CondensationError::Task { index: start, first });
            }
            after = end;
        }
        check_pairs(&self.context(messages))
    }
}

/// Checks that the answers to an assistant message's calls follow it, in order and complete, and that nothing else is
/// answered. Model servers refuse conversations of any other form.
///
/// # Errors
/// [`CondensationError::Pair`].
pub fn check_pairs(messages: &[Message]) -> Result<(), CondensationError> {
    let broken = |index, problem: String| Err(CondensationError::Pair { index, problem });
    let mut open: std::collections::VecDeque<&str> = std::collections::VecDeque::new();
    for (index, message) in messages.iter().enumerate() {
        match (message, open.front().copied()) {
            (Message::Tool(tool), Some(call)) if tool.call_id == call => {
                open.pop_front();
            }
            (Message::Tool(tool), Some(call)) => {
                return broken(index, format!("{:?} is answered where {call:?} is due", tool.call_id));
            }
            (Message::Tool(tool), None) => return broken(index, format!("{:?} was not called", tool.call_id)),
            (_, Some(call)) => return broken(index, format!("{call:?} is not answered")),
            (Message::Assistant(message), None) => open.extend(message.tool_calls.iter().map(|call| call.id.as_str())),
            (Message::System { .. } | Message::User { .. }, None) => {}
        }
    }
    open.front().map_or(Ok(()), |call| broken(messages.len(), format!("{call:?} is not answered")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{AssistantMessage, ToolCall, ToolMessage};

    fn called(id: &str) -> Message {
        let call = ToolCall { id: id.to_owned(), name: "look".to_owned(), arguments: json!({}) };
        Message::Assistant(AssistantMessage { tool_calls: vec![call], ..AssistantMessage::default() })
    }

    fn answered(id: &str, content: &str) -> Message {
        Message::Tool(ToolMessage { call_id: id.to_owned(), name: "look".to_owned(), content: content.to_owned() })
    }

    fn conversation() -> Vec<Message> {
        vec![Message::user("task"), called("a"), answered("a", "long"), called("b"), answered("b", "longer")]
    }

    fn replacing(ranges: &[(usize, usize, Message)]) -> Condensation {
        let replacements =
            ranges.iter().map(|(start, end, by)| Replacement { start: *start, end: *end, by: vec![by.clone()] });
        Condensation { turn: 2, replacements: replacements.collect() }
    }

    #[test]
    fn a_context_stands_in_for_the_conversation() {
        let dropped = replacing(&[(2, 3, answered("a", "left out")), (4, 5, answered("b", "left out"))]);
        dropped.check(&conversation()).unwrap();
        let contents: Vec<String> = dropped.context(&conversation()).iter().map(|m| m.content().to_owned()).collect();
        assert_eq!(contents, ["task", "", "left out", "", "left out"]);
        let summarised = replacing(&[(1, 3, Message::user("It looked."))]);
        summarised.check(&conversation()).unwrap();
        let longer = [conversation(), vec![called("c")]].concat();
        assert_eq!(summarised.context(&longer).len(), 5, "what came later is kept");
    }

    #[test]
    fn what_would_break_the_conversation_is_refused() {
        let check = |ranges: &[(usize, usize, Message)]| replacing(ranges).check(&conversation()).unwrap_err();
        let note = Message::user("x");
        assert!(matches!(check(&[(0, 1, note.clone())]), CondensationError::Task { index: 0, first: 1 }));
        assert!(matches!(check(&[(3, 3, note.clone())]), CondensationError::Range { .. }));
        assert!(matches!(check(&[(3, 9, note.clone())]), CondensationError::Range { len: 5, .. }));
        assert!(matches!(
            check(&[(3, 5, note.clone()), (1, 3, note.clone())]),
            CondensationError::Range { after: 5, .. }
        ));
        for (ranges, problem) in [
            ((1, 2, note.clone()), "\"a\" was not called"),
            ((2, 3, note.clone()), "\"a\" is not answered"),
            ((4, 5, answered("a", "x")), "\"a\" is answered where \"b\" is due"),
        ] {
            assert!(check(&[ranges]).to_string().contains(problem), "{problem}");
        }
    }
}
