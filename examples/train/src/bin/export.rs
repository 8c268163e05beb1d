//! `cargo run --release -p train --bin export -- --format trl --to OUT.jsonl ROWS.jsonl…` writes rows as other trainers read
//! them.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::fs::File;
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use entropo_core::format::export::{self, ExportError};
use entropo_core::format::{Format, Lines, Row, parse};
use serde_json::Value;
use train::NewFile;
use train::words::with_sources;

/// Writes rows of any format that training reads as TRL, LLaMA-Factory, verl or OpenAI read them.
#[derive(Debug, Parser)]
struct Arguments {
    /// Files of rows.
    #[arg(required = true)]
    rows: Vec<PathBuf>,
    /// Who is to read them.
    #[arg(long, value_enum)]
    format: Target,
    /// Where they go; a file that is there is kept, and refused.
    #[arg(long)]
    to: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Target {
    /// TRL: `messages`, `prompt` with `chosen` and `rejected`, or `prompt`, `completion` and `label`.
    Trl,
    /// LLaMA-Factory's `sharegpt`; the entry for `dataset_info.json` is printed.
    LlamaFactory,
    /// `messages` of the OpenAI API, for verl's and others' supervised fine-tuning.
    Messages,
    /// OpenAI's own fine-tuning, supervised or of preferences.
    Openai,
    /// Token rows of our own, which nothing tokenises again.
    Tokens,
}

impl Target {
    /// Whether a file may have rows of several kinds.
    fn takes_any(self) -> bool {
        matches!(self, Self::Tokens)
    }

    fn write(self, row: &Row) -> Result<Value, ExportError> {
        match self {
            Self::Trl => export::trl(row),
            Self::LlamaFactory => export::llama_factory(row),
            Self::Messages => export::messages(row),
            Self::Openai => export::openai(row),
            Self::Tokens => export::tokens(row),
        }
    }
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
    let (mut out, mut written, mut first) = (NewFile::begin(to)?, 0, None);
    for path in &arguments.rows {
        let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
        for line in Lines::new(BufReader::new(file)) {
            let at = |error: &dyn Error| place(path, line.number, error);
            let row =
                parse(line.value.as_ref().map_err(|error| at(error))?, Format::Auto).map_err(|error| at(&error))?;
            let kind = row.record.kind();
            let before = *first.get_or_insert(kind);
            if kind != before && !arguments.format.takes_any() {
                let words = format!(
                    "a {kind:?} after rows of the kind {before:?}; who reads the file takes one: write them apart"
                );
                return Err(at(&*Box::<dyn Error>::from(words)).into());
            }
            let row_out = arguments.format.write(&row).map_err(|error| at(&error))?;
            writeln!(out, "{row_out}")?;
            written += 1;
        }
    }
    out.keep()?;
    println!("{written} rows are in {}", to.display());
    if let (Target::LlamaFactory, Some(kind)) = (arguments.format, first) {
        let name = to.file_name().unwrap_or_default().to_string_lossy();
        println!("for dataset_info.json: {}", export::dataset_info(&name, kind));
    }
    Ok(())
}

/// What is wrong, and where.
fn place(path: &Path, line: u64, error: &dyn Error) -> String {
    format!("{}, line {line}: {}", path.display(), with_sources(error))
}
