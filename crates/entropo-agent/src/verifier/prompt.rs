//! What a verifier is shown and asked.

use entropo_core::{Message, Trajectory};
use serde::{Deserialize, Serialize};

use super::answer::{Answer, bare, is_word};
use super::condense::{Condensed, fitting};
use super::marks::Marks;
use super::missing::MissingScore;
use super::transcript::Transcript;

/// What a verifier is told, shown and asked, and how it answers. Every field has a default.
///
/// The message of the user is the attempt, then the question. Attempts at one task begin with the same tokens: what is
/// computed together computes them once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JudgePrompt {
    /// The system's message.
    pub system: String,
    /// What follows the attempt.
    pub question: String,
    /// The word for an attempt that solves its task. Default `YES`.
    pub affirmative: String,
    /// The word for one that does not. Default `NO`.
    pub negative: String,
    /// What the reply has right before the word, such as `<judgement>`; anything may come before that. Default: nothing,
    /// the reply begins with the word.
    pub opening: String,
    /// What follows the word.
    pub closing: String,
    /// How many of the last turns keep what was answered, however long it is. Default 2.
    pub keep_turns: usize,
    /// The probability that both answers have at least together; below there is no score. Default 0.01.
    pub least_mass: f64,
}

/// A prompt that nobody can answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PromptError {
    /// An answer without a letter.
    #[error("the {0} answer is empty; give it a word")]
    Empty(Answer),
    /// Answers that cannot be told apart.
    #[error("both answers are {0:?}, blanks and case aside; give them different words")]
    Equal(String),
    /// A probability that is none.
    #[error("least_mass is {0}, and has to be in [0, 1]")]
    LeastMass(f64),
    /// A mark that no blank breaks.
    #[error("the mark {0:?} cannot be broken; a mark has at least two letters and no blank")]
    Mark(String),
}

/// A prompt about one attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// The system's message and the user's.
    pub messages: Vec<Message>,
    /// What was left out of the attempt.
    pub condensed: Condensed,
}

impl Default for JudgePrompt {
    fn default() -> Self {
        Self {
            system: "You judge attempts of a coding agent. You are shown a task, every step of the attempt and the patch \
                     that it left. Judge the patch, not what the agent says of it: does it do what the task asks, in all \
                     cases, and does it leave everything else as it was?"
                .to_owned(),
            question: "Does the patch solve the task, so that all of its hidden tests pass? Answer YES or NO.".to_owned(),
            affirmative: "YES".to_owned(),
            negative: "NO".to_owned(),
            opening: String::new(),
            closing: String::new(),
            keep_turns: 2,
            least_mass: 0.01,
        }
    }
}

impl JudgePrompt {
    /// The same with answers in tags, `<judgement>YES</judgement>`, as verifiers of R2E-Gym's kind give them.
    pub fn tagged() -> Self {
        Self {
            question: "Does the patch solve the task, so that all of its hidden tests pass? Answer \
                       <judgement>YES</judgement> or <judgement>NO</judgement>."
                .to_owned(),
            opening: "<judgement>".to_owned(),
            closing: "</judgement>".to_owned(),
            ..Self::default()
        }
    }

    /// Refuses answers that are empty or cannot be told apart, and a probability out of range.
    pub fn validate(&self) -> Result<(), PromptError> {
        for answer in [Answer::Affirmative, Answer::Negative] {
            if bare(self.word(answer)).is_empty() {
                return Err(PromptError::Empty(answer));
            }
        }
        if is_word(&self.affirmative, &self.negative) {
            return Err(PromptError::Equal(self.affirmative.clone()));
        }
        if !(0.0..=1.0).contains(&self.least_mass) {
            return Err(PromptError::LeastMass(self.least_mass));
        }
        Ok(())
    }

    /// The word of an answer.
    pub fn word(&self, answer: Answer) -> &str {
        match answer {
            Answer::Affirmative => &self.affirmative,
            Answer::Negative => &self.negative,
        }
    }

    /// The whole reply that gives an answer.
    pub fn reply(&self, answer: Answer) -> String {
        format!("{}{}{}", self.opening, self.word(answer), self.closing)
    }

    /// The answer that a token speaks for: the one whose word it is, blanks around it and case aside. `YES`, ` YES` and
    /// `Yes` are one answer, whose probability is their sum; `Y` and `YES.` are none.
    pub fn spoken(&self, token: &str) -> Option<Answer> {
        [Answer::Affirmative, Answer::Negative].into_iter().find(|answer| is_word(token, self.word(*answer)))
    }

    /// The prompt about an attempt, with at most `budget` tokens by `count`. If it has more, what tools and users answered
    /// is left out, turn by turn, the oldest first; the task, what the policy wrote, the last
    /// [`keep_turns`](Self::keep_turns) and the patch stay.
    pub fn ask(
        &self,
        trajectory: &Trajectory,
        budget: usize,
        count: impl FnMut(&[Message]) -> Result<usize, MissingScore>,
    ) -> Result<Asked, MissingScore> {
        self.ask_without(&Marks::default(), trajectory, budget, count)
    }

    /// The same with `marks` broken in the attempt.
    pub(super) fn ask_without(
        &self,
        marks: &Marks,
        trajectory: &Trajectory,
        budget: usize,
        mut count: impl FnMut(&[Message]) -> Result<usize, MissingScore>,
    ) -> Result<Asked, MissingScore> {
        let steps = trajectory.steps();
        if steps == 0 {
            return Err(MissingScore::Nothing);
        }
        let messages = |text: &str| {
            let user = Message::user(format!("{text}\n{}", self.question));
            let system = Some(&self.system).filter(|system| !system.is_empty()).map(Message::system);
            system.into_iter().chain([user]).collect::<Vec<_>>()
        };
        let transcript = Transcript::of(trajectory, marks);
        let (text, condensed) = fitting(&transcript, [steps, self.keep_turns], budget, |text| count(&messages(text)))?;
        Ok(Asked { messages: messages(&text), condensed })
    }
}

#[cfg(test)]
mod tests {
    use super::super::transcript::tests::attempt;
    use super::*;

    #[test]
    fn defaults_can_be_answered_and_nonsense_cannot() {
        assert_eq!((JudgePrompt::default().validate(), JudgePrompt::tagged().validate()), (Ok(()), Ok(())));
        let with = |affirmative: &str, least_mass| JudgePrompt {
            affirmative: affirmative.to_owned(),
            least_mass,
            ..JudgePrompt::default()
        };
        assert_eq!(with(" ", 0.0).validate(), Err(PromptError::Empty(Answer::Affirmative)));
        assert_eq!(with("no ", 0.0).validate(), Err(PromptError::Equal("no ".to_owned())));
        assert_eq!(with("YES", 2.0).validate(), Err(PromptError::LeastMass(2.0)));
        assert!(with("YES", f64::NAN).validate().is_err());
    }

    #[test]
    fn tokens_speak_for_answers() {
        let prompt = JudgePrompt::default();
        assert_eq!(prompt.spoken(" Yes"), Some(Answer::Affirmative));
        assert_eq!(prompt.spoken("no"), Some(Answer::Negative));
        assert_eq!((prompt.spoken("Y"), prompt.spoken("NOT"), prompt.spoken(" ")), (None, None, None));
        assert_eq!(JudgePrompt::tagged().reply(Answer::Negative), "<judgement>NO</judgement>");
    }

    #[test]
    fn the_question_follows_the_attempt() {
        let prompt = JudgePrompt { question: "Well?".to_owned(), ..JudgePrompt::default() };
        let asked = prompt.ask(&attempt(&[vec![]]), usize::MAX, |_| Ok(0)).unwrap();
        assert_eq!(asked.messages.iter().map(Message::role).collect::<Vec<_>>(), ["system", "user"]);
        assert!(asked.messages[1].content().ends_with("[PATCH]\n--- a/x\n+++ b/x\n\nWell?"));
        assert_eq!(asked.condensed, Condensed::default());
        let error = prompt.ask(&attempt(&[]), usize::MAX, |_| Ok(0)).unwrap_err();
        assert!(matches!(error, MissingScore::Nothing));
    }
}
