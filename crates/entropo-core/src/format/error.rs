//! Why a row is not training data.

use serde_json::Value;

use super::place::Place;
use crate::{DropReason, TraceError};

/// Why a row cannot be read: what was found, where in the row, and what would have been right.
///
/// It knows the row only; who reads a file adds the file and the [line](super::Line). Text of the row is shortened.
#[derive(Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RowError {
    /// No key tells which format the row has.
    #[error(
        "the format of a row with the keys {keys} is not known; expected are messages, conversations, instruction, \
         prompt, text, chosen and rejected, or an entropo format"
    )]
    Unrecognised {
        /// The first keys of the row.
        keys: String,
    },
    /// Two keys that say the same thing, or exclude each other.
    #[error("{at} has both `{first}` and `{second}`; keep one")]
    Conflict {
        /// Where.
        at: String,
        /// One key.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// A key that has to be there.
    #[error("{at} has no `{key}`")]
    Missing {
        /// Where.
        at: String,
        /// The key, or the alternatives.
        key: &'static str,
    },
    /// A value of another JSON type.
    #[error("{at} is {found}; expected is {expected}")]
    Type {
        /// Where.
        at: String,
        /// The type that it has.
        found: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// A value of the right type that means nothing here.
    #[error("{at} is {found}; expected is {expected}")]
    Value {
        /// Where.
        at: String,
        /// The value as JSON, shortened.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// Values nested more deeply than any data needs.
    #[error("{at} is nested more than {limit} levels deep; flatten it")]
    TooDeep {
        /// Where.
        at: String,
        /// The limit.
        limit: usize,
    },
    /// A speaker that is not known.
    #[error("{at} is {found}; known are {known}")]
    Role {
        /// Where.
        at: String,
        /// The name as JSON, shortened.
        found: String,
        /// The names that are known.
        known: &'static str,
    },
    /// A part of a message that is not text.
    #[error("{at} is a part of type {kind}; only text can be learned")]
    Part {
        /// Where.
        at: String,
        /// The part's type as JSON, shortened.
        kind: String,
    },
    /// A string that should hold JSON and does not.
    #[error("{at} is a string that should be JSON of {expected}, but {reason}")]
    Json {
        /// Where.
        at: String,
        /// What it should hold.
        expected: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A tool result that answers no earlier call.
    #[error("{at} answers the call {id}, which no earlier message made")]
    UnknownCall {
        /// Where.
        at: String,
        /// The id as JSON, shortened.
        id: String,
    },
    /// A side from which nothing would be learned.
    #[error("{at} has nothing to learn: no assistant message that is trained on, no completion, no action token")]
    NothingLearned {
        /// Which side.
        at: String,
    },
    /// The two sides of a pair do not answer the same prompt.
    #[error("chosen and rejected differ before the first thing that is learned; a pair needs one prompt")]
    PromptsDiffer,
    /// The two sides of a pair say the same.
    #[error("chosen and rejected are the same; there is nothing to prefer")]
    EqualSides,
    /// Tokens that are no valid trace.
    #[error("{at} is not a valid sequence of tokens")]
    Trace {
        /// Which side.
        at: String,
        /// What is wrong.
        source: TraceError,
    },
    /// A version of one of our formats that this build does not read.
    #[error("the row has format {found}, but only {expected:?} is read")]
    FormatVersion {
        /// The row's `format` as JSON, shortened.
        found: String,
        /// What is read.
        expected: &'static str,
    },
    /// A line of a trajectory store that does not fit the type.
    #[error("the row is no trajectory: {reason}")]
    Malformed {
        /// What is wrong, shortened.
        reason: String,
    },
    /// A field that does not fit its type.
    #[error("{at} does not fit: {reason}")]
    Field {
        /// Where.
        at: String,
        /// What is wrong, shortened.
        reason: String,
    },
    /// A trajectory that no data is made of, for the reason that [`crate::preference::label`] would count.
    #[error("a trajectory {0} is not trained on")]
    Trajectory(DropReason),
}

impl RowError {
    /// A short name of the kind of error that later versions keep, to count refused rows by.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unrecognised { .. } => "unrecognised",
            Self::Conflict { .. } => "conflict",
            Self::Missing { .. } => "missing",
            Self::Type { .. } => "type",
            Self::Value { .. } => "value",
            Self::TooDeep { .. } => "too_deep",
            Self::Role { .. } => "role",
            Self::Part { .. } => "part",
            Self::Json { .. } => "json",
            Self::UnknownCall { .. } => "unknown_call",
            Self::NothingLearned { .. } => "nothing_learned",
            Self::PromptsDiffer => "prompts_differ",
            Self::EqualSides => "equal_sides",
            Self::Trace { .. } => "trace",
            Self::FormatVersion { .. } => "format_version",
            Self::Malformed { .. } => "malformed",
            Self::Field { .. } => "field",
            Self::Trajectory(reason) => match reason {
                DropReason::Unfinished => "unfinished",
                DropReason::Unjudged => "unjudged",
                DropReason::NoTrace => "no_trace",
                DropReason::SeveralSegments => "several_segments",
                DropReason::NoActions => "no_actions",
                _ => "trajectory",
            },
        }
    }

    pub(super) fn of_type(at: Place<'_>, found: &Value, expected: &'static str) -> Self {
        Self::Type { at: at.to_string(), found: kind(found), expected }
    }

    pub(super) fn of_value(at: Place<'_>, found: &Value, expected: &'static str) -> Self {
        Self::Value { at: at.to_string(), found: shown(found), expected }
    }

    pub(super) fn missing(at: Place<'_>, key: &'static str) -> Self {
        Self::Missing { at: at.to_string(), key }
    }
}

/// What kind of JSON value this is, in words.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A value as JSON, short enough for a message; control characters are escaped by JSON.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => Value::from(shortened(text)).to_string(),
        Value::Array(_) | Value::Object(_) => kind(value).to_owned(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// The beginning of a text, whole characters.
pub(super) fn shortened(text: &str) -> String {
    const CHARACTERS: usize = 80;
    match text.char_indices().nth(CHARACTERS) {
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned() + "…",
        None => text.to_owned(),
    }
}
