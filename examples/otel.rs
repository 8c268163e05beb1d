//! What an agent does, as OpenTelemetry's spans.
//!
//! `cargo run --release --example otel` prints the spans of a scripted run; with `--endpoint` they go to a collector, Jaeger
//! or whatever else speaks OTLP. Names and attributes are those of OpenTelemetry's conventions for generative AI, which its
//! viewers know.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use entropo::agent::{Agent, CancellationToken, ScriptedModel};
use entropo::core::{AssistantMessage, ExitReason, RolloutId, ToolCall};
use entropo::tools::{CodingEpisode, Workspace};
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use serde_json::{Value, json};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// What an agent does, as OpenTelemetry's spans.
#[derive(Parser, Debug)]
struct Arguments {
    /// Export what was said, too, and not only how much: prompts, replies, arguments and answers of tools.
    #[arg(long)]
    contents: bool,
    /// Send the spans there by OTLP over HTTP instead of printing them, such as http://127.0.0.1:4318/v1/traces.
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let ended = match provider(arguments.endpoint.as_deref()) {
        Ok(provider) => run(arguments.contents, provider).await,
        Err(error) => Err(error),
    };
    match ended {
        Ok(exit) => {
            println!("ended: {exit:?}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Where spans go.
fn provider(endpoint: Option<&str>) -> Result<SdkTracerProvider, Box<dyn Error>> {
    let provider = SdkTracerProvider::builder().with_resource(Resource::builder().with_service_name("otel").build());
    Ok(match endpoint {
        // In batches, by a thread of its own: a collector that is slow holds nothing up.
        Some(url) => provider.with_batch_exporter(SpanExporter::builder().with_http().with_endpoint(url).build()?),
        None => provider.with_simple_exporter(opentelemetry_stdout::SpanExporter::default()),
    }
    .build())
}

async fn run(contents: bool, provider: SdkTracerProvider) -> Result<ExitReason, Box<dyn Error>> {
    tracing_subscriber::registry().with(tracing_opentelemetry::layer().with_tracer(provider.tracer("entropo"))).init();

    let workspace = Workspace::from_files([("greet.sh", "echo helo\n", true)]).await?;
    let episode = CodingEpisode::new(workspace, "It should say hello.")?;
    let call = |name: &str, arguments: Value| AssistantMessage {
        tool_calls: vec![ToolCall { id: String::new(), name: name.to_owned(), arguments }],
        ..AssistantMessage::default()
    };
    let edit = |old: &str| json!({"command": "str_replace", "path": "greet.sh", "old_str": old, "new_str": "hello"});
    // The first call fails, as its span says.
    let script = vec![call("editor", edit("hullo")), call("editor", edit("helo")), call("finish", json!({}))];
    let agent = Agent::new(Arc::new(ScriptedModel::new("script", script))).trace_contents(contents);
    let cancel = CancellationToken::new();
    let trajectory = agent.run(RolloutId::new("greet", 0), 0, Box::new(episode), &cancel, &()).await;
    // What is left is exported now; both block until it is.
    let exported =
        tokio::task::spawn_blocking(move || provider.force_flush().and_then(|()| provider.shutdown())).await?;
    exported.map_err(|error| format!("{error}; does a collector listen at the endpoint?"))?;
    Ok(trajectory.exit)
}
