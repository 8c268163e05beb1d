//! Arithmetic whose result for one row does not depend on the other rows.
//!
//! Every number is computed by the same operations in the same order whatever stands beside it: a sum runs over its
//! terms from the first to the last, or in a fixed number of interleaved sums, and products are always fused with the
//! addition that follows. So neither the number of rows, the number of threads, the blocking nor the width of the
//! processor's vectors changes a bit. (A processor without fused multiply-add gets the same bits, slowly.)
//!
//! Activations are [`Sheet`]s, weights are [`Matrix`]es; both come in panels of [`PANEL`] columns, which is what the
//! kernels, compiled for the processor's widest vectors by `pulp`, read in one piece.

mod attention;
mod elementwise;
mod heads;
mod matrix;
mod product;
mod sheet;
mod workers;

pub(super) use attention::{Block as KeysAndValues, LANES, Lanes, Query, attend, tile_rows};
pub(super) use elementwise::{Norm, add, gated};
pub(super) use heads::Heads;
pub(super) use matrix::Matrix;
pub(super) use sheet::Sheet;
pub(super) use workers::{Threads, Workers};

/// Columns that are computed together.
pub(super) const PANEL: usize = 32;

/// [`PANEL`] numbers side by side, in whole cache lines.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(64))]
pub(super) struct Columns(pub(super) [f32; PANEL]);

impl Columns {
    pub(super) const ZERO: Self = Self([0.0; PANEL]);

    /// `values` in panels, the last filled up with zeros.
    pub(super) fn pack(values: &[f32]) -> Vec<Self> {
        let mut panels = vec![Self::ZERO; values.len().div_ceil(PANEL)];
        for (panel, values) in panels.iter_mut().zip(values.chunks(PANEL)) {
            panel.0.iter_mut().zip(values).for_each(|(column, value)| *column = *value);
        }
        panels
    }
}
