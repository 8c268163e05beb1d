//! Tokens per second of training on a model of the repair lab's size.
//!
//! `cargo bench -p entropo-train --bench throughput`
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::time::Instant;

use burn::tensor::Device;
use entropo_train::data::Sequence;
use entropo_train::decoder::{Decoder, DecoderConfig};
use entropo_train::trainer::{Judgement, Learner, OptimizerConfig};

fn main() {
    let config = DecoderConfig {
        vocab_size: 768,
        hidden_size: 128,
        intermediate_size: 320,
        num_hidden_layers: 4,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        max_position_embeddings: 1024,
        rms_norm_eps: 1e-6,
        rope_theta: 10_000.0,
        tie_word_embeddings: true,
        eos_token_ids: vec![0],
    };
    let device = Device::default().autodiff();
    for (sequences, tokens) in [(16, 340), (8, 340), (16, 256)] {
        let mut learner =
            Learner::new(Decoder::new(&config, 0, &device), &OptimizerConfig::default(), &device, sequences);
        let batch: Vec<Sequence> = (0..sequences)
            .map(|row| {
                let ids = (0..tokens).map(|at| ((row * 31 + at * 7) % 768) as u32).collect();
                Sequence::new(row.to_string(), ids, (0..tokens).map(|at| at % 5 < 2).collect()).unwrap()
            })
            .collect();
        let batch: Vec<&Sequence> = batch.iter().collect();
        let mut times = Vec::new();
        for _ in 0..4 {
            let start = Instant::now();
            let judge = |sums: &[f64]| {
                Ok(Judgement {
                    loss: -sums.iter().sum::<f64>(),
                    weights: vec![-1e-3; sums.len()],
                    ..Judgement::default()
                })
            };
            learner.step(&batch, 1e-4, judge).unwrap();
            times.push(start.elapsed().as_secs_f64());
        }
        times.sort_by(f64::total_cmp);
        println!("training {sequences} x {tokens}: {:.0} tokens/s", (sequences * tokens) as f64 / times[1]);
    }
}
