//! What each step computes, for whom, and in which memory.
//!
//! The scheduler is a plain value: requests are put in, [`Scheduler::step`] is called as long as there is work, and what
//! computes is a function that it is given. Three rules hold between steps:
//!
//! * **Memory.** Blocks in use and blocks that running sequences may still need at worst fit the budget together. So no
//!   sequence ever has to be thrown out; what waits is let in, in its order, when this stays true with it.
//! * **Once.** A full block is in the tree of [`Prefixes`] as soon as it is computed. A sequence reads of its prompt only
//!   what it finds neither there nor in a running sequence, and waits while one before it is about to compute it.
//! * **Fairness.** A step reads one token for every sequence that is writing, and a bounded number of tokens of prompts,
//!   first come, first served.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::admission::Limits;
use super::cache::{BLOCK, Block, Cache};
use super::error::EngineError;
use super::forward::Work;
use super::prefix::{NodeId, Partial, Prefixes, common};
use super::request::{Ending, Streamed};
use super::sequence::Sequence;

/// Computes what each work asks for; the logits `[vocabulary]` of those that want them, in order.
pub(super) type Forward<'a> = dyn FnMut(&mut [Work<'_>]) -> Vec<Vec<f32>> + 'a;

/// What an engine has done so far, and what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineStats {
    /// Passes of the decoder.
    pub steps: u64,
    /// Tokens of prompts that were computed.
    pub prefilled: u64,
    /// Tokens of prompts that were computed already.
    pub reused: u64,
    /// Tokens that were sampled.
    pub sampled: u64,
    /// Requests under way.
    pub running: usize,
    /// Requests that wait for their place.
    pub waiting: usize,
    /// Bytes of keys and values that requests under way use or may still need.
    pub reserved_bytes: usize,
    /// Bytes of keys and values, those kept for later requests included.
    pub cache_bytes: usize,
    /// The most that `cache_bytes` ever was.
    pub peak_cache_bytes: usize,
}

/// Requests and the blocks that they share.
pub(super) struct Scheduler {
    limits: Limits,
    waiting: VecDeque<Sequence>,
    running: Vec<Sequence>,
    prefixes: Prefixes,
    stats: EngineStats,
    /// Where everyone reads `stats`; written before anybody hears of the end of a request.
    published: Arc<Mutex<EngineStats>>,
}

/// The part of a sequence's prompt that others have computed.
struct Known {
    /// Full blocks beyond its own.
    nodes: Vec<NodeId>,
    tail: Option<Tail>,
    /// Tokens in all, its own included.
    tokens: usize,
}

/// Where the tokens after the last full block are.
enum Tail {
    Kept(Partial),
    Running(Arc<Block>),
}

type Outcome = Result<Ending, EngineError>;

impl Scheduler {
    pub(super) fn new(limits: Limits, published: Arc<Mutex<EngineStats>>) -> Self {
        let (waiting, running) = (VecDeque::new(), Vec::new());
        Self { limits, waiting, running, prefixes: Prefixes::default(), stats: EngineStats::default(), published }
    }

    /// Takes a request on that [`Limits::check`] has let pass.
    pub(super) fn submit(&mut self, sequence: Sequence) {
        self.waiting.push_back(sequence);
    }

    pub(super) fn has_work(&self) -> bool {
        !self.running.is_empty() || !self.waiting.is_empty()
    }

    /// Ends all requests.
    pub(super) fn cancel(&mut self) {
        self.waiting.drain(..).chain(self.running.drain(..)).for_each(|sequence| {
            sequence.send(Err(EngineError::Cancelled));
        });
    }

    /// One pass of the decoder and what belongs to it.
    pub(super) fn step(&mut self, forward: &mut Forward<'_>) {
        self.drop_abandoned();
        self.admit();
        let pieces = self.plan();
        self.make_room(&pieces);
        let logits = self.compute(&pieces, forward);
        let over = self.take_in(&pieces, logits);
        self.count();
        for (sequence, outcome) in over {
            sequence.send(outcome.map(Streamed::End));
        }
    }

    fn drop_abandoned(&mut self) {
        self.waiting.retain(|sequence| !sequence.is_abandoned());
        let abandoned = self.running.extract_if(.., |sequence| sequence.is_abandoned());
        abandoned.for_each(|sequence| self.prefixes.release(&sequence.path, sequence.tail()));
    }

    /// Lets requests in as long as there are places and blocks for the first one that waits.
    fn admit(&mut self) {
        while self.running.len() < self.limits.batch
            && let Some(mut sequence) = self.waiting.pop_front()
        {
            let known = self.known(&sequence);
            let shared = known.as_ref().map(|known| known.nodes.as_slice()).unwrap_or_default();
            let idle = shared.iter().filter(|&&node| self.prefixes.is_idle(node)).count();
            let needed = idle + sequence.worst.saturating_sub(shared.len());
            if self.reserved_blocks() + needed > self.limits.blocks() {
                self.waiting.push_front(sequence);
                break;
            }
            self.stats.reused += attach(&mut self.prefixes, &mut sequence, known) as u64;
            self.running.push(sequence);
        }
    }

    /// Blocks in use and blocks that may still be needed.
    fn reserved_blocks(&self) -> usize {
        self.prefixes.in_use() + self.running.iter().map(Sequence::reserved_blocks).sum::<usize>()
    }

    /// Blocks that exist, at most. A block that several tails share until they are written to counts for each.
    fn blocks(&self) -> usize {
        self.prefixes.len() + self.running.iter().map(Sequence::private_blocks).sum::<usize>()
    }

    /// What others know of a prompt; `None` if it is no more than the sequence has. The last token is always read anew:
    /// what follows it is what is wanted.
    fn known(&self, sequence: &Sequence) -> Option<Known> {
        let usable = sequence.tokens.get(..sequence.ending.prompt.saturating_sub(1))?;
        if sequence.read() >= usable.len() {
            return None;
        }
        let mut nodes = Vec::new();
        let mut node = sequence.node();
        let mut rest = usable.get(sequence.path.len() * BLOCK..)?;
        while let Some((tokens, after)) = rest.split_at_checked(BLOCK)
            && let Some(child) = self.prefixes.child(node, tokens)
        {
            nodes.push(child);
            (node, rest) = (child, after);
        }
        let kept = self.prefixes.longest(node, rest).map(|partial| (partial.tokens, Tail::Kept(partial)));
        let tails = self.running.iter().filter(|other| other.node() == node).filter_map(Sequence::tail);
        let tails = tails.map(|(tokens, block)| (common(tokens, rest), block)).max_by_key(|&(tokens, _)| tokens);
        let tails = tails.map(|(tokens, block)| (tokens, Tail::Running(Arc::clone(block))));
        let tail = kept.into_iter().chain(tails).filter(|&(tokens, _)| tokens > 0).max_by_key(|&(tokens, _)| tokens);
        let tokens = usable.len() - rest.len() + tail.as_ref().map_or(0, |&(tokens, _)| tokens);
        (tokens > sequence.read()).then(|| Known { nodes, tail: tail.map(|(_, tail)| tail), tokens })
    }

    /// Tokens that each running sequence reads in this step; 0 if it waits.
    fn plan(&mut self) -> Vec<usize> {
        let mut budget = self.limits.prefill;
        (0..self.running.len()).map(|index| self.piece(index, &mut budget)).collect()
    }

    fn piece(&mut self, index: usize, budget: &mut usize) -> usize {
        let known = self.running.get(index).and_then(|sequence| self.known(sequence));
        let Some((sequence, before)) = self.running.get_mut(..=index).and_then(<[_]>::split_last_mut) else { return 0 };
        self.stats.reused += attach(&mut self.prefixes, sequence, known) as u64;
        if sequence.unread_prompt() == 0 {
            return 1; // what it sampled last
        }
        if before.iter().any(|other| is_about_to_read(other, sequence)) {
            return 0;
        }
        let piece = sequence.unread_prompt().min(*budget);
        *budget -= piece;
        piece
    }

    /// Forgets blocks that nobody uses until there is room for those that this step adds.
    fn make_room(&mut self, pieces: &[usize]) {
        let blocks = |(sequence, piece): (&Sequence, &usize)| {
            (sequence.read() + piece).div_ceil(BLOCK).saturating_sub(sequence.cache.blocks().len())
        };
        let added: usize = self.running.iter().zip(pieces).map(blocks).sum();
        while self.blocks() + added > self.limits.blocks() && self.prefixes.evict() {}
        let held = (self.blocks() + added).saturating_mul(self.limits.block_bytes);
        self.stats.peak_cache_bytes = self.stats.peak_cache_bytes.max(held);
    }

    fn compute(&mut self, pieces: &[usize], forward: &mut Forward<'_>) -> Vec<Vec<f32>> {
        let mut works: Vec<Work<'_>> = Vec::with_capacity(pieces.len());
        let reading = self.running.iter_mut().zip(pieces).filter(|&(_, &piece)| piece > 0);
        for (Sequence { cache, tokens, .. }, &piece) in reading {
            let read = cache.tokens().len();
            let logits = read + piece == tokens.len();
            works.push(Work { cache, tokens: tokens.get(read..read + piece).unwrap_or_default(), logits });
        }
        if works.is_empty() { Vec::new() } else { forward(&mut works) }
    }

    /// Shares what was computed and samples; returns the sequences that are over.
    fn take_in(&mut self, pieces: &[usize], logits: Vec<Vec<f32>>) -> Vec<(Sequence, Outcome)> {
        let mut logits = logits.into_iter();
        let mut over = Vec::new();
        self.stats.steps += 1;
        for (mut sequence, &piece) in std::mem::take(&mut self.running).into_iter().zip(pieces) {
            let prefilled = piece.min(sequence.ending.prompt.saturating_sub(sequence.read() - piece));
            sequence.ending.prefilled += prefilled;
            self.stats.prefilled += prefilled as u64;
            sequence.publish(&mut self.prefixes);
            let wanted = piece > 0 && sequence.read() == sequence.tokens.len();
            let known = sequence.tokens.len();
            // Missing logits count as none that are numbers.
            let outcome = wanted.then(|| sequence.advance(&logits.next().unwrap_or_default())).flatten();
            self.stats.sampled += (sequence.tokens.len() - known) as u64;
            match outcome {
                None => self.running.push(sequence),
                Some(outcome) => {
                    self.prefixes.release(&sequence.path, sequence.tail());
                    over.push((sequence, outcome));
                }
            }
        }
        over
    }

    fn count(&mut self) {
        let bytes = self.limits.block_bytes;
        self.stats.running = self.running.len();
        self.stats.waiting = self.waiting.len();
        self.stats.reserved_bytes = self.reserved_blocks().saturating_mul(bytes);
        self.stats.cache_bytes = self.blocks().saturating_mul(bytes);
        *self.published.lock().unwrap_or_else(PoisonError::into_inner) = self.stats;
    }
}

/// Gives a sequence what others have computed of its prompt; returns how many tokens.
fn attach(prefixes: &mut Prefixes, sequence: &mut Sequence, known: Option<Known>) -> usize {
    let Some(Known { nodes, tail, tokens }) = known else { return 0 };
    nodes.iter().for_each(|&node| prefixes.acquire(node));
    sequence.path.extend(nodes);
    let tail = match tail {
        // The sequence goes on where the block ends: no copy is needed.
        Some(Tail::Kept(partial)) => prefixes.take(partial).or_else(|| prefixes.share(partial)),
        Some(Tail::Running(block)) => Some(block),
        None => None,
    };
    let full = sequence.path.iter().filter_map(|&node| prefixes.block(node)).cloned();
    let blocks = full.chain(tail).collect();
    let reused = tokens.saturating_sub(sequence.read());
    sequence.cache = Cache::from_shared(sequence.tokens.get(..tokens).unwrap_or_default(), blocks);
    sequence.ending.reused += reused;
    reused
}

/// Whether `other` is going to compute the next block that `sequence` would, or all that it needs from others.
fn is_about_to_read(other: &Sequence, sequence: &Sequence) -> bool {
    let usable = sequence.ending.prompt.saturating_sub(1);
    let (from, until) = (sequence.path.len() * BLOCK, usable.min(sequence.read() + BLOCK));
    let wanted = sequence.tokens.get(from..until).unwrap_or_default();
    let planned = other.tokens.get(..other.ending.prompt).and_then(|prompt| prompt.get(from..until));
    sequence.read() < until && other.unread_prompt() > 0 && other.node() == sequence.node() && planned == Some(wanted)
}

#[cfg(test)]
mod tests;
