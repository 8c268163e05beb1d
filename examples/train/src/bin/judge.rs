//! `cargo run --release -p train --bin judge -- rows|head|score|report …` makes, uses and measures verifiers of attempts.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use train::judge::{JudgeError, head, report, rows, score};
use train::words::with_sources;

/// Verifiers of finished attempts: rows to train one on, a head for one, its scores for selectors, and how far to trust them
/// (docs/verifier.md).
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Rows(Box<rows::Arguments>),
    Head(Box<head::Arguments>),
    Score(Box<score::Arguments>),
    Report(Box<report::Arguments>),
}

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::WARN).init();
    match go(&Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", with_sources(&error));
            ExitCode::FAILURE
        }
    }
}

fn go(command: &Command) -> Result<(), JudgeError> {
    match command {
        Command::Rows(arguments) => println!("{}", rows::run(arguments)?),
        Command::Head(arguments) => {
            let fitted = head::run(arguments, &mut |rollout, reason| eprintln!("left out: {rollout}: {reason}"))?;
            println!("{fitted}");
        }
        Command::Score(arguments) => {
            let summary = score::run(arguments, &mut |rollout, reason| eprintln!("no score: {rollout}: {reason}"))?;
            println!("{summary}");
        }
        Command::Report(arguments) => {
            let measured = report::measure(arguments)?;
            println!("{measured}");
            report::write(arguments, &measured)?;
        }
    }
    Ok(())
}
