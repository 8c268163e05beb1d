//! Whether an agent goes round in circles.
//!
//! A turn is remembered as a number that its calls and their answers give. OpenHands looks for the same patterns in its
//! last twenty events: one turn that repeats, or two that alternate.

use std::hash::{DefaultHasher, Hash, Hasher};

use entropo_core::{ToolCall, ToolResult};
use serde::{Deserialize, Serialize};

/// The last turns, newest last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Repeats(Vec<u64>);

/// Longest pattern that is looked for, in turns.
const LONGEST: usize = 2;

impl Repeats {
    /// Remembers a turn, and says how often in a row the last pattern has come now; 1 if it is new.
    pub(super) fn record(&mut self, calls: &[ToolCall], answers: &[Option<ToolResult>], limit: usize) -> usize {
        self.0.push(fingerprint(calls, answers));
        let excess = self.0.len().saturating_sub(limit.saturating_mul(LONGEST));
        self.0.drain(..excess);
        (1..=LONGEST).map(|period| self.times(period)).max().unwrap_or(1)
    }

    /// How often the last `period` turns have come in a row.
    fn times(&self, period: usize) -> usize {
        let mut blocks = self.0.rchunks_exact(period);
        let Some(last) = blocks.next() else { return 1 };
        1 + blocks.take_while(|block| *block == last).count()
    }
}

fn fingerprint(calls: &[ToolCall], answers: &[Option<ToolResult>]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for call in calls {
        (&call.name, call.arguments.to_string()).hash(&mut hasher);
    }
    for answer in answers.iter().flatten() {
        answer.content.hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use entropo_core::ToolStatus;
    use serde_json::json;

    use super::*;

    fn times(turns: &[(&str, &str)]) -> Vec<usize> {
        let mut repeats = Repeats::default();
        let turn = |(argument, answer): &(&str, &str)| {
            let call = ToolCall { id: String::new(), name: "look".to_owned(), arguments: json!(argument) };
            let answer = call.answer(ToolStatus::Done, *answer);
            repeats.record(&[call], &[Some(answer)], 4)
        };
        turns.iter().map(turn).collect()
    }

    #[test]
    fn the_same_call_counts_only_with_the_same_answer() {
        assert_eq!(times(&[("a", "1"), ("a", "1"), ("a", "1"), ("a", "2"), ("b", "2")]), [1, 2, 3, 1, 1]);
    }

    #[test]
    fn alternating_turns_are_a_pattern_too() {
        let (a, b) = (("a", "1"), ("b", "1"));
        assert_eq!(times(&[a, b, a, b, a, b, a, b]), [1, 1, 1, 2, 2, 3, 3, 4]);
    }
}
