//! Opens a checkpoint, computes a few logits and saves it again, for `scripts/check_with_transformers.py` to compare.
//!
//! `cargo run --release -p entropo-train --example save_again -- CHECKPOINT OUT --adapter 4` leaves `OUT/checkpoint`, and
//! with `--adapter` a LoRA adapter after three updates in `OUT/adapter` and what it is merged into in `OUT/merged`, each
//! with the logits that entropo computes from it. Says how long it took and how much memory.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Parser, ValueEnum};
use entropo_train::adapter::{Adapter, LoraConfig};
use entropo_train::burn::tensor::{Device, FloatDType, Int, Tensor, TensorData};
use entropo_train::checkpoint::{self, LoadOptions, SaveOptions, write_file};
use entropo_train::data::Sequence;
use entropo_train::decoder::Decoder;
use entropo_train::trainer::{Judgement, Learner, OptimizerConfig};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::json;

/// Sequences and tokens of each whose logits are computed.
const SHAPE: [usize; 2] = [2, 12];

#[derive(Parser)]
struct Arguments {
    checkpoint: PathBuf,
    out: PathBuf,
    /// The weights' type in memory and in the files.
    #[arg(long, value_enum, default_value_t = Type::Float32)]
    dtype: Type,
    /// Mebibytes of a file of weights.
    #[arg(long, default_value_t = 4096)]
    shard_mib: u64,
    /// Rank of an adapter to be trained a little.
    #[arg(long)]
    adapter: Option<usize>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Type {
    Float32,
    Bfloat16,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let dtype = match arguments.dtype {
        Type::Float32 => FloatDType::F32,
        Type::Bfloat16 => FloatDType::BF16,
    };
    let source = arguments.checkpoint.canonicalize()?;
    let load = |device: &Device| {
        checkpoint::load_with(&source, device, &LoadOptions { dtype: Some(dtype), ..LoadOptions::default() })
    };
    let options = SaveOptions { dtype: None, shard_bytes: arguments.shard_mib << 20, companions: Some(source.clone()) };
    let clock = Instant::now();
    let decoder = load(&Device::default())?;
    report("loaded", clock)?;
    let save = |decoder: &Decoder, name: &str| -> Result<(), Box<dyn Error>> {
        let directory = arguments.out.join(name);
        let clock = Instant::now();
        let expected = expected(decoder)?;
        report("computed logits", clock)?;
        let clock = Instant::now();
        checkpoint::save(decoder, &directory, &options)?;
        write_file(&directory.join("expected.safetensors"), &expected)?;
        report(&format!("saved {}", directory.display()), clock)
    };
    save(&decoder, "checkpoint")?;
    drop(decoder);
    if let Some(rank) = arguments.adapter {
        let adapted = adapted(&load(&Device::default().autodiff())?, rank)?;
        let directory = arguments.out.join("adapter");
        adapted.adapter().ok_or("the adapter is gone")?.save(&directory)?;
        write_file(&directory.join("expected.safetensors"), &expected(&adapted)?)?;
        let paths = json!({"base": source, "merged": Path::new("../merged")});
        write_file(&directory.join("expected.json"), paths.to_string().as_bytes())?;
        save(&adapted.merge(), "merged")?;
    }
    Ok(())
}

/// With an adapter on every linear layer after three updates on random tokens.
fn adapted(base: &Decoder, rank: usize) -> Result<Decoder, Box<dyn Error>> {
    let device = Device::default().autodiff();
    let adapter = Adapter::new(&LoraConfig { rank, ..LoraConfig::default() }, base, 1)?;
    let mut learner = Learner::new(base.with_adapter(&adapter)?, &OptimizerConfig::default(), &device, 1);
    let [_, tokens] = SHAPE;
    let sequence = Sequence::new("random", ids(base).into_iter().take(tokens).collect(), vec![true; tokens])?;
    for _ in 0..3 {
        learner.step(&[&sequence], 1e-2, |sums: &[f64]| {
            let loss = -sums.iter().sum::<f64>();
            Ok(Judgement { loss, weights: vec![-1.0; sums.len()], ..Judgement::default() })
        })?;
    }
    Ok(learner.frozen())
}

/// Token ids, row by row.
fn ids(decoder: &Decoder) -> Vec<u32> {
    let vocabulary = decoder.config().vocab_size;
    (0..SHAPE.iter().product::<usize>()).map(|at| ((7919 * at + 17) % vocabulary) as u32).collect()
}

/// A safetensors file of `input_ids` and the `logits` that follow from them, f32.
fn expected(decoder: &Decoder) -> Result<Vec<u8>, Box<dyn Error>> {
    let ids: Vec<i64> = ids(decoder).into_iter().map(i64::from).collect();
    let id_bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
    let tensor = Tensor::<2, Int>::from_data(TensorData::new(ids, SHAPE), &Device::default());
    let logits = decoder.logits(tensor);
    let shape = logits.dims().to_vec();
    let logits: Vec<u8> = logits.into_data().iter::<f32>().flat_map(f32::to_le_bytes).collect();
    let views = [
        ("input_ids", TensorView::new(Dtype::I64, SHAPE.to_vec(), &id_bytes)?),
        ("logits", TensorView::new(Dtype::F32, shape, &logits)?),
    ];
    Ok(safetensors::serialize(views, None)?)
}

/// Says what was done, how long it took and the most memory that the process ever held.
fn report(what: &str, since: Instant) -> Result<(), Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or(" unknown").trim();
    println!("{what} in {:.1} s; peak memory {peak}", since.elapsed().as_secs_f64());
    Ok(())
}
