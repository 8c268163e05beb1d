//! The server over real HTTP: random Qwen2 weights for what does not depend on sense, the repair lab's policy for tool
//! calls.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod errors;
mod hang_up;
mod replies;
mod served;
mod tools;
mod verifier;
