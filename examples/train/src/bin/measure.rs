//! `cargo run --release -p train --bin measure -- --model MODEL --to OUT.jsonl ROLLOUTS.jsonl…` computes what a trace does not
//! hold of its action tokens, for `view --measures`.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use entropo_agent::view::{MeasuredSegment, Measures};
use entropo_core::{Segment, Trajectory};
use entropo_train::adapter::Adapter;
use entropo_train::checkpoint::load;
use entropo_train::data::{Batch, Sequence};
use entropo_train::decoder::Decoder;
use entropo_train::logprob::score;
use indicatif::{ProgressBar, ProgressStyle};
use train::{NewFile, attempts, device, model};

/// Computes the entropy of each action token under a model, and how much likelier the model makes it than a reference.
#[derive(Debug, Parser)]
struct Arguments {
    /// Files of rollouts with tokens.
    #[arg(required = true)]
    rollouts: Vec<PathBuf>,
    /// The policy: a checkpoint directory, or `org/name` of the Hugging Face hub.
    #[arg(long)]
    model: String,
    /// An adapter over the policy. The model without it is the reference then, unless --reference names another.
    #[arg(long, value_name = "DIR")]
    adapter: Option<PathBuf>,
    /// The reference policy. Without it and without an adapter only entropies are computed.
    #[arg(long, value_name = "MODEL")]
    reference: Option<String>,
    /// Where to compute, such as `cpu` or `cuda:1`.
    #[arg(long)]
    device: Option<String>,
    /// Where the measures go; a file that is there is kept, and refused.
    #[arg(long)]
    to: PathBuf,
}

fn main() -> ExitCode {
    match go(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn go(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let to = &arguments.to;
    let (mut out, mut written) = (NewFile::begin(to)?, 0);
    let rollouts = attempts::read(&arguments.rollouts)?;
    let (policy, reference) = models(arguments)?;
    let bar = ProgressBar::new(rollouts.len() as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} rollouts, {eta} left") {
        bar.set_style(style);
    }
    for rollout in &rollouts {
        for (number, segment) in rollout.trace.segments().iter().enumerate() {
            let measures = measures(rollout, segment, &policy, reference.as_ref())?;
            let row = MeasuredSegment { rollout: rollout.id.clone(), segment: number, measures };
            serde_json::to_writer(&mut out, &row)?;
            out.write_all(b"\n")?;
            written += 1;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    if written == 0 {
        return Err("no rollout has tokens; record them (`evaluate run --tokens`, or a local model)".into());
    }
    out.keep()?;
    println!("{written} segments are measured: {}", to.display());
    Ok(())
}

/// The policy and the reference.
fn models(arguments: &Arguments) -> Result<(Decoder, Option<Decoder>), Box<dyn Error>> {
    let device = device::open(arguments.device.as_deref())?;
    let base = load(&model::resolve(&arguments.model)?, &device)?;
    let named = arguments.reference.as_deref().map(model::resolve).transpose()?;
    let named = named.map(|directory| load(&directory, &device)).transpose()?;
    let Some(directory) = &arguments.adapter else { return Ok((base, named)) };
    let adapter = Adapter::load(directory, &base)?;
    let policy = base.clone().with_adapter(&adapter)?;
    Ok((policy, named.or(Some(base))))
}

fn measures(
    rollout: &Trajectory,
    segment: &Segment,
    policy: &Decoder,
    reference: Option<&Decoder>,
) -> Result<Measures, Box<dyn Error>> {
    let mut actions = vec![false; segment.ids.len()];
    for span in &segment.actions {
        actions.get_mut(span.start..span.end).unwrap_or_default().fill(true);
    }
    let sequence = Sequence::new(rollout.id.to_string(), segment.ids.clone(), actions)?;
    let scores = |decoder: &Decoder| -> Result<[Vec<f32>; 2], Box<dyn Error>> {
        let config = decoder.config();
        sequence.check(config.vocab_size, config.max_position_embeddings)?;
        let batch = Batch::new(&[&sequence], &decoder.device());
        let scores = score(decoder, &batch, 1.0, None);
        Ok([&scores.logprobs, &scores.entropies].map(|values| batch.by_sequence(values).concat()))
    };
    let [of_policy, entropy] = scores(policy)?;
    let of_reference = reference.map(scores).transpose()?.map(|[logprobs, _]| logprobs).unwrap_or_default();
    let reference_gap = of_policy.iter().zip(of_reference).map(|(policy, reference)| policy - reference).collect();
    Ok(Measures { entropy, reference_gap })
}
