//! Gradients of attention over slices: every head of every tree is a task.

use std::ops::Range;

use burn::tensor::Tensor;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, Par};
use rayon::prelude::*;

use super::slices::{Heads, Inputs, Sheet, block_size};
use super::{Attended, Layout, blocks};
use crate::decoder::layout::Segment;
use crate::ops::host::Owned;
use crate::ops::math::{exp, sum2};
use crate::ops::parallel::{vectorised, zip1};

/// What is known of the result.
pub(super) struct Given {
    mixed: Heads,
    log_sums: Heads,
    gradient: Heads,
}

/// One head of one tree, and where the gradients of its rows go.
struct Task<'a> {
    head: usize,
    tree: &'a Range<usize>,
    of_q: &'a mut [f32],
    of_k: &'a mut [f32],
    of_v: &'a mut [f32],
}

/// Memory for two sheets.
type Memory = [Vec<f32>; 2];

impl Given {
    pub(super) fn of(attended: &Attended, gradient: &Tensor<3>) -> Option<Self> {
        let [_, tokens, width] = gradient.dims();
        Some(Self {
            mixed: Heads::of(&attended.mixed, tokens, width)?,
            log_sums: Heads::of(&attended.log_sums, tokens, 1)?,
            gradient: Heads::of(gradient, tokens, width)?,
        })
    }
}

impl Inputs {
    pub(super) fn backward(&self, given: &Given, layout: &Layout) -> [Tensor<3>; 3] {
        let (tokens, width) = (self.q.tokens, self.q.width);
        let size = tokens * width;
        let mut of_q = Owned::zeros(self.heads * size);
        let mut of_k = Owned::zeros(self.heads * size);
        let mut of_v = Owned::zeros(self.heads * size);
        let mut tasks = Vec::new();
        let keys_and_values =
            of_k.as_mut_slice().chunks_mut(size.max(1)).zip(of_v.as_mut_slice().chunks_mut(size.max(1)));
        for (head, (mut q, (mut k, mut v))) in
            of_q.as_mut_slice().chunks_mut(size.max(1)).zip(keys_and_values).enumerate()
        {
            for tree in layout.trees() {
                let (of_q, rest_q) = q.split_at_mut(tree.len() * width);
                let (of_k, rest_k) = k.split_at_mut(tree.len() * width);
                let (of_v, rest_v) = v.split_at_mut(tree.len() * width);
                tasks.push(Task { head, tree, of_q, of_k, of_v });
                (q, k, v) = (rest_q, rest_k, rest_v);
            }
        }
        let act = |memory: &mut Memory, task| self.differentiate(task, given, layout, memory);
        tasks.into_par_iter().for_each_init(Memory::default, act);
        let of_q = of_q.into_tensor([self.heads, tokens, width]);
        [of_q, self.of_groups(of_k), self.of_groups(of_v)]
    }

    fn differentiate(&self, task: Task<'_>, given: &Given, layout: &Layout, memory: &mut Memory) {
        let Task { head, tree, mut of_q, of_k, of_v } = task;
        let segments = layout.segments().iter().filter(|segment| tree.contains(&segment.rows.start));
        for segment in segments {
            for queries in blocks(segment, block_size(segment)) {
                let (of_queries, rest) = of_q.split_at_mut(queries.len() * self.q.width);
                of_q = rest;
                let of_queries = MatMut::from_row_major_slice_mut(of_queries, queries.len(), self.q.width);
                self.block(head, (segment, &queries), given, memory, of_queries, tree.start, [of_k, of_v]);
            }
        }
    }

    /// With `P` the weights, `dP = dO V^T` and `D = rowsum(dO O)`: `dS = P (dP - D)`, `dQ = dS K`, `dK = dS^T Q`,
    /// `dV = P^T dO`, the scale left out.
    #[allow(clippy::too_many_arguments, reason = "they are what one block needs, and are used nowhere else")]
    fn block(
        &self,
        head: usize,
        (segment, queries): (&Segment, &Range<usize>),
        given: &Given,
        [weights, slopes]: &mut Memory,
        mut of_queries: MatMut<'_, f32>,
        first_row: usize,
        [of_k, of_v]: [&mut [f32]; 2],
    ) {
        let (width, scale) = (self.q.width, self.scores.scale as f32);
        let group = self.group(head);
        let visible = segment.visible(queries, self.scores.window);
        let mut weights = Sheet::new(weights, queries.len(), visible.len());
        let mut slopes = Sheet::new(slopes, queries.len(), visible.len());
        self.score(head, queries, &visible, &mut weights);
        let gradient = given.gradient.rows(head, queries);
        for (start, keys) in visible.parts() {
            let values = self.v.rows(group, keys).transpose();
            matmul(slopes.part_mut(start, keys.len()), Accum::Replace, gradient, values, 1.0, Par::Seq);
        }
        vectorised(
            #[inline(always)]
            || {
                let results = given.mixed.slice(head, queries).chunks_exact(width);
                let results = results.zip(given.gradient.slice(head, queries).chunks_exact(width));
                let results = results.zip(given.log_sums.slice(head, queries));
                let rows = weights.rows().zip(slopes.rows()).zip(queries.clone());
                for (((weights, slopes), row), ((mixed, gradient), log_sum)) in rows.zip(results) {
                    let common = sum2(mixed, gradient, |x, y, sum| x.mul_add(y, sum));
                    restore(weights, slopes, self.seen(segment, row, &visible), *log_sum, common);
                }
            },
        );
        for (start, keys) in visible.parts() {
            let (weights, slopes) = (weights.part(start, keys.len()), slopes.part(start, keys.len()));
            matmul(of_queries.as_mut(), Accum::Add, slopes, self.k.rows(group, keys), scale, Par::Seq);
            let place = (keys.start - first_row) * width..(keys.end - first_row) * width;
            let of_keys = of_k.get_mut(place.clone()).unwrap_or_default();
            let of_keys = MatMut::from_row_major_slice_mut(of_keys, keys.len(), width);
            matmul(of_keys, Accum::Add, slopes.transpose(), self.q.rows(head, queries), scale, Par::Seq);
            let of_values = of_v.get_mut(place).unwrap_or_default();
            let of_values = MatMut::from_row_major_slice_mut(of_values, keys.len(), width);
            matmul(of_values, Accum::Add, weights.transpose(), gradient, 1.0, Par::Seq);
        }
    }

    /// Adds up what the heads of each group found for their keys or values: `[group, token, width]`.
    fn of_groups(&self, of_heads: Owned) -> Tensor<3> {
        let (tokens, width) = (self.q.tokens, self.q.width);
        let shape = [self.groups, tokens, width];
        if self.groups == self.heads {
            return of_heads.into_tensor(shape);
        }
        let size = (tokens * width).max(1);
        let mut result = Owned::zeros(self.groups * size);
        for (head, of_head) in of_heads.as_slice().chunks(size).enumerate() {
            let group = self.group(head);
            let into = result.as_mut_slice().get_mut(group * size..(group + 1) * size).unwrap_or_default();
            zip1(
                into,
                of_head,
                width,
                #[inline(always)]
                |into, part| into.iter_mut().zip(part).for_each(|(sum, part)| *sum += part),
            );
        }
        result.into_tensor(shape)
    }
}

/// Scores to weights, and the gradients of the weights to those of the scores; 0 for what is not seen.
#[inline(always)]
fn restore(weights: &mut [f32], slopes: &mut [f32], seen: Range<usize>, log_sum: f32, common: f32) {
    let (before, rest) = weights.split_at_mut(seen.start.min(weights.len()));
    let (weights, after) = rest.split_at_mut(seen.len().min(rest.len()));
    before.fill(0.0);
    after.fill(0.0);
    let (before, rest) = slopes.split_at_mut(seen.start.min(slopes.len()));
    let (slopes, after) = rest.split_at_mut(seen.len().min(rest.len()));
    before.fill(0.0);
    after.fill(0.0);
    for (weight, slope) in weights.iter_mut().zip(slopes) {
        let restored = exp(*weight - log_sum);
        (*weight, *slope) = (restored, restored * (*slope - common));
    }
}
