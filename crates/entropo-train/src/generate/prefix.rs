//! Contexts that were computed before.
//!
//! A rollout's next prompt begins with everything it read and wrote so far, and rollouts of one task begin alike. So
//! finished contexts are kept for a while, and a new prompt starts from the longest beginning that is known.

use std::collections::VecDeque;

use super::cache::Cache;

/// A beginning shorter than this is computed anew: copying it would not be faster.
const WORTHWHILE: usize = 16;

/// Finished contexts, the oldest first, up to a number of tokens.
#[derive(Debug)]
pub(super) struct Prefixes {
    contexts: VecDeque<Cache>,
    tokens: usize,
    budget: usize,
}

impl Prefixes {
    pub(super) fn new(budget: usize) -> Self {
        Self { contexts: VecDeque::new(), tokens: 0, budget }
    }

    /// Keeps a context, forgetting the oldest ones if there are too many tokens.
    pub(super) fn keep(&mut self, context: Cache) {
        self.tokens += context.tokens().len();
        self.contexts.push_back(context);
        while self.tokens > self.budget {
            let Some(oldest) = self.contexts.pop_front() else { break };
            self.tokens -= oldest.tokens().len();
        }
    }

    /// The longest known beginning of `prompt`, but never all of it: the last token must be read to go on. A context
    /// that is a beginning as a whole is taken, for the prompt continues it; of another one the common part is copied.
    pub(super) fn take(&mut self, prompt: &[u32]) -> Option<Cache> {
        let usable = prompt.len().saturating_sub(1);
        let common = |context: &Cache| {
            context.tokens().iter().zip(prompt).take(usable).take_while(|(known, wanted)| known == wanted).count()
        };
        let candidates = self.contexts.iter().enumerate().map(|(index, context)| (common(context), index));
        let (length, index) = candidates.max().filter(|&(length, _)| length >= WORTHWHILE)?;
        let context = self.contexts.get(index)?;
        if length < context.tokens().len() {
            let known = context.tokens().get(..length).unwrap_or_default();
            return Some(Cache::from_shared(known, context.blocks().to_vec()));
        }
        self.tokens -= length;
        self.contexts.remove(index)
    }
}
