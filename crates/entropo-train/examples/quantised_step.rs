//! Memory and time of a LoRA update over a base in floats, in 8 and in 4 bits.
//!
//! `cargo run -p entropo-train --example quantised_step [tokens]`. Each base is loaded and measured in a process of its own;
//! the peak is that of the process while it takes updates, its weights included.
#![allow(clippy::print_stdout)]

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use entropo_train::adapter::{Adapter, Bits, LoraConfig, QuantisationConfig};
use entropo_train::burn::tensor::Device;
use entropo_train::checkpoint::{self, LoadOptions, SaveOptions};
use entropo_train::data::Sequence;
use entropo_train::decoder::{Decoder, DecoderConfig, Keep};
use entropo_train::trainer::{Judgement, Learner, OptimizerConfig};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const STEPS: usize = 5;
/// 59.7 million weights in blocks, as in Qwen2.5 0.5B.
const SHAPE: &str = r#"{"model_type": "qwen2", "vocab_size": 2048, "hidden_size": 896, "intermediate_size": 4864,
    "num_hidden_layers": 4, "num_attention_heads": 14, "num_key_value_heads": 2, "max_position_embeddings": 8192,
    "tie_word_embeddings": true}"#;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [base, tokens, folder] = arguments.as_slice() {
        return measure(base, tokens.parse()?, Path::new(folder));
    }
    let tokens = arguments.first().map_or("1024", String::as_str);
    let folder = tempfile::tempdir()?;
    let whole = Decoder::new(&DecoderConfig::from_json(SHAPE, "the example")?, 0, &Device::default());
    checkpoint::save(&whole, folder.path(), &SaveOptions::default())?;
    drop(whole);
    for base in ["32", "8", "4"] {
        if !Command::new(std::env::current_exe()?).args([base, tokens]).arg(folder.path()).status()?.success() {
            return Err(format!("{base} bits were not measured").into());
        }
    }
    Ok(())
}

fn measure(base: &str, tokens: usize, folder: &Path) -> Result<(), Failure> {
    let device = Device::default();
    let bits = match base {
        "8" => Some(Bits::Eight),
        "4" => Some(Bits::Four),
        _ => None,
    };
    let quantise = bits.map(|bits| QuantisationConfig { bits, ..QuantisationConfig::default() });
    let decoder = checkpoint::load_with(folder, &device, &LoadOptions { quantise, ..LoadOptions::default() })?;
    let adapter = Adapter::new(&LoraConfig::default(), &decoder, 0)?;
    let (stored, start) = (decoder.stored_bytes() as f64 / 1e6, decoder.with_adapter(&adapter)?);
    drop(decoder);
    let keep = Keep { inputs_only: true, ..Keep::default() };
    let mut learner = Learner::new(start, &OptimizerConfig::default(), &device, 16).with_keep(keep);
    let sequence = Sequence::new("one", (0..tokens as u32).map(|at| at * 7919 % 2048).collect(), vec![true; tokens])?;
    let loaded = memory_mb("VmRSS")?;
    // From here on the peak counts.
    std::fs::write("/proc/self/clear_refs", "5")?;
    let mut seconds = Vec::new();
    for _ in 0..STEPS {
        let clock = Instant::now();
        learner.step(&[&sequence], 1e-4, |sums: &[f64]| {
            Ok(Judgement { loss: -sums.iter().sum::<f64>(), weights: vec![-1e-3; sums.len()], ..Judgement::default() })
        })?;
        seconds.push(clock.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    let (median, peak) = (seconds.get(STEPS / 2).copied().unwrap_or(f64::NAN), memory_mb("VmHWM")?);
    println!(
        "{base:>2} bits: parameters {stored:.0} MB; process {loaded:.0} MB, at most {peak:.0} MB; {median:.2} s an update"
    );
    Ok(())
}

/// A line of the process's status.
fn memory_mb(key: &str) -> Result<f64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with(key)).ok_or("no such line in /proc/self/status")?;
    let kib: f64 = line.split_whitespace().nth(1).ok_or("no number")?.parse()?;
    Ok(kib * 1024.0 / 1e6)
}
