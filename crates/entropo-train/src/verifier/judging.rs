//! Prompts about attempts as tokens, with the place of the answer.

use std::sync::Arc;

use entropo_agent::verifier::{Answer, Condensed, JudgePrompt, MissingScore, PromptError};
use entropo_core::{Message, RolloutId, Trajectory};
use sha2::{Digest, Sha256};

use crate::data::{Sequence, SequenceError};
use crate::text::{ChatFormat, Conversation, EncodeError, SpecialText};

/// How attempts are shown to a model: a prompt in the model's own tokens.
#[derive(Debug)]
pub struct Judging {
    format: Arc<ChatFormat>,
    prompt: JudgePrompt,
    /// Tokens that a prompt may have before the reply.
    budget: usize,
    /// What both replies begin with, up to the place of the answer.
    lead: Vec<u32>,
    /// What each answer is from there on, as far as it differs from the other.
    answers: [Vec<u32>; 2],
    /// Every token that speaks for an answer.
    spoken: Vec<(Answer, u32)>,
}

/// An attempt ready to be judged: the model's next token is the answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The attempt.
    pub rollout: RolloutId,
    /// All tokens before the answer.
    pub ids: Vec<u32>,
    /// What was left out of the attempt.
    pub condensed: Condensed,
}

/// Why a model cannot be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JudgingError {
    /// A prompt that nobody can answer.
    #[error(transparent)]
    Prompt(#[from] PromptError),
    /// Replies that cannot be made tokens.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// Replies that no token tells apart.
    #[error(
        "the replies {affirmative:?} and {negative:?} are {tokens:?} and a beginning of it or the same in the model's \
         tokens; choose words that the tokenizer knows"
    )]
    Alike {
        /// One reply.
        affirmative: String,
        /// The other.
        negative: String,
        /// The longer one's tokens.
        tokens: Vec<u32>,
    },
    /// No room for anything but the reply.
    #[error("{budget} tokens leave no room for a prompt beside a reply of {reply}; allow more")]
    Budget {
        /// Tokens allowed.
        budget: usize,
        /// Tokens of the reply.
        reply: usize,
    },
}

impl Judging {
    /// Prompts in a model's tokens, of at most `budget` tokens with the answer.
    pub fn new(format: Arc<ChatFormat>, prompt: JudgePrompt, budget: usize) -> Result<Self, JudgingError> {
        prompt.validate()?;
        let replies = [Answer::Affirmative, Answer::Negative].map(|answer| reply(&format, &prompt, answer));
        let [affirmative, negative] = replies;
        let replies = [affirmative?, negative?];
        let Some([lead, affirmative, negative]) = part(&replies) else {
            let [affirmative, negative] = [Answer::Affirmative, Answer::Negative].map(|answer| prompt.reply(answer));
            let tokens = replies.into_iter().max_by_key(Vec::len).unwrap_or_default();
            return Err(JudgingError::Alike { affirmative, negative, tokens });
        };
        let answers = [affirmative, negative];
        let longest = lead.len() + answers.iter().map(Vec::len).max().unwrap_or_default();
        let room = budget.checked_sub(longest).filter(|room| *room > 0);
        let Some(room) = room else { return Err(JudgingError::Budget { budget, reply: longest }) };
        let spoken = spoken(&format, &prompt, &answers);
        Ok(Self { format, prompt, budget: room, lead, answers, spoken })
    }

    /// An attempt's prompt, its oldest observations left out turn by turn if it would be too long.
    pub fn read(&self, trajectory: &Trajectory) -> Result<Judged, MissingScore> {
        let tokens = |messages: &[Message]| {
            let conversation = Conversation::new(messages, &[]).with_generation_prompt(true);
            let refused = |error: EncodeError| MissingScore::Prompt { reason: error.to_string() };
            self.format.prompt_ids(&conversation).map_err(refused)
        };
        let mut last = Vec::new();
        let asked = self.prompt.ask(trajectory, self.budget, |messages| {
            last = tokens(messages)?;
            Ok(last.len())
        })?;
        // The last prompt that was counted need not be the one that was chosen.
        let mut ids = if asked.condensed == Condensed::default() { last } else { tokens(&asked.messages)? };
        ids.extend(&self.lead);
        Ok(Judged { rollout: trajectory.id.clone(), ids, condensed: asked.condensed })
    }

    /// The prompt with an answer, of which the answer alone is learned: no prompt, and nothing around the word.
    pub fn answered(&self, judged: &Judged, answer: Answer) -> Result<Sequence, SequenceError> {
        let ids = [judged.ids.as_slice(), self.answer(answer)].concat();
        let actions = (0..ids.len()).map(|position| position >= judged.ids.len()).collect();
        Sequence::new(format!("{} judged {answer}", judged.rollout), ids, actions)
    }

    /// The tokens of an answer.
    pub fn answer(&self, answer: Answer) -> &[u32] {
        let [affirmative, negative] = &self.answers;
        match answer {
            Answer::Affirmative => affirmative,
            Answer::Negative => negative,
        }
    }

    /// Every token that speaks for an answer: those whose text [does](JudgePrompt::spoken), and those with which the
    /// answers begin here.
    pub fn spoken(&self) -> &[(Answer, u32)] {
        &self.spoken
    }

    /// What is shown and asked.
    pub fn prompt(&self) -> &JudgePrompt {
        &self.prompt
    }

    /// A hash of everything that prompts are made of, attempts aside: a head that was fitted with another one judges
    /// something else. How many tokens a prompt may have, and [`least_mass`](JudgePrompt::least_mass), which is asked of
    /// words and not of a head, do not count.
    pub fn fingerprint(&self) -> String {
        let prompt = JudgePrompt { least_mass: 0.0, ..self.prompt.clone() };
        let prompt = serde_json::to_vec(&prompt).unwrap_or_default();
        let hash = Sha256::new().chain_update(self.format.fingerprint()).chain_update(prompt).finalize();
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The tokens of a reply, as they follow any prompt.
fn reply(format: &ChatFormat, prompt: &JudgePrompt, answer: Answer) -> Result<Vec<u32>, EncodeError> {
    let system = Some(&prompt.system).filter(|system| !system.is_empty()).map(Message::system);
    let turns = [Message::user("-"), Message::assistant(prompt.reply(answer))];
    let messages: Vec<Message> = system.into_iter().chain(turns).collect();
    let encoded = format.encode(&Conversation::new(&messages, &[]), SpecialText::Escape)?;
    let last = encoded.actions.last().map_or(0..0, |action| action.start..action.end);
    Ok(encoded.ids.get(last).unwrap_or_default().to_vec())
}

/// What two replies begin with in common, and what either is from there on without what both end with; the answers have at
/// least one token each. `None` if one is the beginning of the other.
fn part([one, other]: &[Vec<u32>; 2]) -> Option<[Vec<u32>; 3]> {
    let start = one.iter().zip(other).position(|(one, other)| one != other)?;
    let (rests, lead) = ([one.get(start..)?, other.get(start..)?], one.get(..start)?);
    let [one, other] = rests;
    let shortest = one.len().min(other.len());
    let same = one.iter().rev().zip(other.iter().rev()).take_while(|(one, other)| one == other).count();
    let end = same.min(shortest.saturating_sub(1));
    Some([lead.to_vec(), one.get(..one.len() - end)?.to_vec(), other.get(..other.len() - end)?.to_vec()])
}

/// Tokens that speak for an answer, by id; each speaks for one.
fn spoken(format: &ChatFormat, prompt: &JudgePrompt, answers: &[Vec<u32>; 2]) -> Vec<(Answer, u32)> {
    let tokenizer = format.tokenizer();
    let begins = |id: u32| {
        let sides = [Answer::Affirmative, Answer::Negative].into_iter().zip(answers);
        sides.filter(|(_, ids)| ids.first() == Some(&id)).map(|(answer, _)| answer).next()
    };
    let said = |id: u32| {
        let text = tokenizer.decode_known(&[id]).ok().filter(|_| tokenizer.added_token(id).is_none())?;
        prompt.spoken(&text)
    };
    let ids = tokenizer.ids();
    ids.filter_map(|id| Some((begins(id).or_else(|| said(id))?, id))).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn replies_part_where_they_differ() {
        let part = |one: &[u32], other: &[u32]| super::part(&[one.to_vec(), other.to_vec()]);
        let parted = |lead: &[u32], one: &[u32], other: &[u32]| Some([lead, one, other].map(<[u32]>::to_vec));
        assert_eq!(part(&[1, 2, 9], &[1, 3, 9]), parted(&[1], &[2], &[3]));
        assert_eq!(part(&[2, 5, 9], &[3, 9]), parted(&[], &[2, 5], &[3]));
        assert_eq!(part(&[4, 9], &[5, 4, 9]), parted(&[], &[4], &[5, 4]), "an answer is never empty");
        assert_eq!(part(&[1, 2], &[1, 2]), None);
        assert_eq!(part(&[1], &[1, 2]), None);
    }
}
