//! Attention over slices: every block of queries of every head is a task.

use std::ops::Range;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, Par};
use rayon::prelude::*;

use super::slices::{Inputs, Sheet, block_size};
use super::{Attended, Layout, blocks};
use crate::decoder::layout::Segment;
use crate::ops::host::Owned;
use crate::ops::math::{exp, largest, sum1};
use crate::ops::parallel::vectorised;

/// A block of queries of one head, and where its results go.
struct Task<'a> {
    head: usize,
    segment: &'a Segment,
    queries: Range<usize>,
    mixed: &'a mut [f32],
    log_sums: &'a mut [f32],
}

impl Inputs {
    pub(super) fn forward(&self, layout: &Layout) -> Attended {
        let (tokens, width) = (self.q.tokens, self.q.width);
        let mut mixed = Owned::zeros(self.heads * tokens * width);
        let mut log_sums = Owned::zeros(self.heads * tokens);
        let of_head = mixed.as_mut_slice().chunks_mut((tokens * width).max(1));
        let of_head = of_head.zip(log_sums.as_mut_slice().chunks_mut(tokens.max(1)));
        let mut tasks = Vec::new();
        for (head, (mut mixed, mut log_sums)) in of_head.enumerate() {
            for segment in layout.segments() {
                for queries in blocks(segment, block_size(segment)) {
                    let (own, rest) = mixed.split_at_mut(queries.len() * width);
                    let (own_sums, rest_sums) = log_sums.split_at_mut(queries.len());
                    tasks.push(Task { head, segment, queries, mixed: own, log_sums: own_sums });
                    (mixed, log_sums) = (rest, rest_sums);
                }
            }
        }
        tasks.into_par_iter().for_each_init(Vec::new, |memory, task| self.attend(task, memory));
        Attended {
            mixed: mixed.into_tensor([self.heads, tokens, width]),
            log_sums: log_sums.into_tensor([self.heads, tokens]),
        }
    }

    /// The weights are divided by their sum after they are applied to the values, which are fewer.
    fn attend(&self, task: Task<'_>, memory: &mut Vec<f32>) {
        let Task { head, segment, queries, mixed, log_sums } = task;
        let (count, width) = (queries.len(), self.q.width);
        let visible = segment.visible(&queries, self.scores.window);
        let mut sheet = Sheet::new(memory, count, visible.len());
        self.score(head, &queries, &visible, &mut sheet);
        let mut totals = vec![1.0; count];
        vectorised(
            #[inline(always)]
            || {
                let results = log_sums.iter_mut().zip(&mut totals);
                for ((weights, row), (log_sum, total)) in sheet.rows().zip(queries.clone()).zip(results) {
                    (*log_sum, *total) = soften(weights, self.seen(segment, row, &visible));
                }
            },
        );
        let mut result = MatMut::from_row_major_slice_mut(&mut *mixed, count, width);
        for (start, keys) in visible.parts() {
            let values = self.v.rows(self.group(head), keys);
            // The memory is all zeros.
            matmul(result.as_mut(), Accum::Add, sheet.part(start, keys.len()), values, 1.0, Par::Seq);
        }
        for (mixed, total) in mixed.chunks_exact_mut(width).zip(totals) {
            mixed.iter_mut().for_each(|mixed| *mixed /= total);
        }
    }
}

/// Scores to weights relative to the largest, 0 for what is not seen; gives the logarithm of the sum of exponentials, and
/// the sum of the weights.
#[inline(always)]
fn soften(scores: &mut [f32], seen: Range<usize>) -> (f32, f32) {
    let (before, rest) = scores.split_at_mut(seen.start.min(scores.len()));
    let (scores, after) = rest.split_at_mut(seen.len().min(rest.len()));
    before.fill(0.0);
    after.fill(0.0);
    let highest = largest(scores);
    scores.iter_mut().for_each(|score| *score = exp(*score - highest));
    let total = sum1(scores, |weight, sum| sum + weight);
    (total.ln() + highest, total)
}
