//! `trajectories import`: from other agents.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs::File;
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use entropo_core::format::r2e::R2eRun;
use entropo_core::format::swe_bench::RunReport;
use entropo_core::format::{Carried, Items, RowError, document, mini_swe_agent, swe_agent};
use entropo_core::{RolloutId, Trajectory};
use serde_json::Value;
use train::NewFile;

use crate::Program;
use crate::files::{Losses, of_file};

/// A file of one trajectory has no more bytes.
const LIMIT: usize = 1 << 30;

/// Reads other agents' trajectories into a file of our own, which `judge`, `view` and `trajectories rows` read.
///
/// What another agent's file has no word for here is named and counted. Several runs of one task are numbered in the order
/// of the files' names.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Files, or directories of which all files of the agent are read, those below included.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Who wrote them.
    #[arg(long, value_enum)]
    from: Program,
    /// The report of SWE-bench's harness on them, which says what is solved. It judges one run of a task; R2E-Gym's files
    /// say so themselves.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Where they go, one a line; a file that is there is kept, and refused.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> Result<String, Box<dyn Error>> {
    let Arguments { files, from, report, to } = arguments;
    if report.is_some() && *from == Program::R2e {
        return Err("R2E-Gym's files say themselves what is solved; leave --report out".into());
    }
    let mut out = NewFile::begin(to)?;
    let report = report.as_deref().map(read_report).transpose()?;
    let (mut numbers, mut losses) = (Numbers::default(), Losses::default());
    let (mut written, mut judged, mut solved) = (0, 0, 0);
    for path in all(files, *from)? {
        each(&path, *from, &mut numbers, |carried| {
            let mut trajectory = losses.count(carried);
            if let Some(reward) = report.as_ref().and_then(|report| report.reward(&trajectory.id.task)) {
                if trajectory.id.rollout > 0 {
                    let words = "which the report judges, has several runs; import each with its own report";
                    return Err(format!("{}, {words}", trajectory.id.task).into());
                }
                trajectory.outcome.reward = Some(reward);
            }
            written += 1;
            judged += usize::from(trajectory.outcome.reward.is_some());
            solved += usize::from(trajectory.is_solved());
            serde_json::to_writer(&mut out, &trajectory)?;
            Ok(out.write_all(b"\n")?)
        })
        .map_err(|error| of_file(&path, error))?;
    }
    if written == 0 {
        return Err("there is no trajectory in what was named".into());
    }
    out.keep()?;
    Ok(format!("{}: {written} trajectories, {judged} judged, {solved} solved{losses}", to.display()))
}

fn read_report(path: &Path) -> Result<RunReport, Box<dyn Error>> {
    let read = || -> Result<RunReport, Box<dyn Error>> {
        Ok(RunReport::read(&document(BufReader::new(File::open(path)?), LIMIT)?)?)
    };
    read().map_err(|error| of_file(path, error))
}

/// Every trajectory of a file.
fn each(
    path: &Path,
    from: Program,
    numbers: &mut Numbers,
    mut take: impl FnMut(Carried<Trajectory>) -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let reader = BufReader::new(File::open(path)?);
    if from == Program::R2e {
        for run in Items::new(reader, R2eRun::read) {
            let run = run?;
            take(run.to_trajectory(numbers.next(run.task()))?)?;
        }
        return Ok(());
    }
    let file = document(reader, LIMIT)?;
    let task = mini_swe_agent::task(&file).map_or_else(|| stem(path), str::to_owned);
    let read: fn(&Value, RolloutId) -> Result<Carried<Trajectory>, RowError> =
        if from == Program::SweAgent { swe_agent::read } else { mini_swe_agent::read };
    let number = numbers.next(&task);
    take(read(&file, RolloutId::new(task, number))?)
}

/// How many rollouts of each task were read.
#[derive(Default)]
struct Numbers(BTreeMap<String, usize>);

impl Numbers {
    fn next(&mut self, task: &str) -> usize {
        let number = self.0.entry(task.to_owned()).or_default();
        *number += 1;
        *number - 1
    }
}

/// A file's name without what tells the agent.
fn stem(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let cut = [".traj.json", ".traj", ".json"].into_iter().find_map(|ending| name.strip_suffix(ending));
    cut.unwrap_or(&name).to_owned()
}

/// Files, and the agent's files in directories, in the order of their names.
fn all(files: &[PathBuf], from: Program) -> Result<BTreeSet<PathBuf>, Box<dyn Error>> {
    let mut found = BTreeSet::new();
    for path in files {
        if path.is_dir() {
            below(path, from, &mut found)?;
        } else {
            found.insert(path.clone());
        }
    }
    if found.is_empty() {
        return Err(format!("there is no file with the ending {} in what was named", ending(from)).into());
    }
    Ok(found)
}

fn below(directory: &Path, from: Program, found: &mut BTreeSet<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in directory.read_dir().map_err(|error| of_file(directory, error))? {
        let entry = entry.map_err(|error| of_file(directory, error))?;
        let (path, kind) = (entry.path(), entry.file_type().map_err(|error| of_file(directory, error))?);
        if kind.is_dir() {
            below(&path, from, found)?;
        } else if entry.file_name().to_string_lossy().ends_with(ending(from)) {
            found.insert(path);
        }
    }
    Ok(())
}

fn ending(from: Program) -> &'static str {
    match from {
        Program::R2e => ".jsonl",
        Program::SweAgent => ".traj",
        Program::MiniSweAgent => ".traj.json",
    }
}
