//! What sequences begin with in common: a tree of stretches of tokens.

use std::ops::Range;

use super::sequence::Sequence;

/// Tokens that sequences have in common before it pays to compute them once: shorter stretches make many small pieces.
const SHARED: usize = 16;

/// Stretches of tokens, each of which continues another or begins.
#[derive(Debug)]
pub(super) struct Prefixes<'a> {
    sequences: &'a [&'a Sequence],
    nodes: Vec<Node>,
    roots: Vec<usize>,
    /// `[sequence]`: where it ends.
    ends: Vec<usize>,
}

#[derive(Debug)]
struct Node {
    /// One of the sequences that have the stretch, and where in it the stretch is.
    sequence: usize,
    range: Range<usize>,
    parent: Option<usize>,
    children: Vec<usize>,
}

/// Tokens and which of them are actions.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stretch<'a> {
    pub(super) ids: &'a [u32],
    pub(super) actions: &'a [bool],
}

impl<'a> Prefixes<'a> {
    /// Common beginnings together.
    pub(super) fn shared(sequences: &'a [&'a Sequence]) -> Self {
        Self::build(sequences, SHARED)
    }

    /// Every sequence for itself.
    pub(super) fn apart(sequences: &'a [&'a Sequence]) -> Self {
        Self::build(sequences, usize::MAX)
    }

    fn build(sequences: &'a [&'a Sequence], shared: usize) -> Self {
        let mut tree = Self { sequences, nodes: Vec::new(), roots: Vec::new(), ends: Vec::new() };
        for (index, sequence) in sequences.iter().enumerate() {
            let end = tree.insert(index, sequence.needed_tokens(), shared);
            tree.ends.push(end);
        }
        tree
    }

    /// Inserts so many tokens of a sequence; returns the node where it ends.
    fn insert(&mut self, sequence: usize, length: usize, shared: usize) -> usize {
        let (mut at, mut start) = (None, 0);
        while start < length {
            let rest = self.stretch(sequence, start..length);
            let nearest = self.below(at).iter().map(|&child| (common(self.of_node(child), rest), child));
            let nearest = nearest.max_by_key(|&(common, child)| (common, std::cmp::Reverse(child)));
            match nearest.filter(|&(common, _)| common >= shared) {
                Some((common, child)) => {
                    at = Some(self.cut(child, common));
                    start += common;
                }
                None => return self.add(Node { sequence, range: start..length, parent: at, children: vec![] }),
            }
        }
        at.unwrap_or_default()
    }

    /// Cuts a node after so many tokens, if it is longer; returns the part before the cut. The part after it keeps the
    /// number, so that the sequences that end there still do.
    fn cut(&mut self, node: usize, tokens: usize) -> usize {
        let Some(Node { sequence, range, parent, .. }) = self.nodes.get_mut(node) else { return node };
        if range.len() == tokens {
            return node;
        }
        let before = range.start..range.start + tokens;
        range.start = before.end;
        let upper = Node { sequence: *sequence, range: before, parent: *parent, children: vec![node] };
        let above = parent.take();
        let upper = self.push(upper);
        if let Some(lower) = self.nodes.get_mut(node) {
            lower.parent = Some(upper);
        }
        for child in self.below_mut(above).iter_mut().filter(|child| **child == node) {
            *child = upper;
        }
        upper
    }

    fn add(&mut self, node: Node) -> usize {
        let parent = node.parent;
        let index = self.push(node);
        self.below_mut(parent).push(index);
        index
    }

    fn push(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn below(&self, node: Option<usize>) -> &[usize] {
        match node {
            Some(node) => self.nodes.get(node).map_or(&[], |node| &node.children),
            None => &self.roots,
        }
    }

    fn below_mut(&mut self, node: Option<usize>) -> &mut Vec<usize> {
        match node.and_then(|node| self.nodes.get_mut(node)) {
            Some(node) => &mut node.children,
            None => &mut self.roots,
        }
    }

    fn stretch(&self, sequence: usize, range: Range<usize>) -> Stretch<'a> {
        let Some(sequence) = self.sequences.get(sequence) else { return Stretch::default() };
        Stretch {
            ids: sequence.ids().get(range.clone()).unwrap_or_default(),
            actions: sequence.actions().get(range).unwrap_or_default(),
        }
    }

    fn of_node(&self, node: usize) -> Stretch<'a> {
        self.nodes.get(node).map(|node| self.stretch(node.sequence, node.range.clone())).unwrap_or_default()
    }

    /// How many nodes there are.
    pub(super) fn count(&self) -> usize {
        self.nodes.len()
    }

    /// Every node after the one that it continues, and all that continue a node right after it.
    pub(super) fn downwards(&self) -> impl Iterator<Item = (usize, Option<usize>, Stretch<'a>)> {
        let mut open: Vec<usize> = self.roots.iter().rev().copied().collect();
        std::iter::from_fn(move || {
            let index = open.pop()?;
            let node = self.nodes.get(index)?;
            open.extend(node.children.iter().rev());
            Some((index, node.parent, self.of_node(index)))
        })
    }

    /// The nodes of every sequence, from its beginning on.
    pub(super) fn paths(&self) -> impl Iterator<Item = Vec<usize>> {
        self.ends.iter().map(|&end| {
            let above = |&node: &usize| self.nodes.get(node).and_then(|node| node.parent);
            let mut path: Vec<usize> = std::iter::successors(Some(end), above).collect();
            path.reverse();
            path
        })
    }
}

/// How many tokens two stretches begin with in common, actions or not included.
fn common(left: Stretch<'_>, right: Stretch<'_>) -> usize {
    let left = left.ids.iter().zip(left.actions);
    left.zip(right.ids.iter().zip(right.actions)).take_while(|(left, right)| left == right).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sequence(ids: Vec<u32>) -> Sequence {
        let actions = ids.iter().map(|id| id % 2 == 1).chain([true]).collect();
        Sequence::new("s", ids.into_iter().chain([99]).collect(), actions).unwrap()
    }

    fn told(prefixes: &Prefixes<'_>) -> Vec<Vec<u32>> {
        let ids = |path: Vec<usize>| path.into_iter().flat_map(|node| prefixes.of_node(node).ids).copied().collect();
        prefixes.paths().map(ids).collect()
    }

    proptest! {
        #[test]
        fn every_path_tells_its_sequence(rows in prop::collection::vec(prop::collection::vec(0u32..2, 1..12), 1..8)) {
            let sequences: Vec<Sequence> = rows.into_iter().map(sequence).collect();
            let sequences: Vec<&Sequence> = sequences.iter().collect();
            let expected: Vec<Vec<u32>> = sequences.iter().map(|sequence| sequence.ids().to_vec()).collect();
            for shared in [1, 2, 5, usize::MAX] {
                let prefixes = Prefixes::build(&sequences, shared);
                prop_assert_eq!(&told(&prefixes), &expected);
                // Parents come before their children, whose subtree follows at once.
                let order: Vec<_> = prefixes.downwards().map(|(node, parent, _)| (node, parent)).collect();
                prop_assert_eq!(order.len(), prefixes.count());
                for (at, (_, parent)) in order.iter().enumerate() {
                    prop_assert!(parent.is_none_or(|parent| order[..at].iter().any(|(node, _)| *node == parent)));
                }
            }
            let tokens = |shared| -> usize {
                Prefixes::build(&sequences, shared).downwards().map(|(_, _, stretch)| stretch.ids.len()).sum()
            };
            prop_assert!(tokens(1) <= tokens(3) && tokens(3) <= tokens(usize::MAX));
            prop_assert_eq!(tokens(usize::MAX), expected.iter().map(Vec::len).sum::<usize>());
        }
    }
}
