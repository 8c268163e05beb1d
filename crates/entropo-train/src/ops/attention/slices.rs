//! What attention over slices is made of.

use std::ops::Range;

use burn::tensor::Tensor;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

use super::Scores;
use crate::decoder::layout::{Segment, Visible};
use crate::ops::host::Values;

/// Scores that exist at a time in a task: what a core's own cache holds.
const SCORES: usize = 1 << 17;

/// Rows of several heads, `[head, token, width]`.
pub(super) struct Heads {
    values: Values,
    pub(super) tokens: usize,
    pub(super) width: usize,
}

/// Queries, keys and values at hand.
pub(super) struct Inputs {
    pub(super) q: Heads,
    pub(super) k: Heads,
    pub(super) v: Heads,
    pub(super) heads: usize,
    pub(super) groups: usize,
    pub(super) scores: Scores,
}

/// Scores of a block of queries, or something of their shape: `[query, key]`.
pub(super) struct Sheet<'a> {
    values: &'a mut [f32],
    rows: usize,
    columns: usize,
}

impl Heads {
    pub(super) fn of<const D: usize>(tensor: &Tensor<D>, tokens: usize, width: usize) -> Option<Self> {
        Some(Self { values: Values::of(tensor)?, tokens, width })
    }

    /// Some rows of one head.
    pub(super) fn slice(&self, head: usize, rows: &Range<usize>) -> &[f32] {
        let start = (head * self.tokens + rows.start) * self.width;
        self.values.as_slice().get(start..start + rows.len() * self.width).unwrap_or_default()
    }

    /// The same as a matrix, `[row, width]`.
    pub(super) fn rows(&self, head: usize, rows: &Range<usize>) -> MatRef<'_, f32> {
        MatRef::from_row_major_slice(self.slice(head, rows), rows.len(), self.width)
    }
}

impl Inputs {
    pub(super) fn of([q, k, v]: [&Tensor<3>; 3], scores: Scores) -> Option<Self> {
        let [heads, tokens, width] = q.dims();
        let [groups, ..] = k.dims();
        let of = |tensor| Heads::of(tensor, tokens, width);
        Some(Self { q: of(q)?, k: of(k)?, v: of(v)?, heads, groups, scores })
    }

    /// The group whose keys and values a head uses.
    pub(super) fn group(&self, head: usize) -> usize {
        head / (self.heads / self.groups.max(1)).max(1)
    }

    /// Fills a sheet with scaled products of queries and keys.
    pub(super) fn score(&self, head: usize, queries: &Range<usize>, visible: &Visible, sheet: &mut Sheet<'_>) {
        let (queries, group) = (self.q.rows(head, queries), self.group(head));
        for (start, keys) in visible.parts() {
            let keys_of = self.k.rows(group, keys).transpose();
            let scale = self.scores.scale as f32;
            matmul(sheet.part_mut(start, keys.len()), Accum::Replace, queries, keys_of, scale, Par::Seq);
        }
    }

    /// Which keys a row of a segment sees, counted from the first visible one.
    pub(super) fn seen(&self, segment: &Segment, row: usize, visible: &Visible) -> Range<usize> {
        visible.of(segment.position(row), self.scores.window)
    }
}

impl<'a> Sheet<'a> {
    /// In memory that is used again; its values are what they are.
    pub(super) fn new(memory: &'a mut Vec<f32>, rows: usize, columns: usize) -> Self {
        if memory.len() < rows * columns {
            memory.resize(rows * columns, 0.0);
        }
        let (values, _) = memory.split_at_mut(rows * columns);
        Self { values, rows, columns }
    }

    pub(super) fn rows(&mut self) -> impl Iterator<Item = &mut [f32]> {
        self.values.chunks_exact_mut(self.columns.max(1))
    }

    /// Columns from `start` on.
    pub(super) fn part(&self, start: usize, columns: usize) -> MatRef<'_, f32> {
        MatRef::from_row_major_slice(&*self.values, self.rows, self.columns).subcols(start, columns)
    }

    pub(super) fn part_mut(&mut self, start: usize, columns: usize) -> MatMut<'_, f32> {
        MatMut::from_row_major_slice_mut(&mut *self.values, self.rows, self.columns).subcols_mut(start, columns)
    }
}

/// Queries in a block of a segment.
pub(super) fn block_size(segment: &Segment) -> usize {
    (SCORES / (segment.first + segment.rows.len()).max(1)).clamp(16, 128)
}
