//! One context to learn from.

use entropo_core::{Segment, Trajectory};

/// Token ids with the agent's actions marked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequence {
    id: String,
    ids: Vec<u32>,
    actions: Vec<bool>,
}

/// Why tokens cannot be learned from.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SequenceError {
    /// The action mask is not as long as the tokens.
    #[error("{id}: {tokens} tokens but an action mask of {mask}")]
    Length {
        /// The sequence.
        id: String,
        /// Tokens.
        tokens: usize,
        /// Entries of the mask.
        mask: usize,
    },
    /// No action token has a token before it to be predicted from.
    #[error("{id}: no action token among {tokens} tokens; drop the sequence or correct its mask")]
    NoAction {
        /// The sequence.
        id: String,
        /// Tokens.
        tokens: usize,
    },
    /// A token id that the model does not have.
    #[error("{id}: token {token} at position {position} is outside the vocabulary of {vocabulary}")]
    Token {
        /// The sequence.
        id: String,
        /// Where it is.
        position: usize,
        /// The token id.
        token: u32,
        /// Size of the vocabulary.
        vocabulary: usize,
    },
    /// A sequence longer than the model's context.
    #[error("{id}: {tokens} tokens do not fit a context of {context}; drop the sequence or cut whole turns")]
    Context {
        /// The sequence.
        id: String,
        /// Tokens.
        tokens: usize,
        /// Longest context.
        context: usize,
    },
    /// A trajectory without tokens, or with several contexts.
    #[error("{id}: {segments} token segments; a trajectory is trained on as one context")]
    Segments {
        /// The trajectory.
        id: String,
        /// How many there are.
        segments: usize,
    },
}

impl Sequence {
    /// Checks that there is something to learn. `actions[t]` says that `ids[t]` was written by the agent; the first
    /// token is never predicted, so its entry counts for nothing.
    pub fn new(id: impl Into<String>, ids: Vec<u32>, actions: Vec<bool>) -> Result<Self, SequenceError> {
        let (id, tokens) = (id.into(), ids.len());
        if actions.len() != tokens {
            return Err(SequenceError::Length { id, tokens, mask: actions.len() });
        }
        if !actions.iter().skip(1).any(|&action| action) {
            return Err(SequenceError::NoAction { id, tokens });
        }
        Ok(Self { id, ids, actions })
    }

    /// One recorded context.
    pub fn from_segment(id: impl Into<String>, segment: &Segment) -> Result<Self, SequenceError> {
        Self::new(id, segment.ids.clone(), segment.action_mask())
    }

    /// A trajectory whose tokens are one context.
    pub fn from_trajectory(trajectory: &Trajectory) -> Result<Self, SequenceError> {
        let id = trajectory.id.to_string();
        match trajectory.trace.segments() {
            [segment] => Self::from_segment(id, segment),
            segments => Err(SequenceError::Segments { id, segments: segments.len() }),
        }
    }

    /// Checks that a model can read it.
    pub fn check(&self, vocabulary: usize, context: usize) -> Result<(), SequenceError> {
        if self.ids.len() > context {
            return Err(SequenceError::Context { id: self.id.clone(), tokens: self.ids.len(), context });
        }
        match self.ids.iter().enumerate().find(|&(_, &token)| token as usize >= vocabulary) {
            Some((position, &token)) => Err(SequenceError::Token { id: self.id.clone(), position, token, vocabulary }),
            None => Ok(()),
        }
    }

    /// This sequence's prompt, up to its first action, followed by everything from `other`'s first action on: what KTO
    /// estimates its reference point from. `None` if the result has no predictable action.
    pub fn with_completion_of(&self, other: &Self) -> Option<Self> {
        let prompt = self.actions.iter().position(|&action| action)?;
        let start = other.actions.iter().position(|&action| action)?;
        let ids = self.ids.iter().take(prompt).chain(other.ids.iter().skip(start)).copied().collect();
        let unmarked = std::iter::repeat_n(&false, prompt);
        let actions = unmarked.chain(other.actions.iter().skip(start)).copied().collect();
        Self::new(format!("{} answered by {}", self.id, other.id), ids, actions).ok()
    }

    /// What the sequence is called in errors.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// All tokens.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// `[token]`: whether it was written by the agent.
    pub(crate) fn actions(&self) -> &[bool] {
        &self.actions
    }

    /// Tokens up to the last action: what follows has no effect on any action.
    pub(crate) fn needed_tokens(&self) -> usize {
        self.actions.iter().rposition(|&action| action).map_or(0, |last| last + 1)
    }

    /// Positions of the action tokens that are predicted: every one but a first token.
    pub fn action_positions(&self) -> impl Iterator<Item = usize> + '_ {
        self.actions.iter().enumerate().skip(1).filter(|&(_, &action)| action).map(|(position, _)| position)
    }

    /// How many action tokens are predicted; at least 1.
    pub fn action_tokens(&self) -> usize {
        self.action_positions().count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_without_actions_is_refused_by_name() {
        let error = Sequence::new("task#3", vec![1, 2], vec![true, false]).unwrap_err();
        assert_eq!(error, SequenceError::NoAction { id: "task#3".into(), tokens: 2 });
    }

    #[test]
    fn a_token_outside_the_vocabulary_is_named() {
        let sequence = Sequence::new("task#3", vec![1, 9], vec![false, true]).unwrap();
        assert!(sequence.check(10, 2).is_ok());
        let error = sequence.check(9, 2).unwrap_err().to_string();
        assert_eq!(error, "task#3: token 9 at position 1 is outside the vocabulary of 9");
        assert!(matches!(sequence.check(10, 1), Err(SequenceError::Context { tokens: 2, context: 1, .. })));
    }
}
