//! From rows of all heads side by side to one head after the other, and back, turning them on the way.

use burn::tensor::Tensor;
use rayon::prelude::*;

use super::host::{Owned, Values};
use super::parallel::{rows_in_task, vectorised};
use super::rotary::{Rotary, Turn};

/// `[token, heads * width]` to `[head, token, width]`, rotated if there is something to rotate by.
pub(crate) fn split(x: &Tensor<2>, width: usize, rotation: Option<(&Rotary, Turn)>) -> Tensor<3> {
    let [tokens, all] = x.dims();
    let heads = all / width.max(1);
    let tables = rotation.map(|(rotary, turn)| rotary.values().map(|tables| (tables, turn)));
    let (Some(values), None | Some(Some(_))) = (Values::of(x), &tables) else {
        let x = x.clone().reshape([tokens, heads, width]).swap_dims(0, 1);
        return rotation.map_or(x.clone(), |(rotary, turn)| rotary.apply(x, turn));
    };
    let tables = tables.flatten();
    let mut result = Owned::zeros(tokens * all);
    let size = rows_in_task(width);
    let parts = result.as_mut_slice().par_chunks_mut((tokens * width).max(1)).enumerate();
    parts.for_each(|(head, target)| {
        target.par_chunks_mut(size * width).enumerate().for_each(|(part, target)| {
            vectorised(
                #[inline(always)]
                || {
                    let source = values.as_slice().chunks_exact(all).skip(part * size);
                    let source = source.filter_map(|row| row.get(head * width..(head + 1) * width));
                    for ((target, source), token) in target.chunks_exact_mut(width).zip(source).zip(part * size..) {
                        match &tables {
                            Some(((cos, sin, half), turn)) => {
                                let at = token * width..(token + 1) * width;
                                let table = cos.as_slice().get(at.clone()).zip(sin.as_slice().get(at));
                                rotate(target, source, table.unwrap_or_default(), *half, *turn);
                            }
                            None => target.copy_from_slice(source),
                        }
                    }
                },
            );
        });
    });
    result.into_tensor([heads, tokens, width])
}

/// `[head, token, width]` to `[token, heads * width]`, rotated if there is something to rotate by.
pub(crate) fn join(x: &Tensor<3>, rotation: Option<(&Rotary, Turn)>) -> Tensor<2> {
    let [heads, tokens, width] = x.dims();
    let all = heads * width;
    let tables = rotation.map(|(rotary, turn)| rotary.values().map(|tables| (tables, turn)));
    let (Some(values), None | Some(Some(_))) = (Values::of(x), &tables) else {
        let x = rotation.map_or(x.clone(), |(rotary, turn)| rotary.apply(x.clone(), turn));
        return x.swap_dims(0, 1).reshape([tokens, all]);
    };
    let tables = tables.flatten();
    let mut result = Owned::zeros(tokens * all);
    let size = rows_in_task(all);
    result.as_mut_slice().par_chunks_mut(size * all.max(1)).enumerate().for_each(|(part, target)| {
        vectorised(
            #[inline(always)]
            || {
                for (target, token) in target.chunks_exact_mut(all).zip(part * size..) {
                    for (head, target) in target.chunks_exact_mut(width).enumerate() {
                        let start = (head * tokens + token) * width;
                        let source = values.as_slice().get(start..start + width).unwrap_or_default();
                        match &tables {
                            Some(((cos, sin, half), turn)) => {
                                let at = token * width..(token + 1) * width;
                                let table = cos.as_slice().get(at.clone()).zip(sin.as_slice().get(at));
                                rotate(target, source, table.unwrap_or_default(), *half, *turn);
                            }
                            None => target.iter_mut().zip(source).for_each(|(target, source)| *target = *source),
                        }
                    }
                }
            },
        );
    });
    result.into_tensor([tokens, all])
}

/// One head of one token: `[x1 cos - x2 sin, x2 cos + x1 sin, rest]`, or with the sine's sign turned.
#[inline(always)]
fn rotate(target: &mut [f32], source: &[f32], (cos, sin): (&[f32], &[f32]), half: usize, turn: Turn) {
    let sign = if turn == Turn::Forward { 1.0 } else { -1.0 };
    let (first, rest) = source.split_at(half.min(source.len()));
    let (second, still) = rest.split_at(half.min(rest.len()));
    let (target_first, rest) = target.split_at_mut(half.min(target.len()));
    let (target_second, target_still) = rest.split_at_mut(half.min(rest.len()));
    let angles = cos.iter().zip(sin);
    let targets = target_first.iter_mut().zip(target_second);
    for (((a, b), (x, y)), (cos, sin)) in targets.zip(first.iter().zip(second)).zip(angles) {
        let sin = sign * sin;
        (*a, *b) = (x * cos - y * sin, y * cos + x * sin);
    }
    target_still.iter_mut().zip(still).for_each(|(target, source)| *target = *source);
}
