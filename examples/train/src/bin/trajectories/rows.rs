//! `trajectories rows`: rows of text for trainers that tokenise themselves.

use std::error::Error;
use std::fs::File;
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use entropo_core::format::{Row, RowError, dialogue_of_trajectory, dialogues_of_pair, document, export};
use entropo_core::preference::build_dialogue_pairs;
use entropo_core::{DropReport, PreferencePair, PreferenceRules, ToolSpec, Trajectory};
use serde_json::Value;
use train::{NewFile, attempts};

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
    let made = match arguments.kind {
        Kind::Pairs => pairs(&stored, &tools, arguments),
        Kind::Demonstrations => labels(&stored, &tools).demonstrations(),
        Kind::Labels => labels(&stored, &tools),
    };
    let Made { rows, .. } = &made;
    if rows.is_empty() {
        return Err(format!("of {} trajectories there is no row{}", stored.len(), made.left_out()).into());
    }
    for row in rows {
        writeln!(out, "{}", export::messages(row)?)?;
    }
    out.keep()?;
    Ok(format!("{}: {} rows of {} trajectories{}", to.display(), rows.len(), stored.len(), made.left_out()))
}

/// Rows, and what did not become one.
#[derive(Debug, Default)]
struct Made {
    rows: Vec<Row>,
    dropped: DropReport,
    /// What cannot be said in a row, and why.
    unsayable: Vec<String>,
    /// What is no demonstration.
    unsolved: usize,
}

impl Made {
    /// The wanted ones.
    fn demonstrations(self) -> Self {
        let all = self.rows.len();
        let rows: Vec<Row> = self.rows.into_iter().filter_map(Row::into_demonstration).collect();
        Self { unsolved: all - rows.len(), rows, ..self }
    }

    /// A line for each reason.
    fn left_out(&self) -> String {
        let dropped = (!self.dropped.is_empty()).then(|| self.dropped.to_string());
        let unsolved = (self.unsolved > 0).then(|| format!("{} did not solve their tasks", self.unsolved));
        let lines = dropped.into_iter().chain(unsolved).chain(self.unsayable.iter().cloned());
        lines.map(|line| format!("\n  {line}")).collect()
    }
}

fn labels(stored: &[Trajectory], tools: &[ToolSpec]) -> Made {
    let mut made = Made::default();
    for trajectory in stored {
        match dialogue_of_trajectory(trajectory, tools) {
            Ok(row) => made.rows.push(row),
            Err(RowError::Trajectory(reason)) => made.dropped.add(reason, 1),
            Err(error) => made.unsayable.push(format!("{}: {error}", trajectory.id)),
        }
    }
    made
}

fn pairs(stored: &[Trajectory], tools: &[ToolSpec], arguments: &Arguments) -> Made {
    let rules = PreferenceRules::default().with_pairs_per_task(arguments.pairs_per_task).with_seed(arguments.seed);
    let data = build_dialogue_pairs(stored, &rules);
    let mut made = Made { dropped: data.dropped, ..Made::default() };
    for PreferencePair { chosen, rejected } in data.pairs {
        match dialogues_of_pair(chosen, rejected, tools) {
            Ok(row) => made.rows.push(row),
            Err(error) => made.unsayable.push(format!("{} over {}: {error}", chosen.id, rejected.id)),
        }
    }
    made
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
