//! Attention of some rows of one sequence for one key head.
//!
//! All query heads that share a key head, and several rows of a prompt, are scored together, so that keys and values are
//! read once for [`QUERIES`] of them. A query's scores are all there before they are normalised. Positions that a query does
//! not see are skipped, not weighed by zero: what is there may be another sequence's, and zero times NaN is NaN.

use pulp::{Arch, Simd};

use super::elementwise::tree_sum;
use super::product::at;
use crate::ops::math::exp;

/// Positions side by side; values, too, come in vectors of this width.
pub(in crate::generate) const LANES: usize = 16;
/// Queries that are scored together.
const QUERIES: usize = 8;

/// [`LANES`] numbers side by side.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(64))]
pub(in crate::generate) struct Lanes(pub(in crate::generate) [f32; LANES]);

impl Lanes {
    pub(in crate::generate) const ZERO: Self = Self([0.0; LANES]);
}

/// Rows whose query heads, `group` in each, are worth scoring together.
pub(in crate::generate) fn tile_rows(group: usize) -> usize {
    (QUERIES / group.max(1)).max(1)
}

/// One query: a scaled vector `[head]`, the positions it sees, and where its result `[head]` goes.
pub(in crate::generate) struct Query<'a> {
    pub(in crate::generate) vector: &'a [f32],
    pub(in crate::generate) from: usize,
    /// Its own position.
    pub(in crate::generate) to: usize,
    pub(in crate::generate) out: &'a mut [f32],
}

/// The keys `[head][LANES]` and the values `[LANES][head / LANES]` of [`LANES`] positions; the width of values is filled
/// up with zeros to whole [`Lanes`].
pub(in crate::generate) type Block<'a> = (&'a [Lanes], &'a [Lanes]);

/// Computes what every query sees of `blocks`, which begin at position 0.
pub(in crate::generate) fn attend(queries: &mut [Query<'_>], blocks: &[Block<'_>]) {
    Arch::new().dispatch(Attend { queries, blocks });
}

struct Attend<'a, 'q> {
    queries: &'a mut [Query<'q>],
    blocks: &'a [Block<'a>],
}

impl pulp::WithSimd for Attend<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for queries in self.queries.chunks_mut(QUERIES) {
            match queries.len() {
                1 => together::<S, 1>(simd, queries, self.blocks),
                2..=4 => together::<S, 4>(simd, queries, self.blocks),
                _ => together::<S, QUERIES>(simd, queries, self.blocks),
            }
        }
    }
}

/// Up to `Q` queries; missing ones are computed as if their vector were zero.
#[inline(always)]
fn together<S: Simd, const Q: usize>(simd: S, queries: &mut [Query<'_>], blocks: &[Block<'_>]) {
    let first = queries.iter().map(|query| query.from).min().unwrap_or_default() / LANES;
    let end = queries.iter().map(|query| query.to).max().unwrap_or_default() / LANES + 1;
    let blocks = blocks.get(first..end).unwrap_or_default();
    let mut scores = score::<S, Q>(simd, queries, blocks);
    let mut totals = [1.0; Q];
    for ((index, query), total) in queries.iter().enumerate().zip(&mut totals) {
        *total = weigh(&mut scores, index, (query.from, query.to), first * LANES);
    }
    let mut seen = [(first * LANES, end * LANES - 1); Q];
    for (seen, query) in seen.iter_mut().zip(queries.iter()) {
        *seen = (query.from, query.to);
    }
    let mixed = mix::<S, Q>(simd, &Weights { scores: &scores, seen, start: first * LANES }, blocks);
    for ((index, query), total) in queries.iter_mut().enumerate().zip(totals) {
        for (out, mixed) in query.out.chunks_mut(LANES).zip(&mixed) {
            let Some(mixed) = mixed.get(index) else { continue };
            out.iter_mut().zip(&mixed.0).for_each(|(out, mixed)| *out = mixed / total);
        }
    }
}

/// Products of queries and keys, `[block][query][LANES]`.
#[inline(always)]
fn score<S: Simd, const Q: usize>(simd: S, queries: &[Query<'_>], blocks: &[Block<'_>]) -> Vec<[Lanes; Q]> {
    let head = queries.first().map_or(0, |query| query.vector.len());
    let mut vectors = vec![[0.0; Q]; head]; // [head][query]
    for (index, query) in queries.iter().enumerate() {
        for (at, value) in vectors.iter_mut().zip(query.vector) {
            at.iter_mut().skip(index).take(1).for_each(|at| *at = *value);
        }
    }
    let mut scores = vec![[Lanes::ZERO; Q]; blocks.len()];
    for (scores, (keys, _)) in scores.iter_mut().zip(blocks) {
        for strip in 0..LANES / S::F32_LANES {
            let mut sums = [simd.splat_f32s(0.0); Q];
            for (keys, queries) in keys.iter().zip(&vectors) {
                let keys = at(simd, S::as_simd_f32s(&keys.0).0, strip);
                for (sum, query) in sums.iter_mut().zip(queries) {
                    *sum = simd.mul_add_f32s(simd.splat_f32s(*query), keys, *sum);
                }
            }
            for (scores, sum) in scores.iter_mut().zip(sums) {
                if let Some(scores) = S::as_mut_simd_f32s(&mut scores.0).0.get_mut(strip) {
                    *scores = sum;
                }
            }
        }
    }
    scores
}

/// Turns one query's scores into weights, `e^(score - highest)` from its first to its last position and 0 elsewhere;
/// returns their sum. The scores begin at position `start`.
#[inline(always)]
fn weigh<const Q: usize>(scores: &mut [[Lanes; Q]], query: usize, (from, to): (usize, usize), start: usize) -> f32 {
    let mut highest = [f32::NEG_INFINITY; LANES];
    for (index, block) in scores.iter_mut().enumerate() {
        let Some(block) = block.get_mut(query) else { continue };
        let first = start + index * LANES;
        if first < from || first + LANES > to + 1 {
            let outside = |lane: usize| first + lane < from || first + lane > to;
            let lanes = block.0.iter_mut().enumerate().filter(|(lane, _)| outside(*lane));
            lanes.for_each(|(_, score)| *score = f32::NEG_INFINITY);
        }
        highest.iter_mut().zip(&block.0).for_each(|(highest, score)| *highest = highest.max(*score));
    }
    let highest = highest.into_iter().fold(f32::NEG_INFINITY, f32::max);
    let mut totals = [0.0; LANES];
    for block in scores.iter_mut() {
        let Some(block) = block.get_mut(query) else { continue };
        for (score, total) in block.0.iter_mut().zip(&mut totals) {
            *score = if *score == f32::NEG_INFINITY { 0.0 } else { exp(*score - highest) };
            *total += *score;
        }
    }
    tree_sum(&totals)
}

/// What every query gives to the positions from `start` on.
struct Weights<'a, const Q: usize> {
    scores: &'a [[Lanes; Q]], // [block][query][LANES]
    /// The first and the last position that each query sees.
    seen: [(usize, usize); Q],
    start: usize,
}

/// Sums of weighted values, `[head / LANES][query][LANES]`.
#[inline(always)]
fn mix<S: Simd, const Q: usize>(simd: S, weights: &Weights<'_, Q>, blocks: &[Block<'_>]) -> Vec<[Lanes; Q]> {
    let width = blocks.first().map_or(0, |(_, values)| values.len() / LANES);
    let mut mixed = vec![[Lanes::ZERO; Q]; width];
    let parts = LANES / S::F32_LANES; // vectors in a Lanes
    let mut vector = 0;
    while vector < width * parts {
        if S::REGISTER_COUNT >= 32 && vector + 2 <= width * parts {
            mix_columns::<S, Q, 2>(simd, weights, blocks, vector, &mut mixed);
            vector += 2;
        } else {
            mix_columns::<S, Q, 1>(simd, weights, blocks, vector, &mut mixed);
            vector += 1;
        }
    }
    mixed
}

/// `C` vectors of columns from `first` on.
#[inline(always)]
fn mix_columns<S: Simd, const Q: usize, const C: usize>(
    simd: S,
    weights: &Weights<'_, Q>,
    blocks: &[Block<'_>],
    first: usize,
    mixed: &mut [[Lanes; Q]],
) {
    let parts = LANES / S::F32_LANES;
    let mut sums = [[simd.splat_f32s(0.0); C]; Q];
    // Between these all queries see every position.
    let (mut from, mut to) = (0, usize::MAX);
    for seen in weights.seen {
        (from, to) = (from.max(seen.0), to.min(seen.1));
    }
    for (index, (scores, (_, values))) in weights.scores.iter().zip(blocks).enumerate() {
        let begin = weights.start + index * LANES;
        let all = from <= begin && begin + LANES <= to + 1;
        for (lane, values) in values.chunks_exact(mixed.len()).enumerate().take(LANES) {
            let mut columns = [simd.splat_f32s(0.0); C];
            for (column, vector) in columns.iter_mut().zip(first..) {
                if let Some(values) = values.get(vector / parts) {
                    *column = at(simd, S::as_simd_f32s(&values.0).0, vector % parts);
                }
            }
            let position = begin + lane;
            for ((sums, scores), seen) in sums.iter_mut().zip(scores).zip(weights.seen) {
                if !all && (position < seen.0 || position > seen.1) {
                    continue;
                }
                let weight = simd.splat_f32s(scores.0.get(lane).copied().unwrap_or_default());
                for (sum, column) in sums.iter_mut().zip(columns) {
                    *sum = simd.mul_add_f32s(weight, column, *sum);
                }
            }
        }
    }
    for (query, sums) in sums.into_iter().enumerate() {
        for (sum, vector) in sums.into_iter().zip(first..) {
            let lanes = mixed.get_mut(vector / parts).and_then(|mixed| mixed.get_mut(query));
            let Some(lanes) = lanes else { continue };
            if let Some(slot) = S::as_mut_simd_f32s(&mut lanes.0).0.get_mut(vector % parts) {
                *slot = sum;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Keys and values `[position][head]` in blocks.
    fn blocks(keys: &[f32], values: &[f32], head: usize) -> Vec<(Vec<Lanes>, Vec<Lanes>)> {
        let width = head.div_ceil(LANES);
        let mut blocks =
            vec![(vec![Lanes([9.0; LANES]); head], vec![Lanes::ZERO; LANES * width]); keys.len() / head / LANES + 1];
        for (position, (keys, values)) in keys.chunks(head).zip(values.chunks(head)).enumerate() {
            let (block, lane) = (&mut blocks[position / LANES], position % LANES);
            for d in 0..head {
                block.0[d].0[lane] = keys[d];
                block.1[lane * width + d / LANES].0[d % LANES] = values[d];
            }
        }
        blocks
    }

    #[test]
    fn what_a_query_does_not_see_may_be_broken() {
        let (head, positions) = (16, 40);
        let numbers: Vec<f32> = (0..head * positions).map(|index| (index as f32 * 0.3).sin()).collect();
        let mut broken = numbers.clone();
        broken[..head * 3].fill(f32::NAN);
        broken[head * 21..].fill(f32::NAN);
        let [whole, broken] = [&numbers, &broken].map(|numbers| blocks(numbers, numbers, head));
        let see = |blocks: &[(Vec<Lanes>, Vec<Lanes>)], ranges: &[(usize, usize)]| {
            let views: Vec<Block<'_>> = blocks.iter().map(|(keys, values)| (&keys[..], &values[..])).collect();
            let mut outs = vec![vec![0.0; head]; ranges.len()];
            let mut queries: Vec<Query<'_>> = ranges
                .iter()
                .zip(&mut outs)
                .map(|(&(from, to), out)| Query { vector: &numbers[..head], from, to, out })
                .collect();
            attend(&mut queries, &views);
            outs
        };
        // Alone, and beside queries that do see what is broken.
        for others in 0..7 {
            let ranges: Vec<_> = [(3, 20)].into_iter().chain((0..others).map(|other| (0, 30 + other))).collect();
            let [whole, broken] = [see(&whole, &ranges), see(&broken, &ranges)];
            assert_eq!(whole[0], broken[0], "beside {others}");
            assert!(broken.iter().skip(1).flatten().all(|x| x.is_nan()));
        }
    }

    proptest! {
        #[test]
        fn attention_is_a_weighted_mean_and_a_query_sees_no_neighbour(
            head in prop::sample::select(vec![2usize, 6, 16, 40, 64]),
            positions in 1usize..70,
            count in 1usize..20,
            window in prop::option::of(1usize..40),
            seed in 0u32..1000,
        ) {
            let number = |index: usize| ((index as u32).wrapping_mul(2_654_435_761).wrapping_add(seed * 97) >> 8) as f32 / 4_194_304.0 - 2.0;
            let many = |from: usize, count: usize| (0..count).map(|index| number(from + index)).collect::<Vec<f32>>();
            let (keys, values) = (many(0, head * positions), many(50_000, head * positions));
            let owned = blocks(&keys, &values, head);
            let views: Vec<Block<'_>> = owned.iter().map(|(keys, values)| (&keys[..], &values[..])).collect();
            let vectors: Vec<Vec<f32>> = (0..count).map(|query| many(90_000 + query * 1000, head)).collect();
            let place = |query: usize| {
                let to = (positions * (query + 1)).div_ceil(count).min(positions) - 1;
                (window.map_or(0, |window| (to + 1).saturating_sub(window)), to)
            };
            let mut outs = vec![vec![0.0; head]; count];
            let mut queries: Vec<Query<'_>> = vectors.iter().zip(&mut outs).enumerate().map(|(index, (vector, out))| {
                let (from, to) = place(index);
                Query { vector, from, to, out }
            }).collect();
            attend(&mut queries, &views);
            for (index, out) in outs.iter().enumerate() {
                let (from, to) = place(index);
                let mut alone = vec![0.0; head];
                attend(&mut [Query { vector: &vectors[index], from, to, out: &mut alone }], &views);
                prop_assert_eq!(&alone, out);
                let score = |p: usize| (0..head).map(|d| f64::from(vectors[index][d]) * f64::from(keys[p * head + d])).sum::<f64>();
                let highest = (from..=to).map(score).fold(f64::NEG_INFINITY, f64::max);
                let weights: Vec<f64> = (from..=to).map(|p| (score(p) - highest).exp()).collect();
                for (d, value) in out.iter().enumerate() {
                    let sum: f64 = weights.iter().zip(from..).map(|(weight, p)| weight * f64::from(values[p * head + d])).sum();
                    prop_assert!((f64::from(*value) - sum / weights.iter().sum::<f64>()).abs() < 1e-4);
                }
            }
        }
    }
}
