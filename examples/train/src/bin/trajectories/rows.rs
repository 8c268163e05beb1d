//! `trajectories rows`: rows of text for trainers that tokenise themselves.

use std::error::Error;
use std::fs::File;
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use entropo_core::format::{Row, dialogue_of_trajectory, dialogues_of_pair, document, export};
use entropo_core::preference::build_dialogue_pairs;
use entropo_core::{DropReport, PreferenceRules, ToolSpec, Trajectory};
use serde_json::Value;
use train::NewFile;
use train::judge::attempts;

use crate::files::of_file;

/// A list of tools has no more bytes.
const LIMIT: usize = 1 << 24;

/// Makes rows of text out of judged trajectories, for TRL, LLaMA-Factory and verl.
///
/// `export` brings them into each one's own format. Training here reads stored trajectories as they are, with the tokens
/// that were sampled: text that is tokenised again is not always what the model wrote.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Files of stored trajectories with rewards.
    #[arg(required = true)]
    trajectories: Vec<PathBuf>,
    /// What is made of them.
    #[arg(long, value_enum)]
    kind: Kind,
    /// The tools that the model was told of, a JSON list as the OpenAI API takes it; rows have no tools without it.
    #[arg(long, value_name = "FILE")]
    tools: Option<PathBuf>,
    /// Pairs of a task at most.
    #[arg(long, value_name = "NUMBER", default_value_t = PreferenceRules::default().pairs_per_task)]
    pairs_per_task: usize,
    /// Governs which pairs are drawn.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Where they go; a file that is there is kept, and refused.
    #[arg(long)]
    to: PathBuf,
}

/// What rows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// The solved ones, for supervised fine-tuning.
    Demonstrations,
    /// All, with whether they solved their tasks, for KTO.
    Labels,
    /// A solved one and one that is not, of the same task, for DPO.
    Pairs,
}

pub(crate) fn run(arguments: &Arguments) -> Result<String, Box<dyn Error>> {
    let to = &arguments.to;
    let mut out = NewFile::begin(to)?;
    let stored = attempts::read(&arguments.trajectories)?;
    let tools = arguments.tools.as_deref().map(read_tools).transpose()?.unwrap_or_default();
    let (rows, dropped) = match arguments.kind {
        Kind::Pairs => pairs(&stored, &tools, arguments)?,
        Kind::Demonstrations => {
            let (rows, dropped) = labels(&stored, &tools)?;
            (rows.into_iter().filter_map(Row::into_demonstration).collect(), dropped)
        }
        Kind::Labels => labels(&stored, &tools)?,
    };
    if rows.is_empty() {
        return Err(format!("of {} trajectories there is no row; {dropped}", stored.len()).into());
    }
    for row in &rows {
        writeln!(out, "{}", export::messages(row)?)?;
    }
    out.keep()?;
    let mut said = format!("{}: {} rows of {} trajectories", to.display(), rows.len(), stored.len());
    if !dropped.is_empty() {
        said += &format!("\n{dropped}");
    }
    Ok(said)
}

fn labels(stored: &[Trajectory], tools: &[ToolSpec]) -> Result<(Vec<Row>, DropReport), Box<dyn Error>> {
    let (mut rows, mut dropped) = (Vec::new(), DropReport::default());
    for trajectory in stored {
        match dialogue_of_trajectory(trajectory, tools) {
            Ok(row) => rows.push(row),
            Err(entropo_core::format::RowError::Trajectory(reason)) => dropped.add(reason, 1),
            Err(error) => return Err(format!("{}: {error}", trajectory.id).into()),
        }
    }
    Ok((rows, dropped))
}

fn pairs(
    stored: &[Trajectory],
    tools: &[ToolSpec],
    arguments: &Arguments,
) -> Result<(Vec<Row>, DropReport), Box<dyn Error>> {
    let rules = PreferenceRules::default().with_pairs_per_task(arguments.pairs_per_task).with_seed(arguments.seed);
    let data = build_dialogue_pairs(stored, &rules);
    let row = |pair: &entropo_core::PreferencePair<'_>| {
        dialogues_of_pair(pair.chosen, pair.rejected, tools)
            .map_err(|error| format!("{} over {}: {error}", pair.chosen.id, pair.rejected.id).into())
    };
    let rows = data.pairs.iter().map(row).collect::<Result<Vec<Row>, Box<dyn Error>>>()?;
    Ok((rows, data.dropped))
}

/// Tools as the API takes them, or as we keep them.
fn read_tools(path: &Path) -> Result<Vec<ToolSpec>, Box<dyn Error>> {
    let read = || -> Result<Vec<ToolSpec>, Box<dyn Error>> {
        let list = document(BufReader::new(File::open(path)?), LIMIT)?;
        let list = list.as_array().ok_or("it is no list of tools")?;
        let tool = |tool: &Value| Ok(serde_json::from_value(tool.get("function").unwrap_or(tool).clone())?);
        list.iter().map(tool).collect()
    };
    read().map_err(|error| of_file(path, error))
}
