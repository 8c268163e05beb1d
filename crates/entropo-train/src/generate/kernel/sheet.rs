//! Activations in the layout that the kernels read.

use super::{Columns, PANEL};
use crate::ops::parallel::vectorised;

/// Rows of numbers in panels, `[panel][row][PANEL]`; columns beyond the width are zero.
///
/// What a kernel reads of several rows lies side by side, a product is written as it is computed, one thread a panel,
/// and a single row is an ordinary row.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::generate) struct Sheet {
    rows: usize,
    width: usize,
    pub(super) panels: Vec<Columns>,
}

impl Sheet {
    pub(in crate::generate) fn zeros(rows: usize, width: usize) -> Self {
        Self { rows, width, panels: vec![Columns::ZERO; rows * width.div_ceil(PANEL)] }
    }

    pub(in crate::generate) fn rows(&self) -> usize {
        self.rows
    }

    pub(in crate::generate) fn width(&self) -> usize {
        self.width
    }

    /// The panels, each `[row][PANEL]`.
    pub(super) fn by_panel(&self) -> std::slice::ChunksExact<'_, Columns> {
        self.panels.chunks_exact(self.rows.max(1))
    }

    /// The columns from `first` on of one row, as many as `out` takes.
    pub(in crate::generate) fn read(&self, row: usize, first: usize, out: &mut [f32]) {
        let mut columns = self.panels.iter().skip(row + first / PANEL * self.rows).step_by(self.rows.max(1));
        let (head, tail) = out.split_at_mut(out.len().min((PANEL - first % PANEL) % PANEL));
        if !head.is_empty()
            && let Some(part) = columns.next().and_then(|columns| columns.0.get(first % PANEL..))
        {
            head.iter_mut().zip(part).for_each(|(out, value)| *out = *value);
        }
        for (out, columns) in tail.chunks_mut(PANEL).zip(columns) {
            out.iter_mut().zip(&columns.0).for_each(|(out, value)| *out = *value);
        }
    }

    /// Sets the columns from `first` on of one row.
    pub(in crate::generate) fn write(&mut self, row: usize, first: usize, values: &[f32]) {
        let rows = self.rows;
        let mut columns = self.panels.iter_mut().skip(row + first / PANEL * rows).step_by(rows.max(1));
        let (head, tail) = values.split_at(values.len().min((PANEL - first % PANEL) % PANEL));
        if !head.is_empty()
            && let Some(part) = columns.next().and_then(|columns| columns.0.get_mut(first % PANEL..))
        {
            part.iter_mut().zip(head).for_each(|(out, value)| *out = *value);
        }
        for (values, columns) in tail.chunks(PANEL).zip(columns) {
            columns.0.iter_mut().zip(values).for_each(|(out, value)| *out = *value);
        }
    }

    /// One row as it would be written.
    pub(in crate::generate) fn row(&self, row: usize) -> Vec<f32> {
        let mut values = vec![0.0; self.width];
        self.read(row, 0, &mut values);
        values
    }

    /// A sheet of chosen rows, in the order given.
    pub(in crate::generate) fn gather(&self, rows: &[usize]) -> Self {
        let panel = |panel: &[Columns]| rows.iter().filter_map(|&row| panel.get(row).copied()).collect::<Vec<_>>();
        let panels = self.by_panel().flat_map(panel).collect();
        Self { rows: rows.len(), width: self.width, panels }
    }

    /// Adds the rows of `other`, each multiplied by its factor, to the rows of these numbers.
    pub(in crate::generate) fn scatter(&mut self, rows: &[(usize, f32)], other: &Self) {
        vectorised(
            #[inline(always)]
            || {
                for (panel, parts) in self.panels.chunks_exact_mut(self.rows.max(1)).zip(other.by_panel()) {
                    for (&(row, factor), part) in rows.iter().zip(parts) {
                        let Some(sums) = panel.get_mut(row) else { continue };
                        sums.0.iter_mut().zip(&part.0).for_each(|(sum, x)| *sum = x.mul_add(factor, *sum));
                    }
                }
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_rows_are_read_where_they_were_written() {
        for (rows, width) in [(1, 5), (3, 32), (4, 100)] {
            let mut sheet = Sheet::zeros(rows, width);
            let value = |row: usize, column: usize| (row * 1000 + column) as f32;
            for row in 0..rows {
                for first in (0..width).step_by(7) {
                    let part: Vec<f32> = (first..width.min(first + 7)).map(|column| value(row, column)).collect();
                    sheet.write(row, first, &part);
                }
            }
            for row in 0..rows {
                assert_eq!(sheet.row(row), (0..width).map(|column| value(row, column)).collect::<Vec<_>>());
                for first in 0..width {
                    let mut part = vec![0.0; 40.min(width - first)];
                    sheet.read(row, first, &mut part);
                    assert!(part.iter().enumerate().all(|(index, x)| *x == value(row, first + index)), "{first}");
                }
            }
            let last = sheet.gather(&[rows - 1, 0]);
            assert_eq!((last.row(0), last.row(1)), (sheet.row(rows - 1), sheet.row(0)));
            let mut sums = sheet.clone();
            sums.scatter(&[(0, 2.0)], &last);
            assert_eq!(sums.row(0)[1], value(0, 1) + 2.0 * value(rows - 1, 1));
        }
    }
}
