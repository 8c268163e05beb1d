//! `evaluate export`: rollouts with their judgements in them.

use std::collections::HashMap;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use entropo_core::{RolloutId, Trajectory};

use crate::failure::Failure;
use crate::grades;
use crate::run::files;
use crate::score::rollouts;
use crate::submit::score_rows;

/// Writes the judged rollouts of a run with their judgements and scores in them, as training and the verifier read them.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The directory of `evaluate run`, after `evaluate grade --run`.
    run: PathBuf,
    /// Where they go, one a line. What is there is replaced.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let (directory, to) = (&arguments.run, &arguments.to);
    let is_ours = |path: PathBuf| path.canonicalize().is_ok_and(|path| to.canonicalize().is_ok_and(|to| to == path));
    if is_ours(files::trajectories(directory)) {
        let words = format!("{} is what the judged rollouts are made of; name another file", to.display());
        return Err(Failure::Asked(words));
    }
    let rollouts = rollouts(directory)?;
    let grades = grades::read(directory)?;
    let mut scores = HashMap::<RolloutId, Vec<_>>::new();
    for row in score_rows(directory)? {
        scores.entry(row.rollout).or_default().push((row.name, row.value));
    }
    let whole = rollouts.len();
    let mut judged: Vec<Trajectory> = Vec::new();
    for mut rollout in rollouts {
        let Some(grade) = grades.get(&rollout.id) else { continue };
        rollout.outcome.reward = Some(f64::from(u8::from(grade.resolved)));
        rollout.outcome.scores.extend(scores.remove(&rollout.id).unwrap_or_default());
        judged.push(rollout);
    }
    if judged.is_empty() {
        let words = format!("no rollout of {} is judged; evaluate grade --run does that", directory.display());
        return Err(Failure::Asked(words));
    }
    write(to, &judged).map_err(Failure::file(to))?;
    let solved = judged.iter().filter(|one| one.is_solved()).count();
    println!("{} judged rollouts, {solved} of them resolved: {}", judged.len(), to.display());
    if judged.len() < whole {
        println!("{} are not judged and left out; evaluate grade --run judges them", whole - judged.len());
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes trajectories, all or none.
fn write(to: &Path, trajectories: &[Trajectory]) -> std::io::Result<()> {
    let directory = to.parent().filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = BufWriter::new(tempfile::NamedTempFile::new_in(directory)?);
    for trajectory in trajectories {
        serde_json::to_writer(&mut file, trajectory)?;
        file.write_all(b"\n")?;
    }
    let file = file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    file.persist(to).map(drop).map_err(|error| error.error)
}
