use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::process::Stdio;
use std::time::Duration;

use process_wrap::tokio::{CommandWrap, ProcessGroup};
use rmcp::service::{RoleClient, RunningService, ServiceExt};
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::transport::{StreamableHttpClientTransport, TokioChildProcess};
use tokio::io::AsyncReadExt;

use super::McpError;
use crate::secret::Secret;

/// A running connection.
pub(super) type Connection = RunningService<RoleClient, ()>;

/// What a process sees of the environment besides what it is given.
const PASSED_ON: [&str; 8] = ["PATH", "HOME", "USER", "LANG", "LC_ALL", "TMPDIR", "TERM", "SSL_CERT_FILE"];

/// How to reach a server.
#[derive(Clone)]
pub struct McpServer {
    place: Place,
    pub(super) prefix: String,
    pub(super) call_timeout: Duration,
    connect_timeout: Duration,
}

#[derive(Clone)]
enum Place {
    Command { program: OsString, arguments: Vec<OsString>, environment: BTreeMap<OsString, OsString> },
    Http { url: String, bearer: Option<Secret> },
}

impl McpServer {
    /// A program that speaks over its standard input and output. It is started when it is connected to, in a process group of
    /// its own, and ended with the client.
    pub fn command(program: impl Into<OsString>) -> Self {
        let (program, arguments, environment) = (program.into(), Vec::new(), BTreeMap::new());
        Self::new(Place::Command { program, arguments, environment })
    }

    /// A server at an address, over streamable HTTP.
    pub fn http(url: impl Into<String>) -> Self {
        Self::new(Place::Http { url: url.into(), bearer: None })
    }

    fn new(place: Place) -> Self {
        let (call_timeout, connect_timeout) = (Duration::from_secs(60), Duration::from_secs(30));
        Self { place, prefix: String::new(), call_timeout, connect_timeout }
    }

    /// Adds arguments of the program; nothing happens for a server at an address.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, more: impl IntoIterator<Item = A>) -> Self {
        if let Place::Command { arguments, .. } = &mut self.place {
            arguments.extend(more.into_iter().map(Into::into));
        }
        self
    }

    /// Sets a variable of the program's environment, of which it otherwise sees only `PATH` and the like; nothing happens for
    /// a server at an address.
    #[must_use]
    pub fn environment(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        if let Place::Command { environment, .. } = &mut self.place {
            environment.insert(name.into(), value.into());
        }
        self
    }

    /// Sets the token that a server at an address is sent in the `Authorization` header. It is never shown.
    #[must_use]
    pub fn bearer(mut self, token: impl Into<Secret>) -> Self {
        if let Place::Http { bearer, .. } = &mut self.place {
            *bearer = Some(token.into());
        }
        self
    }

    /// Puts `prefix` before the names of its tools, so that those of several servers do not meet.
    #[must_use]
    pub fn prefix(self, prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), ..self }
    }

    /// Sets how long a call may take. Default 60 s.
    #[must_use]
    pub fn call_timeout(self, call_timeout: Duration) -> Self {
        Self { call_timeout, ..self }
    }

    /// Sets how long it may take to connect and to list the tools. Default 30 s; a package runner that downloads first may
    /// need more.
    #[must_use]
    pub fn connect_timeout(self, connect_timeout: Duration) -> Self {
        Self { connect_timeout, ..self }
    }

    pub(super) async fn open(&self) -> Result<Connection, McpError> {
        let connecting = async {
            match &self.place {
                Place::Command { program, arguments, environment } => {
                    let process = self.start(program, arguments, environment)?;
                    ().serve(process).await.map_err(|error| self.no_server(&error))
                }
                Place::Http { url, bearer } => {
                    let mut config = StreamableHttpClientTransportConfig::with_uri(url.as_str());
                    if let Some(token) = bearer {
                        config = config.auth_header(token.expose());
                    }
                    let transport = StreamableHttpClientTransport::from_config(config);
                    ().serve(transport).await.map_err(|error| self.no_server(&error))
                }
            }
        };
        self.in_time("connected", connecting).await
    }

    /// Waits for what belongs to connecting.
    pub(super) async fn in_time<T>(
        &self,
        what: &'static str,
        work: impl Future<Output = Result<T, McpError>>,
    ) -> Result<T, McpError> {
        let limit = self.connect_timeout;
        let late = |_| Err(McpError::Timeout { server: self.to_string(), what, limit });
        tokio::time::timeout(limit, work).await.unwrap_or_else(late)
    }

    fn start(
        &self,
        program: &OsString,
        arguments: &[OsString],
        environment: &BTreeMap<OsString, OsString>,
    ) -> Result<TokioChildProcess, McpError> {
        let mut command = CommandWrap::with_new(program, |command| {
            command.args(arguments).env_clear().kill_on_drop(true);
            command.envs(PASSED_ON.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
            command.envs(environment);
        });
        command.wrap(ProcessGroup::leader());
        let started = TokioChildProcess::builder(command).stderr(Stdio::piped()).spawn();
        let (process, errors) = started.map_err(|source| McpError::Start { server: self.to_string(), source })?;
        if let Some(mut errors) = errors {
            let server = self.to_string();
            tokio::spawn(async move {
                let mut piece = vec![0; 4096]; // a line may never end
                while let Ok(1..) = errors.read(&mut piece).await.inspect(|count| {
                    let text = String::from_utf8_lossy(piece.get(..*count).unwrap_or_default());
                    tracing::debug!(server, %text, "an MCP server wrote to its standard error");
                }) {}
            });
        }
        Ok(process)
    }

    fn no_server(&self, error: &rmcp::service::ClientInitializeError) -> McpError {
        McpError::Connect { server: self.to_string(), message: self.redact(error.to_string()) }
    }

    pub(super) fn is_process(&self) -> bool {
        matches!(self.place, Place::Command { .. })
    }

    /// Without the token.
    pub(super) fn redact(&self, message: String) -> String {
        match &self.place {
            Place::Http { bearer: Some(token), .. } => token.redact(message),
            _ => message,
        }
    }
}

/// The program, or the address without what may be secret in it.
impl fmt::Display for McpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Command { program, .. } => write!(f, "{}", program.display()),
            Place::Http { url, .. } => f.write_str(url.split(['?', '#']).next().unwrap_or_default()),
        }
    }
}

impl fmt::Debug for McpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpServer")
            .field("server", &self.to_string())
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}
