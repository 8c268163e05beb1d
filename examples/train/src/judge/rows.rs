//! Rows to train a verifier on.

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use entropo_core::format::export;
use entropo_train::text::ChatFormat;
use entropo_train::verifier::{Balance, JudgementReport, Judgements, Judging, Learned, judgements};
use indicatif::ProgressBar;

use super::error::JudgeError;
use super::local::context;
use super::question::Question;
use crate::{NewFile, attempts, model};

/// Attempts without an example that are named one by one.
const NAMED: usize = 10;

/// Makes rows of judged attempts, from which `train` makes a verifier with `objective = "sft"`.
///
/// As many solved as failed attempts of each task, in the model's own tokens; only the answer is learned. The presets
/// `verifier.toml` take the rows as they are.
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    /// Stored attempts with rewards, such as `evaluate export` writes.
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub trajectories: Vec<PathBuf>,
    /// The model that will be trained: a checkpoint directory, or `org/name` of the Hugging Face hub. Its weights are not
    /// read.
    #[arg(long)]
    pub model: String,
    /// Where the rows go; a file that is there is kept, and refused.
    #[arg(long)]
    pub to: PathBuf,
    /// What it is asked.
    #[command(flatten)]
    pub question: Question,
    /// Attempts of each kind that a task gives at most.
    #[arg(long, value_name = "NUMBER", default_value_t = Balance::default().per_task)]
    pub per_task: usize,
    /// Tasks of each kind, all solved or all failed, that give one attempt each.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub one_sided: usize,
    /// Takes attempts, too, that the agent did not finish itself.
    #[arg(long)]
    pub unfinished: bool,
    /// Governs which attempts are taken among equals.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

/// What was written, and what was not.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Written {
    /// The file.
    pub to: PathBuf,
    /// Tasks that the rows are of.
    pub tasks: usize,
    /// Tokens that a prompt may have.
    pub budget: usize,
    /// What became of the attempts.
    pub report: JudgementReport,
}

/// Writes the rows.
///
/// # Errors
/// Attempts, a prompt or a model that cannot be read, no attempt to learn from, a file that is there or cannot be written.
pub fn run(arguments: &Arguments) -> Result<Written, JudgeError> {
    let to = &arguments.to;
    let file = NewFile::begin(to)?;
    let attempts = attempts::read(&arguments.trajectories)?;
    let directory = model::resolve(&arguments.model)?;
    let budget = arguments.question.budget(Some(context(&directory)?))?;
    let format = Arc::new(ChatFormat::from_dir(&directory)?);
    let judging = Judging::new(format, arguments.question.prompt()?, budget)?;
    let Arguments { per_task, one_sided, unfinished, seed, .. } = *arguments;
    let balance = Balance { per_task, one_sided, unfinished, seed };

    let waiting = ProgressBar::new_spinner().with_message(format!("{} attempts become tokens", attempts.len()));
    waiting.enable_steady_tick(Duration::from_millis(200));
    let made = judgements(&judging, &balance, &attempts, Learned::Right);
    waiting.finish_and_clear();
    let made = made?;
    let mut tasks: Vec<&str> = made.rollouts.iter().map(|rollout| rollout.task.as_str()).collect();
    tasks.sort_unstable();
    tasks.dedup();
    let written = Written { to: to.clone(), tasks: tasks.len(), budget, report: made.report.clone() };
    if made.examples.is_empty() {
        return Err(JudgeError::Nothing {
            what: format!("there is no row; {}", written.left_out()),
            hint: "give more attempts at the same tasks, or let tasks with one kind count with --one-sided",
        });
    }
    write(&made, file, to)?;
    Ok(written)
}

fn write(made: &Judgements, mut file: NewFile, to: &Path) -> Result<(), JudgeError> {
    for row in made.rows() {
        writeln!(file, "{}", export::tokens(&row)?).map_err(JudgeError::file(to))?;
    }
    Ok(file.keep()?)
}

impl Written {
    /// What was left out, and why.
    fn left_out(&self) -> String {
        let (balance, dropped) = (&self.report.balance, &self.report.dropped);
        let mut words = format!(
            "left out: {} that nobody judged, {} unfinished, {} of tasks with one kind only, {} more than are taken of \
             their task, {} that cannot be shown, {} whose counterpart cannot be",
            balance.unjudged,
            balance.unfinished,
            balance.one_sided,
            balance.surplus,
            dropped.len(),
            balance.chosen.saturating_sub(self.report.attempts + dropped.len()),
        );
        for (rollout, reason) in dropped.iter().take(NAMED) {
            words += &format!("\n  {rollout}: {reason}");
        }
        if dropped.len() > NAMED {
            words += &format!("\n  and {} more", dropped.len() - NAMED);
        }
        words
    }
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let JudgementReport { attempts, condensed, lost, prompt_tokens, .. } = &self.report;
        let half = attempts / 2;
        writeln!(
            f,
            "{}: {attempts} rows, {half} solved and {half} failed, of {} tasks",
            self.to.display(),
            self.tasks
        )?;
        writeln!(
            f,
            "prompts: {prompt_tokens} tokens, at most {} each; {condensed} lost {} answers of {} turns, {} bytes",
            self.budget, lost.observations, lost.turns, lost.bytes
        )?;
        write!(f, "{}", self.left_out())
    }
}
