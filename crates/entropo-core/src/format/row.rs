//! What every format is read into.

use serde_json::Value;

use crate::Segment;

/// One row of training data.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The row's own name, if it has one: `id`, or for a trajectory `task#rollout`.
    pub id: Option<String>,
    /// Rows of one group stay on one side of a split: `group`, else `task_id`, or a trajectory's task.
    pub group: Option<String>,
    /// What is to be learned.
    pub record: Record,
}

/// What is to be learned from a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// Something to imitate.
    Demonstration(Side),
    /// Two answers to one prompt; what precedes the first thing that is learned is the same in both.
    Preference {
        /// The better one.
        chosen: Side,
        /// The worse one.
        rejected: Side,
    },
    /// An answer and whether it is wanted.
    Labelled {
        /// The answer.
        side: Side,
        /// Whether it is wanted.
        desirable: bool,
    },
}

/// The kinds of [`Record`], in the order in which training usually takes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordKind {
    /// [`Record::Demonstration`].
    Demonstration,
    /// [`Record::Preference`].
    Preference,
    /// [`Record::Labelled`].
    Labelled,
}

/// What one sequence is made of.
#[derive(Clone, Debug, PartialEq)]
pub enum Side {
    /// Messages, for a chat template.
    Dialogue(Dialogue),
    /// Plain text, for a tokenizer alone.
    Text {
        /// What is read only; may be empty.
        prompt: String,
        /// What is learned; not empty.
        completion: String,
    },
    /// Tokens as they were recorded, never to be tokenised again; its actions are learned.
    Tokens(Segment),
}

/// A conversation with the assistant's messages marked that are learned.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dialogue {
    /// In the shape of the OpenAI API, with what templates expect of it: `role` is `system`, `user`, `assistant` or
    /// `tool`; `content` is a string; `tool_calls` are `{type, function: {name, arguments}}` with an object as
    /// arguments. Fields that the formats do not know are kept.
    pub messages: Vec<Value>,
    /// `{type: "function", function: {name, …}}` each.
    pub tools: Vec<Value>,
    /// `[message]`: whether it is learned; true for assistant messages only.
    pub learned: Vec<bool>,
}

impl Row {
    /// The row as something to imitate: the chosen side of a pair, a wanted answer, a demonstration as it is. `None`
    /// for an answer that is not wanted.
    ///
    /// A [trajectory](super::Format::Trajectory) becomes a demonstration by this only if it is finished and solved.
    pub fn into_demonstration(self) -> Option<Self> {
        let side = match self.record {
            Record::Demonstration(side) | Record::Labelled { side, desirable: true } => side,
            Record::Preference { chosen, .. } => chosen,
            Record::Labelled { desirable: false, .. } => return None,
        };
        Some(Self { record: Record::Demonstration(side), ..self })
    }

    /// A number that rows share which must not be separated by a split: that of the group, else that of the prompt.
    ///
    /// It depends on the row only, so the same row is on the same side in every file and every run.
    pub fn split_key(&self) -> u64 {
        let mut hash = Fnv::default();
        match (&self.group, self.record.first_side()) {
            (Some(group), _) => hash.add(group.as_bytes()),
            (None, Side::Dialogue(dialogue)) => {
                let prompt = dialogue.messages.iter().take_while(|message| role(message) != "assistant");
                prompt.for_each(|message| hash.add(message.to_string().as_bytes()));
            }
            (None, Side::Text { prompt, completion }) if prompt.is_empty() => hash.add(completion.as_bytes()),
            (None, Side::Text { prompt, .. }) => hash.add(prompt.as_bytes()),
            (None, Side::Tokens(segment)) => prompt_ids(segment).iter().for_each(|id| hash.add(&id.to_le_bytes())),
        }
        hash.0
    }
}

impl Record {
    /// Which kind it is.
    pub fn kind(&self) -> RecordKind {
        match self {
            Self::Demonstration(_) => RecordKind::Demonstration,
            Self::Preference { .. } => RecordKind::Preference,
            Self::Labelled { .. } => RecordKind::Labelled,
        }
    }

    /// The sides, the chosen one first.
    pub fn sides(&self) -> impl Iterator<Item = &Side> {
        let second = match self {
            Self::Preference { rejected, .. } => Some(rejected),
            Self::Demonstration(_) | Self::Labelled { .. } => None,
        };
        std::iter::once(self.first_side()).chain(second)
    }

    fn first_side(&self) -> &Side {
        match self {
            Self::Demonstration(side) | Self::Labelled { side, .. } | Self::Preference { chosen: side, .. } => side,
        }
    }
}

impl Side {
    /// Whether there is anything to learn.
    pub(super) fn is_learned(&self) -> bool {
        match self {
            Self::Dialogue(dialogue) => dialogue.learned.contains(&true),
            Self::Text { completion, .. } => !completion.is_empty(),
            Self::Tokens(segment) => segment.action_tokens() > 0,
        }
    }
}

impl Dialogue {
    /// Index of the first message that is learned, or the number of messages.
    pub(super) fn first_learned(&self) -> usize {
        self.learned.iter().position(|learned| *learned).unwrap_or(self.messages.len())
    }

    /// The messages before the first that is learned.
    pub(super) fn prompt(&self) -> &[Value] {
        self.messages.get(..self.first_learned()).unwrap_or(&self.messages)
    }

    /// The messages that are learned.
    pub(super) fn actions(&self) -> impl Iterator<Item = &Value> {
        self.messages.iter().zip(&self.learned).filter_map(|(message, learned)| learned.then_some(message))
    }
}

/// The ids before the first action.
pub(super) fn prompt_ids(segment: &Segment) -> &[u32] {
    let end = segment.actions.first().map_or(segment.ids.len(), |span| span.start);
    segment.ids.get(..end).unwrap_or_default()
}

/// A message's `role`, empty if it has none.
pub(super) fn role(message: &Value) -> &str {
    message.get("role").and_then(Value::as_str).unwrap_or_default()
}

/// FNV-1a, which needs no key and is the same everywhere.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}
