//! A head, fitted and measured.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use clap::{ArgGroup, Args};
use entropo_agent::rollout_seed;
use entropo_agent::verifier::MissingScore;
use entropo_core::stats::{Prediction, Temperature};
use entropo_core::{RolloutId, Trajectory};
use entropo_train::verifier::{HEAD, Head, HeadFit, HeadReport, LocalVerifier};

use super::error::JudgeError;
use super::local::LocalArguments;
use super::measured::{Measured, Part};
use super::question::Question;
use super::score::PIECE;
use crate::attempts;
use crate::failure::Failure;
use crate::plan::bar;

/// Fits a linear head, which judges in the place of the words, to one half of the tasks, and measures it on the other.
///
/// The head reads the hidden state at the place of the answer of a model that stays as it is, with the adapter that it has. It
/// is for that model and that adapter alone, and says so. Give attempts that the adapter was not trained on, or the head will
/// believe the adapter.
#[derive(Clone, Debug, Args)]
#[command(group(ArgGroup::new("verifier").required(true).args(["model"])))]
pub struct Arguments {
    /// Stored attempts with rewards; those without are left out.
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub trajectories: Vec<PathBuf>,
    /// The directory that the head is written to, the adapter's say; one that is there is kept, and refused.
    #[arg(long, value_name = "DIRECTORY")]
    pub to: PathBuf,
    /// The model.
    #[command(flatten)]
    pub local: LocalArguments,
    /// What it is asked.
    #[command(flatten)]
    pub question: Question,
    /// How much large weights cost, above 0; more of it where attempts are few.
    #[arg(long, value_name = "NUMBER", default_value_t = HeadFit::default().penalty)]
    pub penalty: f64,
    /// Governs in which half a task is.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

/// What was fitted, and how far it can be trusted.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Fitted {
    /// The head's file.
    pub to: PathBuf,
    /// What it was fitted to.
    pub fitted_on: Part,
    /// Judged attempts that have no hidden state.
    pub missing: usize,
    /// How well it fits these.
    pub report: HeadReport,
    /// What it says of the other tasks.
    pub held_out: Measured,
}

/// The judged attempts of a task that have a hidden state.
#[derive(Default)]
struct Known {
    states: Vec<Vec<f32>>,
    solved: Vec<bool>,
}

/// Fits a head, measures it and writes it; `tell` hears of every attempt that cannot be shown.
///
/// # Errors
/// Attempts, a prompt or a model that cannot be read, a head that is there, fewer than two tasks, and attempts of one kind.
pub fn run(arguments: &Arguments, tell: &mut dyn FnMut(&RolloutId, &MissingScore)) -> Result<Fitted, JudgeError> {
    let to = arguments.to.join(HEAD);
    if to.exists() {
        let source = std::io::Error::other("it is there already; name another directory");
        return Err(Failure::File { path: to, source }.into());
    }
    let mut attempts = attempts::read(&arguments.trajectories)?;
    attempts.retain(|attempt| attempt.outcome.reward.is_some());
    attempts.sort_by(|one, other| one.id.cmp(&other.id));
    let judged = attempts.len();
    let name = arguments.local.model.as_deref().unwrap_or_default();
    let (prepared, _) = arguments.local.prepare(name, &arguments.question, None)?;
    let (verifier, basis) = prepared.load_to_fit()?;
    let known = read(&verifier, &attempts, tell);
    let with_state: usize = known.iter().map(|(_, known)| known.solved.len()).sum();
    let [fit, measure] = halves(known, arguments.seed);
    if measure.is_empty() {
        return Err(JudgeError::Nothing {
            what: format!("of {judged} judged attempts, {with_state} can be shown, all of one task or none"),
            hint: "give judged attempts at several tasks, so that the head can be measured on others than it learned from",
        });
    }
    let fitted_on = Part { tasks: fit.len(), attempts: fit.iter().map(|(_, known)| known.solved.len()).sum() };
    let states: Vec<Vec<f32>> = fit.iter().flat_map(|(_, known)| known.states.clone()).collect();
    let solved: Vec<bool> = fit.iter().flat_map(|(_, known)| known.solved.clone()).collect();
    let settings = HeadFit { penalty: arguments.penalty, ..HeadFit::default() };
    let (head, report) = Head::fit(&states, &solved, settings)?;
    let mut tasks = Vec::new();
    for (task, known) in &measure {
        let logits = known.states.iter().map(|state| head.logit(state)).collect::<Result<Vec<f64>, _>>()?;
        let predictions = logits.into_iter().zip(&known.solved).map(|(logit, &solved)| Prediction { logit, solved });
        tasks.push((task.clone(), predictions.collect()));
    }
    let others = judged - fitted_on.attempts;
    let held_out = Measured::new(tasks, others, Temperature::ONE, None, arguments.seed)?;
    std::fs::create_dir_all(&arguments.to).map_err(JudgeError::file(&arguments.to))?;
    head.save(&arguments.to, &basis)?;
    Ok(Fitted { to, fitted_on, missing: judged - with_state, report, held_out })
}

/// The hidden states of attempts, by task, a few attempts of one task at a time.
fn read(
    verifier: &LocalVerifier,
    attempts: &[Trajectory],
    tell: &mut dyn FnMut(&RolloutId, &MissingScore),
) -> Vec<(String, Known)> {
    let bar = bar("attempts", "{pos}/{len}");
    bar.set_length(attempts.len() as u64);
    let mut tasks = BTreeMap::<String, Known>::new();
    let pieces = attempts.chunk_by(|one, other| one.id.task == other.id.task).flat_map(|task| task.chunks(PIECE));
    for piece in pieces {
        let states = verifier.hidden(&piece.iter().collect::<Vec<_>>());
        for (attempt, (rollout, state)) in piece.iter().zip(states) {
            match state {
                Ok(state) => {
                    let known = tasks.entry(rollout.task).or_default();
                    known.states.push(state);
                    known.solved.push(attempt.is_solved());
                }
                Err(reason) => bar.suspend(|| tell(&rollout, &reason)),
            }
        }
        bar.inc(piece.len() as u64);
    }
    bar.finish_and_clear();
    tasks.into_iter().collect()
}

/// Tasks to fit to and tasks to measure on, drawn by their names.
fn halves(mut tasks: Vec<(String, Known)>, seed: u64) -> [Vec<(String, Known)>; 2] {
    tasks.sort_by_cached_key(|(task, _)| (rollout_seed(seed, &RolloutId::new(task.clone(), 0)), task.clone()));
    let measure = tasks.split_off(tasks.len().div_ceil(2));
    [tasks, measure]
}

impl fmt::Display for Fitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { to, fitted_on, missing, report, held_out } = self;
        writeln!(f, "{}: fitted to {fitted_on}; {missing} judged attempts cannot be shown", to.display())?;
        writeln!(f, "loss {:.4} after {} steps, slope {:.1e}", report.loss, report.steps, report.slope)?;
        write!(f, "on tasks that it was not fitted to:\n{held_out}")
    }
}
