//! Choosing one of many, beyond the published order of stages.

mod faults;
mod properties;
mod sampling;
mod stages;

use entropo_agent::Selector;
use entropo_core::{ExitReason, Message, RolloutId, Trajectory};

/// A finished rollout with one step, a patch that sets `line`, and scores.
fn candidate(number: usize, line: &str, scores: &[(&str, f64)]) -> Trajectory {
    let mut trajectory = Trajectory::empty(RolloutId::new("task", number), "model", 0, ExitReason::Agent);
    trajectory.messages = vec![Message::assistant("x")];
    trajectory.outcome.scores = scores.iter().map(|(name, score)| ((*name).to_owned(), *score)).collect();
    if !line.is_empty() {
        trajectory.outcome.patch = patch("src/x.py", line);
    }
    trajectory
}

fn patch(path: &str, line: &str) -> String {
    format!("diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n-old\n+{line}\n")
}

fn survivors(selector: &Selector, candidates: &[Trajectory]) -> Vec<usize> {
    let candidates: Vec<_> = candidates.iter().collect();
    selector.survivors(&candidates).unwrap().into_iter().map(|id| id.rollout).collect()
}
