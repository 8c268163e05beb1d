//! Shows stored rollouts as text or as a page.
//!
//! ```sh
//! cargo run --release -p view -- rollouts.jsonl | less -R
//! cargo run --release -p view -- rollouts.jsonl --html rollouts.html --selection selection.json --tokenizer tokenizer.json
//! ```

mod input;

use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anstream::{AutoStream, ColorChoice};
use clap::Parser;
use entropo_agent::view::View;

/// Shows stored rollouts as text, or writes them as a page.
#[derive(Parser, Debug)]
struct Arguments {
    /// Rollouts, one JSON object a line. The file is only read, and may be one that is still written.
    rollouts: PathBuf,
    /// Write one HTML file that needs nothing else, in place of printing text.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// What was selected and why: one selection as JSON, or a list of them.
    #[arg(long, value_name = "FILE")]
    selection: Option<PathBuf>,
    /// The policy's tokenizer.json; without it tokens are numbers.
    #[arg(long, value_name = "FILE", requires = "html")]
    tokenizer: Option<PathBuf>,
    /// Entropies and gaps to the reference of action tokens, as `measure` writes them (docs/viewer.md).
    #[arg(long, value_name = "FILE", requires = "html")]
    measures: Option<PathBuf>,
    /// Only rollouts of this task; may be given several times.
    #[arg(long, value_name = "ID")]
    task: Vec<String>,
    /// What the page is called. Default: the name of the file.
    #[arg(long, requires = "html")]
    title: Option<String>,
    /// Bytes that are kept of each message, argument and patch.
    #[arg(long, value_name = "BYTES", default_value_t = 256 * 1024)]
    at_most: usize,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let rollouts = input::rollouts(&arguments.rollouts, &arguments.task)?;
    let selections = arguments.selection.as_deref().map(input::selections).transpose()?.unwrap_or_default();
    let tokenizer = arguments.tokenizer.as_deref().map(input::tokenizer).transpose()?;
    let name = arguments.rollouts.file_name().unwrap_or_default().to_string_lossy();
    let title = arguments.title.clone().unwrap_or_else(|| name.into_owned());
    let mut view = View::new(title, &rollouts).at_most(arguments.at_most);
    for selection in &selections {
        view = view.selection(selection);
    }
    if let Some(tokenizer) = &tokenizer {
        view = view.decoder(|ids| input::texts(tokenizer, ids));
    }
    for row in arguments.measures.as_deref().map(input::measures).transpose()?.unwrap_or_default() {
        view = view.measures(row.rollout, row.segment, row.measures);
    }
    if let Some(file) = &arguments.html {
        let page = view.html()?;
        return std::fs::write(file, page).map_err(|error| format!("cannot write {}: {error}", file.display()).into());
    }
    let mut screen = std::io::stdout().lock();
    let coloured = AutoStream::choice(&screen) != ColorChoice::Never;
    match screen.write_all(view.coloured(coloured).text().as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()), // whoever reads has seen enough
        other => Ok(other?),
    }
}
