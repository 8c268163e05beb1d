//! Pairs of OpenAI's preference fine-tuning: `input`, `preferred_output` and `non_preferred_output`.

use serde_json::{Map, Value};

use super::conversation::continued;
use super::dialogue::{Builder, Learn};
use super::place::Place;
use super::value::{list, need, object};
use super::{Record, RowError, record};

/// Whether a row is such a pair.
pub(super) fn is_pair(row: &Map<String, Value>) -> bool {
    row.contains_key("preferred_output") || row.contains_key("non_preferred_output")
}

/// Reads a pair. `parallel_tool_calls` is a setting of the server's and is passed over.
pub(super) fn read(row: &Map<String, Value>) -> Result<Record, RowError> {
    let at = Place::ROW.key("input");
    let input = object(need(row, "input", Place::ROW)?, at)?;
    let messages = list(need(input, "messages", at)?, at.key("messages"))?;
    let mut builder = Builder::new(input)?;
    builder.extend(messages, at.key("messages"), Learn::Nothing)?;
    let side = |key| continued(builder.clone(), need(row, key, Place::ROW)?, key);
    record::pair(row, side("preferred_output")?, side("non_preferred_output")?)
}
