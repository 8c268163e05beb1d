//! How fast a run is.

use crate::monitor::record::Record;
use crate::monitor::smooth::Smooth;

/// Recent seconds and tokens of a step.
pub(super) struct Pace {
    seconds: Smooth,
    tokens: Smooth,
    /// Steps taken, and when.
    done: usize,
    wall_s: f64,
}

impl Pace {
    /// That of a run that has taken `done` steps in `wall_s` seconds.
    pub(super) fn new(done: usize, wall_s: f64, half_life: f64) -> Self {
        Self { seconds: Smooth::new(half_life), tokens: Smooth::new(half_life), done, wall_s }
    }

    /// Takes the record of a step.
    pub(super) fn push(&mut self, record: &Record) {
        let done = record.step.saturating_add(1);
        let taken = done.saturating_sub(self.done);
        if taken == 0 {
            return;
        }
        self.seconds.push(done, (record.wall_s - self.wall_s) / taken as f64);
        self.tokens.push(done, record.scalars.get("tokens").copied().unwrap_or(0.0));
        (self.done, self.wall_s) = (done, record.wall_s);
    }

    /// `None` if no time has passed.
    pub(super) fn seconds_per_step(&self) -> Option<f64> {
        self.seconds.mean().filter(|seconds| *seconds > 0.0)
    }

    /// `None` if no time has passed or no tokens were counted.
    pub(super) fn tokens_per_second(&self) -> Option<f64> {
        let rate = self.tokens.sum() / self.seconds.sum();
        (rate.is_finite() && rate > 0.0).then_some(rate)
    }
}
