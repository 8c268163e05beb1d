//! Causal grouped-query attention over a [`Layout`], in memory linear in the number of tokens.
//!
//! Queries are taken a block at a time, so that only `[block, key]` scores exist. What is kept for the backward pass is
//! the result and, for every query, the logarithm of its sum of exponentials; scores are computed again from these (Dao et
//! al. 2022, section 3.1).

mod backward;
mod forward;
mod slices;
mod traced;

use std::ops::Range;

use burn::tensor::Tensor;

use crate::decoder::layout::{Layout, Segment};

/// How scores are made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scores {
    /// What products are multiplied by.
    pub(crate) scale: f64,
    /// How many positions a query sees, its own included.
    pub(crate) window: Option<usize>,
}

/// What attention gives and keeps.
#[derive(Clone, Debug)]
pub(crate) struct Attended {
    /// `[head, token, width]`.
    pub(crate) mixed: Tensor<3>,
    /// `[head, token]`, in f32.
    log_sums: Tensor<2>,
}

/// `q` is `[head, token, width]`, `k` and `v` are `[group, token, width]`; heads of a group are neighbours.
pub(crate) fn forward(q: &Tensor<3>, k: &Tensor<3>, v: &Tensor<3>, layout: &Layout, scores: Scores) -> Attended {
    match slices::Inputs::of([q, k, v], scores) {
        Some(inputs) => inputs.forward(layout),
        None => traced::forward(q, k, v, layout, scores),
    }
}

/// From the gradient of the result to those of `q`, `k` and `v`.
pub(crate) fn backward(
    [q, k, v]: [&Tensor<3>; 3],
    attended: &Attended,
    gradient: &Tensor<3>,
    layout: &Layout,
    scores: Scores,
) -> [Tensor<3>; 3] {
    match (slices::Inputs::of([q, k, v], scores), backward::Given::of(attended, gradient)) {
        (Some(inputs), Some(given)) => inputs.backward(&given, layout),
        _ => traced::backward([q, k, v], attended, gradient, layout, scores),
    }
}

/// The rows of a segment in blocks of at most so many.
fn blocks(segment: &Segment, size: usize) -> impl Iterator<Item = Range<usize>> + use<> {
    let rows = segment.rows.clone();
    rows.clone().step_by(size.max(1)).map(move |start| start..rows.end.min(start + size))
}
