//! Watching rollouts while they run.

use entropo_core::{AssistantMessage, RolloutId, ToolCall, ToolResult, Trajectory};

/// Is told what happens, as it happens; every method does nothing unless it is written. `()` watches nothing.
///
/// The methods are called from the tasks that run the rollouts: they should return soon and must not panic.
pub trait Observer: Send + Sync {
    /// The model is asked for assistant turn `turn`.
    fn turn_started(&self, _rollout: &RolloutId, _turn: usize) {}
    /// The model wrote `message`, its calls not yet numbered.
    fn assistant_replied(&self, _rollout: &RolloutId, _message: &AssistantMessage) {}
    /// A tool answered `call`.
    fn tool_returned(&self, _rollout: &RolloutId, _call: &ToolCall, _result: &ToolResult) {}
    /// The rollout is over and its place closed.
    fn finished(&self, _trajectory: &Trajectory) {}
}

impl Observer for () {}
