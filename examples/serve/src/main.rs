//! `cargo run --release -p serve -- --model DIRECTORY` serves a checkpoint to OpenAI's clients.
#![allow(clippy::print_stdout)]

use std::collections::HashMap;
use std::error::Error;
use std::net::IpAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use clap::{Parser, ValueEnum};
use entropo::agent::ChatModel;
use entropo::agent::dialect::{Hermes, Xml};
use entropo::train::LocalModel;
use entropo::train::generate::EngineConfig;
use entropo::train::hub::{self, HubOptions};
use indicatif::ProgressBar;
use serve::{Server, router};
use tokio::net::TcpListener;

/// Serves a checkpoint to OpenAI's clients; with $ENTROPO_API_KEY set, only to those who send that key.
#[derive(Debug, Parser)]
struct Arguments {
    /// A checkpoint directory (config.json, weights, tokenizer.json and the chat template) or a model of the Hugging Face
    /// hub, `org/name` or `org/name@revision`.
    #[arg(long)]
    model: String,
    /// The address to listen on; 0.0.0.0 lets other machines in.
    #[arg(long, default_value = "127.0.0.1")]
    host: IpAddr,
    /// The port to listen on; 0 takes a free one.
    #[arg(long, default_value_t = 8000)]
    port: u16,
    /// What clients call the model. Default: the directory's name.
    #[arg(long)]
    name: Option<String>,
    /// Threads that compute. Default: one for each core.
    #[arg(long)]
    threads: Option<usize>,
    /// Replies that are written at a time.
    #[arg(long, default_value_t = EngineConfig::default().batch)]
    batch: usize,
    /// Memory for the conversations' keys and values, in GiB.
    #[arg(long, default_value_t = EngineConfig::default().cache_bytes as f64 / GIB)]
    cache_gib: f64,
    /// How the model writes tool calls.
    #[arg(long, value_enum, default_value_t = DialectName::Auto)]
    dialect: DialectName,
}

const GIB: f64 = (1_u64 << 30) as f64;

#[derive(Clone, Copy, Debug, ValueEnum)]
enum DialectName {
    /// As the chat template writes them.
    Auto,
    /// `<tool_call><function=…>`, as Qwen3-Coder.
    Xml,
    /// `<tool_call>{"name": …}`, as Qwen2.5 and Qwen3.
    Hermes,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let model = open(&arguments).await?;
    let name = model.name().to_owned();
    let key = std::env::var("ENTROPO_API_KEY").ok().filter(|key| !key.is_empty());
    let locked = key.is_some();
    let listener = TcpListener::bind((arguments.host, arguments.port)).await?;
    println!(
        "{name} at http://{}/v1; Ctrl-C stops it when the replies under way are written.\n",
        listener.local_addr()?
    );
    println!("curl http://{}/v1/chat/completions -H 'Content-Type: application/json' \\", listener.local_addr()?);
    if locked {
        println!("  -H \"Authorization: Bearer $ENTROPO_API_KEY\" \\");
    }
    println!("  -d '{{\"messages\": [{{\"role\": \"user\", \"content\": \"Hello\"}}], \"stream\": true}}'");
    let server = Arc::new(Server::new(model, key));
    axum::serve(listener, router(server)).with_graceful_shutdown(interrupted()).await?;
    Ok(())
}

async fn open(arguments: &Arguments) -> Result<LocalModel, Box<dyn Error>> {
    let default = EngineConfig::default();
    let config = EngineConfig {
        threads: arguments.threads.unwrap_or(default.threads),
        batch: arguments.batch,
        cache_bytes: (arguments.cache_gib * GIB) as usize,
        ..default
    };
    let directory = hub::resolve(&arguments.model, &HubOptions::default().on_progress(show)).await?.canonicalize()?;
    let name = arguments.name.clone().unwrap_or_else(|| name_of(&arguments.model, &directory));
    let model = LocalModel::open(&directory, config)?.with_name(name);
    Ok(match arguments.dialect {
        DialectName::Auto => model,
        DialectName::Xml => model.with_dialect(Xml),
        DialectName::Hermes => model.with_dialect(Hermes),
    })
}

/// The hub's name of a model from there, else the directory's.
fn name_of(model: &str, directory: &Path) -> String {
    if Path::new(model).is_dir() {
        directory.file_name().map_or_else(|| "local".into(), |name| name.to_string_lossy()).into_owned()
    } else {
        model.to_owned()
    }
}

/// Shows how far a download is.
fn show(progress: hub::Progress<'_>) {
    static BARS: LazyLock<Mutex<HashMap<String, ProgressBar>>> = LazyLock::new(Mutex::default);
    let mut bars = BARS.lock().unwrap_or_else(PoisonError::into_inner);
    let bar = bars.entry(progress.file.to_owned()).or_insert_with(|| ProgressBar::new(progress.total));
    bar.set_position(progress.done);
    if progress.done == progress.total {
        bar.finish();
    }
}

/// Until Ctrl-C; a second one does not wait for replies.
async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_ok() {
        println!("Finishing the replies under way; Ctrl-C again stops at once.");
        tokio::spawn(async {
            if tokio::signal::ctrl_c().await.is_ok() {
                std::process::exit(130);
            }
        });
    }
}
