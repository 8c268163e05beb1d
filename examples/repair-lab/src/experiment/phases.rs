//! What is going on, for the person in front of the screen.

use std::time::Instant;

use entropo::core::Trajectory;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::report::Phase;

/// Progress bars and one line for each finished phase, on standard error.
#[derive(Clone, Debug)]
pub struct Screen {
    bars: MultiProgress,
    quiet: bool,
}

/// A phase under way.
pub(crate) struct Clock<'a> {
    screen: &'a Screen,
    name: String,
    start: Instant,
}

impl Default for Screen {
    fn default() -> Self {
        Self { bars: MultiProgress::new(), quiet: false }
    }
}

impl Screen {
    /// Shows nothing.
    pub fn quiet() -> Self {
        Self { bars: MultiProgress::with_draw_target(ProgressDrawTarget::hidden()), quiet: true }
    }

    pub(crate) fn begin(&self, name: &str) -> Clock<'_> {
        Clock { screen: self, name: name.to_owned(), start: Instant::now() }
    }

    pub(crate) fn bar(&self, unit: &'static str) -> ProgressBar {
        let template = "  [{bar:40}] {pos}/{len} {prefix}  {elapsed} (eta {eta}) {msg}";
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        self.bars.add(ProgressBar::new(0)).with_style(style).with_prefix(unit)
    }

    /// A line above the bars.
    #[allow(clippy::print_stderr)]
    pub fn line(&self, text: &str) {
        if !self.quiet {
            self.bars.suspend(|| eprintln!("{text}"));
        }
    }
}

impl Clock<'_> {
    pub(crate) fn end(self, note: String) -> Phase {
        let seconds = self.start.elapsed().as_secs_f64();
        self.screen.line(&format!("{:>7.1} s  {:<28} {note}", seconds, self.name));
        Phase { name: self.name, seconds, note }
    }

    pub(crate) fn end_with_rate(self, amount: usize, unit: &str) -> Phase {
        let rate = amount as f64 / self.start.elapsed().as_secs_f64();
        self.end(format!("{amount} {unit}, {rate:.0}/s"))
    }
}

/// How many rollouts and sampled tokens, for a [`Phase`].
pub(crate) fn rollout_note(tasks: &[Vec<Trajectory>]) -> String {
    let rollouts: usize = tasks.iter().map(Vec::len).sum();
    let sampled: usize = tasks.iter().flatten().map(|trajectory| trajectory.usage.completion_tokens).sum();
    format!("{rollouts} rollouts, {sampled} sampled tokens")
}
