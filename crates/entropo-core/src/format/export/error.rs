//! What a format cannot carry.

use std::fmt;

use crate::format::RecordKind;

/// Why a row is not written: something would be lost.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The format has no place for something that the row has.
    #[error("{format} has no place for {loss} (in {at}); {}", .loss.remedy())]
    Lost {
        /// The format.
        format: &'static str,
        /// What would be lost.
        loss: Loss,
        /// Where in the row: a side, or a message of one.
        at: String,
    },
    /// The format has no rows of this kind.
    #[error("{format} has no rows for a {kind}")]
    Kind {
        /// The format.
        format: &'static str,
        /// What the row is.
        kind: RecordKind,
    },
    /// A record that no format reads back, because its two sides do not belong together.
    #[error("chosen and rejected differ before the first thing that is learned; they make no pair")]
    NoPair,
    /// A dialogue whose parts do not belong together.
    #[error("{at} is not a dialogue: {reason}")]
    Malformed {
        /// Where in the row.
        at: String,
        /// What is wrong.
        reason: &'static str,
    },
}

/// What would be lost.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Loss {
    /// Tokens as they were recorded: text would be tokenised again.
    Tokens,
    /// Messages: tokens cannot be recovered from them here.
    Messages,
    /// Plain text without turns.
    Text,
    /// Which of the assistant's messages are learned.
    Mask,
    /// More than one message that is learned.
    SeveralTurns,
    /// Turns that do not alternate between the assistant and what it answers.
    Alternation,
    /// Text beside calls, other than a thought before them.
    TextBesideCalls,
    /// Which of several calls a result answers.
    CallIds,
    /// A field of a message.
    Field(String),
    /// Messages that somebody wrote after the first answer.
    LaterMessages,
    /// Several calls in one turn.
    SeveralCalls,
    /// What kind of value an argument is: all become text.
    ArgumentTypes,
    /// Text that the format takes for its own marks.
    Marks,
    /// The ids of calls, or the names in their results.
    CallNames,
    /// The model's words before they were parsed.
    Raw,
    /// What the model thought before it answered.
    Reasoning,
    /// Shorter contexts that the model read in the conversation's place.
    Condensations,
    /// The name of the model.
    Model,
    /// The seed.
    Seed,
    /// What went wrong in the end.
    ErrorText,
    /// A part of what the rollout used.
    Usage,
    /// The hidden judgement.
    Reward,
    /// Scores, all of them or some.
    Scores,
}

impl Loss {
    fn remedy(&self) -> &'static str {
        match self {
            Self::Tokens => "write token rows",
            Self::Messages | Self::Text => "write a format of text and messages",
            Self::Mask => "write `messages`, which marks what is not learned",
            Self::SeveralTurns => "write TRL's columns or `messages`",
            Self::Alternation | Self::TextBesideCalls | Self::CallIds | Self::Field(_) => {
                "write `messages` or TRL's columns"
            }
            Self::LaterMessages => "write TRL's columns or `messages`",
            Self::SeveralCalls | Self::Marks => "write mini-swe-agent's format or a trajectory store",
            _ => "write a trajectory store",
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tokens => "recorded tokens",
            Self::Messages => "messages",
            Self::Text => "plain text",
            Self::Mask => "a choice of which assistant messages are learned",
            Self::SeveralTurns => "several learned messages",
            Self::Alternation => "turns that do not alternate",
            Self::TextBesideCalls => "text beside calls",
            Self::CallIds => "results of several calls in one turn",
            Self::Field(name) => return write!(f, "the field {name:?}"),
            Self::LaterMessages => "messages after the first answer that no tool wrote",
            Self::SeveralCalls => "several calls in one turn",
            Self::ArgumentTypes => "arguments that are not text",
            Self::Marks => "text that it takes for its own marks",
            Self::CallNames => "ids of calls and names in their results",
            Self::Raw => "the model's words before they were parsed",
            Self::Reasoning => "what the model thought before it answered",
            Self::Condensations => "contexts that were made shorter",
            Self::Model => "the model's name",
            Self::Seed => "the seed",
            Self::ErrorText => "what went wrong",
            Self::Usage => "a part of what was used",
            Self::Reward => "the hidden judgement",
            Self::Scores => "scores",
        })
    }
}

impl fmt::Display for RecordKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Demonstration => "demonstration",
            Self::Preference => "preference",
            Self::Labelled => "labelled answer",
        })
    }
}
