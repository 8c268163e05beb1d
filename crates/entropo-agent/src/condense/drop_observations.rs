//! The oldest tool answers are left out, as in R2E-Gym and SWE-agent.

use async_trait::async_trait;
use entropo_core::{Condensation, Message, Replacement, ToolMessage};

use super::{Condensed, Condenser, Context};
use crate::model::ModelError;

/// Replaces the oldest tool answers by a line that says so, once the context has more than `above` tokens, until it has no
/// more than `to`. What the agent did stays, only what it was answered goes; and as `to` lies well below `above`, contexts
/// change seldom, which keeps the prefix caches of servers warm and the segments of token traces long.
#[derive(Clone, Debug)]
pub struct DropObservations {
    above: usize,
    to: usize,
    keep: usize,
}

/// Answers shorter than this stay: the line in their place would be no shorter.
const SHORT: usize = 120;

impl DropObservations {
    /// Condenses above so many tokens, to two thirds of them, and keeps the last four answers. A good value is the model's
    /// context less the longest reply.
    pub fn above(tokens: usize) -> Self {
        Self { above: tokens, to: tokens / 3 * 2, keep: 4 }
    }

    /// Sets how many tokens are left when it has condensed.
    #[must_use]
    pub fn to(self, tokens: usize) -> Self {
        Self { to: tokens.min(self.above), ..self }
    }

    /// Sets how many of the last answers are never left out.
    #[must_use]
    pub fn keep(self, answers: usize) -> Self {
        Self { keep: answers, ..self }
    }
}

#[async_trait]
impl Condenser for DropObservations {
    async fn condense(&self, context: &Context<'_>) -> Result<Option<Condensed>, ModelError> {
        let tokens = context.tokens();
        if tokens <= self.above && !context.full() {
            return Ok(None);
        }
        // What the model found too long is longer than the estimate says.
        let to = if context.full() { self.to.min(tokens / 3 * 2) } else { self.to };
        let before = context.condensation().map(|condensation| condensation.replacements.clone()).unwrap_or_default();
        let replacements = shorten(context, before.clone(), to, self.keep);
        let made = replacements.len() > before.len();
        Ok(made.then(|| Condensed { replacements, ..Condensed::default() }))
    }
}

/// Adds replacements of the oldest long answers to those `before`, until the context has `to` tokens, or only `keep` answers
/// are left.
pub(super) fn shorten(context: &Context<'_>, before: Vec<Replacement>, to: usize, keep: usize) -> Vec<Replacement> {
    let messages = context.messages();
    let taken = |index: usize| before.iter().any(|range| (range.start..range.end).contains(&index));
    let answers: Vec<(usize, &ToolMessage)> = messages
        .iter()
        .enumerate()
        .filter_map(|(index, message)| if let Message::Tool(tool) = message { Some((index, tool)) } else { None })
        .collect();
    let old = answers.get(..answers.len().saturating_sub(keep)).unwrap_or_default();
    let candidates = old.iter().filter(|(index, tool)| !taken(*index) && tool.content.len() > SHORT);

    let (mut replacements, mut saved) = (before.clone(), 0);
    let tokens = match context.condensation() {
        Some(now) if now.replacements == before => context.tokens(),
        None if before.is_empty() => context.tokens(),
        _ => context.tokens_of(&Condensation { turn: 0, replacements: before.clone() }.context(messages)),
    };
    for (index, tool) in candidates {
        if tokens.saturating_sub(saved) <= to {
            break;
        }
        let content = format!("[Left out to save room: {} characters.]", tool.content.chars().count());
        let by = Message::Tool(ToolMessage { content, ..(*tool).clone() });
        let whole = messages.get(*index).map(std::slice::from_ref).unwrap_or_default();
        saved += context.estimate(whole).saturating_sub(context.estimate(std::slice::from_ref(&by)));
        replacements.push(Replacement { start: *index, end: index + 1, by: vec![by] });
    }
    replacements.sort_by_key(|replacement| replacement.start);
    replacements
}
