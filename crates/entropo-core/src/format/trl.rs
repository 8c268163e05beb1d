//! Rows of TRL with `prompt`, `completion`, `chosen`, `rejected` or `text`: strings ("standard") or messages
//! ("conversational"), with an explicit or an implicit prompt.

use serde_json::{Map, Value};

use super::conversation::continued;
use super::dialogue::{Builder, Learn};
use super::place::Place;
use super::row::role;
use super::value::{get, text};
use super::{Dialogue, Record, RowError, Side, record};

/// What a row says is read before anything is learned.
#[derive(Clone)]
enum Prompt {
    Text(String),
    Messages(Builder),
}

pub(super) fn read(row: &Map<String, Value>) -> Result<Record, RowError> {
    let pair = record::pair_of(row)?;
    match (pair, get(row, "prompt")) {
        (Some((chosen, rejected)), None) => implicit(row, chosen, rejected),
        (Some((chosen, rejected)), Some(Value::String(prompt))) if chosen.is_array() && rejected.is_array() => {
            repeated(row, prompt, chosen, rejected)
        }
        (Some((chosen, rejected)), Some(value)) => {
            let prompt = prompt(row, value)?;
            let chosen = answered(prompt.clone(), chosen, "chosen")?;
            record::pair(row, chosen, answered(prompt, rejected, "rejected")?)
        }
        (None, Some(value)) => {
            let completion =
                get(row, "completion").ok_or_else(|| RowError::missing(Place::ROW, "completion, or chosen"))?;
            record::single(row, answered(prompt(row, value)?, completion, "completion")?)
        }
        (None, None) => {
            let key = if get(row, "completion").is_some() { "completion" } else { "text" };
            let value = get(row, key).ok_or_else(|| RowError::missing(Place::ROW, "prompt, text, or chosen"))?;
            let completion = text(value, Place::ROW.key(key))?.to_owned();
            record::single(row, Side::Text { prompt: String::new(), completion })
        }
    }
}

fn prompt(row: &Map<String, Value>, value: &Value) -> Result<Prompt, RowError> {
    let at = Place::ROW.key("prompt");
    match value {
        Value::String(text) => Ok(Prompt::Text(text.clone())),
        Value::Array(messages) => {
            let mut builder = Builder::new(row)?;
            builder.system(row, messages)?;
            builder.extend(messages, at, Learn::Nothing)?;
            Ok(Prompt::Messages(builder))
        }
        other => Err(RowError::of_type(at, other, "a string or a list of messages")),
    }
}

fn answered(prompt: Prompt, value: &Value, key: &'static str) -> Result<Side, RowError> {
    match prompt {
        Prompt::Text(prompt) => Ok(Side::Text { prompt, completion: text(value, Place::ROW.key(key))?.to_owned() }),
        Prompt::Messages(builder) => continued(builder, value, key),
    }
}

/// A pair that repeats its prompt on both sides.
fn implicit(row: &Map<String, Value>, chosen: &Value, rejected: &Value) -> Result<Record, RowError> {
    if let (Value::String(chosen), Value::String(rejected)) = (chosen, rejected) {
        let (prompt, chosen, rejected) = split_texts(chosen, rejected);
        let side = |completion: &str| Side::Text { prompt: prompt.to_owned(), completion: completion.to_owned() };
        return record::pair(row, side(chosen), side(rejected));
    }
    let (chosen, rejected) = split_dialogues(row, chosen, rejected)?;
    record::pair(row, Side::Dialogue(chosen), Side::Dialogue(rejected))
}

/// A pair of conversations beside its prompt as a string, which has to be in what both begin with.
fn repeated(row: &Map<String, Value>, prompt: &str, chosen: &Value, rejected: &Value) -> Result<Record, RowError> {
    let (chosen, rejected) = split_dialogues(row, chosen, rejected)?;
    let is_prompt = |message: &Value| message.get("content").is_some_and(|content| content == prompt);
    if !chosen.prompt().iter().any(is_prompt) {
        return Err(RowError::Type {
            at: "chosen".to_owned(),
            found: "a list of messages without the prompt",
            expected: "a string, or messages that begin with the prompt",
        });
    }
    record::pair(row, Side::Dialogue(chosen), Side::Dialogue(rejected))
}

/// Both conversations, nothing learned of what they begin with in common.
///
/// That ends where the assistant speaks on both sides: if the same call had different results, the call is not prompt.
fn split_dialogues(
    row: &Map<String, Value>,
    chosen: &Value,
    rejected: &Value,
) -> Result<(Dialogue, Dialogue), RowError> {
    let whole = |value, key| match continued(Builder::new(row)?, value, key)? {
        Side::Dialogue(dialogue) => Ok(dialogue),
        _ => Err(RowError::PromptsDiffer),
    };
    let (mut chosen, mut rejected) = (whole(chosen, "chosen")?, whole(rejected, "rejected")?);
    let common = chosen.messages.iter().zip(&rejected.messages).take_while(|(one, other)| one == other).count();
    let speaks = |dialogue: &Dialogue, index| dialogue.messages.get(index).is_none_or(|one| role(one) == "assistant");
    let prompt = (0..=common).rev().find(|&index| speaks(&chosen, index) && speaks(&rejected, index)).unwrap_or(0);
    for dialogue in [&mut chosen, &mut rejected] {
        dialogue.learned.iter_mut().take(prompt).for_each(|learned| *learned = false);
    }
    Ok((chosen, rejected))
}

/// What both texts begin with in common, and the rest of each. The prompt ends before a white space, so that no word is
/// cut in two and the space belongs to the word after it, as tokenizers have it.
fn split_texts<'a>(chosen: &'a str, rejected: &'a str) -> (&'a str, &'a str, &'a str) {
    let same = chosen.char_indices().zip(rejected.chars()).take_while(|((_, one), other)| one == other);
    let common = same.map(|((start, one), _)| start + one.len_utf8()).last().unwrap_or(0);
    let prefix = chosen.get(..common).unwrap_or_default();
    let end = prefix.rfind(char::is_whitespace).unwrap_or(0);
    let rest = |text: &'a str| text.get(end..).unwrap_or_default();
    (chosen.get(..end).unwrap_or_default(), rest(chosen), rest(rejected))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_part_before_the_word_that_differs() {
        assert_eq!(split_texts("The sky is blue.", "The sky is black."), ("The sky is", " blue.", " black."));
        assert_eq!(split_texts("Q\n\nA: yes", "Q\n\nA: no"), ("Q\n\nA:", " yes", " no"));
        assert_eq!(split_texts("yes", "no"), ("", "yes", "no"));
        assert_eq!(split_texts("é\u{a0}a", "é\u{a0}b"), ("é", "\u{a0}a", "\u{a0}b"));
        assert_eq!(split_texts("same one", "same one more"), ("same", " one", " one more"));
    }
}
