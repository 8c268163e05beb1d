//! A model on this machine behind OpenAI's chat completions protocol, so that any client can use what was trained here.
//!
//! [`router`] answers `GET /v1/models`, `POST /v1/chat/completions` (whole or streamed, with tools, several choices,
//! log-probabilities and token ids) and `GET /health`. All requests share one engine: they are batched together, what
//! their prompts have in common is computed once, and a client that hangs up frees its place at the next step.
//!
//! * [`protocol`]: what clients send, checked, and what they get.
//! * [`reply`]: what of a reply's text can be told already.
//! * [`choice`]: tokens that become text and tool calls.
//! * [`completion`]: replies, whole and in pieces.
//! * [`server`]: the handlers.

pub mod choice;
pub mod completion;
pub mod error;
pub mod protocol;
pub mod reply;
pub mod server;

pub use server::{Server, router};
