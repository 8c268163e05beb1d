//! What an agent does, as OpenTelemetry's spans.
//!
//! `cargo run --release --example otel` prints the spans of a scripted run. Another exporter (OTLP, say) is one other line;
//! the names and attributes are those of OpenTelemetry's conventions for generative AI, which its viewers know.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::sync::Arc;

use clap::Parser;
use entropo::agent::{Agent, CancellationToken, ScriptedModel};
use entropo::core::{AssistantMessage, RolloutId, ToolCall};
use entropo::tools::{CodingEpisode, Workspace};
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use serde_json::{Value, json};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// What an agent does, as OpenTelemetry's spans.
#[derive(Parser, Debug)]
struct Arguments {
    /// Export what was said, too, and not only how much.
    #[arg(long)]
    contents: bool,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let provider =
        SdkTracerProvider::builder().with_simple_exporter(opentelemetry_stdout::SpanExporter::default()).build();
    let spans = tracing_opentelemetry::layer().with_tracer(provider.tracer("entropo"));
    tracing_subscriber::registry().with(spans).init();

    let workspace = Workspace::from_files([("greet.sh", "echo helo\n", true)]).await?;
    let episode = CodingEpisode::new(workspace, "It should say hello.")?;
    let call = |name: &str, arguments: Value| AssistantMessage {
        tool_calls: vec![ToolCall { id: String::new(), name: name.to_owned(), arguments }],
        ..AssistantMessage::default()
    };
    let edit = json!({"command": "str_replace", "path": "greet.sh", "old_str": "helo", "new_str": "hello"});
    let model = ScriptedModel::new("script", vec![call("editor", edit), call("finish", json!({}))]);
    let agent = Agent::new(Arc::new(model)).trace_contents(arguments.contents);
    let cancel = CancellationToken::new();
    let trajectory = agent.run(RolloutId::new("greet", 0), 0, Box::new(episode), &cancel, &()).await;
    provider.shutdown()?;
    println!("ended: {:?}", trajectory.exit);
    Ok(())
}
