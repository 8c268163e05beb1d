//! A judge of finished attempts: how probable is it that an attempt solves its task?
//!
//! A verifier is a language model that reads an attempt and answers YES or NO. Its score is `P(YES) / (P(YES) + P(NO))` at
//! the place of the answer, and it is what picks one of many rollouts where no test can. This module is what both kinds of
//! verifier have in common, those on this machine (`entropo_train::verifier`) and those behind a server
//! (`ServedVerifier`, with the feature `openai`):
//!
//! * [`JudgePrompt`]: what the verifier is shown and asked. An attempt that is too long loses what tools answered, the
//!   oldest first and turn by turn, never a part of a text; what the policy wrote, the last turns and the patch stay.
//! * [`Judgement`]: what was read at the place of the answer. [`MissingScore`] says why there is none. A missing score is
//!   never 0 and never 0/0; it is not there, and stages of a [`Selector`](crate::Selector) treat it so.
//! * [`Temperature`](entropo_core::stats::Temperature): makes scores probabilities that can be believed, fitted on judgements
//!   that were held out of training.
//!
//! The hidden judgement of an attempt, its reward, and the scores of others are never shown to a verifier.

mod answer;
mod condense;
mod judgement;
mod marks;
mod missing;
mod prompt;
#[cfg(feature = "openai")]
mod served;
mod transcript;

pub use answer::Answer;
pub use condense::Condensed;
pub use judgement::{Judgement, Scored, VERIFIER, record};
pub use marks::CHAT_MARKS;
pub use missing::MissingScore;
pub use prompt::{Asked, JudgePrompt, PromptError};
#[cfg(feature = "openai")]
pub use served::{ServedVerifier, judgement_of};
