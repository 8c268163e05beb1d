//! Weights in panels.

use burn::tensor::{DType, TensorData, f16};
use pulp::Arch;
use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;

use super::product::{Halves, Product, Weights};
use super::workers::Workers;
use super::{Columns, PANEL, Sheet};

/// Panels that one thread computes at a time.
const TASK: usize = 4;

/// A matrix from `inputs` to `outputs` numbers in panels of [`PANEL`] outputs, `[panel][input][PANEL]`, both sides
/// filled up with zeros to whole panels. Weights that were stored in bf16 stay in bf16: widening them is exact.
#[derive(Clone, Debug)]
pub(in crate::generate) struct Matrix {
    panels: Panels,
    bias: Vec<Columns>,
    inputs: usize,
    outputs: usize,
}

#[derive(Clone, Debug)]
enum Panels {
    F32(Vec<[Columns; PANEL]>),
    Bf16(Vec<[Halves; PANEL]>),
}

impl Matrix {
    /// From weights `[output, input]` in f32, bf16 or f16; `bias` is `[output]` or empty. `None` for another type or
    /// another number of dimensions.
    pub(in crate::generate) fn new(weights: &TensorData, bias: &[f32]) -> Option<Self> {
        let &[outputs, inputs] = weights.shape().as_slice() else { return None };
        let bytes = weights.as_bytes();
        let panels = match weights.dtype() {
            DType::F32 => Panels::F32(pack(bytes, outputs, inputs, |columns: &mut Columns, column, bytes: [u8; 4]| {
                set(&mut columns.0, column, f32::from_le_bytes(bytes));
            })),
            DType::F16 => Panels::F32(pack(bytes, outputs, inputs, |columns: &mut Columns, column, bytes: [u8; 2]| {
                set(&mut columns.0, column, f16::from_le_bytes(bytes).to_f32());
            })),
            DType::BF16 => Panels::Bf16(pack(bytes, outputs, inputs, |halves: &mut Halves, column, bytes: [u8; 2]| {
                let shift = column / (PANEL / 2) * 16;
                if let Some(word) = halves.0.get_mut(column % (PANEL / 2)) {
                    *word |= u32::from(u16::from_le_bytes(bytes)) << shift;
                }
            })),
            _ => return None,
        };
        let mut bias = Columns::pack(bias);
        bias.resize(outputs.div_ceil(PANEL), Columns::ZERO);
        Some(Self { panels, bias, inputs, outputs })
    }

    /// Width of a result.
    pub(in crate::generate) fn outputs(&self) -> usize {
        self.outputs
    }

    /// `x` `[row, input]` times the matrix, plus the bias: `[row, output]`.
    pub(in crate::generate) fn apply(&self, x: &Sheet, workers: Workers) -> Sheet {
        let [y] = Self::apply_all([self], x, workers);
        y
    }

    /// Several products of one `x`, computed as one piece of work.
    pub(in crate::generate) fn apply_all<const N: usize>(
        matrices: [&Self; N],
        x: &Sheet,
        workers: Workers,
    ) -> [Sheet; N] {
        let rows = x.rows();
        let mut results = matrices.map(|matrix| Sheet::zeros(rows, matrix.outputs));
        let mut tasks = Vec::new();
        for (matrix, y) in matrices.iter().zip(&mut results) {
            let parts = y.panels.chunks_mut((TASK * rows).max(1));
            tasks.extend(parts.enumerate().map(|(index, y)| (*matrix, index * TASK, y)));
        }
        let multiplications = matrices.iter().map(|matrix| rows * matrix.inputs * matrix.outputs).sum();
        workers.each(tasks, multiplications, |(matrix, first, y)| matrix.part(x, first, y));
        results
    }

    /// The panels from `first` on, as many as fit `y` `[panel][row]`.
    fn part(&self, x: &Sheet, first: usize, y: &mut [Columns]) {
        let count = y.len() / x.rows().max(1);
        let bias = self.bias.get(first..first + count).unwrap_or_default();
        let chunks = self.inputs.div_ceil(PANEL);
        match &self.panels {
            Panels::F32(panels) => {
                Arch::new().dispatch(Product { x, panels: some(panels, chunks, first, count), bias, y });
            }
            Panels::Bf16(panels) => {
                Arch::new().dispatch(Product { x, panels: some(panels, chunks, first, count), bias, y });
            }
        }
    }

    /// The weights of one output, as a tied head's embedding: `[input]`.
    pub(in crate::generate) fn output(&self, output: usize) -> Vec<f32> {
        let chunks = self.inputs.div_ceil(PANEL);
        let (first, column) = (output / PANEL * chunks, output % PANEL);
        let range = first..first + chunks;
        match &self.panels {
            Panels::F32(panels) => {
                let inputs = panels.get(range).unwrap_or_default().as_flattened().iter().take(self.inputs);
                inputs.map(|columns| columns.0.get(column).copied().unwrap_or_default()).collect()
            }
            Panels::Bf16(panels) => {
                let inputs = panels.get(range).unwrap_or_default().as_flattened().iter().take(self.inputs);
                let (word, shift) = (column % (PANEL / 2), 16 - column / (PANEL / 2) * 16);
                let widen = |halves: &Halves| halves.0.get(word).map_or(0, |word| word << shift & 0xffff_0000);
                inputs.map(|halves| f32::from_bits(widen(halves))).collect()
            }
        }
    }
}

/// Panels `first..first + count` of `chunks` pieces each.
fn some<W: Weights>(panels: &[[W; PANEL]], chunks: usize, first: usize, count: usize) -> Vec<&[[W; PANEL]]> {
    panels.chunks_exact(chunks.max(1)).skip(first).take(count).collect()
}

/// `bytes` are `[output, input]` numbers of `N` bytes; `put` sets one column of a panel's row, all zero before.
fn pack<W: Blank, const N: usize>(
    bytes: &[u8],
    outputs: usize,
    inputs: usize,
    put: impl Fn(&mut W, usize, [u8; N]) + Sync,
) -> Vec<[W; PANEL]> {
    let chunks = inputs.div_ceil(PANEL);
    let mut panels = vec![[W::BLANK; PANEL]; outputs.div_ceil(PANEL) * chunks];
    panels.par_chunks_mut(chunks.max(1)).enumerate().for_each(|(index, panel)| {
        let rows = bytes.chunks_exact((inputs * N).max(1)).skip(index * PANEL).take(PANEL);
        for (column, row) in rows.enumerate() {
            for (weights, bytes) in panel.as_flattened_mut().iter_mut().zip(row.as_chunks::<N>().0) {
                put(weights, column, *bytes);
            }
        }
    });
    panels
}

/// Weights that are all zero.
trait Blank: Weights {
    const BLANK: Self;
}

impl Blank for Columns {
    const BLANK: Self = Self::ZERO;
}

impl Blank for Halves {
    const BLANK: Self = Self([0; PANEL / 2]);
}

fn set(columns: &mut [f32], column: usize, value: f32) {
    if let Some(slot) = columns.get_mut(column) {
        *slot = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::kernel::Threads;
    use burn::tensor::bf16;
    use proptest::prelude::*;

    fn sheet(rows: &[Vec<f32>], width: usize) -> Sheet {
        let mut sheet = Sheet::zeros(rows.len(), width);
        rows.iter().enumerate().for_each(|(row, values)| sheet.write(row, 0, values));
        sheet
    }

    /// Weights of a stored type and the same numbers exactly.
    fn stored(values: &[f32], shape: [usize; 2], kind: DType) -> (TensorData, Vec<f64>) {
        match kind {
            DType::BF16 => {
                let values: Vec<bf16> = values.iter().map(|x| bf16::from_f32(*x)).collect();
                (TensorData::new(values.clone(), shape), values.iter().map(|x| x.to_f64()).collect())
            }
            DType::F16 => {
                let values: Vec<f16> = values.iter().map(|x| f16::from_f32(*x)).collect();
                (TensorData::new(values.clone(), shape), values.iter().map(|x| x.to_f64()).collect())
            }
            _ => (TensorData::new(values.to_vec(), shape), values.iter().map(|x| f64::from(*x)).collect()),
        }
    }

    proptest! {
        #[test]
        fn a_row_does_not_depend_on_its_neighbours(
            rows in 1usize..22, inputs in 1usize..70, outputs in 1usize..300,
            kind in prop::sample::select(vec![DType::F32, DType::BF16, DType::F16]),
            seed in 0u32..1000,
        ) {
            let number = |index: usize| ((index as u32).wrapping_mul(2_654_435_761).wrapping_add(seed * 97) >> 8) as f32 / 8_388_608.0 - 1.0;
            let rows: Vec<Vec<f32>> = (0..rows).map(|row| (0..inputs).map(|k| number(row * 1009 + k)).collect()).collect();
            let weights: Vec<f32> = (0..inputs * outputs).map(|index| number(index + 77)).collect();
            let bias: Vec<f32> = (0..outputs).map(|index| number(index + 5)).collect();
            let (data, exact) = stored(&weights, [outputs, inputs], kind);
            let matrix = Matrix::new(&data, &bias).unwrap();
            let together = matrix.apply(&sheet(&rows, inputs), Workers::One);
            for (index, row) in rows.iter().enumerate() {
                let alone = matrix.apply(&sheet(std::slice::from_ref(row), inputs), Workers::One).row(0);
                prop_assert_eq!(&alone, &together.row(index));
                for (output, value) in alone.iter().enumerate() {
                    let sum: f64 = row.iter().zip(&exact[output * inputs..]).map(|(x, w)| f64::from(*x) * w).sum();
                    prop_assert!((f64::from(*value) - sum - f64::from(bias[output])).abs() < 2e-5);
                }
            }
            for output in [0, outputs / 2, outputs - 1] {
                let row: Vec<f64> = matrix.output(output).iter().map(|x| f64::from(*x)).collect();
                prop_assert_eq!(&row[..], &exact[output * inputs..(output + 1) * inputs]);
            }
        }
    }

    #[test]
    fn threads_change_nothing() {
        let (inputs, outputs) = (96, 700);
        let weights: Vec<f32> = (0..inputs * outputs).map(|index| (index as f32 * 0.37).sin()).collect();
        let matrix = Matrix::new(&TensorData::new(weights, [outputs, inputs]), &[]).unwrap();
        for rows in [9, 131, 300] {
            let rows: Vec<Vec<f32>> =
                (0..rows).map(|row| (0..inputs).map(|k| ((row * 7 + k) as f32).cos()).collect()).collect();
            let x = sheet(&rows, inputs);
            let one = matrix.apply(&x, Workers::One);
            for threads in [2, 3] {
                let pooled = Threads::new(threads).run(usize::MAX, |workers| {
                    assert_eq!(workers, Workers::Pool);
                    Matrix::apply_all([&matrix, &matrix], &x, workers)
                });
                assert_eq!(pooled, [one.clone(), one.clone()]);
            }
            assert_eq!(matrix.apply(&sheet(&rows[8..9], inputs), Workers::One).row(0), one.row(8));
        }
    }
}
