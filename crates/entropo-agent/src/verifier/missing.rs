//! Why an attempt has no score.

use super::answer::Answer;
use super::condense::Condensed;
use crate::model::ModelError;

/// Why a verifier gave an attempt no score.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MissingScore {
    /// The policy wrote nothing.
    #[error("the attempt has no assistant message, so there is nothing to judge")]
    Nothing,
    /// The attempt is too long even without what tools answered.
    #[error(
        "the attempt has {tokens} tokens without what tools answered in {} of its turns, and {budget} are allowed; raise \
         the budget, or keep fewer final turns",
        condensed.turns
    )]
    TooLong {
        /// Tokens of the shortest prompt.
        tokens: usize,
        /// Tokens allowed.
        budget: usize,
        /// What was left out in it.
        condensed: Condensed,
    },
    /// The prompt cannot be made tokens.
    #[error("the prompt cannot be tokenised: {reason}")]
    Prompt {
        /// What the tokenizer or template says.
        reason: String,
    },
    /// A model on this machine cannot compute it.
    #[error("the model cannot judge it: {reason}")]
    Failed {
        /// What the model says.
        reason: String,
    },
    /// The server told no log-probabilities.
    #[error("the server tells no log-probabilities of its tokens; use one that knows `logprobs` and `top_logprobs`")]
    NoLogProbs,
    /// The reply has no place where the answer would be.
    #[error("the reply holds no answer: {said:?}")]
    NoJudgement {
        /// What the reply says, at most 200 characters of it.
        said: String,
    },
    /// An answer is not among the tokens whose probabilities are known.
    #[error("the {answer} answer is not among the {listed} tokens that are known at the place of the answer")]
    Unlisted {
        /// The answer.
        answer: Answer,
        /// How many tokens are known there.
        listed: usize,
    },
    /// Both answers together are too improbable for their ratio to mean anything.
    #[error("both answers together have probability {mass}, less than {least}: the model is not about to answer")]
    Improbable {
        /// Probability of both.
        mass: f64,
        /// What is asked for.
        least: f64,
    },
    /// A log-probability that is none.
    #[error("the {answer} answer has the log-probability {value}")]
    NotFinite {
        /// The answer.
        answer: Answer,
        /// What was told.
        value: f64,
    },
    /// The model gave no reply.
    #[error(transparent)]
    Model(#[from] ModelError),
}
