//! Peak memory of an update against the length of its sequences, and what the head adds at a large vocabulary.
//!
//! `cargo bench -p entropo-train --bench memory`. Every figure is the peak resident size of a process of its own.
#![allow(clippy::print_stdout, missing_docs)]

use std::process::Command;

use entropo_train::burn::tensor::Device;
use entropo_train::data::Sequence;
use entropo_train::decoder::{Decoder, DecoderConfig, Keep};
use entropo_train::trainer::{Judgement, Learner, OptimizerConfig};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const LENGTHS: [usize; 5] = [512, 1024, 2048, 4096, 8192];

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--measure") {
        let number = |offset: usize| arguments.get(at + offset).and_then(|number| number.parse().ok()).unwrap_or(0);
        println!("{}", peak_mb(number(1), number(2), number(3) == 1)?);
        return Ok(());
    }
    for (name, inputs_only) in [("everything kept", "0"), ("inputs of blocks kept", "1")] {
        let peaks = LENGTHS.map(|length| measured(&["4096".to_owned(), length.to_string(), inputs_only.to_owned()]));
        let peaks = peaks.into_iter().collect::<Result<Vec<f64>, Failure>>()?;
        let (slope, correlation) = fit(&LENGTHS.map(|length| length as f64), &peaks);
        let listed: Vec<String> = LENGTHS.iter().zip(&peaks).map(|(n, mb)| format!("{n}: {mb:.0} MB")).collect();
        println!("{name}: {}; {:.1} kB a token, R² {correlation:.5}", listed.join(", "), slope * 1024.0);
    }
    // Width 64: weights, gradients and two moments of 9.7 million parameters in the embedding, which is also the head.
    const VOCABULARY: usize = 151_936;
    let states = 4.0 * 4.0 * (VOCABULARY * 64) as f64 / 1024.0 / 1024.0;
    for length in [512, 4096] {
        let small = measured(&["512".to_owned(), length.to_string(), "0".to_owned()])?;
        let large = measured(&[VOCABULARY.to_string(), length.to_string(), "0".to_owned()])?;
        println!(
            "vocabulary {VOCABULARY}, {length} tokens: {large:.0} MB, {small:.0} MB at 512; the head adds {:.0} MB over \
             the {states:.0} MB of its states",
            large - small - states
        );
    }
    Ok(())
}

fn measured(arguments: &[String]) -> Result<f64, Failure> {
    let output = Command::new(std::env::current_exe()?).arg("--measure").args(arguments).output()?;
    let text = String::from_utf8(output.stdout)?;
    let line = text.lines().next_back().unwrap_or_default();
    line.parse().map_err(|_| format!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr)).into())
}

/// Two updates on one sequence, half of whose tokens are actions.
fn peak_mb(vocabulary: usize, tokens: usize, inputs_only: bool) -> Result<f64, Failure> {
    let config = DecoderConfig::from_json(
        &format!(
            r#"{{"model_type": "qwen2", "vocab_size": {vocabulary}, "hidden_size": 64, "intermediate_size": 256,
                "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2,
                "max_position_embeddings": 16384, "tie_word_embeddings": true}}"#
        ),
        "the bench",
    )?;
    let device = Device::default();
    let keep = Keep { inputs_only, ..Keep::default() };
    let decoder = Decoder::new(&config, 0, &device);
    let mut learner = Learner::new(decoder, &OptimizerConfig::default(), &device, 64).with_keep(keep);
    let ids = (0..tokens).map(|at| (at * 7919 % vocabulary) as u32).collect();
    let sequence = Sequence::new("one", ids, (0..tokens).map(|at| at % 64 < 32).collect())?;
    for _ in 0..2 {
        learner.step(&[&sequence], 1e-4, |sums: &[f64]| {
            let loss = -sums.iter().sum::<f64>();
            Ok(Judgement { loss, weights: vec![-1e-3; sums.len()], ..Judgement::default() })
        })?;
    }
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM")).ok_or("no peak in /proc/self/status")?;
    let kib: f64 = line.split_whitespace().nth(1).ok_or("no number")?.parse()?;
    Ok(kib / 1024.0)
}

/// Slope of a line through the points, and how much of the variance it explains.
fn fit(x: &[f64], y: &[f64]) -> (f64, f64) {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (x_mean, y_mean) = (mean(x), mean(y));
    let products = x.iter().zip(y).map(|(x, y)| (x - x_mean) * (y - y_mean)).sum::<f64>();
    let squares = |values: &[f64], mean: f64| values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    let (x_squares, y_squares) = (squares(x, x_mean), squares(y, y_mean));
    (products / x_squares, products * products / (x_squares * y_squares))
}
