//! A model writes what happened so far.

use std::sync::Arc;

use async_trait::async_trait;
use entropo_core::{Message, Replacement, TokenTrace, Usage};

use super::drop_observations::shorten;
use super::{Condensed, Condenser, Context};
use crate::model::{ChatModel, ChatRequest, ModelError, Sampling};
use crate::seed::turn_seed;

/// Replaces everything between the task and the last turns by a summary that a model writes, once the context has more than
/// `above` tokens. The task stays word for word, and the last turns as they are.
#[derive(Clone)]
pub struct Summarise {
    model: Arc<dyn ChatModel>,
    above: usize,
    keep: usize,
    sampling: Sampling,
}

const INSTRUCTIONS: &str = "The conversation above grows too long, and what you write now will stand in its place. Summarise \
    what was done since the task was given, for somebody who has to go on with it and sees nothing else: what was found out \
    (with paths, names and numbers word for word), what was changed, what was tried in vain and why, and what is to be done \
    next. Do not repeat the task, do not call a tool, and do not go on with the work.";
const HEADING: &str = "[What happened so far, in summary]\n";

impl Summarise {
    /// Has `model` summarise above so many tokens, and keeps the last four turns. The model must be able to read as many
    /// tokens, and some more for the instructions and the summary.
    pub fn above(tokens: usize, model: Arc<dyn ChatModel>) -> Self {
        let sampling = Sampling { temperature: 0.0, max_tokens: (tokens / 8).clamp(256, 4096), ..Sampling::default() };
        Self { model, above: tokens, keep: 4, sampling }
    }

    /// Sets how many of the last assistant turns stay as they are.
    #[must_use]
    pub fn keep(self, turns: usize) -> Self {
        Self { keep: turns, ..self }
    }

    /// Sets how the summary is sampled. Default: greedily, an eighth of the tokens long.
    #[must_use]
    pub fn sampling(self, sampling: Sampling) -> Self {
        Self { sampling, ..self }
    }

    /// The summary of `messages[..end]`, and what it took.
    async fn summary(&self, context: &Context<'_>, end: usize) -> Result<(String, Usage), ModelError> {
        // Written in the context as the model reads it now, so that the server finds it in its cache.
        let left_out = context.messages().len() - end;
        let read = context.current();
        let mut prompt = read.get(..read.len().saturating_sub(left_out)).unwrap_or_default().to_vec();
        prompt.push(Message::user(INSTRUCTIONS));
        let (trace, turn) = (TokenTrace::default(), 0);
        let request = ChatRequest {
            messages: &prompt,
            tools: context.tools(),
            trace: &trace,
            sampling: &self.sampling,
            turn,
            seed: turn_seed(end as u64, turn),
            cancel: context.cancel(),
        };
        let mut response = self.model.chat(request).await?;
        response.usage.model_calls = 1;
        let message = response.message;
        Ok((message.raw.unwrap_or(message.content).trim().to_owned(), response.usage))
    }
}

#[async_trait]
impl Condenser for Summarise {
    async fn condense(&self, context: &Context<'_>) -> Result<Option<Condensed>, ModelError> {
        if context.tokens() <= self.above && !context.full() {
            return Ok(None);
        }
        let (messages, start) = (context.messages(), context.task());
        let turns: Vec<usize> = messages
            .iter()
            .enumerate()
            .filter_map(|(index, message)| matches!(message, Message::Assistant(_)).then_some(index))
            .collect();
        let end = turns.len().checked_sub(self.keep.max(1)).and_then(|kept| turns.get(kept)).copied().unwrap_or(start);
        let before = context.condensation().map(|now| now.replacements.clone()).unwrap_or_default();
        let summarised = before.iter().find(|range| range.start == start).map_or(start, |range| range.end);
        let (summary, usage) = if end <= summarised {
            Default::default() // nothing new to tell
        } else {
            match self.summary(context, end).await {
                Err(ModelError::ContextFull { .. }) => Default::default(), // too long to be read even for this
                told => told?,
            }
        };
        let replacements = if summary.is_empty() {
            before.clone()
        } else {
            vec![Replacement { start, end, by: vec![Message::user(format!("{HEADING}{summary}"))] }]
        };
        // What stays may be too long by itself.
        let replacements = shorten(context, replacements, self.above / 3 * 2, 1);
        Ok((replacements != before).then_some(Condensed { replacements, usage }))
    }
}
