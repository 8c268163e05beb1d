//! Tokens per second of training and of generation, on a model of the repair lab's size.
//!
//! `cargo bench -p entropo-train --bench throughput`
#![allow(clippy::print_stdout, missing_docs)]

use std::time::Instant;

use entropo_agent::Sampling;
use entropo_train::burn::tensor::Device;
use entropo_train::data::Sequence;
use entropo_train::decoder::{Decoder, DecoderConfig};
use entropo_train::generate::{Engine, EngineConfig, GenerateRequest, HostDecoder};
use entropo_train::trainer::{Judgement, Learner, OptimizerConfig};

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let config = DecoderConfig::from_json(
        r#"{"model_type": "qwen2", "vocab_size": 768, "hidden_size": 128, "intermediate_size": 320,
            "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2,
            "max_position_embeddings": 1024, "tie_word_embeddings": true}"#,
        "the lab's size",
    )?;
    for (sequences, tokens) in [(8, 340), (16, 340), (16, 256)] {
        println!("training {sequences} x {tokens}: {:.0} tokens/s", train(&config, sequences, tokens)?);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    for (requests, threads) in [(1, 1), (16, 1), (64, 1), (64, 2)] {
        let speed = runtime.block_on(generate(&config, requests, threads))?;
        println!("sampling {requests} at a time, {threads} threads: {speed:.0} tokens/s");
    }
    Ok(())
}

/// Tokens per second of the fastest of four steps.
fn train(config: &DecoderConfig, sequences: usize, tokens: usize) -> Result<f64, Failure> {
    let device = Device::default().autodiff();
    let mut learner = Learner::new(Decoder::new(config, 0, &device), &OptimizerConfig::default(), &device, sequences);
    let batch = (0..sequences)
        .map(|row| {
            let ids = (0..tokens).map(|at| ((row * 31 + at * 7) % config.vocab_size) as u32).collect();
            Sequence::new(row.to_string(), ids, (0..tokens).map(|at| at % 5 < 2).collect())
        })
        .collect::<Result<Vec<_>, _>>()?;
    let batch: Vec<&Sequence> = batch.iter().collect();
    let mut fastest = f64::INFINITY;
    for _ in 0..4 {
        let start = Instant::now();
        learner.step(&batch, 1e-4, |sums: &[f64]| {
            let loss = -sums.iter().sum::<f64>();
            Ok(Judgement { loss, weights: vec![-1e-3; sums.len()], ..Judgement::default() })
        })?;
        fastest = fastest.min(start.elapsed().as_secs_f64());
    }
    Ok((sequences * tokens) as f64 / fastest)
}

/// Sampled tokens per second: prompts of 200 tokens, 128 tokens each.
async fn generate(config: &DecoderConfig, requests: usize, threads: usize) -> Result<f64, Failure> {
    let decoder =
        HostDecoder::new(&Decoder::new(config, 0, &Device::default())).map_err(|problems| problems.to_string())?;
    let engine = Engine::new(decoder, EngineConfig { threads, batch: 64, ..EngineConfig::default() });
    let request = |row: usize| GenerateRequest {
        prompt: (0..200).map(|at| ((row * 31 + at * 7) % config.vocab_size) as u32).collect(),
        sampling: Sampling { max_tokens: 128, ..Sampling::default() },
        seed: row as u64,
        ..GenerateRequest::default()
    };
    let start = Instant::now();
    let replies = futures::future::try_join_all((0..requests).map(|row| engine.generate(request(row)))).await?;
    let sampled: usize = replies.iter().map(|reply| reply.completion.len()).sum();
    Ok(sampled as f64 / start.elapsed().as_secs_f64())
}
