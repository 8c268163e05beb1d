//! Bytes of a response, bounded in number and in patience.

use std::error::Error;
use std::time::Duration;

use reqwest::Response;
use tokio::time::timeout;

use super::connection::shown;
use super::sse::Decoder;
use super::transport::{ReadReply, Tell};
use crate::model::ModelError;

/// The body of a response.
pub(super) struct Body<'a> {
    model: &'a str,
    response: Response,
    bytes: usize,
    idle_timeout: Duration,
    max_bytes: usize,
}

impl<'a> Body<'a> {
    pub(super) fn new(model: &'a str, response: Response, idle_timeout: Duration, max_bytes: usize) -> Self {
        Self { model, response, bytes: 0, idle_timeout, max_bytes }
    }

    /// Adds what comes next to `read`; `false` at the end.
    pub(super) async fn read(&mut self, read: &mut Vec<u8>) -> Result<bool, ModelError> {
        let Some(chunk) = in_time(self.model, self.idle_timeout, self.response.chunk()).await? else {
            return Ok(false);
        };
        self.bytes = self.bytes.saturating_add(chunk.len());
        if self.bytes > self.max_bytes {
            return Err(ModelError::TooLarge { model: self.model.to_owned(), limit: self.max_bytes });
        }
        read.extend_from_slice(&chunk);
        Ok(true)
    }

    /// Reads a stream of events to its end, or to the end of the reply in it; `kept` is given the bytes.
    pub(super) async fn read_events(
        &mut self,
        reader: &mut impl ReadReply,
        mut kept: Option<&mut Vec<u8>>,
        tell: Tell<'_>,
    ) -> Result<(), ModelError> {
        let model = self.model;
        let (mut decoder, mut events, mut bytes) = (Decoder::default(), Vec::new(), Vec::new());
        loop {
            bytes.clear();
            match self.read(&mut bytes).await {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                // Lost is no more than the counts of tokens.
                Err(error) if reader.is_complete() => {
                    tracing::warn!(model, %error, "the connection broke after the reply");
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
            if let Some(kept) = &mut kept {
                kept.extend_from_slice(&bytes);
            }
            decoder
                .push(&bytes, &mut events)
                .map_err(|error| ModelError::Protocol { model: model.to_owned(), problem: error.to_string() })?;
            for event in events.drain(..) {
                if reader.event(&event, tell).map_err(|error| error.into_error(model))?.is_break() {
                    return Ok(());
                }
            }
        }
    }
}

/// Waits no longer than `limit` for what the server sends.
pub(super) async fn in_time<T>(
    model: &str,
    limit: Duration,
    work: impl Future<Output = Result<T, reqwest::Error>>,
) -> Result<T, ModelError> {
    match timeout(limit, work).await {
        Ok(done) => done.map_err(|error| broken(model, &error)),
        Err(_) => Err(ModelError::Timeout { model: model.to_owned(), what: "the next bytes of the reply", limit }),
    }
}

/// A connection that failed or broke.
fn broken(model: &str, error: &reqwest::Error) -> ModelError {
    let place = error.url().map(|url| format!("{}: ", shown(url))).unwrap_or_default();
    let what = if error.is_connect() { "cannot connect" } else { "the exchange broke off" };
    ModelError::Connection { model: model.to_owned(), message: format!("{place}{what}: {}", causes(error)) }
}

/// The innermost words of an error, which say what happened; the outer ones repeat the URL.
pub(super) fn causes(error: &reqwest::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| (*error).source());
    let mut words: Vec<_> = causes.map(ToString::to_string).collect();
    words.dedup();
    if words.is_empty() { "no reason is known".to_owned() } else { words.join(": ") }
}
