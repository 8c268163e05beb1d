//! The server over real HTTP: random Qwen2 weights for what does not depend on sense, the repair lab's policy for tool
//! calls.

mod errors;
mod hang_up;
mod replies;
mod served;
mod tools;
