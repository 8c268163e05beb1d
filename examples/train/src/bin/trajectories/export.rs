//! `trajectories export`: to other agents.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use entropo_core::format::r2e::R2eRun;
use entropo_core::format::{Carried, mini_swe_agent, swe_agent};
use entropo_core::{RolloutId, Trajectory};
use serde_json::Value;
use train::{NewFile, attempts};

use crate::Program;
use crate::files::{Losses, of_file};

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
    /// Where they go: a new file for R2E-Gym; a new directory for the others, with a file for each. What is there is kept,
    /// and refused.
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
        let mut names = BTreeMap::new();
        for one in &stored {
            let name = name(&one.id, ending);
            if let Some(other) = names.insert(name.clone(), &one.id) {
                return Err(format!("{other} and {} would both be {name}; export them apart", one.id).into());
            }
        }
        let files = stored.iter().map(|one| Ok((name(&one.id, ending), carry(one)?)));
        put(to, &files.collect::<Result<Vec<_>, Box<dyn Error>>>()?)?;
    }
    Ok(format!("{}: {} trajectories{losses}", to.display(), stored.len()))
}

fn written(trajectory: &Trajectory, format: Program) -> Result<Carried<Value>, Box<dyn Error>> {
    match format {
        Program::R2e => {
            let Carried { value, lost, .. } = R2eRun::of_trajectory(trajectory)?;
            Ok(Carried { value: serde_json::to_value(value)?, lost })
        }
        Program::SweAgent => Ok(swe_agent::write(trajectory)?),
        Program::MiniSweAgent => Ok(mini_swe_agent::write(trajectory)?),
    }
}

/// The name of a rollout's file; a task's name may have anything in it.
fn name(RolloutId { task, rollout, .. }: &RolloutId, ending: &str) -> String {
    let safe: String = task.chars().map(|c| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect();
    format!("{safe}-{rollout}.{ending}")
}

/// Makes a directory of files. It is there when it is whole.
fn put(directory: &Path, files: &[(String, Value)]) -> Result<(), Box<dyn Error>> {
    if directory.exists() {
        return Err(format!("{}: it is there already; name a new directory", directory.display()).into());
    }
    let parent = directory.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let place = tempfile::tempdir_in(parent).map_err(|error| of_file(parent, error))?;
    for (name, value) in files {
        let mut file = NewFile::begin(&place.path().join(name))?;
        serde_json::to_writer_pretty(&mut file, value)?;
        file.write_all(b"\n")?;
        file.keep()?;
    }
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755))?;
    fs::rename(place.keep(), directory).map_err(|error| of_file(directory, error))
}
