//! Evaluates agents: `evaluate run` has a model solve the instances of a data set, `evaluate grade` judges patches by
//! running tests, `evaluate score` scores rollouts by tests that are no secret, `evaluate reproduce` by tests that agents write
//! of the issue, `evaluate summary` tells what it took and how good
//! it was, and `evaluate export` puts the judgements into the rollouts. `docs/evaluation.md` has the whole of it.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod dataset;
mod digest;
mod environment;
mod export;
mod failure;
mod gold;
mod grade;
mod grade_log;
mod grades;
mod ground;
mod hidden;
mod judge;
mod live;
mod model;
mod plots;
mod report;
mod reproduce;
mod run;
mod score;
mod settings;
mod submit;
mod summary;
mod waves;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use failure::Failure;

/// Evaluates agents on SWE-bench, on data sets of its shape, and on tasks of one's own.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(Box<run::Arguments>),
    Grade(Box<grade::Arguments>),
    GradeLog(grade_log::Arguments),
    Score(Box<score::Arguments>),
    Reproduce(Box<reproduce::Arguments>),
    Summary(summary::Arguments),
    Export(export::Arguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::WARN).init();
    match go(Arguments::parse().command).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn go(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Run(arguments) => run::run(&arguments).await,
        Command::Grade(arguments) => grade::run(&arguments).await,
        Command::GradeLog(arguments) => grade_log::run(&arguments),
        Command::Score(arguments) => score::run(&arguments).await,
        Command::Reproduce(arguments) => reproduce::run(&arguments).await,
        Command::Export(arguments) => export::run(&arguments),
        Command::Summary(arguments) => summary::run(&arguments),
    }
}
