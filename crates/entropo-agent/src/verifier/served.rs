//! A verifier behind a server.
//!
//! The server is asked for a short reply at temperature 0 and for the likeliest tokens in the place of each of its tokens.
//! Where the answer is, is searched in the text of the reply: what else a chat template or tokenizer puts there differs from
//! model to model.

use async_trait::async_trait;
use entropo_core::stats::Temperature;
use entropo_core::{Message, TokenTrace, Trajectory};
use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use super::answer::bare;
use super::judgement::{Judgement, Scored, VERIFIER};
use super::marks::Marks;
use super::missing::MissingScore;
use super::prompt::{JudgePrompt, PromptError};
use crate::model::openai::{ListedToken, OpenAi};
use crate::model::{ChatRequest, Sampling};
use crate::select::scorer::Scorer;

/// Letters of a reply that are kept to say what it was.
const SAID: usize = 200;
/// Bytes of a token of code, low rather than high: a budget is kept, not used up.
const BYTES_PER_TOKEN: usize = 3;

/// A verifier behind a server that speaks OpenAI's chat completions with `top_logprobs`.
#[derive(Clone, Debug)]
pub struct ServedVerifier {
    model: OpenAi,
    prompt: JudgePrompt,
    budget: usize,
    listed: usize,
    reply: usize,
    concurrency: usize,
    temperature: Temperature,
    marks: Marks,
}

impl ServedVerifier {
    /// The verifier that `model` is, whose prompts may have `budget` tokens: its context less the reply. A server counts
    /// no tokens beforehand: three bytes are taken to be one.
    pub fn new(model: OpenAi, prompt: JudgePrompt, budget: usize) -> Result<Self, PromptError> {
        prompt.validate()?;
        let (temperature, marks) = (Temperature::ONE, Marks::of_chats());
        Ok(Self { model, prompt, budget, listed: 20, reply: 16, concurrency: 8, temperature, marks })
    }

    /// Sets how many likeliest tokens are asked for. Default 20, the most that most servers allow.
    #[must_use]
    pub fn listed(self, tokens: usize) -> Self {
        Self { listed: tokens, ..self }
    }

    /// Sets how many tokens a reply may have. Default 16; a verifier that reasons before its answer needs more.
    #[must_use]
    pub fn reply(self, tokens: usize) -> Self {
        Self { reply: tokens, ..self }
    }

    /// Sets how many attempts are judged at a time, at least 1. Default 8.
    #[must_use]
    pub fn concurrency(self, attempts: usize) -> Self {
        Self { concurrency: attempts.max(1), ..self }
    }

    /// Sets the temperature of the probabilities that it gives as a [`Scorer`]; judgements stay as they are read. Default 1.
    #[must_use]
    pub fn calibrated(self, temperature: Temperature) -> Self {
        Self { temperature, ..self }
    }

    /// Sets which texts get a blank after their first letter wherever an attempt has them, so that a server makes no special
    /// token of them. Default [`CHAT_MARKS`](super::CHAT_MARKS); add what else the model's tokenizer lists as special.
    ///
    /// # Errors
    /// [`PromptError::Mark`] for one with less than two letters or with a blank.
    pub fn marks(self, marks: impl IntoIterator<Item = impl Into<String>>) -> Result<Self, PromptError> {
        Ok(Self { marks: Marks::new(marks.into_iter().map(Into::into).collect())?, ..self })
    }

    /// A judgement of each attempt, in their order.
    pub async fn score(&self, attempts: &[&Trajectory], cancel: &CancellationToken) -> Vec<Scored> {
        let judged = attempts.iter().map(|attempt| async move {
            Scored { rollout: attempt.id.clone(), judgement: self.judge(attempt, cancel).await }
        });
        // Answers come in any order and are put back into that of the questions.
        futures::stream::iter(judged).buffered(self.concurrency).collect().await
    }

    /// A judgement of one attempt.
    pub async fn judge(&self, attempt: &Trajectory, cancel: &CancellationToken) -> Result<Judgement, MissingScore> {
        let asked = self.prompt.ask_without(&self.marks, attempt, self.budget, |messages| Ok(tokens(messages)))?;
        let sampling = Sampling { temperature: 0.0, max_tokens: self.reply, ..Sampling::default() };
        let request = ChatRequest {
            messages: &asked.messages,
            tools: &[],
            trace: &TokenTrace::default(),
            sampling: &sampling,
            turn: 0,
            seed: 0,
            cancel,
        };
        judgement_of(&self.prompt, &self.model.listed(request, self.listed).await?)
    }
}

/// The probability that an attempt is right, under the name `verifier`. Why there is none is the scorer's failure.
#[async_trait]
impl Scorer for ServedVerifier {
    fn name(&self) -> &str {
        VERIFIER
    }

    async fn score(
        &self,
        candidate: &Trajectory,
        cancel: &CancellationToken,
    ) -> Result<Option<f64>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Some(self.temperature.probability(self.judge(candidate, cancel).await?.logit())))
    }
}

fn tokens(messages: &[Message]) -> usize {
    messages.iter().map(|message| message.content().len()).sum::<usize>().div_ceil(BYTES_PER_TOKEN)
}

/// The judgement in a reply.
///
/// The answer is the first token that is not blank: of the reply or, if the prompt has an
/// [`opening`](JudgePrompt::opening), after the last opening in the reply. A token may begin with the end of the opening
/// (`>YES`); tokens in its place speak for an answer if they begin so too.
pub fn judgement_of(prompt: &JudgePrompt, reply: &[ListedToken]) -> Result<Judgement, MissingScore> {
    let text: String = reply.iter().map(|token| token.text.as_str()).collect();
    if reply.iter().all(|token| token.alternatives.is_empty()) {
        return Err(MissingScore::NoLogProbs);
    }
    let nothing = || MissingScore::NoJudgement { said: text.chars().take(SAID).collect() };
    let start = match prompt.opening.as_str() {
        "" => 0,
        opening => text.rfind(opening).ok_or_else(nothing)? + opening.len(),
    };
    let mut at = 0;
    for token in reply {
        // How much of the token belongs to the opening.
        let opening = start.saturating_sub(at);
        at += token.text.len();
        let Some((opening, word)) = token.text.split_at_checked(opening) else { continue };
        if bare(word).is_empty() {
            continue;
        }
        let own = (token.text.clone(), token.logprob);
        let unlisted = token.alternatives.iter().all(|(text, _)| *text != token.text).then_some(&own);
        let known = token.alternatives.iter().chain(unlisted);
        let spoken = known.filter_map(|(text, logprob)| Some((prompt.spoken(text.strip_prefix(opening)?)?, *logprob)));
        return Judgement::of(spoken, token.alternatives.len(), prompt.least_mass);
    }
    Err(nothing())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str, alternatives: &[(&str, f64)]) -> ListedToken {
        let alternatives = alternatives.iter().map(|(text, p)| ((*text).to_owned(), p.ln())).collect();
        ListedToken { text: text.to_owned(), logprob: -0.1, alternatives }
    }

    fn probability(prompt: &JudgePrompt, reply: &[ListedToken]) -> f64 {
        let judgement = judgement_of(prompt, reply).unwrap();
        (judgement.probability() * 1e9).round() / 1e9
    }

    #[test]
    fn the_first_token_that_is_not_blank_is_the_answer() {
        let answer = token(" YES", &[(" YES", 0.5), ("Yes", 0.1), ("NO", 0.2), ("The", 0.1)]);
        let prompt = JudgePrompt::default();
        assert_eq!(probability(&prompt, std::slice::from_ref(&answer)), 0.75);
        assert_eq!(probability(&prompt, &[token("\n", &[("NO", 0.9)]), answer.clone()]), 0.75);
        let hedged = token("The", &[("The", 0.5), ("YES", 0.1), ("NO", 0.3)]);
        assert_eq!(probability(&prompt, &[hedged, answer]), 0.25, "both are known there");
    }

    #[test]
    fn the_answer_follows_the_last_opening_wherever_tokens_end() {
        let prompt = JudgePrompt::tagged();
        let rest = |answer: ListedToken| {
            [token("I would say <judgement>NO</judgement>, but: <judge", &[("x", 1.0)]), token("ment", &[]), answer]
        };
        let merged = rest(token(">YES", &[(">YES", 0.6), (">NO", 0.2), ("YES", 0.1)]));
        assert_eq!(probability(&prompt, &merged), 0.75);
        let [before, middle, _] = rest(ListedToken::default());
        let apart = [before, middle, token(">", &[]), token("NO", &[("YES", 0.1), ("NO", 0.9)]), token("</", &[])];
        assert_eq!(probability(&prompt, &apart), 0.1);
    }

    #[test]
    fn the_sampled_token_counts_once() {
        let mut answer = token("YES", &[("NO", 0.25)]);
        answer.logprob = 0.5f64.ln();
        assert_eq!(probability(&JudgePrompt::default(), &[answer]), 0.666666667);
    }

    #[test]
    fn what_is_missing_is_named() {
        let reason = |prompt: &JudgePrompt, reply: &[ListedToken]| judgement_of(prompt, reply).unwrap_err().to_string();
        let plain = JudgePrompt::default();
        assert!(reason(&plain, &[]).contains("no log-probabilities"));
        assert!(reason(&plain, &[token(" ", &[("YES", 0.5)])]).contains("no answer: \" \""));
        let one = [token("YES", &[("YES", 0.9), ("Yes", 0.05)])];
        assert_eq!(
            reason(&plain, &one),
            "the negative answer is not among the 2 tokens that are known at the place of the answer"
        );
        assert!(reason(&plain, &[token("The", &[("The", 0.9)])]).contains("affirmative answer is not among"));
        let long = reason(&JudgePrompt::tagged(), &[token(&"é".repeat(900), &[("YES", 0.5)])]);
        assert!(long.contains("no answer") && long.chars().count() < 300);
        assert!(reason(&JudgePrompt::tagged(), &[token("<judgement>", &[("x", 0.5)])]).contains("no answer"));
    }

    #[test]
    fn hostile_texts_are_cut_nowhere_but_between_letters() {
        let prompt = JudgePrompt { opening: "<é>".to_owned(), ..JudgePrompt::default() };
        let reply = [token("<\u{fffd}", &[]), token("é", &[]), token("<é>é", &[("<é>YES", 0.5)])];
        assert!(judgement_of(&prompt, &reply).is_err());
    }
}
