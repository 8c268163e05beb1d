//! The tools of an MCP server: lists them, and calls one.
//!
//! ```sh
//! cargo run -p entropo-agent --features mcp --example mcp -- --command "npx -y @modelcontextprotocol/server-everything"
//! cargo run -p entropo-agent --features mcp --example mcp -- --url http://127.0.0.1:3001/mcp \
//!     --call echo --arguments '{"message": "hello"}'
//! ```
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::time::Duration;

use clap::Parser;
use entropo_agent::mcp::McpServer;
use entropo_agent::{CancellationToken, Toolbox};
use entropo_core::ToolCall;

/// The tools of an MCP server: lists them, and calls one.
#[derive(Parser, Debug)]
struct Arguments {
    /// A program that speaks MCP over its standard input and output, with its arguments, separated by spaces.
    #[arg(long, required_unless_present = "url", conflicts_with = "url")]
    command: Option<String>,
    /// The address of a server that speaks streamable HTTP. A token is taken from $MCP_TOKEN.
    #[arg(long)]
    url: Option<String>,
    /// Call this tool.
    #[arg(long)]
    call: Option<String>,
    /// Its arguments, a JSON object.
    #[arg(long, default_value = "{}", requires = "call")]
    arguments: String,
    /// Seconds to connect; a package runner may have to download first.
    #[arg(long, default_value_t = 120)]
    patience: u64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let server = match (&arguments.command, &arguments.url) {
        (Some(command), _) => {
            let mut words = command.split_whitespace();
            McpServer::command(words.next().ok_or("--command names no program")?).args(words)
        }
        (None, Some(url)) => match std::env::var("MCP_TOKEN") {
            Ok(token) => McpServer::http(url).bearer(token),
            Err(_) => McpServer::http(url),
        },
        (None, None) => return Err("give --command or --url".into()),
    };
    let client = server.connect_timeout(Duration::from_secs(arguments.patience)).connect().await?;
    let mut toolbox = Toolbox::new();
    for tool in client.tools().await? {
        toolbox.push(tool)?;
    }
    match arguments.call {
        Some(name) => {
            let call = ToolCall { id: "1".to_owned(), name, arguments: serde_json::from_str(&arguments.arguments)? };
            let result = toolbox.call(&call, &CancellationToken::new()).await;
            println!("{:?}: {}", result.status, result.content);
        }
        None => {
            for spec in toolbox.specs() {
                let first = spec.description.lines().next().unwrap_or_default();
                println!("{} ({:?})\n  {first}\n  {}", spec.name, toolbox.concurrency(&spec.name), spec.parameters);
            }
        }
    }
    drop(toolbox);
    client.close().await;
    Ok(())
}
