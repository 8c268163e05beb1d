//! What ends a rollout that does not end itself.

use serde::{Deserialize, Serialize};

/// Limits of one rollout; what is not set does not limit. They are checked before a model is asked, so the calls of the
/// last permitted reply are still carried out, and an agent that finishes with it has finished.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Assistant turns. Default 50.
    pub max_steps: usize,
    /// Prompt and completion tokens of the last model call together, which is how long the conversation has become (the
    /// `max_token_limit` of R2E-Gym).
    pub max_tokens: Option<usize>,
    /// Completion tokens summed over all model calls.
    pub max_completion_tokens: Option<usize>,
    /// US dollars summed over all model calls, those of sub-agents and summaries included. It needs a model that tells
    /// what it costs ([`Usage::cost_nano_usd`](entropo_core::Usage::cost_nano_usd)); unknown costs count as nothing.
    pub max_cost_usd: Option<f64>,
    /// Wall-clock seconds from the first model call, kept by whoever drives the run; a resumed run gets them anew.
    pub max_seconds: Option<u64>,
    /// Wall-clock seconds of one tool call, kept by whoever drives the run: the call is given up, and the model told so.
    /// Default half an hour.
    pub max_tool_seconds: Option<u64>,
    /// Turns in a row without a valid tool call: the turn that makes it so many is the last. Default 3.
    pub max_format_errors: usize,
    /// How often in a row the same calls, or the same two turns of calls in alternation, may be answered the same. One
    /// before that the model is told to do something else. Default 4.
    pub max_repeats: Option<usize>,
    /// When so many turns or fewer are left, the model is told after each how many. Default never.
    pub announce_steps: Option<usize>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_steps: 50,
            max_tokens: None,
            max_completion_tokens: None,
            max_cost_usd: None,
            max_seconds: None,
            max_tool_seconds: Some(30 * 60),
            max_format_errors: 3,
            max_repeats: Some(4),
            announce_steps: None,
        }
    }
}
