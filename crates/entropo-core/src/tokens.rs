//! What a policy read and wrote, token for token.
//!
//! Training reads token ids as they were sampled. A [`TokenTrace`] therefore grows with the conversation: the prompt of
//! turn `h + 1` is the ids of turn `h` followed by the newly tokenised observation. Where the model saw a context that
//! does not continue the previous one (a template that rewrites history, a condenser that cut it), a new [`Segment`]
//! begins; each segment is exactly one context that the model saw.
//!
//! ```
//! use entropo_core::TokenTrace;
//!
//! let mut trace = TokenTrace::default();
//! trace.record(0, &[1, 2, 3], &[4, 5], &[-0.1, -0.2], 2)?; // prompt, then what was sampled
//! trace.record(1, &[1, 2, 3, 4, 5, 6], &[7], &[-0.3], 4)?; // the same context, one observation longer
//! assert_eq!(trace.segments().len(), 1);
//! let mask: Vec<bool> = trace.segments()[0].action_mask();
//! assert_eq!(mask, [false, false, false, true, true, false, true]);
//! # Ok::<(), entropo_core::TraceError>(())
//! ```

use serde::{Deserialize, Serialize};

/// The contexts of one rollout, each with its actions marked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TokenTrace {
    segments: Vec<Segment>,
}

/// One context that the model saw, from its first token to the end of its last action.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// Token ids of prompts, actions and observations in order.
    pub ids: Vec<u32>,
    /// Where the actions are: ascending, disjoint, inside `ids`.
    pub actions: Vec<ActionSpan>,
    /// Natural log-probability of every action token when it was sampled, in order; empty if it is not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logprobs: Vec<f32>,
    /// How many messages of the conversation `ids` covers.
    pub messages: usize,
}

/// The tokens of one turn's action, the end-of-turn token included: `ids[start..end]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionSpan {
    /// The assistant turn, counted from 0 over the whole trajectory.
    pub turn: usize,
    /// First token.
    pub start: usize,
    /// One past the last token; greater than `start`.
    pub end: usize,
}

/// Why tokens cannot be recorded or are not a valid trace.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum TraceError {
    /// A turn in which nothing was sampled.
    #[error("turn {turn} has no action token; an empty completion cannot be trained on")]
    EmptyAction {
        /// The turn.
        turn: usize,
    },
    /// Log-probabilities for some of the sampled tokens only.
    #[error("turn {turn} has {tokens} action tokens but {logprobs} log-probabilities; give one for each, or none")]
    Logprobs {
        /// The turn.
        turn: usize,
        /// Tokens sampled.
        tokens: usize,
        /// Log-probabilities given.
        logprobs: usize,
    },
    /// A span that is empty, out of order or out of range.
    #[error(
        "segment {segment}: the action span {start}..{end} of turn {turn} does not fit after {after} in {len} tokens"
    )]
    Span {
        /// Index of the segment.
        segment: usize,
        /// The turn.
        turn: usize,
        /// First token.
        start: usize,
        /// One past the last token.
        end: usize,
        /// Where the previous span ended.
        after: usize,
        /// Tokens in the segment.
        len: usize,
    },
    /// A segment whose log-probabilities do not match its action tokens.
    #[error("segment {segment}: {tokens} action tokens but {logprobs} log-probabilities")]
    SegmentLogprobs {
        /// Index of the segment.
        segment: usize,
        /// Action tokens.
        tokens: usize,
        /// Log-probabilities.
        logprobs: usize,
    },
}

impl TokenTrace {
    /// The contexts in the order in which the model saw them.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The contexts, taken out of the trace.
    pub fn into_segments(self) -> Vec<Segment> {
        self.segments
    }

    /// Whether nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// A trace of one finished context, as a template or a teacher gives it.
    pub fn from_segment(segment: Segment) -> Result<Self, TraceError> {
        let trace = Self { segments: vec![segment] };
        trace.validate()?;
        Ok(trace)
    }

    /// Adds a turn: the whole prompt that the model read, what it sampled and with which log-probabilities (one for
    /// each sampled token, or none if they are not known), and how many messages the context covers now, the new
    /// assistant message included.
    pub fn record(
        &mut self,
        turn: usize,
        prompt: &[u32],
        completion: &[u32],
        logprobs: &[f32],
        messages: usize,
    ) -> Result<(), TraceError> {
        if completion.is_empty() {
            return Err(TraceError::EmptyAction { turn });
        }
        if !logprobs.is_empty() && logprobs.len() != completion.len() {
            return Err(TraceError::Logprobs { turn, tokens: completion.len(), logprobs: logprobs.len() });
        }
        let continues = self
            .segments
            .last()
            .is_some_and(|last| prompt.starts_with(&last.ids) && (last.logprobs.is_empty() == logprobs.is_empty()));
        if !continues {
            self.segments.push(Segment::default());
        }
        if let Some(segment) = self.segments.last_mut() {
            segment.ids.extend(prompt.iter().skip(segment.ids.len()));
            let start = segment.ids.len();
            segment.ids.extend_from_slice(completion);
            segment.actions.push(ActionSpan { turn, start, end: segment.ids.len() });
            segment.logprobs.extend_from_slice(logprobs);
            segment.messages = messages;
        }
        Ok(())
    }

    /// Checks what a file claims: spans ascending and in range, log-probabilities complete or absent.
    pub fn validate(&self) -> Result<(), TraceError> {
        for (index, segment) in self.segments.iter().enumerate() {
            let (len, mut after) = (segment.ids.len(), 0);
            for &ActionSpan { turn, start, end } in &segment.actions {
                if start < after || start >= end || end > len {
                    return Err(TraceError::Span { segment: index, turn, start, end, after, len });
                }
                after = end;
            }
            let (tokens, logprobs) = (segment.action_tokens(), segment.logprobs.len());
            if logprobs != 0 && logprobs != tokens {
                return Err(TraceError::SegmentLogprobs { segment: index, tokens, logprobs });
            }
        }
        Ok(())
    }

    /// Action tokens over all segments.
    pub fn action_tokens(&self) -> usize {
        self.segments.iter().map(Segment::action_tokens).sum()
    }
}

impl Segment {
    /// `[tokens]`: whether each token is an action.
    pub fn action_mask(&self) -> Vec<bool> {
        let mut mask = vec![false; self.ids.len()];
        for span in &self.actions {
            if let Some(slots) = mask.get_mut(span.start..span.end) {
                slots.fill(true);
            }
        }
        mask
    }

    /// The ids of the actions, in order.
    pub fn action_ids(&self) -> impl Iterator<Item = u32> + '_ {
        self.actions.iter().flat_map(|span| self.ids.get(span.start..span.end).unwrap_or_default()).copied()
    }

    /// How many tokens are actions.
    pub fn action_tokens(&self) -> usize {
        self.actions.iter().map(|span| span.end.saturating_sub(span.start)).sum()
    }
}
