//! Models behind servers, good and bad, over real connections.

mod anthropic;
mod broken;
mod flaky;
mod foreign;
mod openai;
mod secrets;
mod server;
mod verifier;
