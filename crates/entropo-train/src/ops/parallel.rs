//! Loops over rows, cut in the same places for any number of threads.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Numbers in a task: enough that handing it to another thread costs little.
const TASK: usize = 1 << 14;

/// Runs loops with the processor's widest vectors. What they call has to be inlined, closures included; a closure is only
/// if it is called as what it is, so `act` is no `FnOnce`.
#[inline(always)]
pub(crate) fn vectorised<R>(act: impl FnMut() -> R) -> R {
    struct Act<F>(F);
    impl<R, F: FnMut() -> R> WithSimd for Act<F> {
        type Output = R;

        #[inline(always)]
        fn with_simd<S: Simd>(mut self, _simd: S) -> R {
            self.0()
        }
    }
    Arch::new().dispatch(Act(act))
}

/// Rows of a width in a task.
pub(crate) fn rows_in_task(width: usize) -> usize {
    (TASK / width.max(1)).max(1)
}

/// Calls `act` for parts of `target` and the corresponding parts of `source`, all of whole rows of `width` numbers, with the
/// processor's widest vectors.
pub(crate) fn zip1(target: &mut [f32], source: &[f32], width: usize, act: impl Fn(&mut [f32], &[f32]) + Send + Sync) {
    let size = rows_in_task(width) * width.max(1);
    if target.len() <= size {
        return vectorised(
            #[inline(always)]
            || act(target, source),
        );
    }
    let parts = target.par_chunks_mut(size).zip(source.par_chunks(size));
    parts.for_each(|(target, source)| {
        vectorised(
            #[inline(always)]
            || act(target, source),
        )
    });
}

/// The same with two sources.
pub(crate) fn zip2(
    target: &mut [f32],
    sources: [&[f32]; 2],
    width: usize,
    act: impl Fn(&mut [f32], &[f32], &[f32]) + Send + Sync,
) {
    let size = rows_in_task(width) * width.max(1);
    let [first, second] = sources;
    if target.len() <= size {
        return vectorised(
            #[inline(always)]
            || act(target, first, second),
        );
    }
    let parts = target.par_chunks_mut(size).zip(first.par_chunks(size).zip(second.par_chunks(size)));
    parts.for_each(|(target, (first, second))| {
        vectorised(
            #[inline(always)]
            || act(target, first, second),
        )
    });
}
