//! SWE-agent's `.traj` files, one JSON object a file.
//!
//! | In the file | In a [`Trajectory`](crate::Trajectory) |
//! |---|---|
//! | `history` | the conversation |
//! | `info.exit_status` | [`exit`](crate::Trajectory::exit); only `submitted` is finished |
//! | `info.submission` | the patch |
//! | `info.model_stats` | the usage |
//! | `replay_config`, `agent.model.name` in it | the model |
//!
//! The task's name is that of the file, so whoever reads it gives it. `trajectory` repeats the history, with what was
//! tried and dropped in between; it is written for SWE-agent's own viewers and not read. Older files, from before there
//! were calls, are read as the text that they are.

mod read;
mod write;

use serde_json::Value;

pub use self::read::read;
pub use self::write::write;
use super::carried::Exits;
use crate::ExitReason;

/// SWE-agent's words, and after them ours for what it has no word for.
const EXITS: &Exits = &[
    ("submitted", ExitReason::Agent),
    ("exit_cost", ExitReason::CostLimit),
    ("exit_context", ExitReason::Context),
    ("exit_total_execution_time", ExitReason::TimeLimit),
    ("exit_command_timeout", ExitReason::TimeLimit),
    ("exit_format", ExitReason::FormatErrors),
    ("exit_api", ExitReason::ModelError),
    ("exit_environment_error", ExitReason::EnvironmentError),
    ("exit_error", ExitReason::Panic),
    ("exit_forfeit", ExitReason::Stopped),
    ("exit_command", ExitReason::Stopped),
    ("early_exit", ExitReason::Cancelled),
    ("exit_step_limit", ExitReason::StepLimit),
    ("exit_token_limit", ExitReason::TokenLimit),
    ("exit_stuck", ExitReason::Stuck),
];

/// The name of the model in a configuration.
fn model(config: &Value) -> Option<&str> {
    config.pointer("/agent/model/name").and_then(Value::as_str)
}
