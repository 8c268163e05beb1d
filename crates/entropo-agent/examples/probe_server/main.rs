//! What of a model server works with entropo, as a table:
//!
//! ```sh
//! cargo run -p entropo-agent --features openai,anthropic --example probe_server -- \
//!     --base-url http://127.0.0.1:8080/v1 --model NAME
//! ```
//!
//! Without the feature `anthropic` the Messages API is left out. `scripts/check_foreign_servers.py` starts servers and runs this against them.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a program for the terminal")]

mod checks;
mod repository;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use entropo_agent::Dialect;
use entropo_agent::dialect::{Bash, FormatError, Glm, Hermes, Llama, Xml};
use entropo_agent::model::http::{ApiKey, Connection, Retry};
use entropo_agent::model::openai::OpenAi;
use entropo_core::{AssistantMessage, ToolSpec};

/// Asks a server that speaks OpenAI's chat completions in every way that entropo does, and tells what works. The exit
/// status is 0 if the server answers at all.
#[derive(Debug, Parser)]
struct Arguments {
    /// The address that `chat/completions` is appended to: http://HOST:PORT/v1.
    #[arg(long)]
    base_url: String,
    /// What the server calls the model.
    #[arg(long)]
    model: String,
    /// The environment variable that holds the key, if the server wants one.
    #[arg(long)]
    key_variable: Option<String>,
    /// How the model writes calls where it is told of tools in words.
    #[arg(long, value_enum, default_value_t = DialectName::Hermes)]
    dialect: DialectName,
    /// Names tools only where it tells of them in words, for a model that knows them and has little context.
    #[arg(long)]
    brief: bool,
    /// Turns of an agent at most.
    #[arg(long, default_value_t = 8)]
    steps: usize,
    /// Words in the prompt that should be too long for the model; 0 leaves this out.
    #[arg(long, default_value_t = 200_000)]
    overlong: usize,
    /// Seconds that a server may be silent.
    #[arg(long, default_value_t = 60)]
    patience: u64,
    /// Attempts per request; with more than 1, what fails now and then counts as working.
    #[arg(long, default_value_t = 1)]
    attempts: usize,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum DialectName {
    /// Qwen2.5, Qwen3.
    Hermes,
    /// Qwen3-Coder, R2E.
    Xml,
    /// Llama 3.1 and later.
    Llama,
    /// GLM-4.5 and later.
    Glm,
    /// Models that were never taught tools.
    Bash,
}

impl Arguments {
    /// The way to the server.
    fn connection(&self) -> Connection {
        let key = self.key_variable.as_deref().map_or_else(ApiKey::none, ApiKey::environment);
        Connection::new(&self.base_url)
            .api_key(key)
            .idle_timeout(Duration::from_secs(self.patience))
            .total_timeout(Duration::from_secs(self.patience.saturating_mul(10)))
            .retry(Retry { attempts: self.attempts, ..Retry::default() })
    }

    fn dialect(&self) -> Arc<dyn Dialect> {
        let dialect: Arc<dyn Dialect> = match self.dialect {
            DialectName::Hermes => Arc::new(Hermes),
            DialectName::Xml => Arc::new(Xml),
            DialectName::Llama => Arc::new(Llama),
            DialectName::Glm => Arc::new(Glm),
            DialectName::Bash => Arc::new(Bash::default()),
        };
        if self.brief { Arc::new(Brief(dialect)) } else { dialect }
    }
}

/// A dialect that names tools and says no more of them.
struct Brief(Arc<dyn Dialect>);

impl Dialect for Brief {
    fn opening(&self) -> &'static str {
        self.0.opening()
    }

    fn parse(&self, raw: &str) -> Result<AssistantMessage, FormatError> {
        self.0.parse(raw)
    }

    fn render(&self, message: &AssistantMessage) -> String {
        self.0.render(message)
    }

    fn instructions(&self, tools: &[ToolSpec]) -> String {
        let names: Vec<_> = tools.iter().map(|tool| tool.name.as_str()).collect();
        format!("Tools: {}", names.join(" "))
    }

    fn result(&self, _: &str, content: &str) -> String {
        content.to_owned()
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let client = match OpenAi::new(arguments.connection(), &arguments.model) {
        Ok(client) => client,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let rows = checks::all(&client, &arguments).await;
    for row in &rows {
        println!("{:<4} {:<28} {}", if row.works { "yes" } else { "no" }, row.name, row.detail.replace('\n', " "));
    }
    if rows.iter().any(|row| row.works) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
