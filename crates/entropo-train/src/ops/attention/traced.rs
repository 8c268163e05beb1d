//! Attention as tensor operations, for any backend.

use std::ops::Range;

use burn::tensor::{Bool, DType, Device, Tensor, TensorData};

use super::{Attended, Layout, Scores, blocks};
use crate::decoder::layout::{Segment, Visible};

/// Scores that exist at a time for one head.
const SCORES: usize = 1 << 20;

/// One block of queries with its keys and values.
struct Block {
    rows: Range<usize>,
    visible: Visible,
    /// `[1, query, key]`, true where a query must not look.
    hidden: Tensor<3, Bool>,
}

impl Block {
    fn all<'a>(layout: &'a Layout, scores: Scores, device: &'a Device) -> impl Iterator<Item = Self> + 'a {
        layout.segments().iter().flat_map(move |segment| {
            let size = (SCORES / (segment.first + segment.rows.len()).max(1)).clamp(16, 1024);
            blocks(segment, size).map(move |rows| Self::new(segment, rows, scores, device))
        })
    }

    fn new(segment: &Segment, rows: Range<usize>, scores: Scores, device: &Device) -> Self {
        let visible = segment.visible(&rows, scores.window);
        let keys = visible.len();
        let mut hidden = vec![true; rows.len() * keys];
        for (hidden, row) in hidden.chunks_exact_mut(keys.max(1)).zip(rows.clone()) {
            let seen = visible.of(segment.position(row), scores.window);
            hidden.get_mut(seen).into_iter().flatten().for_each(|hidden| *hidden = false);
        }
        let hidden = Tensor::from_data(TensorData::new(hidden, [1, rows.len(), keys]), device);
        Self { rows, visible, hidden }
    }

    /// The rows of the block: `[head, query, width]`.
    fn queries<const D: usize>(&self, x: &Tensor<D>) -> Tensor<D> {
        x.clone().narrow(1, self.rows.start, self.rows.len())
    }

    /// What the block sees of keys or values, once for every query head: `[head, key, width]`.
    fn keys(&self, x: &Tensor<3>, shared: usize) -> Tensor<3> {
        let [groups, _, width] = x.dims();
        let parts = self.visible.rows.iter().map(|rows| x.clone().narrow(1, rows.start, rows.len()));
        let x = Tensor::cat(parts.collect(), 1);
        let keys = self.visible.len();
        let x = x.reshape([groups, 1, keys, width]).repeat_dim(1, shared);
        x.reshape([groups * shared, keys, width])
    }

    /// `[head, query, key]` in f32, minus infinity where nothing is seen.
    fn scores(&self, q: &Tensor<3>, k: &Tensor<3>, scores: Scores) -> Tensor<3> {
        let [heads, ..] = q.dims();
        let [groups, ..] = k.dims();
        let k = self.keys(k, heads / groups.max(1)).swap_dims(1, 2);
        let products = self.queries(q).mul_scalar(scores.scale).matmul(k).cast(DType::F32);
        let [_, queries, keys] = products.dims();
        products.mask_fill(self.hidden.clone().expand([heads, queries, keys]), f32::NEG_INFINITY)
    }
}

pub(super) fn forward(q: &Tensor<3>, k: &Tensor<3>, v: &Tensor<3>, layout: &Layout, scores: Scores) -> Attended {
    let [heads, ..] = q.dims();
    let [groups, ..] = k.dims();
    let (mut mixed, mut log_sums) = (Vec::new(), Vec::new());
    for block in Block::all(layout, scores, &q.device()) {
        let products = block.scores(q, k, scores);
        let highest = products.clone().detach().max_dim(2);
        let weights = (products - highest.clone()).exp();
        let total = weights.clone().sum_dim(2);
        let values = block.keys(v, heads / groups.max(1));
        let dtype = values.dtype();
        let result = weights.cast(dtype).matmul(values).cast(DType::F32) / total.clone();
        mixed.push(result.cast(dtype));
        log_sums.push((total.log() + highest).reshape([heads, block.rows.len()]));
    }
    Attended { mixed: Tensor::cat(mixed, 1), log_sums: Tensor::cat(log_sums, 1) }
}

pub(super) fn backward(
    [q, k, v]: [&Tensor<3>; 3],
    attended: &Attended,
    gradient: &Tensor<3>,
    layout: &Layout,
    scores: Scores,
) -> [Tensor<3>; 3] {
    let [heads, tokens, width] = q.dims();
    let [groups, ..] = k.dims();
    let shared = heads / groups.max(1);
    let dtype = q.dtype();
    // How far a query's weights must fall when its scores rise together: [head, token, 1].
    let common = (attended.mixed.clone().cast(DType::F32) * gradient.clone().cast(DType::F32)).sum_dim(2);
    let log_sums = attended.log_sums.clone().reshape([heads, tokens, 1]);
    let mut of_q = Vec::new();
    let zeros = || Tensor::<3>::zeros([groups, tokens, width], (&q.device(), DType::F32));
    let (mut of_k, mut of_v) = (zeros(), zeros());
    for block in Block::all(layout, scores, &q.device()) {
        let weights = (block.scores(q, k, scores) - block.queries(&log_sums)).exp();
        let given = block.queries(gradient);
        let received = weights.clone().cast(dtype).swap_dims(1, 2).matmul(given.clone());
        let slopes = given.matmul(block.keys(v, shared).swap_dims(1, 2)).cast(DType::F32);
        let slopes = (weights * (slopes - block.queries(&common))).cast(dtype);
        of_q.push(slopes.clone().matmul(block.keys(k, shared)).mul_scalar(scores.scale));
        let asked = slopes.swap_dims(1, 2).matmul(block.queries(q).mul_scalar(scores.scale));
        of_k = spread(of_k, asked, &block.visible, shared);
        of_v = spread(of_v, received, &block.visible, shared);
    }
    [Tensor::cat(of_q, 1), of_k.cast(dtype), of_v.cast(dtype)]
}

/// Adds what belongs to the keys of a block, `[head, key, width]`, to their rows, `[group, token, width]`.
fn spread(into: Tensor<3>, part: Tensor<3>, visible: &Visible, shared: usize) -> Tensor<3> {
    let [groups, _, width] = into.dims();
    let keys = visible.len();
    let part = part.cast(DType::F32).reshape([groups, shared, keys, width]).sum_dim(1).reshape([groups, keys, width]);
    visible.parts().fold(into, |into, (start, rows)| {
        let part = part.clone().narrow(1, start, rows.len());
        let place = [0..groups, rows.clone(), 0..width];
        let before = into.clone().slice(place.clone());
        into.slice_assign(place, before + part)
    })
}
