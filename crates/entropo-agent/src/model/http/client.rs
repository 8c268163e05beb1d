//! What clients do with every request, whatever they speak.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use tracing::Instrument;
use tracing::field::Empty;

use super::connection::{BuildError, Connection};
use super::transport::{Exchange, KeyHeader, ReadReply, Received, Tell, Transport};
use crate::model::{ChatRequest, ModelError, Prices, Reply, ToolCalling};

type OnReply = Arc<dyn Fn(&Reply) + Send + Sync>;

/// A transport, and what is done with the replies that come over it.
#[derive(Clone)]
pub(crate) struct Client {
    transport: Arc<Transport>,
    pub(crate) prices: Option<Prices>,
    pub(crate) keep_raw: bool,
    pub(crate) on_reply: Option<OnReply>,
}

/// What is sent.
pub(crate) struct Call<'a, B> {
    /// Who speaks this wire format, as OpenTelemetry names it.
    pub(crate) provider: &'static str,
    pub(crate) model: &'a str,
    pub(crate) body: B,
    /// Whether the body asks for a stream.
    pub(crate) stream: bool,
}

impl Client {
    /// A client for `path` below the connection's base URL.
    pub(crate) fn new(
        connection: Connection,
        path: &'static str,
        key_header: KeyHeader,
        fixed: &[(&'static str, &'static str)],
    ) -> Result<Self, BuildError> {
        let transport = Arc::new(Transport::new(connection, path, key_header, fixed)?);
        Ok(Self { transport, prices: None, keep_raw: false, on_reply: None })
    }

    /// The host that is asked.
    #[cfg_attr(not(feature = "openai"), allow(dead_code))]
    pub(crate) fn host(&self) -> &str {
        self.transport.host()
    }

    /// Asks, in a span with the attributes that OpenTelemetry has for it; contents are not among them.
    pub(crate) async fn receive<R: ReadReply>(
        &self,
        call: &Call<'_, impl Serialize + Sync>,
        request: &ChatRequest<'_>,
        tell: Tell<'_>,
    ) -> Result<Received, ModelError> {
        let exchange = Exchange {
            model: call.model,
            url: self.transport.url(),
            body: written(call.model, &call.body)?,
            stream: call.stream,
            max_tokens: request.sampling.max_tokens,
            keep_raw: self.keep_raw,
            seed: request.seed,
            cancel: request.cancel,
        };
        let span = tracing::info_span!(
            "request",
            otel.kind = "client",
            gen_ai.provider.name = call.provider,
            gen_ai.request.model = call.model,
            gen_ai.response.id = Empty,
            gen_ai.response.model = Empty,
            attempts = Empty,
            server.address = self.transport.host(),
        );
        let received = self.transport.ask::<R>(&exchange, tell).instrument(span.clone()).await?;
        let draft = &received.draft;
        span.record("gen_ai.response.id", draft.id.as_str());
        span.record("gen_ai.response.model", draft.served_model.as_str());
        span.record("attempts", received.attempts);
        Ok(received)
    }

    /// Makes what came a reply, and shows it to whoever wants to see it.
    pub(crate) fn conclude(&self, received: Received, calling: &ToolCalling) -> Reply {
        let reply = received.into_reply(calling, self.prices.as_ref());
        if let Some(see) = &self.on_reply {
            see(&reply);
        }
        reply
    }

    /// Asks for something that is no chat, at the address beside the base URL: of `http://HOST/v1`, `http://HOST/path`.
    #[cfg_attr(not(feature = "openai"), allow(dead_code))]
    pub(crate) async fn ask_beside<R: ReadReply>(
        &self,
        path: &str,
        model: &str,
        body: &Value,
        request: &ChatRequest<'_>,
    ) -> Result<Received, ModelError> {
        let exchange = Exchange {
            model,
            url: &self.transport.beside(path),
            body: written(model, body)?,
            stream: false,
            max_tokens: 0,
            keep_raw: false,
            seed: request.seed,
            cancel: request.cancel,
        };
        self.transport.ask::<R>(&exchange, &mut |_| ()).await
    }
}

/// A body as it is sent. Nothing that is sent is other than JSON; if it were, no other model could do better.
fn written(model: &str, body: &impl Serialize) -> Result<Vec<u8>, ModelError> {
    let refused = |error| ModelError::Other { model: model.to_owned(), source: Box::new(error) };
    serde_json::to_vec(body).map_err(refused)
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("connection", self.transport.connection())
            .field("prices", &self.prices)
            .finish_non_exhaustive()
    }
}
