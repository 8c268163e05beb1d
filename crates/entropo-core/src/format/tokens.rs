//! Our own rows of recorded tokens.

use serde_json::{Map, Value};

use super::error::shown;
use super::place::Place;
use super::value::{get, list, need, object};
use super::{Record, RowError, Side, record};
use crate::{ActionSpan, Segment, TokenTrace};

/// The version of the token rows that this crate writes, and the only one that it reads.
pub const TOKENS_FORMAT: &str = "entropo-tokens/1";

pub(super) fn read(row: &Map<String, Value>) -> Result<Record, RowError> {
    let format = need(row, "format", Place::ROW)?;
    if format != TOKENS_FORMAT {
        return Err(RowError::FormatVersion { found: shown(format), expected: TOKENS_FORMAT });
    }
    match record::pair_of(row)? {
        None => record::single(row, side(row, Place::ROW)?),
        Some((chosen, rejected)) => {
            let read = |value, key| {
                let at = Place::ROW.key(key);
                side(object(value, at)?, at)
            };
            record::pair(row, read(chosen, "chosen")?, read(rejected, "rejected")?)
        }
    }
}

fn side(fields: &Map<String, Value>, at: Place<'_>) -> Result<Side, RowError> {
    let ids = numbers(need(fields, "ids", at)?, at.key("ids"), id)?;
    let mut actions = match (get(fields, "actions"), get(fields, "mask")) {
        (Some(_), Some(_)) => {
            return Err(RowError::Conflict { at: at.to_string(), first: "actions", second: "mask" });
        }
        (Some(spans), None) => numbers(spans, at.key("actions"), span)?,
        (None, Some(mask)) => masked(mask, ids.len(), at.key("mask"))?,
        (None, None) => return Err(RowError::missing(at, "actions, or mask")),
    };
    number_turns(&mut actions, get(fields, "turns"), at.key("turns"))?;
    let optional = |key| get(fields, key).map(|value| (value, at.key(key)));
    let logprobs = optional("logprobs").map_or(Ok(Vec::new()), |(value, at)| numbers(value, at, logprob))?;
    let messages = optional("messages").map_or(Ok(0), |(value, at)| count(value, at))?;
    let segment = Segment { ids, actions, logprobs, messages };
    let trace = TokenTrace::from_segment(segment).map_err(|source| RowError::Trace { at: at.to_string(), source })?;
    only_segment(trace).map(Side::Tokens).ok_or_else(|| RowError::NothingLearned { at: at.to_string() })
}

/// The first context of a trace, which in a row is the only one.
pub(super) fn only_segment(trace: TokenTrace) -> Option<Segment> {
    trace.into_segments().into_iter().next()
}

fn numbers<T>(
    value: &Value,
    at: Place<'_>,
    read: impl Fn(&Value, Place<'_>) -> Result<T, RowError>,
) -> Result<Vec<T>, RowError> {
    list(value, at)?.iter().enumerate().map(|(index, item)| read(item, at.index(index))).collect()
}

fn id(value: &Value, at: Place<'_>) -> Result<u32, RowError> {
    let id = value.as_u64().and_then(|id| u32::try_from(id).ok());
    id.ok_or_else(|| RowError::of_value(at, value, "a token id from 0 to 4294967295"))
}

fn count(value: &Value, at: Place<'_>) -> Result<usize, RowError> {
    let count = value.as_u64().and_then(|count| usize::try_from(count).ok());
    count.ok_or_else(|| RowError::of_value(at, value, "a whole number from 0"))
}

fn logprob(value: &Value, at: Place<'_>) -> Result<f32, RowError> {
    let logprob = value.as_f64().map(|wide| wide as f32).filter(|narrow| narrow.is_finite());
    logprob.ok_or_else(|| RowError::of_value(at, value, "a finite natural log-probability"))
}

fn span(value: &Value, at: Place<'_>) -> Result<ActionSpan, RowError> {
    let [start, end] = list(value, at)? else {
        return Err(RowError::of_type(at, value, "a list of a first token and one past the last"));
    };
    Ok(ActionSpan { turn: 0, start: count(start, at.index(0))?, end: count(end, at.index(1))? })
}

/// Every run of ones is an action. Two actions without a token between them are one: write `actions` to keep them apart.
fn masked(value: &Value, len: usize, at: Place<'_>) -> Result<Vec<ActionSpan>, RowError> {
    let mask = numbers(value, at, flag)?;
    if mask.len() != len {
        return Err(RowError::Value {
            at: at.to_string(),
            found: format!("a list of {}", mask.len()),
            expected: "one entry for each id",
        });
    }
    let mut spans: Vec<ActionSpan> = Vec::new();
    for (position, _) in mask.iter().enumerate().filter(|(_, is_action)| **is_action) {
        match spans.last_mut().filter(|last| last.end == position) {
            Some(last) => last.end = position + 1,
            None => spans.push(ActionSpan { turn: 0, start: position, end: position + 1 }),
        }
    }
    Ok(spans)
}

fn flag(value: &Value, at: Place<'_>) -> Result<bool, RowError> {
    match (value.as_bool(), value.as_u64()) {
        (Some(flag), _) => Ok(flag),
        (None, Some(0)) => Ok(false),
        (None, Some(1)) => Ok(true),
        _ => Err(RowError::of_value(at, value, "0, 1, false or true")),
    }
}

/// Numbers the actions as `turns` says, or from 0.
fn number_turns(actions: &mut [ActionSpan], turns: Option<&Value>, at: Place<'_>) -> Result<(), RowError> {
    let turns = match turns {
        None => (0..actions.len()).collect(),
        Some(value) => numbers(value, at, count)?,
    };
    if turns.len() != actions.len() {
        return Err(RowError::Value {
            at: at.to_string(),
            found: format!("a list of {}", turns.len()),
            expected: "one turn for each action",
        });
    }
    for (action, turn) in actions.iter_mut().zip(turns) {
        action.turn = turn;
    }
    Ok(())
}
