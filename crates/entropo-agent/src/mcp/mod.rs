//! Tools of MCP servers.
//!
//! The [Model Context Protocol](https://modelcontextprotocol.io) is how tools are offered by programs and services that
//! others wrote. An [`McpServer`] says how to reach one; [connecting](McpServer::connect) gives a client, and its
//! [tools](McpClient::tools) go into a [`Toolbox`](crate::Toolbox) like any other. The protocol itself is the official `rmcp`.
//!
//! ```no_run
//! use entropo_agent::Toolbox;
//! use entropo_agent::mcp::McpServer;
//!
//! # async fn connect() -> Result<(), Box<dyn std::error::Error>> {
//! let server = McpServer::command("npx").args(["-y", "@modelcontextprotocol/server-filesystem", "/tmp"]);
//! let files = server.prefix("files_").connect().await?;
//! let mut toolbox = Toolbox::new();
//! for tool in files.tools().await? {
//!     toolbox.push(tool)?;
//! }
//! # Ok(()) }
//! ```
//!
//! A server is not trusted. Its process sees of the environment only what is needed to run and what it is given; what it says
//! of its tools is bounded in length, and so is what they answer; arguments are checked against their schemas here first. It
//! can still say anything to the model: which servers to use is a decision about security.
//!
//! A server that dies is started again with the next call. The call under way is made again only if its tool says that it
//! reads only; otherwise the model is told that it may have had effects.

mod client;
mod server;
mod text;
mod tool;

use std::time::Duration;

pub use client::McpClient;
pub use server::McpServer;

pub use crate::secret::Secret;

/// Why a server cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum McpError {
    /// Its process cannot be started.
    #[error("the MCP server {server} cannot be started: {source}; check that the program is installed and in PATH")]
    Start {
        /// The server.
        server: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// It does not shake hands.
    #[error("the MCP server {server} does not answer as one: {message}")]
    Connect {
        /// The server.
        server: String,
        /// What happened.
        message: String,
    },
    /// It takes too long.
    #[error("the MCP server {server} has not {what} after {} s", limit.as_secs_f64())]
    Timeout {
        /// The server.
        server: String,
        /// What was waited for.
        what: &'static str,
        /// How long.
        limit: Duration,
    },
    /// It does not tell its tools.
    #[error("the MCP server {server} does not list its tools: {message}")]
    List {
        /// The server.
        server: String,
        /// What happened.
        message: String,
    },
    /// It was closed.
    #[error("the connection to the MCP server {server} was closed; connect again")]
    Closed {
        /// The server.
        server: String,
    },
    /// It died again and again.
    #[error("the MCP server {server} died {times} times in a row and is not started again")]
    Dead {
        /// The server.
        server: String,
        /// How often.
        times: usize,
    },
}
