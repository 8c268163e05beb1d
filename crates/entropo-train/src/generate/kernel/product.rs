//! The product of a few rows with a few panels of weights, all sums in registers.

use pulp::Simd;

use super::{Columns, PANEL, Sheet};

/// Rows of many that share a pass over a panel, so that what they read stays in the nearest caches.
const GROUP: usize = 32;

/// [`PANEL`] weights side by side, of one input.
pub(super) trait Weights: Copy + Send + Sync {
    /// Vector `strip` of each half of the panel.
    fn widen<S: Simd>(&self, simd: S, strip: usize) -> [S::f32s; 2];
}

impl Weights for Columns {
    #[inline(always)]
    fn widen<S: Simd>(&self, simd: S, strip: usize) -> [S::f32s; 2] {
        let (vectors, _) = S::as_simd_f32s(&self.0);
        [at(simd, vectors, strip), at(simd, vectors, strip + vectors.len() / 2)]
    }
}

/// [`PANEL`] bf16 numbers: columns `i` and `i + PANEL / 2` are the low and the high half of word `i`, so that one shift
/// and one mask widen them.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(64))]
pub(super) struct Halves(pub(super) [u32; PANEL / 2]);

impl Weights for Halves {
    #[inline(always)]
    fn widen<S: Simd>(&self, simd: S, strip: usize) -> [S::f32s; 2] {
        let (vectors, _) = S::as_simd_u32s(&self.0);
        let words = vectors.get(strip).copied().unwrap_or(simd.splat_u32s(0));
        let low = simd.wrapping_dyn_shl_u32s(words, simd.splat_u32s(16));
        let high = simd.and_u32s(words, simd.splat_u32s(0xffff_0000));
        [simd.transmute_f32s_u32s(low), simd.transmute_f32s_u32s(high)]
    }
}

#[inline(always)]
pub(super) fn at<S: Simd>(simd: S, vectors: &[S::f32s], index: usize) -> S::f32s {
    vectors.get(index).copied().unwrap_or(simd.splat_f32s(0.0))
}

/// Some panels of a matrix, to be multiplied with all rows of `x`.
pub(super) struct Product<'a, W> {
    pub(super) x: &'a Sheet,
    /// `[panel][input / PANEL][PANEL]`.
    pub(super) panels: Vec<&'a [[W; PANEL]]>,
    /// `[panel]`; what the sums begin with.
    pub(super) bias: &'a [Columns],
    /// `[panel][row]`.
    pub(super) y: &'a mut [Columns],
}

impl<W: Weights> pulp::WithSimd for Product<'_, W> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let rows = self.x.rows();
        for first in (0..rows).step_by(GROUP) {
            let mut from = first;
            let end = rows.min(first + GROUP);
            if S::REGISTER_COUNT >= 32 {
                from = self.blocks::<S, 8, 1>(simd, from, end);
            }
            from = self.blocks::<S, 4, 1>(simd, from, end);
            from = self.blocks::<S, 2, 2>(simd, from, end);
            self.blocks::<S, 1, 4>(simd, from, end);
        }
    }
}

impl<W: Weights> Product<'_, W> {
    /// As many whole blocks of `R` rows as fit; returns the first row that is left. Up to `P` panels at a time keep the
    /// adders busy where there are few rows.
    #[inline(always)]
    fn blocks<S: Simd, const R: usize, const P: usize>(&mut self, simd: S, from: usize, end: usize) -> usize {
        let blocks = end.saturating_sub(from) / R;
        if blocks == 0 {
            return from;
        }
        let rows = self.x.rows();
        let (groups, rest) = self.panels.as_chunks::<P>();
        let (mut y, mut bias) = (&mut *self.y, self.bias);
        for panels in groups {
            let (part, left) = y.split_at_mut((P * rows).min(y.len()));
            let (begin, after) = bias.split_at(P.min(bias.len()));
            for block in 0..blocks {
                multiply::<S, W, R, P>(simd, self.x, from + block * R, *panels, begin, part);
            }
            (y, bias) = (left, after);
        }
        for &panel in rest {
            let (part, left) = y.split_at_mut(rows.min(y.len()));
            let (begin, after) = bias.split_at(1.min(bias.len()));
            for block in 0..blocks {
                multiply::<S, W, R, 1>(simd, self.x, from + block * R, [panel], begin, part);
            }
            (y, bias) = (left, after);
        }
        from + blocks * R
    }
}

/// `R` rows from `first` on with `P` panels.
#[inline(always)]
fn multiply<S: Simd, W: Weights, const R: usize, const P: usize>(
    simd: S,
    x: &Sheet,
    first: usize,
    panels: [&[[W; PANEL]]; P],
    bias: &[Columns],
    y: &mut [Columns],
) {
    let rows = x.rows();
    let half = PANEL / 2 / S::F32_LANES;
    for strip in 0..half {
        let mut sums = [[[simd.splat_f32s(0.0); 2]; R]; P];
        for (sums, bias) in sums.iter_mut().zip(bias) {
            let begin = bias.widen(simd, strip);
            for sums in sums.iter_mut() {
                *sums = begin;
            }
        }
        for (index, panel) in x.by_panel().enumerate() {
            let Some(inputs) = panel.get(first..).and_then(<[Columns]>::first_chunk::<R>) else { continue };
            let mut weights: [Option<&[W; PANEL]>; P] = [None; P];
            for (weights, panel) in weights.iter_mut().zip(panels) {
                *weights = panel.get(index);
            }
            for input in 0..PANEL {
                for (sums, weights) in sums.iter_mut().zip(weights) {
                    let Some(weights) = weights.and_then(|weights| weights.get(input)) else { continue };
                    let [low, high] = weights.widen(simd, strip);
                    for (sums, row) in sums.iter_mut().zip(inputs) {
                        let x = simd.splat_f32s(row.0.get(input).copied().unwrap_or_default());
                        sums[0] = simd.mul_add_f32s(x, low, sums[0]);
                        sums[1] = simd.mul_add_f32s(x, high, sums[1]);
                    }
                }
            }
        }
        for (sums, y) in sums.iter().zip(y.chunks_exact_mut(rows)) {
            for (sums, y) in sums.iter().zip(y.iter_mut().skip(first)) {
                let (vectors, _) = S::as_mut_simd_f32s(&mut y.0);
                let (low, high) = vectors.split_at_mut(half);
                if let (Some(low), Some(high)) = (low.get_mut(strip), high.get_mut(strip)) {
                    (*low, *high) = (sums[0], sums[1]);
                }
            }
        }
    }
}
