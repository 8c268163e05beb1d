//! How the tokens of several sequences lie in rows.
//!
//! There is no batch dimension and no padding: all tokens of a batch are rows one after the other, cut into segments. A
//! segment attends to itself, causally, and to the segments that it continues. So several sequences packed side by side do
//! not see each other, and what several sequences begin with is one segment that all of them continue: it is computed
//! once, forward and backward.

use std::ops::Range;

/// The rows of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    positions: Vec<u32>,
    segments: Vec<Segment>,
    /// Rows of each segment that continues none, together with all that continue it.
    trees: Vec<Range<usize>>,
}

/// Consecutive rows that are one stretch of one or several sequences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) rows: Range<usize>,
    /// Position of its first token in its sequences.
    pub(crate) first: usize,
    /// Rows of all tokens before it in its sequences, in order.
    before: Vec<Range<usize>>,
}

/// What a few queries of a segment look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Visible {
    /// Position of the first key.
    pub(crate) first: usize,
    /// Rows of the keys, in order of their positions.
    pub(crate) rows: Vec<Range<usize>>,
}

impl Layout {
    /// Sequences of these lengths, one after the other.
    pub fn of_lengths(lengths: &[usize]) -> Self {
        let mut layout = Self::default();
        for &length in lengths {
            layout.push(None, length);
        }
        layout
    }

    /// Appends a segment of so many tokens that continues another one of the last tree, or none; returns its number.
    pub(crate) fn push(&mut self, continued: Option<usize>, tokens: usize) -> usize {
        let start = self.tokens();
        let rows = start..start + tokens;
        let (first, before) = match continued.and_then(|index| self.segments.get(index)) {
            Some(parent) => {
                let mut before = parent.before.clone();
                match before.last_mut() {
                    Some(last) if last.end == parent.rows.start => last.end = parent.rows.end,
                    _ => before.push(parent.rows.clone()),
                }
                (parent.first + parent.rows.len(), before)
            }
            None => (0, Vec::new()),
        };
        match self.trees.last_mut() {
            Some(tree) if continued.is_some() => tree.end = rows.end,
            _ => self.trees.push(rows.clone()),
        }
        self.positions.extend((first..first + tokens).map(|position| position as u32));
        self.segments.push(Segment { rows, first, before });
        self.segments.len() - 1
    }

    /// Rows of all segments.
    pub fn tokens(&self) -> usize {
        self.positions.len()
    }

    /// `[token]`: its position in its sequences.
    pub(crate) fn positions(&self) -> &[u32] {
        &self.positions
    }

    pub(crate) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Rows of sequences that have nothing to do with each other.
    pub(crate) fn trees(&self) -> &[Range<usize>] {
        &self.trees
    }
}

impl Segment {
    /// The keys that some of its rows look at, with a window no more than so many positions each.
    pub(crate) fn visible(&self, queries: &Range<usize>, window: Option<usize>) -> Visible {
        let own = self.rows.start..queries.end;
        let mut rows: Vec<Range<usize>> = self.before.clone();
        match rows.last_mut() {
            Some(last) if last.end == own.start => last.end = own.end,
            _ => rows.push(own),
        }
        let earliest = self.position(queries.start) + 1;
        let first = window.map_or(0, |window| earliest.saturating_sub(window));
        let mut skipped = first;
        rows.retain_mut(|range| {
            let cut = skipped.min(range.len());
            skipped -= cut;
            range.start += cut;
            range.start < range.end
        });
        Visible { first, rows }
    }

    /// Position of one of its rows.
    pub(crate) fn position(&self, row: usize) -> usize {
        self.first + row - self.rows.start
    }
}

impl Visible {
    /// How many keys there are.
    pub(crate) fn len(&self) -> usize {
        self.rows.iter().map(Range::len).sum()
    }

    /// The rows of the keys, each with the number of keys before it.
    pub(crate) fn parts(&self) -> impl Iterator<Item = (usize, &Range<usize>)> {
        self.rows.iter().scan(0, |start, rows| {
            let before = *start;
            *start += rows.len();
            Some((before, rows))
        })
    }

    /// Which of the keys, counted from the first, the query at a position sees.
    pub(crate) fn of(&self, position: usize, window: Option<usize>) -> Range<usize> {
        let end = (position + 1).saturating_sub(self.first);
        let start = window.map_or(0, |window| (position + 1).saturating_sub(window + self.first));
        start.min(end)..end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A prefix of 4 with two continuations, of 3 and 2, and a sequence of 2 of its own.
    fn layout() -> Layout {
        let mut layout = Layout::default();
        let prefix = layout.push(None, 4);
        layout.push(Some(prefix), 3);
        layout.push(Some(prefix), 2);
        layout.push(None, 2);
        layout
    }

    #[test]
    fn a_continuation_goes_on_where_its_prefix_ends() {
        let layout = layout();
        assert_eq!(layout.positions(), [0, 1, 2, 3, 4, 5, 6, 4, 5, 0, 1]);
        assert_eq!(layout.trees(), [0..9, 9..11]);
        assert_eq!(layout.tokens(), 11);
    }

    #[test]
    fn queries_see_what_they_continue_and_nothing_else() {
        let layout = layout();
        let second = &layout.segments()[2];
        let visible = second.visible(&(8..9), None);
        assert_eq!(visible, Visible { first: 0, rows: vec![0..4, 7..9] });
        assert_eq!((visible.len(), visible.of(5, None)), (6, 0..6));
        // Rows that follow each other are one range.
        assert_eq!(layout.segments()[1].visible(&(4..6), None).rows, vec![0..6]);
        assert_eq!(layout.segments()[3].visible(&(9..10), None).rows, vec![9..10]);
    }

    #[test]
    fn a_window_hides_what_is_too_far_before() {
        let layout = layout();
        // Queries at positions 4 and 5 that see 3 positions: from 2 on.
        let visible = layout.segments()[2].visible(&(7..9), Some(3));
        assert_eq!(visible, Visible { first: 2, rows: vec![2..4, 7..9] });
        assert_eq!(visible.of(4, Some(3)), 0..3);
        assert_eq!(visible.of(5, Some(3)), 1..4);
    }
}
