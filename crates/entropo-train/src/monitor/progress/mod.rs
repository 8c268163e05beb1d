//! The run in front of the person who started it: a live line on a terminal, else now and then a plain one.

mod pace;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use self::pace::Pace;
use super::machine::memory_in_use;
use super::record::{EVALUATION, Record};
use super::smooth::Smooth;
use super::words::{bytes, count, duration, number, printable};

/// Half-life of the loss that is shown, steps.
const HALF_LIFE: f64 = 10.0;
/// Numbers of an evaluation that are shown.
const EVALUATION_SHOWN: usize = 8;
/// Characters of a warning or a name that are shown.
const WORDS: usize = 400;

/// Where progress goes; never to standard output, which belongs to results.
#[derive(Default)]
pub enum Output {
    /// To standard error: a live line if that is a terminal that can move its cursor, plain lines if not.
    #[default]
    StandardError,
    /// Plain lines to a writer, such as a log file.
    Lines(Box<dyn Write + Send>),
    /// Nowhere; warnings go to [`tracing`].
    Nothing,
}

impl fmt::Debug for Output {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::StandardError => "StandardError",
            Self::Lines(_) => "Lines(..)",
            Self::Nothing => "Nothing",
        })
    }
}

/// Progress of one run.
pub(super) struct Progress {
    target: Target,
    pace: Pace,
    loss: Smooth,
    /// Seconds between plain lines.
    every_s: f64,
    /// When the last plain line was written.
    printed_s: Option<f64>,
    /// When memory was asked for last, and the answer.
    memory: Option<(f64, u64)>,
}

enum Target {
    Live(ProgressBar),
    Plain(Box<dyn Write + Send>),
}

impl Progress {
    /// Progress of a run that takes `step` next and has taken `wall_s` seconds; `None` if nothing is to be shown.
    pub(super) fn new(output: Output, every_s: f64, step: usize, wall_s: f64) -> Option<Self> {
        let target = match output {
            Output::Nothing => return None,
            Output::Lines(writer) => Target::Plain(writer),
            Output::StandardError => {
                let terminal = ProgressDrawTarget::stderr();
                if terminal.is_hidden() { Target::Plain(Box::new(io::stderr())) } else { Target::live(terminal) }
            }
        };
        Some(Self::with_target(target, every_s, step, wall_s))
    }

    fn with_target(target: Target, every_s: f64, step: usize, wall_s: f64) -> Self {
        let (pace, loss) = (Pace::new(step, wall_s, HALF_LIFE), Smooth::new(HALF_LIFE));
        Self { target, pace, loss, every_s, printed_s: None, memory: None }
    }

    /// Shows a record: its warnings, its evaluation and where the run is.
    pub(super) fn record(&mut self, record: &Record) -> io::Result<()> {
        for note in &record.notes {
            self.warn(note)?;
        }
        if let Some(line) = evaluation(record) {
            self.target.above(&line)?;
        }
        let Some(loss) = record.scalars.get("loss") else { return Ok(()) };
        self.loss.push(record.step, *loss);
        self.pace.push(record);
        let words = self.words(record, *loss);
        match &mut self.target {
            Target::Live(bar) => {
                bar.set_length(record.steps as u64);
                bar.set_position(record.step.saturating_add(1) as u64);
                bar.set_message(words);
            }
            Target::Plain(writer) => {
                let is_due = self.printed_s.is_none_or(|printed| record.wall_s - printed >= self.every_s);
                if is_due || record.step.saturating_add(1) == record.steps {
                    self.printed_s = Some(record.wall_s);
                    writeln!(writer, "{words}")?;
                    writer.flush()?;
                }
            }
        }
        Ok(())
    }

    /// Shows a warning above the line.
    pub(super) fn warn(&mut self, warning: &str) -> io::Result<()> {
        self.target.above(&format!("warning: {}", printable(warning, WORDS)))
    }

    /// Leaves the last line and says where everything is.
    pub(super) fn finish(&mut self, last_words: &str) -> io::Result<()> {
        if let Target::Live(bar) = &self.target {
            bar.abandon();
        }
        self.target.above(&printable(last_words, WORDS))
    }

    /// Where the run is, how well it does and how long it will take.
    fn words(&mut self, record: &Record, loss: f64) -> String {
        let mut words = match record.steps {
            0 => format!("step {}", record.step.saturating_add(1)),
            steps => format!("step {}/{steps}", record.step.saturating_add(1)),
        };
        let shown = if loss.is_finite() { self.loss.mean().unwrap_or(loss) } else { loss };
        words += &format!("  loss {}", number(shown));
        if let Some(tokens) = self.pace.tokens_per_second() {
            words += &format!("  {} tokens/s", count(tokens));
        }
        let left = record.steps.saturating_sub(record.step.saturating_add(1));
        if let Some(seconds) = self.pace.seconds_per_step().filter(|_| left > 0) {
            words += &format!("  {} left", duration(seconds * left as f64));
        }
        if let Some(memory) = self.memory(record.wall_s) {
            words += &format!("  {}", bytes(memory));
        }
        words
    }

    /// Memory in use, asked for once a second at most.
    fn memory(&mut self, wall_s: f64) -> Option<u64> {
        if self.memory.is_none_or(|(asked, _)| wall_s - asked >= 1.0) {
            self.memory = memory_in_use().map(|memory| (wall_s, memory));
        }
        self.memory.map(|(_, memory)| memory)
    }
}

impl Target {
    fn live(terminal: ProgressDrawTarget) -> Self {
        let style = ProgressStyle::with_template("[{bar:20}] {wide_msg}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ");
        Self::Live(ProgressBar::with_draw_target(None, terminal).with_style(style))
    }

    /// A line that stays.
    fn above(&mut self, line: &str) -> io::Result<()> {
        match self {
            Self::Live(bar) => bar.println(line),
            Self::Plain(writer) => {
                writeln!(writer, "{line}")?;
                writer.flush()?;
            }
        }
        Ok(())
    }
}

/// An evaluation in one line, its loss first.
fn evaluation(record: &Record) -> Option<String> {
    let mut numbers: BTreeMap<&str, f64> = BTreeMap::new();
    for (name, value) in &record.scalars {
        numbers.extend(name.strip_prefix(EVALUATION).map(|name| (name, *value)));
    }
    let loss = numbers.remove_entry("loss");
    let shown: Vec<String> = loss
        .into_iter()
        .chain(numbers)
        .take(EVALUATION_SHOWN)
        .map(|(name, value)| format!("{} {}", printable(name, 40), number(value)))
        .collect();
    let step = record.step.saturating_add(1);
    (!shown.is_empty()).then(|| format!("evaluation after step {step}: {}", shown.join(", ")))
}

#[cfg(test)]
mod tests;
