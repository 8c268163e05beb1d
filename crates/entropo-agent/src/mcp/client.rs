use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rmcp::model::{CallToolRequest, CallToolRequestParams, CallToolResult, ClientRequest, JsonObject, ServerResult};
use rmcp::service::{Peer, PeerRequestOptions, RequestHandle, RoleClient, ServiceError};
use tokio::sync::Mutex;

use super::McpError;
use super::server::{Connection, McpServer};

/// How often in a row a server that dies is started again.
const MOST_RESTARTS: usize = 3;

/// A server that is connected to. A clone is the same connection; with the last of it, and of its tools, the server's process
/// ends.
#[derive(Clone)]
pub struct McpClient(Arc<Shared>);

struct Shared {
    server: McpServer,
    state: Mutex<State>,
}

struct State {
    connection: Connection,
    /// How many connections there were before this one.
    generation: usize,
    /// Whether a call found it dead; the connection itself may learn of it a little later.
    dead: bool,
    closed: bool,
    /// Deaths since a call was answered.
    deaths: usize,
}

/// Why a call has no answer.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// The server went away.
    Died,
    /// It took too long.
    Late,
    /// The server refuses it.
    Refused(String),
}

impl McpServer {
    /// Connects, and starts the program if it is one.
    ///
    /// # Errors
    /// [`McpError::Start`], [`McpError::Connect`] or [`McpError::Timeout`].
    pub async fn connect(self) -> Result<McpClient, McpError> {
        let connection = self.open().await?;
        Ok(McpClient::new(self, connection))
    }
}

impl McpClient {
    fn new(server: McpServer, connection: Connection) -> Self {
        Self(Arc::new(Shared {
            server,
            state: Mutex::new(State { connection, generation: 0, dead: false, closed: false, deaths: 0 }),
        }))
    }

    /// Ends the connection, and the server's process if it is one, and waits until that is done. Dropping the last clone ends
    /// them too, a little later.
    pub async fn close(self) {
        let mut state = self.0.state.lock().await;
        state.closed = true;
        if let Err(error) = state.connection.close().await {
            tracing::warn!(server = %self.0.server, %error, "an MCP server did not close");
        }
    }

    /// Makes one call, which is cancelled at the server if this is dropped.
    pub(super) async fn call(&self, name: &str, arguments: JsonObject) -> Result<CallToolResult, Unanswered> {
        let (peer, generation) = self.peer().await.map_err(|error| Unanswered::Refused(error.to_string()))?;
        let answer = self.ask(&peer, name, arguments).await;
        let mut state = self.0.state.lock().await;
        match &answer {
            Ok(_) => state.deaths = 0,
            // Another call may have had it started again meanwhile.
            Err(Unanswered::Died) if state.generation == generation => state.dead = true,
            Err(_) => {}
        }
        answer
    }

    async fn ask(
        &self,
        peer: &Peer<RoleClient>,
        name: &str,
        arguments: JsonObject,
    ) -> Result<CallToolResult, Unanswered> {
        let parameters = CallToolRequestParams::new(name.to_owned()).with_arguments(arguments);
        let request = ClientRequest::CallToolRequest(CallToolRequest::new(parameters));
        let sent = peer.send_cancellable_request(request, PeerRequestOptions::no_options()).await;
        let mut pending = Pending(Some(sent.map_err(|error| self.unanswered(&error))?));
        let Some(handle) = &mut pending.0 else { return Err(Unanswered::Died) };
        let answer = tokio::time::timeout(self.0.server.call_timeout, &mut handle.rx).await;
        let answer = answer.map_err(|_| Unanswered::Late)?; // which cancels it
        pending.0 = None;
        match answer {
            Ok(Ok(ServerResult::CallToolResult(result))) => Ok(result),
            Ok(Ok(_)) => Err(Unanswered::Refused("it answered something else".to_owned())),
            Ok(Err(error)) => Err(self.unanswered(&error)),
            Err(_) => Err(Unanswered::Died),
        }
    }

    fn unanswered(&self, error: &ServiceError) -> Unanswered {
        match error {
            ServiceError::TransportClosed => Unanswered::Died,
            // What cannot be written to is dead; a server at an address may have refused this one request.
            ServiceError::TransportSend(_) if self.0.server.is_process() => Unanswered::Died,
            other => Unanswered::Refused(self.0.server.redact(other.to_string())),
        }
    }

    pub(super) fn server(&self) -> &McpServer {
        &self.0.server
    }

    pub(super) fn call_timeout(&self) -> Duration {
        self.0.server.call_timeout
    }

    /// The way to the server, which is started again if it died, and which connection that is.
    pub(super) async fn peer(&self) -> Result<(Peer<RoleClient>, usize), McpError> {
        let Shared { server, state } = self.0.as_ref();
        let mut state = state.lock().await;
        if state.closed {
            return Err(McpError::Closed { server: server.to_string() });
        }
        if state.dead || state.connection.peer().is_transport_closed() {
            state.deaths += 1;
            if state.deaths > MOST_RESTARTS {
                return Err(McpError::Dead { server: server.to_string(), times: state.deaths });
            }
            tracing::warn!(%server, deaths = state.deaths, "an MCP server died and is started again");
            let wait = Duration::from_millis(100) * 4_u32.pow(u32::try_from(state.deaths).unwrap_or(3) - 1);
            tokio::time::sleep(wait).await;
            state.connection = server.open().await?;
            state.generation += 1;
            state.dead = false;
        }
        Ok((state.connection.peer().clone(), state.generation))
    }
}

/// A request that is cancelled at the server unless it was answered.
struct Pending(Option<RequestHandle<RoleClient>>);

impl Drop for Pending {
    fn drop(&mut self) {
        if let (Some(handle), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move { handle.cancel(Some("the call was given up".to_owned())).await });
        }
    }
}

impl fmt::Debug for McpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("McpClient").field(&self.0.server).finish()
    }
}
