//! A judge of finished attempts on this machine: what it is trained on, and how it scores.
//!
//! What it is asked, and what its scores mean, is in [`entropo_agent::verifier`]; here prompts become tokens.
//!
//! * [`Judging`]: prompts as tokens, with the place of the answer. It is searched, by comparing both replies, and never
//!   assumed: templates and tokenizers put the strangest things before a first word.
//! * [`Balance`]: which attempts are learned from, so that a verifier cannot be right by knowing its tasks.
//! * [`judgements`]: examples of them. Only the answer is learned.
//! * [`LocalVerifier`]: scores of attempts, batched, what the prompts of a batch begin with in common computed once.
//! * [`Head`]: a linear head in the place of the two words, and its file beside the adapter.

mod balance;
mod examples;
mod head;
mod head_basis;
mod head_file;
mod judging;
mod local;
mod minimise;

pub use balance::{Balance, BalanceError, BalanceReport, Balanced, Candidate};
pub use examples::{JudgementReport, Judgements, Learned, judgements};
pub use head::{Head, HeadError, HeadFit, HeadReport};
pub use head_basis::{Fitted, HeadBasis};
pub use head_file::{HEAD, HEAD_FORMAT, HeadFileError};
pub use judging::{Judged, Judging, JudgingError};
pub use local::LocalVerifier;
