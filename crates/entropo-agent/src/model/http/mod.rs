//! How models behind servers are reached: what `openai` and `anthropic` have in
//! common.
//!
//! A [`Connection`] says where the server is, with which key, how patiently and how often it is asked. It knows nothing of
//! what is said; that is the wire formats' part, which are functions without input and output.

mod api_key;
mod body;
mod client;
mod connection;
mod context;
mod rate;
mod refusal;
mod retry;
mod sse;
mod transport;

pub use crate::secret::Secret;
pub use api_key::ApiKey;
pub(crate) use client::{Call, Client};
pub use connection::{BuildError, Connection};
pub use rate::RateLimit;
pub(crate) use refusal::{Refusal, WireError};
pub use retry::Retry;
pub(crate) use sse::Event;
#[cfg(test)]
pub(crate) use sse::reply_of;
#[cfg(feature = "openai")]
pub(crate) use transport::Received;
pub use transport::Tell;
pub(crate) use transport::{KeyHeader, ReadReply};
