//! Our own rows of recorded tokens.

use serde_json::{Map, Value, json};

use super::{ExportError, Loss, check_pair, named};
use crate::format::{Record, Row, Side, TOKENS_FORMAT};
use crate::{ActionSpan, Segment};

const FORMAT: &str = "a row of tokens";

/// A row of [`TOKENS_FORMAT`].
///
/// # Errors
/// [`ExportError`] for text and messages, and for pairs without a common prompt.
pub fn tokens(row: &Row) -> Result<Value, ExportError> {
    let mut columns = Map::new();
    columns.insert("format".to_owned(), TOKENS_FORMAT.into());
    columns.extend(named(row));
    match &row.record {
        Record::Demonstration(side) => columns.extend(fields(segment(side, "the row")?)),
        Record::Labelled { side, desirable } => {
            columns.extend(fields(segment(side, "the row")?));
            columns.insert("label".to_owned(), (*desirable).into());
        }
        Record::Preference { chosen, rejected } => {
            let sides = [("chosen", segment(chosen, "chosen")?), ("rejected", segment(rejected, "rejected")?)];
            check_pair(chosen, rejected)?;
            columns.extend(sides.map(|(key, segment)| (key.to_owned(), Value::Object(fields(segment)))));
        }
    }
    Ok(Value::Object(columns))
}

fn segment<'a>(side: &'a Side, at: &str) -> Result<&'a Segment, ExportError> {
    let lost = |loss| Err(ExportError::Lost { format: FORMAT, loss, at: at.to_owned() });
    match side {
        Side::Tokens(segment) => Ok(segment),
        Side::Text { .. } => lost(Loss::Text),
        Side::Dialogue(_) => lost(Loss::Messages),
    }
}

/// `turns` and `messages` only where they say something.
fn fields(segment: &Segment) -> Map<String, Value> {
    let Segment { ids, actions, logprobs, messages } = segment;
    let mut fields = Map::new();
    fields.insert("ids".to_owned(), json!(ids));
    fields.insert(
        "actions".to_owned(),
        actions.iter().map(|ActionSpan { start, end, .. }| json!([start, end])).collect(),
    );
    if actions.iter().enumerate().any(|(index, action)| action.turn != index) {
        fields.insert("turns".to_owned(), actions.iter().map(|action| Value::from(action.turn)).collect());
    }
    if !logprobs.is_empty() {
        fields.insert("logprobs".to_owned(), json!(logprobs));
    }
    if *messages > 0 {
        fields.insert("messages".to_owned(), (*messages).into());
    }
    fields
}
