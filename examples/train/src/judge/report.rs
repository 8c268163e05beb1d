//! Scores held against judgements.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use entropo_agent::select::{ScoreRow, Scores};
use entropo_agent::verifier::VERIFIER;
use entropo_core::plot::{self, Verifier};
use entropo_core::stats::{Prediction, Temperature, logit};
use entropo_core::{JsonlStore, RolloutId};
use entropo_train::checkpoint::write_file;

use super::calibration_file::CalibrationFile;
use super::error::{JudgeError, write_json};
use super::measured::Measured;
use super::scores_file::About;
use crate::attempts;

/// A probability tells logits apart up to here: 1 is the nearest number to those of more.
const LOGIT: f64 = 36.0;

/// Tells how far a verifier can be trusted: AUROC over all attempts and within tasks, the calibration error, the Brier
/// score and the reliability curve, before and after a temperature.
///
/// The temperature is fitted on one half of the tasks, and everything about calibration is measured on the other half.
/// Intervals are 95 %, over tasks; with fewer than about 20 tasks they are too narrow.
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    /// Stored attempts with rewards; those without are left out.
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub trajectories: Vec<PathBuf>,
    /// Scores of `judge score`, or other rows of the name `verifier` that are probabilities.
    #[arg(long, value_name = "FILE")]
    pub scores: PathBuf,
    /// Draws the reliability curve, as `reliability.svg` in this directory.
    #[arg(long, value_name = "DIRECTORY")]
    pub plots: Option<PathBuf>,
    /// Writes the temperature for `judge score --calibration`.
    #[arg(long, value_name = "FILE")]
    pub fit: Option<PathBuf>,
    /// Writes all numbers as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Governs in which half a task is.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

/// Measures the scores.
///
/// # Errors
/// Files that cannot be read, scores that are none, and nothing that is judged and has a score.
pub fn measure(arguments: &Arguments) -> Result<Measured, JudgeError> {
    for path in arguments.json.iter().chain(&arguments.fit) {
        let is =
            |input: &PathBuf| path.canonicalize().is_ok_and(|path| input.canonicalize().is_ok_and(|one| one == path));
        if arguments.trajectories.iter().chain([&arguments.scores]).any(is) {
            return Err(JudgeError::Input { path: path.clone() });
        }
    }
    let attempts = attempts::read(&arguments.trajectories)?;
    let (scores, about) = (read(&arguments.scores)?, About::of(&arguments.scores)?);
    let written = about.as_ref().map_or(Temperature::ONE, |about| about.temperature);
    let mut judged = 0;
    let mut tasks = BTreeMap::<String, Vec<Prediction>>::new();
    for attempt in attempts.iter().filter(|attempt| attempt.outcome.reward.is_some()) {
        judged += 1;
        let Some(value) = scores.get(&attempt.id, VERIFIER) else { continue };
        let logit = logit(value).clamp(-LOGIT, LOGIT) * written.value();
        tasks.entry(attempt.id.task.clone()).or_default().push(Prediction { logit, solved: attempt.is_solved() });
    }
    if tasks.is_empty() {
        return Err(JudgeError::Nothing {
            what: format!("of {} attempts, {judged} are judged, and none of these has a score", attempts.len()),
            hint: "name judged trajectories and the scores that `judge score` wrote of them",
        });
    }
    let verifier = about.map(|about| about.verifier);
    Ok(Measured::new(tasks.into_iter().collect(), judged, written, verifier, arguments.seed)?)
}

/// Writes the files that are asked for.
///
/// # Errors
/// Files that cannot be written, and a temperature that is asked for and cannot be fitted.
pub fn write(arguments: &Arguments, measured: &Measured) -> Result<(), JudgeError> {
    let held_out = &measured.held_out;
    let calibration = match (&arguments.fit, held_out.temperature) {
        (None, _) => None,
        (Some(path), Some(temperature)) => {
            Some((path, CalibrationFile::new(temperature, held_out.fitted_on, measured.verifier.clone())))
        }
        (Some(path), None) => {
            let reason = held_out.without_temperature.clone().unwrap_or_default();
            return Err(JudgeError::NoTemperature { path: path.clone(), reason });
        }
    };
    if let Some(path) = &arguments.json {
        write_json(path, measured)?;
    }
    if let Some(directory) = &arguments.plots {
        let after = held_out.after.iter().map(|after| ("with the fitted temperature", after));
        let curves = std::iter::once(("as it is", &held_out.before)).chain(after);
        let curves =
            curves.map(|(name, calibration)| Verifier { name: name.to_owned(), bins: calibration.reliability.clone() });
        let drawing = plot::reliability("Share solved against predicted", &curves.collect::<Vec<_>>())?;
        write_file(&directory.join("reliability.svg"), drawing.svg().as_bytes())?;
    }
    calibration.map_or(Ok(()), |(path, calibration)| calibration.write(path))
}

/// The verifier's scores in a file.
fn read(path: &Path) -> Result<Scores, JudgeError> {
    attempts::exists(path, "a file of scores, such as `judge score` writes")?;
    let mut scores = Scores::new();
    for ScoreRow { rollout, name, value } in JsonlStore::<ScoreRow>::open(path)?.into_records() {
        if name != VERIFIER {
            continue;
        }
        check(path, &rollout, value)?;
        let refused = |source| JudgeError::Scores { path: path.to_owned(), source };
        scores.insert(rollout, name, value).map_err(refused)?;
    }
    Ok(scores)
}

fn check(path: &Path, rollout: &RolloutId, value: f64) -> Result<(), JudgeError> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    Err(JudgeError::NotProbability { path: path.to_owned(), rollout: rollout.clone(), value })
}
