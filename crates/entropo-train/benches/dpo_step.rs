//! An update of DPO against PyTorch: a plain loop and TRL's trainer, on the same checkpoint, batch and two threads.
//!
//! `ENTROPO_BENCH_PYTHON=python cargo bench -p entropo-train --bench dpo_step`, with what `scripts/requirements.txt` names
//! and TRL installed there. Every measurement is a process of its own, one implementation after the other, three rounds;
//! medians are printed, and that the losses are the same. The last line is `ratio_torch=… ratio_trl=… memory=…`: tokens a
//! second over those of the peers, and the peak of memory over the plain loop's.
#![allow(clippy::print_stdout, missing_docs)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use entropo_train::burn::tensor::{Device, Tensor};
use entropo_train::checkpoint;
use entropo_train::data::Sequence;
use entropo_train::decoder::Decoder;
use entropo_train::objective::{Dpo, SequenceLogProbs};
use entropo_train::trainer::{Judge, Judgement, Learner, OptimizerConfig, TrainError, frozen_sums};
use serde::{Deserialize, Serialize};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const ROUNDS: usize = 3;
const WARMUP: usize = 2;
const STEPS: usize = 6;

/// What one process measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Measured {
    seconds: f64,
    tokens_per_s: f64,
    cpu_s: f64,
    memory_mb: f64,
    losses: Vec<f64>,
}

/// All chosen sequences, then all rejected ones.
#[derive(Deserialize)]
struct Batch {
    ids: Vec<Vec<u32>>,
    prompt: usize,
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--measure") {
        let variant = arguments.get(at + 1).map(String::as_str).unwrap_or_default();
        let directory = arguments.get(at + 2).map(PathBuf::from).unwrap_or_default();
        println!("{}", serde_json::to_string(&measure(variant, &directory)?)?);
        return Ok(());
    }
    let Some(python) = std::env::var_os("ENTROPO_BENCH_PYTHON") else {
        println!("set ENTROPO_BENCH_PYTHON to a python with torch, transformers and trl to compare with");
        return Ok(());
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/bench_dpo.py");
    let peer = |mode: &str, directory: &Path| -> Result<String, Failure> {
        last_line(Command::new(&python).arg(&script).arg(mode).arg(directory))
    };
    let directory = tempfile::tempdir()?;
    peer("make", directory.path())?;
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load average {}", load.trim());
    println!("torch products, GFLOP/s {}", peer("product", directory.path())?);
    println!("entropo products, GFLOP/s {}", serde_json::to_string(&products())?);

    let mut all: Vec<(&str, Vec<Measured>)> =
        ["full", "equal", "loop", "trl"].into_iter().map(|name| (name, Vec::new())).collect();
    for _ in 0..ROUNDS {
        for (name, measured) in &mut all {
            let line = match *name {
                "full" | "equal" => {
                    let mut own = Command::new(std::env::current_exe()?);
                    own.env("RAYON_NUM_THREADS", "2").args(["--measure", name]).arg(directory.path());
                    last_line(&mut own)?
                }
                mode => peer(mode, directory.path())?,
            };
            measured.push(serde_json::from_str(&line).map_err(|error| format!("{name}: {error}: {line}"))?);
        }
    }
    report(&all)
}

fn report(all: &[(&str, Vec<Measured>)]) -> Result<(), Failure> {
    println!("{:8} {:>10} {:>12} {:>8} {:>10}", "", "s/update", "tokens/s", "CPU s", "memory MB");
    let mut medians = Vec::new();
    for (name, measured) in all {
        let median = |value: fn(&Measured) -> f64| {
            let mut values: Vec<f64> = measured.iter().map(value).collect();
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
        };
        let (seconds, speed, cpu) = (median(|m| m.seconds), median(|m| m.tokens_per_s), median(|m| m.cpu_s));
        let memory = median(|m| m.memory_mb);
        println!("{name:8} {seconds:>10.4} {speed:>12.0} {cpu:>8.3} {memory:>10.0}");
        medians.push((speed, memory));
    }
    let [full, equal, torch, trl] = medians.as_slice() else { return Err("four are measured".into()) };
    let losses = |at: usize| all.get(at).and_then(|(_, measured)| measured.first()).map(|first| first.losses.clone());
    let (own, peers) = (losses(0).unwrap_or_default(), losses(2).unwrap_or_default());
    let farthest = own.iter().zip(&peers).map(|(own, peer)| (own - peer).abs()).fold(0.0, f64::max);
    println!("losses of full and of the plain loop differ by at most {farthest:.1e}");
    if own.len() != peers.len() || farthest.is_nan() || farthest > 1e-3 {
        return Err(format!("not the same updates: {own:?} and {peers:?}").into());
    }
    println!("equal work: ratio_torch={:.2} ratio_trl={:.2}", equal.0 / torch.0, equal.0 / trl.0);
    println!("ratio_torch={:.2} ratio_trl={:.2} memory={:.2}", full.0 / torch.0, full.0 / trl.0, full.1 / torch.1);
    Ok(())
}

fn last_line(command: &mut Command) -> Result<String, Failure> {
    let output = command.output()?;
    if !output.status.success() {
        return Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().next_back().unwrap_or_default().to_owned())
}

/// DPO on consecutive pairs.
struct Pairs {
    reference: Vec<f64>,
    tokens: usize,
}

impl Judge for Pairs {
    fn together(&self) -> usize {
        2
    }

    fn judge(&mut self, sums: &[f64]) -> Result<Judgement, TrainError> {
        let sums: Vec<SequenceLogProbs> = sums
            .iter()
            .zip(&self.reference)
            .map(|(&policy, &reference)| SequenceLogProbs { policy, reference, tokens: self.tokens, turns: 1 })
            .collect();
        let pairs: Vec<_> = sums.as_chunks::<2>().0.iter().map(|&[chosen, rejected]| (chosen, rejected)).collect();
        let evaluation = Dpo::default().evaluate(&pairs).map_err(|source| TrainError::Objective {
            step: 0,
            source,
            sequences: String::new(),
        })?;
        let weights = evaluation.weights.into_iter().flat_map(|(chosen, rejected)| [chosen, rejected]).collect();
        Ok(Judgement { loss: evaluation.loss, weights, metrics: evaluation.metrics })
    }
}

/// `full` caches the reference and computes the prompt of a pair once; `equal` does neither: its reference is computed in
/// every update, and its prompts are all different.
fn measure(variant: &str, directory: &Path) -> Result<Measured, Failure> {
    let device = Device::default();
    let start: Decoder = checkpoint::load(directory, &device)?;
    let Batch { mut ids, prompt } = serde_json::from_slice(&std::fs::read(directory.join("batch.json"))?)?;
    let pairs = ids.len() / 2;
    if variant == "equal" {
        for ids in ids.iter_mut().skip(pairs) {
            ids.iter_mut().take(prompt).for_each(|id| *id = 4095 - *id);
        }
    }
    let sequence = |row: usize| {
        let ids = ids.get(row).cloned().unwrap_or_default();
        let actions = (0..ids.len()).map(|at| at >= prompt).collect();
        Sequence::new(row.to_string(), ids, actions)
    };
    let order = (0..pairs).flat_map(|pair| [pair, pairs + pair]);
    let sequences = order.map(sequence).collect::<Result<Vec<_>, _>>()?;
    let sequences: Vec<&Sequence> = sequences.iter().collect();
    let tokens: usize = sequences.iter().map(|sequence| sequence.ids().len()).sum();
    let mut judge =
        Pairs { reference: frozen_sums(&start, &sequences, 64), tokens: ids.first().map_or(0, Vec::len) - prompt };
    let mut learner = Learner::new(start.clone(), &OptimizerConfig::default(), &device, 64);
    let reference = (variant == "equal").then_some(start);
    let (mut seconds, mut used, mut losses) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..WARMUP + STEPS {
        let (clock, before) = (Instant::now(), cpu_seconds());
        if let Some(reference) = &reference {
            judge.reference = frozen_sums(reference, &sequences, 64);
        }
        let outcome = learner.step(&sequences, 1e-5, Pairs { reference: judge.reference.clone(), ..judge })?;
        losses.push(outcome.loss);
        seconds.push(clock.elapsed().as_secs_f64());
        used.push(cpu_seconds() - before);
    }
    let median = |values: &mut Vec<f64>| {
        let mut timed = values.split_off(WARMUP);
        timed.sort_by(f64::total_cmp);
        timed.get(STEPS / 2).copied().unwrap_or(f64::NAN)
    };
    let seconds = median(&mut seconds);
    let tokens_per_s = tokens as f64 / seconds;
    Ok(Measured { seconds, tokens_per_s, cpu_s: median(&mut used), memory_mb: peak_mb(), losses })
}

/// Processor time of all threads.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

fn peak_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)).and_then(|number| number.parse::<f64>().ok());
    kib.unwrap_or(f64::NAN) / 1024.0
}

/// GFLOP/s of burn's product, `x W^T`.
fn products() -> serde_json::Map<String, serde_json::Value> {
    let device = Device::default();
    let rate = |[rows, inner, columns]: [usize; 3]| {
        let (left, right) = (Tensor::<2>::ones([rows, inner], &device), Tensor::<2>::ones([columns, inner], &device));
        let mut best = f64::INFINITY;
        for _ in 0..10 {
            let clock = Instant::now();
            let product = left.clone().matmul(right.clone().transpose());
            best = best.min(clock.elapsed().as_secs_f64());
            drop(product);
        }
        (format!("{rows}x{inner}x{columns}"), (2e-9 * (rows * inner * columns) as f64 / best).into())
    };
    [[1024, 1024, 1024], [2048, 256, 1024], [2048, 1024, 256]].map(rate).into_iter().collect()
}
