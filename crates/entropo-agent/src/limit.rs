//! What ends a rollout that does not end itself.

use serde::{Deserialize, Serialize};

/// Limits of one rollout; what is not set does not limit. They are checked before a model is asked, so the calls of the
/// last permitted reply are still carried out, and an agent that finishes with it has finished.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Model calls. Default 50.
    pub max_steps: usize,
    /// Prompt and completion tokens of the last model call together, which is how long the conversation has become (the
    /// `max_token_limit` of R2E-Gym).
    pub max_tokens: Option<usize>,
    /// Completion tokens summed over all model calls.
    pub max_completion_tokens: Option<usize>,
    /// Wall-clock seconds from the first model call, kept by whoever drives the run; a resumed run gets them anew.
    pub max_seconds: Option<u64>,
    /// Turns in a row without a valid tool call: the turn that makes it so many is the last. Default 3.
    pub max_format_errors: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_steps: 50, max_tokens: None, max_completion_tokens: None, max_seconds: None, max_format_errors: 3 }
    }
}
