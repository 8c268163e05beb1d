//! What a verifier is trained on: an attempt, the question whether it is right, and both answers.
//!
//! The attempt's tokens come first, as the agent read and wrote them; question and answers follow as the chat template
//! puts a further user turn. Of an attempt in words that is too long, the longest texts that the model did not write
//! itself give way to a short note, one after the other, as the paper does (arXiv 2509.12434, `docs/method.md` 1.5); the
//! task, which is the first user message, stays.

use entropo_core::ActionSpan;
use entropo_core::format::{Dialogue, Side};
use serde_json::{Value, json};

use super::config::Question;
use super::cut::Encoded;
use super::encode::{NoTokens, tokens_of};
use crate::text::{ChatFormat, Conversation, EncodeError, SpecialText};

/// What stands for a text that had to go.
const OMITTED: &str = "[omitted: too long]";

/// The question with its answers as tokens, ready to follow any attempt.
pub(super) struct Judgements {
    /// What follows the last action of an attempt, up to the answer.
    question: Vec<u32>,
    affirmative: Vec<u32>,
    negative: Vec<u32>,
}

impl Judgements {
    /// Tokenises the question.
    pub(super) fn new(question: &Question, chat: &ChatFormat) -> Result<Self, EncodeError> {
        let of_turns = |answer: Option<&str>| {
            let mut messages = vec![
                json!({"role": "user", "content": "-"}),
                json!({"role": "assistant", "content": "-"}),
                json!({"role": "user", "content": question.text}),
            ];
            messages.extend(answer.map(|answer| json!({"role": "assistant", "content": answer})));
            Conversation::from_values(messages, Vec::new())
        };
        let answer = |text: &str| {
            let encoded = chat.encode(&of_turns(Some(text)), SpecialText::Escape)?;
            let last = encoded.actions.last().map_or(0..0, |action| action.start..action.end);
            Ok::<_, EncodeError>(encoded.ids.get(last).unwrap_or_default().to_vec())
        };
        // The token that ends the attempt's last turn is the attempt's.
        let end = answer(&question.affirmative)?.last().copied();
        let asked = of_turns(None).with_generation_prompt(true);
        Ok(Self {
            question: chat.observation_ids(&asked, end.as_slice())?,
            affirmative: answer(&question.affirmative)?,
            negative: answer(&question.negative)?,
        })
    }

    /// The attempt followed by the right answer and by the wrong one.
    pub(super) fn of(
        &self,
        attempt: &Side,
        is_right: bool,
        chat: Option<&ChatFormat>,
        most: usize,
    ) -> Result<[Encoded; 2], NoTokens> {
        let room = most.saturating_sub(self.question.len() + self.affirmative.len().max(self.negative.len()));
        let mut attempt = fitting(attempt, chat, room)?;
        attempt.ids.truncate(attempt.needed());
        let answers = if is_right { [&self.affirmative, &self.negative] } else { [&self.negative, &self.affirmative] };
        Ok(answers.map(|answer| {
            let ids = [attempt.ids.as_slice(), &self.question, answer].concat();
            let (start, end) = (ids.len() - answer.len(), ids.len());
            Encoded { ids, actions: vec![ActionSpan { turn: 0, start, end }] }
        }))
    }
}

/// The attempt's tokens, texts of others left out until at most `room` are there, if that is possible.
fn fitting(attempt: &Side, chat: Option<&ChatFormat>, room: usize) -> Result<Encoded, NoTokens> {
    let mut encoded = tokens_of(attempt, chat)?;
    let Side::Dialogue(dialogue) = attempt else { return Ok(encoded) };
    let mut dialogue = Dialogue { learned: vec![true; dialogue.messages.len()], ..dialogue.clone() };
    while encoded.needed() > room && shorten(&mut dialogue.messages) {
        encoded = tokens_of(&Side::Dialogue(dialogue.clone()), chat)?;
    }
    Ok(encoded)
}

/// Leaves out the longest text of a tool or user after the first user message; `false` if there is none.
fn shorten(messages: &mut [Value]) -> bool {
    let role = |message: &Value| message.get("role").and_then(Value::as_str).map(str::to_owned);
    let task = messages.iter().position(|message| role(message).as_deref() == Some("user"));
    let after = messages.iter_mut().skip(task.map_or(0, |task| task + 1));
    let others = after.filter(|message| matches!(role(message).as_deref(), Some("user" | "tool")));
    let contents = others.filter_map(|message| message.get_mut("content"));
    let longest = contents.max_by_key(|content| content.as_str().map_or(0, str::len));
    match longest.filter(|content| content.as_str().is_some_and(|text| text.len() > OMITTED.len())) {
        Some(content) => {
            *content = Value::from(OMITTED);
            true
        }
        None => false,
    }
}
