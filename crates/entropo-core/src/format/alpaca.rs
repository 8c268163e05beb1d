//! Rows of the Alpaca format as LLaMA-Factory extends it: history, pairs and labels.

use serde_json::{Map, Value};

use super::dialogue::{Builder, Learn};
use super::message::Role;
use super::place::Place;
use super::value::{get, list, need, optional_text, text};
use super::{Record, RowError, Side, record};

/// Reads `instruction`, `input`, `history`, `system` and `output`, or `chosen` and `rejected`.
///
/// In a demonstration the answers of the history are learned too; in a pair or a labelled row they are prompt.
pub(super) fn read(row: &Map<String, Value>) -> Result<Record, RowError> {
    let pair = record::pair_of(row)?;
    let history = if pair.is_none() && record::label(row)?.is_none() { Learn::Assistant } else { Learn::Nothing };
    let mut builder = Builder::new(row)?;
    builder.system(row, &[])?;
    add_history(&mut builder, row, history)?;
    builder.say(Role::User, &question(row)?, Learn::Nothing);
    match pair {
        None => {
            let output = need(row, "output", Place::ROW)?;
            record::single(row, answered(builder, output, "output")?)
        }
        Some((chosen, rejected)) => {
            let chosen = answered(builder.clone(), chosen, "chosen")?;
            record::pair(row, chosen, answered(builder, rejected, "rejected")?)
        }
    }
}

/// Instruction and input on lines of their own, whichever there is.
fn question(row: &Map<String, Value>) -> Result<String, RowError> {
    let instruction = text(need(row, "instruction", Place::ROW)?, Place::ROW.key("instruction"))?;
    let input = optional_text(row, "input", Place::ROW)?;
    let lines: Vec<&str> = [instruction, input].into_iter().filter(|line| !line.is_empty()).collect();
    Ok(lines.join("\n"))
}

fn add_history(builder: &mut Builder, row: &Map<String, Value>, learn: Learn) -> Result<(), RowError> {
    let Some(rounds) = get(row, "history") else { return Ok(()) };
    let at = Place::ROW.key("history");
    for (index, round) in list(rounds, at)?.iter().enumerate() {
        let at = at.index(index);
        let [question, answer] = list(round, at)? else {
            return Err(RowError::of_type(at, round, "a list of a question and its answer"));
        };
        builder.say(Role::User, text(question, at.index(0))?, Learn::Nothing);
        builder.say(Role::Assistant, text(answer, at.index(1))?, learn);
    }
    Ok(())
}

fn answered(mut builder: Builder, answer: &Value, key: &'static str) -> Result<Side, RowError> {
    builder.say(Role::Assistant, text(answer, Place::ROW.key(key))?, Learn::Assistant);
    Ok(Side::Dialogue(builder.finish()))
}
