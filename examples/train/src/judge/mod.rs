//! Verifiers from the command line: rows to train one on, its scores, and how far to trust them.
//!
//! [`rows`] makes examples of judged attempts, [`head`] fits a linear head to them, [`score`] has a verifier judge attempts,
//! [`report`] holds its scores against the judgements. What a verifier is asked is in `docs/verifier.md`; it is asked the same
//! in all of them, so that a model is scored with the prompt that it was trained on.

mod calibration_file;
pub mod error;
pub mod head;
mod identity;
mod local;
mod measured;
pub mod question;
pub mod report;
pub mod rows;
pub mod score;
mod scores_file;
mod served;

pub use error::JudgeError;
pub use identity::Identity;
pub use local::{LocalArguments, Precision};
pub use measured::{HeldOut, Measured, Part};
pub use served::ServedArguments;
