//! What is seen while it goes on.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use entropo_agent::{CancellationToken, Event, Observer};
use entropo_core::RolloutId;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// A bar on standard error, if that is a terminal.
pub(crate) fn bar(whole: u64, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(whole);
    match ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}, {eta} left") {
        Ok(style) => bar.with_style(style).with_message(what),
        Err(_) => bar,
    }
}

/// Prints a line above a bar, or without one.
pub(crate) fn say(bar: &ProgressBar, line: &str) {
    bar.suspend(|| println!("{line}"));
}

/// Is set at Ctrl-C; a second one ends the process at once.
pub(crate) fn cancelled_by_ctrl_c() -> CancellationToken {
    let cancel = CancellationToken::new();
    let told = cancel.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            told.cancel();
            eprintln!("stopping; Ctrl-C again stops at once");
        }
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(130);
        }
    });
    cancel
}

/// A line for each rollout that runs, and the time that each takes.
pub(crate) struct Live {
    lines: MultiProgress,
    running: Mutex<HashMap<RolloutId, (ProgressBar, Instant)>>,
    took: Mutex<HashMap<RolloutId, f64>>,
}

impl Live {
    pub(crate) fn new(lines: MultiProgress) -> Self {
        Self { lines, running: Mutex::default(), took: Mutex::default() }
    }

    /// The seconds from a rollout's first turn to its end.
    pub(crate) fn took(&self, id: &RolloutId) -> f64 {
        self.took.lock().unwrap_or_else(PoisonError::into_inner).remove(id).unwrap_or_default()
    }

    fn line(&self, id: &RolloutId) -> ProgressBar {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = || (self.lines.add(ProgressBar::new_spinner()), Instant::now());
        running.entry(id.clone()).or_insert_with(begin).0.clone()
    }
}

impl Observer for Live {
    fn event(&self, id: &RolloutId, event: Event<'_>) {
        match event {
            Event::TurnStarted { turn } => {
                self.line(id).set_message(format!("{id} turn {}: the model writes", turn + 1))
            }
            Event::CallStarted { call } => {
                let arguments: String = call.arguments.to_string().chars().take(60).collect();
                self.line(id).set_message(format!("{id} {} {arguments}", call.name));
            }
            Event::Finished { .. } => {
                let ended = self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
                if let Some((line, begun)) = ended {
                    line.finish_and_clear();
                    let seconds = begun.elapsed().as_secs_f64();
                    self.took.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), seconds);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use entropo_core::{ExitReason, ToolCall, Trajectory};
    use indicatif::ProgressDrawTarget;

    use super::*;

    #[test]
    fn a_rollout_takes_from_its_first_turn_to_its_end_and_is_told_once() {
        let live = Live::new(MultiProgress::with_draw_target(ProgressDrawTarget::hidden()));
        let (one, other) = (RolloutId::new("t", 0), RolloutId::new("t", 1));
        let call = ToolCall { id: "0".into(), name: "shell".into(), arguments: serde_json::json!({"command": "ls"}) };
        let trajectory = Trajectory::empty(one.clone(), "m", 0, ExitReason::Agent);
        live.event(&one, Event::TurnStarted { turn: 0 });
        live.event(&one, Event::CallStarted { call: &call });
        assert!(live.took(&one) == 0.0, "it runs");
        live.event(&one, Event::Finished { trajectory: &trajectory });
        assert!(live.running.lock().unwrap().is_empty());
        assert!(live.took(&one) > 0.0);
        assert!(live.took(&one) == 0.0 && live.took(&other) == 0.0);
    }
}
