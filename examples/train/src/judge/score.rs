//! Scores of attempts.

use std::fmt;
use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args};
use entropo_agent::CancellationToken;
use entropo_agent::model::ModelError;
use entropo_agent::verifier::{MissingScore, Scored, ServedVerifier};
use entropo_core::stats::Temperature;
use entropo_core::{RolloutId, Trajectory};
use entropo_train::verifier::LocalVerifier;
use tokio::runtime::Runtime;

use super::calibration_file::CalibrationFile;
use super::error::JudgeError;
use super::identity::Identity;
use super::local::{LocalArguments, Prepared};
use super::question::Question;
use super::scores_file::{About, ScoresFile};
use super::served::ServedArguments;
use crate::attempts;
use crate::model;
use crate::plan::bar;

/// Attempts that a model on this machine judges before they are written: what a kill can lose.
pub(super) const PIECE: usize = 8;

/// Has a verifier score attempts: `P(YES) / (P(YES) + P(NO))`, one JSON line each, as selectors read them.
///
/// The verifier is a model on this machine (--model) or behind a server (--base-url). What has a score is not scored
/// again, so the same command goes on after it was stopped. A score that cannot be had is told with its reason and not
/// written. Which verifier the scores are of is kept beside them, and another one is refused.
#[derive(Clone, Debug, Args)]
#[command(group(ArgGroup::new("verifier").required(true).args(["model", "base_url"])))]
pub struct Arguments {
    /// Stored attempts, judged or not.
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub trajectories: Vec<PathBuf>,
    /// Where the scores go, such as `scores.jsonl` beside the rollouts of `evaluate`; scores of other names may be there.
    #[arg(long)]
    pub to: PathBuf,
    /// A model on this machine.
    #[command(flatten)]
    pub local: LocalArguments,
    /// The directory of a linear head that judges in the place of the words; `judge head` writes one.
    #[arg(long, value_name = "DIRECTORY", requires = "model")]
    pub head: Option<PathBuf>,
    /// Or one behind a server.
    #[command(flatten)]
    pub served: ServedArguments,
    /// What it is asked.
    #[command(flatten)]
    pub question: Question,
    /// The temperature of the probabilities; above 1 makes them less sure. Default: 1.
    #[arg(long, value_name = "NUMBER", value_parser = temperature, conflicts_with = "calibration")]
    pub temperature: Option<Temperature>,
    /// The same from a file of `judge report --fit`.
    #[arg(long, value_name = "FILE")]
    pub calibration: Option<PathBuf>,
}

/// What became of the attempts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// The scores.
    pub to: PathBuf,
    /// Attempts that had a score before.
    pub before: usize,
    /// Attempts that were given one.
    pub scored: usize,
    /// Attempts without.
    pub missing: usize,
}

/// A verifier that is ready, all but its weights.
enum Opening<'a> {
    Local(Box<Prepared<'a>>),
    Served(Box<ServedVerifier>),
}

enum Verifier {
    Local(Box<LocalVerifier>),
    Served(Box<ServedVerifier>, Runtime),
}

fn temperature(text: &str) -> Result<Temperature, String> {
    let value: f64 = text.parse().map_err(|_| format!("{text:?} is no number"))?;
    Temperature::new(value).map_err(|error| error.to_string())
}

/// Scores what has no score yet; `tell` hears of every score that is missing.
///
/// # Errors
/// Attempts, a prompt or a verifier that cannot be read, scores of another verifier, a server that answers nothing. What
/// has a score keeps it.
pub fn run(arguments: &Arguments, tell: &mut dyn FnMut(&RolloutId, &MissingScore)) -> Result<Summary, JudgeError> {
    let attempts = attempts::read(&arguments.trajectories)?;
    if attempts.is_empty() {
        let hint = "name files with trajectories";
        return Err(JudgeError::Nothing { what: "there is no attempt to score".to_owned(), hint });
    }
    let (opening, identity) = arguments.prepare()?;
    let temperature = match &arguments.calibration {
        Some(file) => CalibrationFile::read(file, &identity)?,
        None => arguments.temperature.unwrap_or(Temperature::ONE),
    };
    let mut file = ScoresFile::open(&arguments.to, &About::new(identity, temperature))?;
    let mut left: Vec<&Trajectory> = attempts.iter().filter(|attempt| !file.has(&attempt.id)).collect();
    left.sort_by(|one, other| one.id.cmp(&other.id));
    let before = attempts.len() - left.len();
    let mut summary = Summary { to: arguments.to.clone(), before, ..Summary::default() };
    if left.is_empty() {
        return Ok(summary);
    }
    let verifier = opening.load(arguments.head.as_deref())?;
    let bar = bar("attempts", "{pos}/{len}");
    bar.set_length(left.len() as u64);
    for piece in verifier.pieces(&left, arguments.served.concurrency) {
        let scored = verifier.score(piece);
        let written = file.add(&scored)?;
        unanswered(&scored)?;
        for Scored { rollout, judgement } in &scored {
            if let Err(reason) = judgement {
                bar.suspend(|| tell(rollout, reason));
            }
        }
        summary.scored += written;
        summary.missing += scored.len() - written;
        bar.inc(piece.len() as u64);
    }
    bar.finish_and_clear();
    Ok(summary)
}

/// Refuses to go on if a server failed on every attempt of a piece: it will on the others.
fn unanswered(scored: &[Scored]) -> Result<(), JudgeError> {
    let mut last = String::new();
    for Scored { judgement, .. } in scored {
        match judgement {
            // These are about the attempt.
            Err(MissingScore::Model(ModelError::ContextFull { .. })) => return Ok(()),
            Err(MissingScore::Model(error)) => last = error.to_string(),
            _ => return Ok(()),
        }
    }
    if scored.is_empty() { Ok(()) } else { Err(JudgeError::Server { attempts: scored.len(), reason: last }) }
}

impl Arguments {
    fn prepare(&self) -> Result<(Opening<'_>, Identity), JudgeError> {
        match (&self.local.model, &self.served.base_url, &self.served.served_model) {
            (Some(model), ..) => {
                let (prepared, identity) = self.local.prepare(model, &self.question, self.head.as_deref())?;
                Ok((Opening::Local(Box::new(prepared)), identity))
            }
            (None, Some(base_url), Some(model)) => {
                let (verifier, identity) = self.served.open(base_url, model, &self.question)?;
                Ok((Opening::Served(Box::new(verifier)), identity))
            }
            _ => Err(JudgeError::Nothing {
                what: "there is no verifier".to_owned(),
                hint: "name one with --model, or with --base-url and --served-model",
            }),
        }
    }
}

impl Opening<'_> {
    fn load(self, head: Option<&Path>) -> Result<Verifier, JudgeError> {
        Ok(match self {
            Self::Local(prepared) => Verifier::Local(Box::new(prepared.load(head)?)),
            Self::Served(verifier) => Verifier::Served(verifier, model::runtime()?),
        })
    }
}

impl Verifier {
    /// Attempts that are judged together, a few of one task here, or enough to keep a server busy.
    fn pieces<'a>(&self, attempts: &'a [&'a Trajectory], concurrency: usize) -> Vec<&'a [&'a Trajectory]> {
        match self {
            Self::Local(_) => {
                let tasks = attempts.chunk_by(|one, other| one.id.task == other.id.task);
                tasks.flat_map(|task| task.chunks(PIECE)).collect()
            }
            Self::Served(..) => attempts.chunks(concurrency.max(1).saturating_mul(4)).collect(),
        }
    }

    fn score(&self, attempts: &[&Trajectory]) -> Vec<Scored> {
        match self {
            Self::Local(verifier) => verifier.score(attempts),
            Self::Served(verifier, runtime) => runtime.block_on(verifier.score(attempts, &CancellationToken::new())),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { to, before, scored, missing } = self;
        write!(f, "{}: {scored} scores are new, {before} were there, {missing} attempts have none", to.display())
    }
}
