//! Talks with a checkpoint on this machine and shows what each reply costs.
//!
//! `cargo run --release --example chat` talks with the little policy of the repair lab; `-- --model DIRECTORY` with any
//! checkpoint. With `--tools DIRECTORY` the model may run commands and edit files there, as you. The speed is that at which
//! tokens arrive here, which says nothing of a model that writes faster than its words are shown.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::Parser;
use entropo::agent::{CancellationToken, ChatModel, Sampling, Toolbox};
use entropo::core::{AssistantMessage, Message, ToolMessage, ToolStatus};
use entropo::tools::{LocalSandbox, coding_tools};
use entropo::train::LocalModel;
use entropo::train::generate::{EngineConfig, GenerateRequest, Streamed};
use entropo::train::text::{Conversation, SpecialText, TextStream};
use repair_lab::{experiment, policy::Policy};

/// Talks with a checkpoint on this machine.
#[derive(Parser, Debug)]
struct Arguments {
    /// A checkpoint directory. Default: the embedded policy of the repair lab.
    #[arg(long)]
    model: Option<PathBuf>,
    /// One question instead of a conversation.
    #[arg(long)]
    prompt: Option<String>,
    /// What the model is told first.
    #[arg(long)]
    system: Option<String>,
    /// A repository in which the model may run commands and edit files.
    #[arg(long)]
    tools: Option<PathBuf>,
    /// Divides the logits; 0 always takes the likeliest token.
    #[arg(long, default_value_t = 0.7)]
    temperature: f32,
    /// Longest reply in tokens.
    #[arg(long, default_value_t = Sampling::default().max_tokens)]
    max_tokens: usize,
    /// Governs the sampling: the same conversation with the same seed goes the same way.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("\nerror: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let model = match &arguments.model {
        Some(directory) => LocalModel::open(directory, EngineConfig::default())?,
        None => Policy::embedded(&experiment::device())?.serve("repair-lab", EngineConfig::default())?,
    };
    let tools = match &arguments.tools {
        Some(directory) => coding_tools(Arc::new(LocalSandbox::new(directory)?), directory)?,
        None => Toolbox::new(),
    };
    let mut messages: Vec<Message> = arguments.system.iter().map(Message::system).collect();
    if let Some(prompt) = &arguments.prompt {
        return answer(&arguments, &model, &tools, &mut messages, prompt).await;
    }
    println!("{}; an empty line or Ctrl-D ends the conversation.", model.name());
    loop {
        if std::io::stdin().is_terminal() {
            print!("\n> ");
            std::io::stdout().flush()?;
        }
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line)?;
        if line.trim().is_empty() {
            return Ok(());
        }
        answer(&arguments, &model, &tools, &mut messages, line.trim()).await?;
    }
}

/// Lets the model write, and carries out what it calls, until it calls nothing more or is done.
async fn answer(
    arguments: &Arguments,
    model: &LocalModel,
    tools: &Toolbox,
    messages: &mut Vec<Message>,
    question: &str,
) -> Result<(), Box<dyn Error>> {
    messages.push(Message::user(question));
    loop {
        let mut reply = write(arguments, model, tools, messages).await?;
        for (number, call) in reply.tool_calls.iter_mut().enumerate() {
            call.id = format!("call_{}_{number}", messages.len());
        }
        let calls = reply.tool_calls.clone();
        messages.push(Message::Assistant(reply));
        let mut over = calls.is_empty();
        for call in &calls {
            let result = tools.call(call, &CancellationToken::new()).await;
            result.content.lines().for_each(|line| println!("    {line}"));
            over |= result.status == ToolStatus::Finish;
            messages.push(Message::Tool(ToolMessage {
                call_id: result.call_id,
                name: result.name,
                content: result.content,
            }));
        }
        if over {
            return Ok(());
        }
    }
}

/// One reply, shown as it is written.
async fn write(
    arguments: &Arguments,
    model: &LocalModel,
    tools: &Toolbox,
    messages: &[Message],
) -> Result<AssistantMessage, Box<dyn Error>> {
    let conversation = Conversation::new(messages, tools.specs()).with_generation_prompt(true);
    let (format, start) = (model.format(), Instant::now());
    let mut tokens = model.engine().stream(GenerateRequest {
        prompt: format.encode(&conversation, SpecialText::Escape)?.ids,
        sampling: Sampling {
            temperature: arguments.temperature,
            max_tokens: arguments.max_tokens,
            ..Sampling::default()
        },
        stop: model.stop_tokens().to_vec(),
        seed: arguments.seed.wrapping_add(messages.len() as u64),
        ..GenerateRequest::default()
    })?;
    let (mut text, mut raw) = (TextStream::default(), String::new());
    let (mut count, mut read) = (0_u32, start.elapsed());
    while let Some(item) = tokens.next().await {
        match item? {
            Streamed::Token(token) => {
                if count == 0 {
                    read = start.elapsed(); // the first token is sampled when the prompt is read
                }
                count += 1;
                if !model.stop_tokens().contains(&token.id) {
                    show(&text.push(format.tokenizer(), token.id)?, &mut raw)?;
                }
            }
            Streamed::End(ending) => {
                show(&std::mem::take(&mut text).finish(format.tokenizer())?, &mut raw)?;
                let speed =
                    f64::from(count.saturating_sub(1)) / (start.elapsed() - read).as_secs_f64().max(f64::EPSILON);
                println!(
                    "\n[{} prompt tokens ({} reused) in {:.2} s, {count} tokens at {speed:.1} tokens/s]",
                    ending.prompt,
                    ending.reused,
                    read.as_secs_f64(),
                );
            }
        }
    }
    let (message, fault) = model.dialect().read(&raw);
    if let Some(fault) = fault {
        println!("[no tool call: {fault}]");
    }
    Ok(message)
}

fn show(piece: &str, raw: &mut String) -> std::io::Result<()> {
    raw.push_str(piece);
    print!("{piece}");
    std::io::stdout().flush()
}
