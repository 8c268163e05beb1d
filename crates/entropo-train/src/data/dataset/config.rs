//! What becomes of rows.

use entropo_core::format::Format;
use entropo_core::preference::PreferenceRules;
use serde::{Deserialize, Serialize};

use crate::objective::Objective;

/// What examples are made of the rows of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// What is imitated: demonstrations, the chosen sides of pairs, and whatever is labelled desirable.
    Demonstrations,
    /// A better and a worse attempt: rows that are pairs, and pairs drawn from judged trajectories.
    Pairs,
    /// Attempts with labels: labelled rows, and both sides of pairs.
    Labels,
    /// A question about each labelled attempt, with the right answer and the wrong one.
    Judgements,
}

impl Kind {
    /// What an objective is trained on.
    pub fn of(objective: &Objective) -> Self {
        match objective {
            Objective::Sft(_) => Self::Demonstrations,
            Objective::Dpo(_) | Objective::EntropoDpo(_) => Self::Pairs,
            Objective::Kto(_) | Objective::EntropoKto(_) => Self::Labels,
            Objective::Verifier(_) => Self::Judgements,
        }
    }

    /// What it is called in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Demonstrations => "demonstrations",
            Self::Pairs => "pairs",
            Self::Labels => "labelled attempts",
            Self::Judgements => "judgements",
        }
    }
}

/// How rows are read. Every field has a default; in files, unknown fields are refused.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// How rows are written. Default: each row is recognised by its keys.
    pub format: Format,
    /// Tokens that a sequence may have. Default: the model's context.
    pub max_tokens: Option<usize>,
    /// What becomes of a longer one. Default: it is dropped.
    pub too_long: TooLong,
    /// What becomes of a row that is no row of its format. Default: nothing is read then.
    pub bad_rows: BadRows,
    /// How pairs are drawn from judged trajectories. Default: two a task and file.
    pub pairing: PreferenceRules,
    /// What a verifier is asked. Default: as [`Question`].
    pub question: Question,
}

/// What becomes of a sequence that is longer than it may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TooLong {
    /// Its example is dropped, and counted.
    #[default]
    Drop,
    /// It loses whole turns at its end, and is counted. A failed attempt then keeps its label without the turns that
    /// made it fail, and a solved one is shown without its solution: prefer dropping for preferences.
    Cut,
}

/// What becomes of rows that cannot be understood.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BadRows {
    /// The first one is an error that names its file and line.
    #[default]
    Refuse,
    /// They are dropped, and counted.
    Drop,
}

/// What a verifier is asked after an attempt, and its two answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Question {
    /// The user's message.
    pub text: String,
    /// The assistant's answer of an attempt that is right.
    pub affirmative: String,
    /// The answer of one that is not.
    pub negative: String,
}

impl Default for Question {
    fn default() -> Self {
        Self {
            text: "Does this attempt solve the task, so that all of its hidden tests pass? Answer YES or NO."
                .to_owned(),
            affirmative: "YES".to_owned(),
            negative: "NO".to_owned(),
        }
    }
}
