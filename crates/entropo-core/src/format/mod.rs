//! Rows of training data in the formats that people have: OpenAI messages, ShareGPT and Alpaca as LLaMA-Factory reads
//! them, TRL's columns, recorded tokens and stored trajectories. Beside them, the rollouts of other agents ([`r2e`],
//! [`swe_agent`], [`mini_swe_agent`]) and the files of [SWE-bench](swe_bench).
//!
//! [`parse`] turns one JSON row into a [`Row`] and [`export`] turns it back. Both are pure functions; [`Lines`] streams
//! the rows of a file, JSON Lines or one JSON list, without holding it. Nothing here tokenises: a side is messages for a
//! chat template, text for a tokenizer, or tokens that are final.
//!
//! What is learned is decided here and is data from then on: assistant messages that a row does not exclude, and of
//! pairs and prompts only what comes after the prompt. A row that is not understood completely is refused with the place
//! and the reason, never repaired: a lost message or label would be learned from in silence. `docs/training-data.md` has
//! every format with examples, and `docs/formats.md` what each of them carries.
//!
//! ```
//! use entropo_core::format::{Format, Lines, Record, export, parse};
//!
//! let file = r#"
//! [
//!   {"prompt": [{"role": "user", "content": "1 + 1?"}],
//!    "chosen": [{"role": "assistant", "content": "2"}], "rejected": [{"role": "assistant", "content": "3"}]},
//!   {"conversations": [{"from": "human", "value": "1 + 1?"}]}
//! ]"#;
//! let mut refused = Vec::new();
//! for line in Lines::new(file.as_bytes()) {
//!     match parse(&line.value?, Format::Auto) {
//!         Ok(row) => {
//!             assert!(matches!(row.record, Record::Preference { .. }));
//!             assert_eq!(parse(&export::llama_factory(&row)?, Format::Auto)?, row);
//!         }
//!         Err(error) => refused.push((line.number, error.reason())),
//!     }
//! }
//! assert_eq!(refused, [(5, "nothing_learned")]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod alpaca;
mod calls;
mod carried;
mod conversation;
mod dialogue;
mod dialogue_rows;
mod error;
pub mod export;
mod items;
mod lines;
mod message;
pub mod mini_swe_agent;
mod openai;
mod place;
pub mod r2e;
mod record;
mod row;
pub(crate) mod scan;
mod strict;
pub mod swe_agent;
pub mod swe_bench;
mod tokens;
mod trajectory;
mod trl;
mod value;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::carried::Carried;
pub use self::dialogue_rows::{dialogue_of_trajectory, dialogues_of_pair};
pub use self::error::RowError;
pub use self::items::{DocumentError, ItemError, Items, Writer, document};
pub use self::lines::{Line, LineError, Lines, ROW_BYTES};
use self::place::Place;
pub use self::row::{Dialogue, Record, RecordKind, Row, Side};
pub use self::tokens::TOKENS_FORMAT;
pub use self::trajectory::of_trajectory;
use self::value::{ROW_DEPTH, check_depth, get, object, optional_name};

/// How a row is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Format {
    /// Each row as its keys say.
    #[default]
    Auto,
    /// `messages` of the OpenAI API, alone, with a label, or as the prompt of a pair, and the pairs of OpenAI's preference
    /// fine-tuning.
    Messages,
    /// `conversations` of ShareGPT and LLaMA-Factory, alone, with `kto_tag`, or as the prompt of a pair.
    #[serde(rename = "sharegpt")]
    ShareGpt,
    /// `instruction`, `input` and `output` of Alpaca, or LLaMA-Factory's pairs and labels of that kind.
    Alpaca,
    /// TRL's `text`, `prompt`, `completion`, `label`, `chosen` and `rejected`, as strings or messages.
    Trl,
    /// Recorded tokens, [`TOKENS_FORMAT`].
    Tokens,
    /// A rollout, [`TRAJECTORY_FORMAT`](crate::TRAJECTORY_FORMAT).
    Trajectory,
}

/// Reads one row.
///
/// # Errors
/// [`RowError`], with the place in the row, if it is not of the format, or nothing can be learned from it.
pub fn parse(row: &Value, format: Format) -> Result<Row, RowError> {
    check_depth(row, ROW_DEPTH, Place::ROW)?;
    let fields = object(row, Place::ROW)?;
    let record = match format {
        Format::Auto => return parse(row, recognise(fields)?),
        Format::Trajectory => return trajectory::read(row),
        Format::Messages if openai::is_pair(fields) => openai::read(fields)?,
        Format::Messages => conversation::read(fields, "messages")?,
        Format::ShareGpt => conversation::read(fields, "conversations")?,
        Format::Alpaca => alpaca::read(fields)?,
        Format::Trl => trl::read(fields)?,
        Format::Tokens => tokens::read(fields)?,
    };
    let group = match optional_name(fields, "group", Place::ROW)? {
        None => optional_name(fields, "task_id", Place::ROW)?,
        group => group,
    };
    Ok(Row { id: optional_name(fields, "id", Place::ROW)?, group, record })
}

/// The format of a row by its keys; never [`Format::Auto`].
fn recognise(row: &Map<String, Value>) -> Result<Format, RowError> {
    let has = |key| get(row, key).is_some();
    if let Some(Value::String(format)) = row.get("format") {
        match format.split_once('/') {
            Some(("entropo-tokens", _)) => return Ok(Format::Tokens),
            Some(("entropo-trajectory", _)) => return Ok(Format::Trajectory),
            _ => {}
        }
    }
    if openai::is_pair(row) {
        return Ok(Format::Messages);
    }
    let others = ["instruction", "prompt", "text", "completion"].into_iter().find(|key| has(key));
    match (has("messages"), has("conversations"), others) {
        (true, true, _) => Err(conflict("messages", "conversations")),
        (true, false, Some("prompt")) if has("chosen") && get(row, "messages") == get(row, "chosen") => Ok(Format::Trl),
        (true, false, Some("prompt")) if !has("chosen") && names_its_prompt(row) => Ok(Format::Messages),
        (true, false, Some(other)) => Err(conflict("messages", other)),
        (false, true, Some(other)) => Err(conflict("conversations", other)),
        (true, false, None) => Ok(Format::Messages),
        (false, true, None) => Ok(Format::ShareGpt),
        (false, false, Some("instruction")) => Ok(Format::Alpaca),
        (false, false, Some(_)) => Ok(Format::Trl),
        (false, false, None) if has("chosen") || has("rejected") => Ok(Format::Trl),
        (false, false, None) => Err(RowError::Unrecognised { keys: keys(row) }),
    }
}

fn conflict(first: &'static str, second: &'static str) -> RowError {
    RowError::Conflict { at: Place::ROW.to_string(), first, second }
}

/// Whether `prompt` only repeats a message, as in UltraChat.
fn names_its_prompt(row: &Map<String, Value>) -> bool {
    let messages = get(row, "messages").and_then(Value::as_array).into_iter().flatten();
    get(row, "prompt")
        .filter(|prompt| prompt.is_string())
        .is_some_and(|prompt| messages.filter_map(|message| message.get("content")).any(|content| content == prompt))
}

/// The first keys, for a message.
fn keys(row: &Map<String, Value>) -> String {
    const KEYS: usize = 8;
    let names: Vec<String> = row.keys().take(KEYS).map(|key| error::shortened(&format!("{key:?}"))).collect();
    let more = if row.len() > KEYS { ", …" } else { "" };
    if names.is_empty() { "(none)".to_owned() } else { names.join(", ") + more }
}
