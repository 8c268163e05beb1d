//! What a rollout, or a part of it, used.

use serde::{Deserialize, Serialize};

/// Tokens and calls of one rollout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Model calls, those with format errors included.
    pub model_calls: usize,
    /// Tokens read, summed over the calls.
    pub prompt_tokens: usize,
    /// Tokens written, summed over the calls.
    pub completion_tokens: usize,
    /// Tool calls.
    pub tool_calls: usize,
    /// Tool calls that failed or were invalid, and turns without a readable call.
    pub bad_calls: usize,
    /// Of the tokens read, those that the server had in its cache.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cached_tokens: usize,
    /// What the model calls cost in billionths of a US dollar, as far as prices are known; `None` if none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_nano_usd: Option<u64>,
}

impl Usage {
    /// Whether nothing was used.
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    /// Adds what else was used. A cost is known as soon as one part of it is.
    pub fn add(&mut self, other: &Self) {
        self.model_calls += other.model_calls;
        self.prompt_tokens += other.prompt_tokens;
        self.completion_tokens += other.completion_tokens;
        self.tool_calls += other.tool_calls;
        self.bad_calls += other.bad_calls;
        self.cached_tokens += other.cached_tokens;
        self.cost_nano_usd = match (self.cost_nano_usd, other.cost_nano_usd) {
            (Some(before), Some(more)) => Some(before.saturating_add(more)),
            (before, more) => before.or(more),
        };
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_without_cache_and_prices_is_stored_as_it_always_was() {
        let stored = r#"{"model_calls":1,"prompt_tokens":2,"completion_tokens":3,"tool_calls":4,"bad_calls":5}"#;
        let usage: Usage = serde_json::from_str(stored).unwrap();
        assert_eq!((usage.cached_tokens, usage.cost_nano_usd), (0, None));
        assert_eq!(serde_json::to_string(&usage).unwrap(), stored);
        let usage = Usage { cached_tokens: 1, cost_nano_usd: Some(7), ..usage };
        assert_eq!(serde_json::from_str::<Usage>(&serde_json::to_string(&usage).unwrap()).unwrap(), usage);
    }
}
