//! A request under way.

use std::sync::Arc;

use entropo_agent::StopReason;
use tokio::sync::mpsc::UnboundedSender;

use super::admission::Limits;
use super::cache::{BLOCK, Block, Cache};
use super::error::EngineError;
use super::prefix::{NodeId, Prefixes};
use super::request::{Ending, GenerateRequest, Streamed};
use super::sampler::Sampler;

/// What a request wants, has and has got.
pub(super) struct Sequence {
    pub(super) request: GenerateRequest,
    reply: UnboundedSender<Result<Streamed, EngineError>>,
    sampler: Sampler,
    /// The prompt and what was sampled.
    pub(super) tokens: Vec<u32>,
    /// Keys and values of the first of `tokens`.
    pub(super) cache: Cache,
    /// The nodes of the cache's full blocks: it uses each of them.
    pub(super) path: Vec<NodeId>,
    /// Blocks that it has at worst in the end.
    pub(super) worst: usize,
    pub(super) ending: Ending,
    context: usize,
}

impl Sequence {
    pub(super) fn new(
        mut request: GenerateRequest,
        limits: &Limits,
        reply: UnboundedSender<Result<Streamed, EngineError>>,
    ) -> Self {
        let worst = limits.blocks_at_worst(&request);
        let sampler = Sampler::new(&request);
        let tokens = std::mem::take(&mut request.prompt);
        let ending = Ending { stop: StopReason::MaxTokens, prompt: tokens.len(), prefilled: 0, reused: 0 };
        let cache = Cache::from_shared([], Vec::new());
        Self { request, reply, sampler, tokens, cache, path: Vec::new(), worst, ending, context: limits.context }
    }

    /// Whether nobody wants the rest.
    pub(super) fn is_abandoned(&self) -> bool {
        self.reply.is_closed() || self.request.cancel.is_cancelled()
    }

    pub(super) fn send(&self, item: Result<Streamed, EngineError>) {
        let _ = self.reply.send(item); // whoever does not listen any longer is noticed before the next step
    }

    /// Positions that are read.
    pub(super) fn read(&self) -> usize {
        self.cache.tokens().len()
    }

    /// Tokens of the prompt that are not read.
    pub(super) fn unread_prompt(&self) -> usize {
        self.ending.prompt.saturating_sub(self.read())
    }

    /// The node of the last full block.
    pub(super) fn node(&self) -> NodeId {
        self.path.last().copied().unwrap_or(NodeId::ROOT)
    }

    /// What is in the cache after the last full block that is in the tree: its tokens and its block.
    pub(super) fn tail(&self) -> Option<(&[u32], &Arc<Block>)> {
        let tokens = self.tokens.get(self.path.len() * BLOCK..self.read()).filter(|tokens| !tokens.is_empty())?;
        Some((tokens, self.cache.blocks().get(self.path.len())?))
    }

    /// Blocks that are in the cache and not in the tree.
    pub(super) fn private_blocks(&self) -> usize {
        self.cache.blocks().len().saturating_sub(self.path.len())
    }

    /// Blocks outside the tree that it has at worst from now on.
    pub(super) fn reserved_blocks(&self) -> usize {
        self.worst.saturating_sub(self.path.len())
    }

    /// Puts the blocks that have become full into the tree, or takes those that are there already.
    pub(super) fn publish(&mut self, prefixes: &mut Prefixes) {
        let mut others = false;
        let (full, _) = self.cache.tokens().as_chunks::<BLOCK>();
        for (tokens, block) in full.iter().zip(self.cache.blocks()).skip(self.path.len()) {
            let node = prefixes.publish(self.path.last().copied().unwrap_or(NodeId::ROOT), tokens, block);
            others |= !prefixes.block(node).is_some_and(|known| Arc::ptr_eq(known, block));
            self.path.push(node);
        }
        if others {
            let full = self.path.iter().filter_map(|&node| prefixes.block(node));
            let rest = self.cache.blocks().iter().skip(self.path.len());
            self.cache = Cache::from_shared(self.cache.tokens(), full.chain(rest).cloned().collect());
        }
    }

    /// Samples a token; says how the sequence is over, if it is.
    pub(super) fn advance(&mut self, logits: &[f32]) -> Option<Result<Ending, EngineError>> {
        let Some(token) = self.sampler.sample(logits) else {
            return Some(Err(EngineError::NotFinite { tokens: self.read() }));
        };
        let id = token.id;
        self.tokens.push(id);
        self.send(Ok(Streamed::Token(token)));
        let stop = if self.request.stop.contains(&id) || self.request.rule.as_mut().is_some_and(|rule| rule.reached(id))
        {
            StopReason::EndOfTurn
        } else if self.tokens.len() - self.ending.prompt >= self.request.sampling.max_tokens {
            StopReason::MaxTokens
        } else if self.tokens.len() >= self.context {
            StopReason::Context
        } else {
            return None;
        };
        Some(Ok(Ending { stop, ..self.ending }))
    }
}
