//! Matrices whose values are codes of a few bits, several in a word, and a scale for every block of a row.
//!
//! A code is a place in a table of values between -1 and 1; the scale is the largest magnitude of its block. burn's own
//! quantised tensors were the first choice. On the CPU they keep every code in 8 bits, whatever its width, and give floats
//! back one by one with two divisions each (burn-flex 0.22.1, `qtensor.rs`). Words of 32 bits are what every backend has.
//!
//! Matrices are packed on the host, so that they are the same on every device.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use rayon::prelude::*;

use super::host::{Owned, Values, Words};

/// The width of codes, and what they stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codes {
    /// 4 bits: 16 values of which normally distributed numbers need each equally often (NF4, Dettmers et al. 2023).
    Normal4,
    /// 8 bits: 255 values at equal distances.
    Uniform8,
}

/// Quantiles of the normal distribution, 0 among them, as bitsandbytes has them.
const NORMAL4: [f32; 16] = [
    -1.0,
    -0.696_192_8,
    -0.525_073_05,
    -0.394_917_5,
    -0.284_441_38,
    -0.184_773_43,
    -0.091_050_036,
    0.0,
    0.079_580_3,
    0.160_930_2,
    0.246_112_3,
    0.337_915_24,
    0.440_709_83,
    0.562_617,
    0.722_956_84,
    1.0,
];

/// How a matrix is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packing {
    pub(crate) codes: Codes,
    /// Neighbours in a row that have a scale in common; the last block of a row may be shorter.
    pub(crate) block: usize,
    /// Columns of the matrix.
    pub(crate) width: usize,
}

impl Codes {
    fn bits(self) -> usize {
        match self {
            Self::Normal4 => 4,
            Self::Uniform8 => 8,
        }
    }

    /// Codes in a word.
    pub(crate) fn lanes(self) -> usize {
        32 / self.bits()
    }

    fn mask(self) -> i32 {
        (1 << self.bits()) - 1
    }

    /// What each code stands for; nothing gets the first one of 8 bits.
    fn table(self) -> Vec<f32> {
        match self {
            Self::Normal4 => NORMAL4.to_vec(),
            Self::Uniform8 => (-128..128).map(|code: i16| f32::from(code) / 127.0).collect(),
        }
    }

    /// The code of the value nearest to one in `[-1, 1]`.
    fn nearest(self, value: f32) -> i32 {
        match self {
            Self::Normal4 => {
                let bounds = NORMAL4.iter().zip(NORMAL4.iter().skip(1)).map(|(low, high)| f32::midpoint(*low, *high));
                bounds.filter(|bound| value > *bound).count() as i32
            }
            Self::Uniform8 => (value * 127.0).round() as i32 + 128,
        }
    }
}

impl Packing {
    fn words(&self) -> usize {
        self.width.div_ceil(self.codes.lanes())
    }

    fn blocks(&self) -> usize {
        self.width.div_ceil(self.block.max(1))
    }

    /// Words `[row, words]` and scales `[row, blocks]` of a matrix. A block with a number that is not finite is not a
    /// number as a whole: it must not be lost.
    pub(crate) fn pack(&self, values: &[f32], device: &Device) -> (Tensor<2, Int>, Tensor<2>) {
        let (width, block) = (self.width.max(1), self.block.max(1));
        let rows = values.len() / width;
        let (mut words, mut scales) = (vec![0i32; rows * self.words()], vec![0f32; rows * self.blocks()]);
        let targets = words.par_chunks_mut(self.words().max(1)).zip(scales.par_chunks_mut(self.blocks().max(1)));
        targets.zip(values.par_chunks(width)).for_each(|((words, scales), row)| {
            for (scale, block) in scales.iter_mut().zip(row.chunks(block)) {
                let whole = block.iter().all(|value| value.is_finite());
                *scale = if whole { block.iter().fold(0.0, |most, value| value.abs().max(most)) } else { f32::NAN };
            }
            let shares = row.chunks(block).zip(scales.iter()).flat_map(|(block, scale)| {
                block.iter().map(move |value| if *scale > 0.0 { (value / scale).clamp(-1.0, 1.0) } else { 0.0 })
            });
            for (place, share) in shares.enumerate() {
                if let Some(word) = words.get_mut(place / self.codes.lanes()) {
                    *word |= self.codes.nearest(share) << (self.codes.bits() * (place % self.codes.lanes()));
                }
            }
        });
        (
            Tensor::from_data(TensorData::new(words, [rows, self.words()]), (device, DType::I32)),
            Tensor::from_data(TensorData::new(scales, [rows, self.blocks()]), (device, DType::F32)),
        )
    }

    /// The matrix in f32: `[row, width]`.
    pub(crate) fn unpack(&self, words: &Tensor<2, Int>, scales: &Tensor<2>) -> Tensor<2> {
        let (Some(words), Some(of_blocks)) = (Words::of(words), Values::of(scales)) else {
            return self.unpack_traced(words.clone(), scales.clone());
        };
        let [rows, _] = scales.dims();
        let table = self.codes.table();
        let mut values = Owned::zeros(rows * self.width);
        let sources = words.as_slice().par_chunks(self.words().max(1));
        let sources = sources.zip(of_blocks.as_slice().par_chunks(self.blocks().max(1)));
        values.as_mut_slice().par_chunks_mut(self.width.max(1)).zip(sources).for_each(|(row, (words, scales))| {
            match self.codes {
                Codes::Normal4 => unpack_row::<4>(row, words, scales, self.block, &table),
                Codes::Uniform8 => unpack_row::<8>(row, words, scales, self.block, &table),
            }
        });
        values.into_tensor([rows, self.width])
    }

    /// The same as tensor operations, for any backend.
    fn unpack_traced(&self, words: Tensor<2, Int>, scales: Tensor<2>) -> Tensor<2> {
        let [rows, _] = words.dims();
        let device = scales.device();
        let lanes = (0..self.codes.lanes()).map(|lane| {
            let shifted = words.clone().bitwise_right_shift_scalar((lane * self.codes.bits()) as i32);
            shifted.bitwise_and_scalar(self.codes.mask()).unsqueeze_dim::<3>(2)
        });
        let codes = Tensor::cat(lanes.collect(), 2).reshape([rows, self.words() * self.codes.lanes()]);
        let codes = codes.narrow(1, 0, self.width).reshape([rows * self.width]);
        let table = self.codes.table();
        let size = table.len();
        let table = Tensor::<1>::from_data(TensorData::new(table, [size]), (&device, DType::F32));
        let scales = scales.unsqueeze_dim::<3>(2).repeat_dim(2, self.block);
        let scales = scales.reshape([rows, self.blocks() * self.block]).narrow(1, 0, self.width);
        table.select(0, codes).reshape([rows, self.width]) * scales
    }
}

/// Values of one row.
fn unpack_row<const BITS: usize>(row: &mut [f32], words: &[i32], scales: &[f32], block: usize, table: &[f32]) {
    let lanes = 32 / BITS;
    let mask = (1 << BITS) - 1;
    // A block is a whole number of words.
    let words = words.chunks((block / lanes).max(1));
    for ((values, words), scale) in row.chunks_mut(block.max(1)).zip(words).zip(scales) {
        for (values, word) in values.chunks_mut(lanes).zip(words) {
            let mut word = *word as u32;
            for value in values {
                *value = table.get((word & mask) as usize).copied().unwrap_or_default() * scale;
                word >>= BITS;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// How far a value may be from what it is packed as, in scales: half of the widest gap.
    fn bound(codes: Codes) -> f32 {
        match codes {
            Codes::Normal4 => (1.0 - 0.696_192_8) / 2.0,
            Codes::Uniform8 => 0.5 / 127.0,
        }
    }

    fn host(tensor: Tensor<2>) -> Vec<f32> {
        tensor.into_data().iter::<f32>().collect()
    }

    fn bits(values: &[f32]) -> Vec<u32> {
        values.iter().map(|value| value.to_bits()).collect()
    }

    proptest! {
        #[test]
        fn a_value_is_near_what_it_is_packed_as(
            codes in prop::sample::select(vec![Codes::Normal4, Codes::Uniform8]),
            block in prop::sample::select(vec![8usize, 16, 64]),
            width in 1usize..150,
            rows in 1usize..4,
            size in prop::sample::select(vec![1e-30f32, 1e-3, 1.0, 1e30]),
            seed in prop::collection::vec(-1.0f32..1.0, 600),
        ) {
            let packing = Packing { codes, block, width };
            let values: Vec<f32> = seed.iter().take(rows * width).map(|value| value * size).collect();
            let (words, scales) = packing.pack(&values, &Device::default());
            prop_assert_eq!(words.dims(), [rows, width.div_ceil(codes.lanes())]);
            let unpacked = host(packing.unpack(&words, &scales));
            for (row, unpacked) in values.chunks(width).zip(unpacked.chunks(width)) {
                for (block, unpacked) in row.chunks(block).zip(unpacked.chunks(block)) {
                    let scale = block.iter().fold(0.0f32, |most, value| most.max(value.abs()));
                    for (value, unpacked) in block.iter().zip(unpacked) {
                        let far = (value - unpacked).abs();
                        prop_assert!(far <= scale * bound(codes) * 1.00001, "{} as {}, scale {}", value, unpacked, scale);
                    }
                }
            }
            // On any backend, and packed again, to the last bit.
            prop_assert_eq!(bits(&host(packing.unpack_traced(words, scales))), bits(&unpacked));
            let (words, scales) = packing.pack(&unpacked, &Device::default());
            prop_assert_eq!(bits(&host(packing.unpack(&words, &scales))), bits(&unpacked));
        }
    }

    #[test]
    fn every_value_of_the_table_is_its_own_nearest() {
        for codes in [Codes::Normal4, Codes::Uniform8] {
            let table = codes.table();
            for (code, value) in table.iter().enumerate().filter(|(_, value)| **value >= -1.0) {
                assert_eq!(codes.nearest(*value), code as i32, "{codes:?} {value}");
            }
            assert!(table.is_sorted() && table.contains(&0.0) && table.contains(&1.0) && table.contains(&-1.0));
        }
    }

    #[test]
    fn what_is_no_number_stays_none() {
        let packing = Packing { codes: Codes::Normal4, block: 8, width: 24 };
        for broken in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut values = vec![0.5; 24];
            values[9] = broken;
            let (words, scales) = packing.pack(&values, &Device::default());
            let unpacked = host(packing.unpack(&words, &scales));
            let numbers: Vec<usize> = (0..24).filter(|place| unpacked[*place].is_finite()).collect();
            assert_eq!(numbers, (0..8).chain(16..24).collect::<Vec<_>>(), "{broken}");
        }
    }
}
