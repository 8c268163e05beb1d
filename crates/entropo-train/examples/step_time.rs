//! scratch
#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used)]
use entropo_train::burn::tensor::Device;
use entropo_train::data::Sequence;
use entropo_train::decoder::{Decoder, DecoderConfig};
use entropo_train::trainer::{Judge, Judgement, Learner, OptimizerConfig, TrainError};
struct Pairs;
impl Judge for Pairs {
    fn together(&self) -> usize {
        2
    }
    fn judge(&mut self, sums: &[f64]) -> Result<Judgement, TrainError> {
        Ok(Judgement {
            loss: 0.69,
            weights: sums.iter().enumerate().map(|(i, _)| if i % 2 == 0 { -0.02 } else { 0.02 }).collect(),
            ..Judgement::default()
        })
    }
}
fn main() {
    let config = DecoderConfig::from_json(r#"{"model_type": "qwen2", "vocab_size": 4096, "hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 16384, "tie_word_embeddings": false}"#, "x").unwrap();
    let device = Device::default();
    let mut learner = Learner::new(Decoder::new(&config, 0, &device), &OptimizerConfig::default(), &device, 16);
    let len: usize = std::env::args().nth(1).map_or(512, |x| x.parse().unwrap());
    let steps: usize = std::env::args().nth(2).map_or(8, |x| x.parse().unwrap());
    let batch: Vec<Sequence> = (0..4)
        .map(|row| {
            let ids = (0..len)
                .map(|at| {
                    if at < len / 4 {
                        (((row / 2) * 31 + at * 7) % 4096) as u32
                    } else {
                        ((row * 31 + at * 7 + at * at) % 4096) as u32
                    }
                })
                .collect();
            Sequence::new(row.to_string(), ids, (0..len).map(|at| at >= len / 4).collect()).unwrap()
        })
        .collect();
    let batch: Vec<&Sequence> = batch.iter().collect();
    for _ in 0..steps {
        let start = std::time::Instant::now();
        let out = learner.step(&batch, 1e-5, Pairs).unwrap();
        println!(
            "{:.1} ms, {:.0} tokens/s, computed {}",
            start.elapsed().as_secs_f64() * 1e3,
            out.tokens as f64 / start.elapsed().as_secs_f64(),
            out.computed_tokens
        );
    }
    println!(
        "{}",
        std::fs::read_to_string("/proc/self/status").unwrap().lines().find(|l| l.starts_with("VmHWM")).unwrap()
    );
}
