//! `cargo run --release -p train --bin merge -- --base MODEL --adapter DIRECTORY --to DIRECTORY` makes one checkpoint of a
//! base and what was learned over it.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use entropo_train::adapter::Adapter;
use entropo_train::burn::tensor::{Device, FloatDType};
use entropo_train::checkpoint::{SaveOptions, load, save};
use train::{Failure, model};

/// Adds an adapter to its base's weights, so that the next stage, or any other tool, can start from the result.
#[derive(Debug, Parser)]
struct Arguments {
    /// The adapter's base: a checkpoint directory, or `org/name` of the Hugging Face hub.
    #[arg(long)]
    base: String,
    /// The adapter's directory: `last` or `best` of a run, or any that PEFT has written.
    #[arg(long)]
    adapter: PathBuf,
    /// Where the checkpoint goes; a checkpoint that is there is replaced.
    #[arg(long)]
    to: PathBuf,
    /// The type of the weights in the file.
    #[arg(long, value_enum, default_value_t = Type::F32)]
    dtype: Type,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Type {
    /// 32 bits.
    F32,
    /// 16 bits with f32's range.
    Bf16,
    /// 16 bits with more digits and a smaller range.
    F16,
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

fn go(arguments: &Arguments) -> Result<(), Failure> {
    let base = model::resolve(&arguments.base)?;
    let decoder = load(&base, &Device::default())?;
    let adapter = Adapter::load(&arguments.adapter, &decoder)?;
    let merged = decoder.with_adapter(&adapter)?.merge();
    let dtype = match arguments.dtype {
        Type::F32 => FloatDType::F32,
        Type::Bf16 => FloatDType::BF16,
        Type::F16 => FloatDType::F16,
    };
    let options = SaveOptions { dtype: Some(dtype), companions: Some(base), ..SaveOptions::default() };
    save(&merged, &arguments.to, &options)?;
    println!("{} changes are in {}", adapter.parameters(), arguments.to.display());
    Ok(())
}
