//! Contexts that were computed before, block by block.
//!
//! A rollout's next prompt begins with everything it read and wrote so far, and rollouts of one task begin alike. So the
//! blocks of running and finished contexts are kept in a tree: a node is one block, its key the tokens in it, and the way
//! to it from the root the tokens before it. Keys are compared token by token; nothing is believed of a hash. Nodes that a
//! running sequence uses stay; of the others the least recently used one goes when the room is needed. Incomplete blocks
//! are leaves.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use super::cache::{BLOCK, Block};

/// A node of the tree, or its root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct NodeId(u64);

impl NodeId {
    /// The beginning of every context; no node itself.
    pub(super) const ROOT: Self = Self(0);
}

/// Nodes side by side, by their tokens. Sorted, so that the longest common beginning is beside where a key belongs.
type Children = BTreeMap<Box<[u32]>, NodeId>;

#[derive(Debug)]
struct Node {
    parent: NodeId,
    tokens: Box<[u32]>,
    block: Arc<Block>,
    /// Blocks from the root to here.
    depth: usize,
    /// Running sequences whose way goes through it. Whoever uses a node uses all above it.
    users: usize,
    /// When it was last used; meaningful without users.
    used: u64,
}

/// The tree.
#[derive(Debug, Default)]
pub(super) struct Prefixes {
    nodes: HashMap<NodeId, Node>,
    children: HashMap<NodeId, Children>,
    /// Nodes without users, the next to go first: a node is never older than those below it.
    idle: BTreeSet<(u64, Reverse<usize>, NodeId)>,
    clock: u64,
    newest: u64,
}

/// The beginning of a block's tokens that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Partial {
    pub(super) node: NodeId,
    /// Tokens in common; at least one.
    pub(super) tokens: usize,
}

impl Prefixes {
    /// Blocks held.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Blocks that running sequences use.
    pub(super) fn in_use(&self) -> usize {
        self.nodes.len() - self.idle.len()
    }

    /// All blocks held.
    #[cfg(test)]
    pub(super) fn blocks(&self) -> impl Iterator<Item = &Arc<Block>> {
        self.nodes.values().map(|node| &node.block)
    }

    pub(super) fn is_idle(&self, node: NodeId) -> bool {
        self.nodes.get(&node).is_some_and(|node| node.users == 0)
    }

    pub(super) fn block(&self, node: NodeId) -> Option<&Arc<Block>> {
        self.nodes.get(&node).map(|node| &node.block)
    }

    /// The block after `parent` that holds exactly `tokens`.
    pub(super) fn child(&self, parent: NodeId, tokens: &[u32]) -> Option<NodeId> {
        self.children.get(&parent)?.get(tokens).copied()
    }

    /// The block after `parent` that begins with most of `tokens`.
    pub(super) fn longest(&self, parent: NodeId, tokens: &[u32]) -> Option<Partial> {
        let children = self.children.get(&parent)?;
        let after = children.range::<[u32], _>((Bound::Included(tokens), Bound::Unbounded)).next();
        let before = children.range::<[u32], _>((Bound::Unbounded, Bound::Excluded(tokens))).next_back();
        let partials = after.into_iter().chain(before);
        let partials = partials.map(|(key, &node)| Partial { node, tokens: common(key, tokens) });
        let best = partials.max_by_key(|partial| partial.tokens);
        best.filter(|partial| partial.tokens > 0)
    }

    /// Another running sequence uses `node`.
    pub(super) fn acquire(&mut self, node: NodeId) {
        let Some(entry) = self.nodes.get_mut(&node) else { return };
        if entry.users == 0 {
            self.idle.remove(&(entry.used, Reverse(entry.depth), node));
        }
        entry.users += 1;
    }

    /// A block of which only the beginning is wanted; whoever goes on writes to a copy.
    pub(super) fn share(&mut self, partial: Partial) -> Option<Arc<Block>> {
        self.clock += 1;
        let entry = self.nodes.get_mut(&partial.node)?;
        if entry.users == 0 {
            self.idle.remove(&(entry.used, Reverse(entry.depth), partial.node));
            entry.used = self.clock;
            self.idle.insert((entry.used, Reverse(entry.depth), partial.node));
        }
        Some(Arc::clone(&entry.block))
    }

    /// Takes in a full block that a running sequence has computed, and which it uses from now on. If another one was
    /// faster the block that is here already counts: it holds the same numbers.
    pub(super) fn publish(&mut self, parent: NodeId, tokens: &[u32], block: &Arc<Block>) -> NodeId {
        let node = match self.child(parent, tokens) {
            Some(node) => node,
            None => self.insert(parent, tokens, Arc::clone(block)),
        };
        self.acquire(node);
        node
    }

    /// A sequence is over: nobody uses `path` (from the root on) for it any longer. `tail` is its incomplete last block.
    pub(super) fn release(&mut self, path: &[NodeId], tail: Option<(&[u32], &Arc<Block>)>) {
        self.clock += 1;
        if let Some((tokens, block)) = tail {
            let parent = path.last().copied().unwrap_or(NodeId::ROOT);
            if self.longest(parent, tokens).is_none_or(|known| known.tokens < tokens.len()) {
                self.insert(parent, tokens, Arc::clone(block));
            }
        }
        for &node in path {
            let Some(entry) = self.nodes.get_mut(&node) else { continue };
            entry.users = entry.users.saturating_sub(1);
            if entry.users == 0 {
                entry.used = self.clock;
                self.idle.insert((entry.used, Reverse(entry.depth), node));
            }
        }
    }

    /// Gives away the whole of an incomplete block that `partial` continues; `None` if there is more in it.
    pub(super) fn take(&mut self, partial: Partial) -> Option<Arc<Block>> {
        let whole = self.nodes.get(&partial.node)?.tokens.len();
        (whole == partial.tokens && whole < BLOCK).then(|| self.remove(partial.node))?
    }

    /// Forgets the block that was not used for longest; false if all are in use.
    pub(super) fn evict(&mut self) -> bool {
        let Some(&(_, _, node)) = self.idle.first() else { return false };
        self.remove(node).is_some()
    }

    /// A new node without users.
    fn insert(&mut self, parent: NodeId, tokens: &[u32], block: Arc<Block>) -> NodeId {
        let before = self
            .children
            .get(&parent)
            .and_then(|children| children.range::<[u32], _>((Bound::Unbounded, Bound::Excluded(tokens))).next_back());
        // A leaf that these tokens continue is of no more use. No other key can stand between the two.
        if let Some((_, &leaf)) = before.filter(|(key, _)| tokens.starts_with(key)) {
            self.remove(leaf);
        }
        self.newest += 1;
        let node = NodeId(self.newest);
        let depth = self.nodes.get(&parent).map_or(0, |parent| parent.depth) + 1;
        self.children.entry(parent).or_default().insert(tokens.into(), node);
        self.idle.insert((self.clock, Reverse(depth), node));
        self.nodes.insert(node, Node { parent, tokens: tokens.into(), block, depth, users: 0, used: self.clock });
        node
    }

    /// Removes a leaf without users.
    fn remove(&mut self, node: NodeId) -> Option<Arc<Block>> {
        let removed = self.nodes.remove(&node)?;
        self.idle.remove(&(removed.used, Reverse(removed.depth), node));
        if let Some(siblings) = self.children.get_mut(&removed.parent) {
            siblings.remove(&removed.tokens);
            if siblings.is_empty() {
                self.children.remove(&removed.parent);
            }
        }
        Some(removed.block)
    }
}

/// Tokens that two sequences begin with alike.
pub(super) fn common(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}
