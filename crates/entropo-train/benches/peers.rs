//! One case of the comparison with other engines; `scripts/bench_generation.py` runs it in turn with theirs and
//! `benches/peers/README.md` says what the printed line means.
//!
//! Weights stay in the type in which the checkpoint stores them and arithmetic is in f32, whatever `--dtype` asks of the
//! peers: from a bfloat16 checkpoint, the numbers are those of float32.
#![allow(clippy::print_stdout, missing_docs)]

use std::path::PathBuf;
use std::time::Instant;

use clap::Parser;
use entropo_agent::Sampling;
use entropo_train::generate::{Engine, EngineConfig, GenerateRequest, HostDecoder, Streamed};
use futures::future::try_join_all;
use serde_json::json;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Parser)]
struct Arguments {
    #[arg(long)]
    checkpoint: PathBuf,
    /// Printed again.
    #[arg(long, default_value = "float32")]
    dtype: String,
    #[arg(long, default_value_t = 1)]
    batch: usize,
    #[arg(long, default_value_t = 512)]
    prompt_tokens: usize,
    #[arg(long, default_value_t = 128)]
    new_tokens: usize,
    #[arg(long, default_value_t = 1)]
    repeats: usize,
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Passed by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What one run came to.
struct Run {
    prefill: f64,
    decode: f64,
    tokens: Vec<u32>,
}

fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    let baseline = memory("VmRSS:")?;
    let start = Instant::now();
    let decoder = HostDecoder::open(&arguments.checkpoint)?;
    let load = start.elapsed().as_secs_f64();
    let loading = memory("VmHWM:")?;
    std::fs::write("/proc/self/clear_refs", "5")?; // VmHWM begins again
    let config = EngineConfig { threads: arguments.threads, batch: arguments.batch, ..EngineConfig::default() };
    let engine = Engine::new(decoder, config);
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(run(&engine, arguments.batch, 32, 4, 1))?;
    let runs = (0..arguments.repeats.max(1) as u32)
        .map(|round| {
            runtime.block_on(run(&engine, arguments.batch, arguments.prompt_tokens, arguments.new_tokens, round + 2))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let best = |of: fn(&Run) -> f64| runs.iter().map(of).fold(0.0, f64::max);
    let generating = memory("VmHWM:")?;
    println!(
        "{}",
        json!({
            "peer": "entropo",
            "version": env!("CARGO_PKG_VERSION"),
            "dtype": arguments.dtype,
            "batch": arguments.batch,
            "prompt_tokens": arguments.prompt_tokens,
            "new_tokens": arguments.new_tokens,
            "threads": arguments.threads,
            "prefill_tokens_per_s": best(|run| run.prefill),
            "decode_tokens_per_s": best(|run| run.decode),
            "peak_rss_bytes": generating.max(loading),
            "peak_rss_generating_bytes": generating,
            "baseline_rss_bytes": baseline,
            "load_s": load,
            "tokens": runs.first().map(|run| run.tokens.clone()),
        })
    );
    Ok(())
}

/// Continues `batch` different prompts. Reading ends when every sequence has its first token; what is sampled from then
/// on counts as writing.
async fn run(engine: &Engine, batch: usize, prompt: usize, new: usize, round: u32) -> Result<Run, Failure> {
    let vocabulary = engine.decoder().config().vocab_size.min(100_000);
    let start = Instant::now();
    let sequences = (0..batch).map(|sequence| async move {
        let mut prompt: Vec<u32> =
            (0..prompt).map(|at| ((7919 * at + 104_729 * sequence + 17) % vocabulary) as u32).collect();
        if round > 2 {
            // Nothing is found again from the round before.
            prompt.iter_mut().for_each(|token| *token = (*token + round) % vocabulary as u32);
        }
        let mut stream = engine.stream(GenerateRequest {
            prompt,
            sampling: Sampling { temperature: 0.0, max_tokens: new, ..Sampling::default() },
            ..GenerateRequest::default()
        })?;
        let mut sampled = Vec::new();
        while let Some(item) = stream.next().await {
            if let Streamed::Token(token) = item? {
                sampled.push((start.elapsed().as_secs_f64(), token.id));
            }
        }
        Ok::<_, Failure>(sampled)
    });
    let sampled: Vec<Vec<(f64, u32)>> = try_join_all(sequences).await?;
    let read = sampled.iter().filter_map(|tokens| tokens.first()).map(|(time, _)| *time).fold(0.0, f64::max);
    let end = sampled.iter().flatten().map(|(time, _)| *time).fold(0.0, f64::max);
    let written = sampled.iter().flatten().filter(|(time, _)| *time > read).count();
    Ok(Run {
        prefill: (batch * prompt) as f64 / read,
        decode: written as f64 / (end - read),
        tokens: sampled.first().into_iter().flatten().map(|(_, id)| *id).collect(),
    })
}

/// A figure of `/proc/self/status`, in bytes.
fn memory(key: &str) -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line =
        status.lines().find(|line| line.starts_with(key)).ok_or_else(|| format!("no {key} in /proc/self/status"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1).ok_or("no figure")?.parse()?;
    Ok(kibibytes << 10)
}
