//! Trajectories, token traces, preferences and statistics: the data that entropo's agents record and its trainer reads.

pub mod message;
pub mod task;
pub mod tokens;
pub mod tool;
pub mod trajectory;

pub use message::{AssistantMessage, Message, ToolMessage};
pub use task::Task;
pub use tokens::{ActionSpan, Segment, TokenTrace, TraceError};
pub use tool::{ToolCall, ToolResult, ToolSpec, ToolStatus};
pub use trajectory::{ExitReason, Outcome, RolloutId, TRAJECTORY_FORMAT, Trajectory, Usage};
