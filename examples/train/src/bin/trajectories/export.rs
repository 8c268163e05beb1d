//! `trajectories export`: to other agents.

use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use entropo_core::format::export::ExportError;
use entropo_core::format::r2e::R2eRun;
use entropo_core::format::{Carried, mini_swe_agent, swe_agent};
use entropo_core::{RolloutId, Trajectory};
use serde_json::Value;
use train::NewFile;
use train::judge::attempts;

use crate::Program;
use crate::files::Losses;

/// Writes stored trajectories as another agent would, for its inspector and its scripts.
///
/// What the other format has no place for is named and counted; what it cannot say at all is refused, and nothing is
/// written.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Files of stored trajectories.
    #[arg(required = true)]
    trajectories: Vec<PathBuf>,
    /// Who is to read them.
    #[arg(long, value_enum)]
    format: Program,
    /// Where they go: a file for R2E-Gym; a directory for the others, with a file for each. What is there is kept, and
    /// refused.
    #[arg(long)]
    to: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> Result<String, Box<dyn Error>> {
    let Arguments { trajectories, format, to } = arguments;
    let stored = attempts::read(trajectories)?;
    let mut losses = Losses::default();
    let mut carry = |trajectory: &Trajectory| -> Result<Value, Box<dyn Error>> {
        let carried = written(trajectory, *format).map_err(|error| format!("{}: {error}", trajectory.id))?;
        Ok(losses.count(carried))
    };
    if *format == Program::R2e {
        let mut out = NewFile::begin(to)?;
        for trajectory in &stored {
            writeln!(out, "{}", carry(trajectory)?)?;
        }
        out.keep()?;
    } else {
        let ending = if *format == Program::SweAgent { "traj" } else { "traj.json" };
        let files = stored.iter().map(|one| Ok((to.join(name(&one.id, ending)), carry(one)?)));
        put(to, &files.collect::<Result<Vec<_>, Box<dyn Error>>>()?)?;
    }
    Ok(format!("{}: {} trajectories{losses}", to.display(), stored.len()))
}

fn written(trajectory: &Trajectory, format: Program) -> Result<Carried<Value>, ExportError> {
    match format {
        Program::R2e => {
            let Carried { value, lost, .. } = R2eRun::of_trajectory(trajectory)?;
            Ok(Carried { value: serde_json::to_value(value).unwrap_or_default(), lost })
        }
        Program::SweAgent => swe_agent::write(trajectory),
        Program::MiniSweAgent => mini_swe_agent::write(trajectory),
    }
}

/// The name of a rollout's file; a task's name may have anything in it.
fn name(RolloutId { task, rollout, .. }: &RolloutId, ending: &str) -> String {
    let safe: String = task.chars().map(|c| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect();
    format!("{safe}-{rollout}.{ending}")
}

/// Writes files into a directory that has none of them.
fn put(directory: &Path, files: &[(PathBuf, Value)]) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let begun = files.iter().map(|(path, value)| Ok((NewFile::begin(path)?, value)));
    let mut begun = begun.collect::<Result<Vec<_>, Box<dyn Error>>>()?;
    for (file, value) in &mut begun {
        serde_json::to_writer_pretty(&mut *file, value)?;
        file.write_all(b"\n")?;
    }
    begun.into_iter().try_for_each(|(file, _)| Ok(file.keep()?))
}
