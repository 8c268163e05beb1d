//! Makes the repair lab's checkpoint again: teacher transcripts, tokenizer, supervised training.
//!
//! `RAYON_NUM_THREADS=1 cargo run --release -p repair-lab --bin train-policy -- --out policy` made the embedded checkpoint
//! in half an hour on one core; interrupted, the same command goes on where it was. The number of threads is part of the
//! recipe: it changes the order of sums, and so the last bits.
#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Parser;
use entropo::core::{ToolSpec, Trajectory};
use entropo::train::burn::tensor::Device;
use entropo::train::checkpoint::{self, SaveOptions, write_file};
use entropo::train::data::Example;
use entropo::train::decoder::{Decoder, DecoderConfig};
use entropo::train::objective::{Objective, Sft};
use entropo::train::text::ChatFormat;
use entropo::train::trainer::{AdamWConfig, Schedule, TrainConfig, Training, Warmup};
use indicatif::{ProgressBar, ProgressStyle};
use repair_lab::TRAINING_TASKS;
use repair_lab::task::{Difficulty, generate};
use repair_lab::transcripts::{encode, texts, transcribe};
use repair_lab::vocabulary::{CHAT_TEMPLATE, END_OF_TURN, chat_format, learn_tokenizer, tokenizer_config};
use serde_json::json;
use tokio::task::JoinSet;

/// Trains the repair lab's policy from scratch on the teacher's transcripts.
#[derive(Parser, Debug)]
struct Arguments {
    /// Where the checkpoint and everything on the way to it go.
    #[arg(long, default_value = "policy")]
    out: PathBuf,
    /// Governs tasks, teacher, weights and order.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Teacher transcripts.
    #[arg(long, default_value_t = 12_000)]
    transcripts: usize,
    /// Passes over them.
    #[arg(long, default_value_t = 2)]
    epochs: usize,
    /// Highest learning rate.
    #[arg(long, default_value_t = 2e-3)]
    learning_rate: f64,
    /// Sequences in an update.
    #[arg(long, default_value_t = 8)]
    batch_size: usize,
    /// Names in use: narrow, standard or wide.
    #[arg(long, default_value = "standard")]
    difficulty: Difficulty,
    /// Every how many transcripts one is learned whole, observations included.
    #[arg(long, default_value_t = 3)]
    whole_every: usize,
    /// Decoder layers.
    #[arg(long, default_value_t = 4)]
    layers: usize,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let transcripts = runtime.block_on(transcripts(&arguments))?;
    let format = vocabulary(&arguments.out, &transcripts)?;
    let examples = transcripts
        .iter()
        .enumerate()
        .map(|(index, (trajectory, tools))| {
            let everything = index.is_multiple_of(arguments.whole_every.max(1));
            Ok(Example::Demonstration(encode(trajectory, tools, &format, everything)?))
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    drop(transcripts);
    let tokens: usize = examples.iter().map(Example::tokens).sum();
    println!("{} transcripts, {tokens} tokens, vocabulary {}", examples.len(), format.tokenizer().vocab_size());
    train(&arguments, &format, &examples)
}

/// Lets the teacher work, a few tasks at a time, and keeps what it finished. Deterministic and quick, so not stored.
async fn transcripts(arguments: &Arguments) -> Result<Vec<(Trajectory, Vec<ToolSpec>)>, Failure> {
    let difficulty = arguments.difficulty.clone();
    let bar = bar(arguments.transcripts, "transcripts")?;
    let base = TRAINING_TASKS + arguments.seed * (1 << 20);
    let mut running = JoinSet::new();
    let mut queued = 0;
    let mut done = BTreeMap::new();
    while done.len() < arguments.transcripts {
        while queued < arguments.transcripts && running.len() < 4 {
            let (seed, difficulty) = (base + queued as u64, difficulty.clone());
            let index = queued;
            running.spawn(async move {
                let task = tokio::task::spawn_blocking(move || generate(seed, &difficulty)).await??;
                Ok::<_, Failure>((index, transcribe(&Arc::new(task), seed).await?))
            });
            queued += 1;
        }
        let Some(joined) = running.join_next().await else { break };
        let (index, transcript) = joined??;
        done.insert(index, transcript);
        bar.inc(1);
    }
    bar.finish();
    let all = done.len();
    let finished: Vec<_> = done.into_values().filter(|(trajectory, _)| trajectory.exit.is_finished()).collect();
    let solved = finished.iter().filter(|(trajectory, _)| trajectory.is_solved()).count();
    let visible = finished.iter().filter(|(t, _)| t.outcome.scores.get("reproduction") == Some(&1.0)).count();
    println!("teacher: {} of {all} finished, {visible} pass the visible tests, {solved} solved", finished.len());
    Ok(finished)
}

fn vocabulary(out: &Path, transcripts: &[(Trajectory, Vec<ToolSpec>)]) -> Result<ChatFormat, Failure> {
    let path = out.join("tokenizer.json");
    if !path.exists() {
        let texts: Vec<String> = transcripts.iter().flat_map(|(trajectory, _)| texts(trajectory)).collect();
        write_file(&path, learn_tokenizer(texts.into_iter())?.as_bytes())?;
    }
    write_file(&out.join("tokenizer_config.json"), tokenizer_config().as_bytes())?;
    write_file(&out.join("chat_template.jinja"), CHAT_TEMPLATE.as_bytes())?;
    Ok(chat_format(&std::fs::read(&path)?)?)
}

fn train(arguments: &Arguments, format: &ChatFormat, examples: &[Example]) -> Result<(), Failure> {
    let config = json!({
        "model_type": "qwen2",
        "vocab_size": format.tokenizer().vocab_size(),
        "hidden_size": 128,
        "intermediate_size": 320,
        "num_hidden_layers": arguments.layers,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 1024,
        "tie_word_embeddings": true,
        "eos_token_id": format.tokenizer().token_id(END_OF_TURN),
    });
    let config = DecoderConfig::from_json(&config.to_string(), "the policy's shape")?;
    let device = Device::default();
    let settings = TrainConfig {
        objective: Objective::Sft(Sft::default()),
        epochs: arguments.epochs,
        batch_size: arguments.batch_size,
        micro_batch: 4 * arguments.batch_size, // never in parts: the transcripts are short
        learning_rate: arguments.learning_rate,
        schedule: Schedule::cosine(Warmup::Share(0.02)),
        optimizer: AdamWConfig { betas: (0.9, 0.98), weight_decay: 0.05, ..AdamWConfig::default() }.into(),
        seed: arguments.seed,
        save_every: 100,
        checkpointing: false, // the model is small
        ..TrainConfig::default()
    };
    let start = Decoder::new(&config, arguments.seed, &device);
    let training = Training::new(&start, examples, settings, &device, Some(arguments.out.join("training")))?;
    let bar = bar(training.steps(), "updates")?;
    bar.set_position(training.done() as u64);
    let (mut smooth, clock, mut tokens) = (None, std::time::Instant::now(), 0);
    let policy = training.run(|record, _| {
        tokens += record.tokens;
        let nll = smooth.map_or(record.loss, |last: f64| 0.98 * last + 0.02 * record.loss);
        smooth = Some(nll);
        let speed = tokens as f64 / clock.elapsed().as_secs_f64();
        bar.set_message(format!("loss {nll:.4}, gradient {:.2}, {speed:.0} tokens/s", record.grad_norm));
        bar.inc(1);
        if record.step.is_multiple_of(100) && !bar.is_hidden() || record.step.is_multiple_of(500) {
            bar.suspend(|| println!("step {} of {}: loss {nll:.4}, {speed:.0} tokens/s", record.step, record.steps));
        }
        ControlFlow::Continue(())
    })?;
    bar.finish();
    checkpoint::save(&policy, &arguments.out, &SaveOptions::default())?;
    println!("saved to {}", arguments.out.display());
    Ok(())
}

fn bar(length: usize, what: &'static str) -> Result<ProgressBar, Failure> {
    let style = ProgressStyle::with_template("{prefix:>12} [{bar:40}] {pos}/{len} {elapsed} (eta {eta}) {msg}")?;
    Ok(ProgressBar::new(length as u64).with_style(style).with_prefix(what))
}
