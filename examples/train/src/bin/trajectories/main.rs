//! `cargo run --release -p train --bin trajectories -- import|export|rows …` carries trajectories from and to other agents'
//! formats, and makes rows of them that other trainers read.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod export;
mod files;
mod import;
mod rows;

use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use train::words::with_sources;

/// Trajectories of entropo from and to those of R2E-Gym, SWE-agent and mini-swe-agent, and rows of text for other trainers
/// (docs/formats.md).
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Import(import::Arguments),
    Export(export::Arguments),
    Rows(rows::Arguments),
}

/// Whose trajectories they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Program {
    /// R2E-Gym: JSON Lines.
    R2e,
    /// SWE-agent: a `.traj` for each.
    SweAgent,
    /// mini-swe-agent: a `.traj.json` for each.
    MiniSweAgent,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Import(arguments) => import::run(&arguments),
        Command::Export(arguments) => export::run(&arguments),
        Command::Rows(arguments) => rows::run(&arguments),
    };
    match done {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {}", with_sources(&*error));
            ExitCode::FAILURE
        }
    }
}
