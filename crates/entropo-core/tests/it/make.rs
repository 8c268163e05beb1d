//! Trajectories to test with.

use entropo_core::{ExitReason, Message, RolloutId, Trajectory};

/// A finished, judged rollout with one prompt and one action.
pub(crate) fn rollout(task: &str, number: usize, prompt: &[u32], action: &[u32], reward: f64) -> Trajectory {
    let mut trajectory = Trajectory::empty(RolloutId::new(task, number), "model", number as u64, ExitReason::Agent);
    trajectory.messages = vec![Message::user("fix it"), Message::assistant("done")];
    let logprobs: Vec<f32> = action.iter().map(|&id| -(id as f32) / 7.0).collect();
    trajectory.trace.record(0, prompt, action, &logprobs, 2).unwrap();
    trajectory.outcome.reward = Some(reward);
    trajectory
}
