//! mini-swe-agent's `.traj.json` files, one JSON object a file: `mini-swe-agent-1` of its versions 1, which knows text only,
//! and `mini-swe-agent-1.1` of its versions 2, whose messages are those of the model's API.
//!
//! | In the file | In a [`Trajectory`](crate::Trajectory) |
//! |---|---|
//! | `messages` up to the closing one | the conversation |
//! | `info.exit_status` | [`exit`](crate::Trajectory::exit); only `Submitted` is finished |
//! | `info.submission` | the patch |
//! | `info.exception_str`, or what a failed run of versions 1 has as its submission | the error |
//! | `info.model_stats`, and `usage` of the responses that are kept | the usage |
//! | `info.config.model.model_name` | the model |
//!
//! A file is also a bare list of messages, as the earliest versions wrote it; that is a run that nobody knows the end of.
//! `instance_id` is there in runs on SWE-bench only, so whoever reads a file gives the task's name ([`task`] reads it).

mod read;
mod write;

use serde_json::Value;

pub use self::read::read;
pub use self::write::write;
use super::carried::Exits;
use crate::ExitReason;

/// What its versions 2 write, and what is written here.
const FORMAT: &str = "mini-swe-agent-1.1";
/// What its versions 1 wrote.
const FIRST_FORMAT: &str = "mini-swe-agent-1";

/// mini-swe-agent's words, and after them ours for what it has no word for; it takes any, for an exception is named after
/// its type.
const EXITS: &Exits = &[
    ("Submitted", ExitReason::Agent),
    ("LimitsExceeded", ExitReason::CostLimit),
    ("TimeExceeded", ExitReason::TimeLimit),
    ("RepeatedFormatError", ExitReason::FormatErrors),
    ("UserInterruption", ExitReason::Stopped),
    ("ContextWindowExceededError", ExitReason::Context),
    ("StepLimit", ExitReason::StepLimit),
    ("TokenLimit", ExitReason::TokenLimit),
    ("Stuck", ExitReason::Stuck),
    ("ModelError", ExitReason::ModelError),
    ("EnvironmentError", ExitReason::EnvironmentError),
    ("Cancelled", ExitReason::Cancelled),
    ("Panic", ExitReason::Panic),
];

/// The name of the task, if the file has it.
pub fn task(file: &Value) -> Option<&str> {
    file.get("instance_id").and_then(Value::as_str)
}
