//! One request, sent as often as it takes.

use std::ops::ControlFlow;
use std::time::SystemTime;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Response, Url, redirect};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::body::{Body, causes, in_time};
use super::connection::{BuildError, Connection, endpoint};
use super::rate::Rate;
use super::refusal::{Refusal, WireError, retry_after};
use super::sse::Event;
use crate::model::draft::Draft;
use crate::model::{Delta, ModelError, Prices, Reply, ToolCalling};
use crate::secret::Secret;

/// Of a body that says why there is no reply, no more is read.
const MAX_ERROR_BYTES: usize = 64 << 10;

/// Who is told of the pieces of a reply.
pub type Tell<'a> = &'a mut (dyn FnMut(Delta<'_>) + Send);

/// Reads a reply in one wire format.
pub(crate) trait ReadReply: Default + Send {
    /// Reads a response that came whole.
    fn whole(&mut self, body: &[u8]) -> Result<(), WireError>;

    /// Reads an event of a stream, and tells what is in it. It breaks after the last that matters.
    fn event(&mut self, event: &Event, tell: Tell<'_>) -> Result<ControlFlow<()>, WireError>;

    /// Whether the reply is complete, though more may follow.
    fn is_complete(&self) -> bool;

    /// The reply, or that it broke off.
    fn finish(self) -> Result<Draft, WireError>;
}

/// How a server wants its key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum KeyHeader {
    /// `Authorization: Bearer KEY`.
    #[cfg_attr(not(feature = "openai"), allow(dead_code))]
    Bearer,
    /// `NAME: KEY`.
    #[cfg_attr(not(feature = "anthropic"), allow(dead_code))]
    Named(&'static str),
}

/// What is sent.
pub(crate) struct Exchange<'a> {
    /// For errors and logs.
    pub(crate) model: &'a str,
    pub(crate) url: &'a Url,
    pub(crate) body: Vec<u8>,
    /// Whether the body asks for a stream.
    pub(crate) stream: bool,
    /// Most tokens that the reply may have.
    pub(crate) max_tokens: usize,
    pub(crate) keep_raw: bool,
    /// Of the waits between attempts.
    pub(crate) seed: u64,
    pub(crate) cancel: &'a CancellationToken,
}

/// What came.
pub(crate) struct Received {
    pub(crate) draft: Draft,
    raw: Option<String>,
    pub(crate) attempts: usize,
}

impl Received {
    /// The reply, with calls read and counted.
    pub(crate) fn into_reply(self, calling: &ToolCalling, prices: Option<&Prices>) -> Reply {
        Reply { attempts: self.attempts, raw: self.raw, ..self.draft.into_reply(calling, prices) }
    }
}

/// The way to one server.
pub(crate) struct Transport {
    client: Client,
    url: Url,
    #[cfg_attr(not(feature = "openai"), allow(dead_code))]
    path: &'static str,
    headers: HeaderMap,
    key_header: KeyHeader,
    connection: Connection,
    rate: Rate,
}

impl Transport {
    /// The way to `path` below the base URL.
    pub(crate) fn new(
        connection: Connection,
        path: &'static str,
        key_header: KeyHeader,
        fixed: &[(&'static str, &'static str)],
    ) -> Result<Self, BuildError> {
        let url = endpoint(&connection.base_url, path)?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in fixed {
            headers.insert(*name, HeaderValue::from_static(value));
        }
        for (name, value) in &connection.headers {
            let refused = |reason: String| BuildError::Header { name: name.clone(), reason };
            let mut value = HeaderValue::from_str(value.expose()).map_err(|error| refused(error.to_string()))?;
            value.set_sensitive(true);
            headers.insert(HeaderName::try_from(name).map_err(|error| refused(error.to_string()))?, value);
        }
        let client = Client::builder()
            .connect_timeout(connection.connect_timeout)
            // Elsewhere a key has no business.
            .redirect(redirect::Policy::none())
            .build()
            .map_err(|error| BuildError::Client { reason: causes(&error) })?;
        let rate = Rate::new(connection.rate_limit);
        Ok(Self { client, url, path, headers, key_header, connection, rate })
    }

    /// The address that chats are sent to.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// The address of `path` beside the base URL, not below it.
    #[cfg_attr(not(feature = "openai"), allow(dead_code))]
    pub(crate) fn beside(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        let base = url.path().strip_suffix(self.path).unwrap_or("/");
        let path = format!("{}{path}", base.strip_suffix("v1/").unwrap_or(base));
        url.set_path(&path);
        url
    }

    /// The host that is asked.
    pub(crate) fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// The settings that it was made with.
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Sends a request until there is a reply, the policy gives up or somebody cancels.
    pub(crate) async fn ask<R: ReadReply>(
        &self,
        exchange: &Exchange<'_>,
        tell: Tell<'_>,
    ) -> Result<Received, ModelError> {
        tokio::select! {
            biased;
            () = exchange.cancel.cancelled() => Err(ModelError::Cancelled),
            received = self.attempts::<R>(exchange, tell) => received,
        }
    }

    async fn attempts<R: ReadReply>(&self, exchange: &Exchange<'_>, tell: Tell<'_>) -> Result<Received, ModelError> {
        let mut waits = self.connection.retry.waits(exchange.seed);
        let tokens = (exchange.body.len() / 4).saturating_add(exchange.max_tokens);
        let mut attempts = 0;
        loop {
            attempts += 1;
            let taken = self.rate.take(tokens).await;
            let mut told = false;
            let mut noting = |delta: Delta<'_>| {
                told = true;
                tell(delta);
            };
            let error = match self.attempt::<R>(exchange, &mut noting).await {
                Ok((draft, raw)) => {
                    taken.settle(draft.usage.prompt_tokens.saturating_add(draft.usage.completion_tokens));
                    return Ok(Received { draft, raw, attempts });
                }
                Err(error) => error,
            };
            let retry_after = match error {
                ModelError::RateLimited { retry_after, .. } | ModelError::Server { retry_after, .. } => retry_after,
                _ => None,
            };
            let Some(wait) = waits.next(retry_after).filter(|_| error.is_transient()) else { return Err(error) };
            let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(model = exchange.model, attempts, wait_ms, %error, "the model is asked again");
            if told {
                tell(Delta::Restart);
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// Sends a request once. Whatever the error says, it does not say a secret.
    async fn attempt<R: ReadReply>(
        &self,
        exchange: &Exchange<'_>,
        tell: Tell<'_>,
    ) -> Result<(Draft, Option<String>), ModelError> {
        let model = exchange.model.to_owned();
        let key = match self.connection.api_key.get() {
            Ok(key) => key,
            Err(message) => return Err(ModelError::Unauthorised { model, message: self.redact(message, None) }),
        };
        let limit = self.connection.total_timeout;
        let done = timeout(limit, self.attempt_with::<R>(exchange, key.as_ref(), tell)).await;
        done.unwrap_or(Err(ModelError::Timeout { model, what: "the whole reply", limit }))
            .map(|(draft, raw)| (draft, raw.map(|raw| self.redact(raw, key.as_ref()))))
            .map_err(|error| self.redact_error(error, key.as_ref()))
    }

    async fn attempt_with<R: ReadReply>(
        &self,
        exchange: &Exchange<'_>,
        key: Option<&Secret>,
        tell: Tell<'_>,
    ) -> Result<(Draft, Option<String>), ModelError> {
        let accept = if exchange.stream { "text/event-stream" } else { "application/json" };
        let request =
            self.client.post(exchange.url.clone()).header(ACCEPT, accept).headers(self.headers(exchange, key)?);
        let sent = request.body(exchange.body.clone()).send();
        // A server that does not stream is silent for as long as the model writes.
        let patience = if exchange.stream { self.connection.idle_timeout } else { self.connection.total_timeout };
        let response = in_time(exchange.model, patience, sent).await?;
        if !response.status().is_success() {
            return Err(self.refusal(exchange, response).await);
        }
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let streams = kind.starts_with("text/event-stream") || (kind.is_empty() && exchange.stream);
        let mut body = self.body(exchange, response);
        let (mut reader, mut raw) = (R::default(), Vec::new());
        if streams {
            let kept = exchange.keep_raw.then_some(&mut raw);
            body.read_events(&mut reader, kept, tell).await?;
        } else {
            while body.read(&mut raw).await? {}
            reader.whole(&raw).map_err(|error| error.into_error(exchange.model))?;
        }
        let draft = reader.finish().map_err(|error| error.into_error(exchange.model))?;
        Ok((draft, exchange.keep_raw.then(|| String::from_utf8_lossy(&raw).into_owned())))
    }

    fn headers(&self, exchange: &Exchange<'_>, key: Option<&Secret>) -> Result<HeaderMap, ModelError> {
        let mut headers = HeaderMap::new();
        if let Some(key) = key {
            let (name, value) = match self.key_header {
                KeyHeader::Bearer => (AUTHORIZATION, format!("Bearer {}", key.expose())),
                KeyHeader::Named(name) => (HeaderName::from_static(name), key.expose().to_owned()),
            };
            let mut value = HeaderValue::from_str(&value).map_err(|_| ModelError::Unauthorised {
                model: exchange.model.to_owned(),
                message: "the key has characters that a header cannot hold".to_owned(),
            })?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        // What the caller sets goes before what is usual.
        headers.extend(self.headers.clone());
        Ok(headers)
    }

    fn body<'a>(&self, exchange: &Exchange<'a>, response: Response) -> Body<'a> {
        let Connection { idle_timeout, max_response_bytes, .. } = self.connection;
        Body::new(exchange.model, response, idle_timeout, max_response_bytes)
    }

    /// Why there is no reply.
    async fn refusal(&self, exchange: &Exchange<'_>, response: Response) -> ModelError {
        let (status, headers) = (response.status(), response.headers().clone());
        if status.is_redirection() {
            let message = "it redirects elsewhere; use the address that it redirects to as base URL".to_owned();
            return ModelError::Refused { model: exchange.model.to_owned(), status: status.as_u16(), message };
        }
        let (mut body, mut read) = (self.body(exchange, response), Vec::new());
        // The status says enough if the rest does not come.
        while read.len() < MAX_ERROR_BYTES && body.read(&mut read).await.unwrap_or(false) {}
        let retry_after = retry_after(&headers, SystemTime::now());
        Refusal::from_body(status.as_u16(), &read, retry_after).into_error(exchange.model)
    }

    /// `text` without the key and the headers' values.
    fn redact(&self, text: String, key: Option<&Secret>) -> String {
        let headers = self.connection.headers.iter().map(|(_, value)| value);
        key.into_iter().chain(headers).fold(text, |text, secret| secret.redact(text))
    }

    fn redact_error(&self, mut error: ModelError, key: Option<&Secret>) -> ModelError {
        if let ModelError::Unauthorised { message, .. }
        | ModelError::RateLimited { message, .. }
        | ModelError::Refused { message, .. }
        | ModelError::Server { message, .. }
        | ModelError::Connection { message, .. }
        | ModelError::Protocol { problem: message, .. } = &mut error
        {
            *message = self.redact(std::mem::take(message), key);
        }
        error
    }
}
