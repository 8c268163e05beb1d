//! A checkpoint of noise.
//!
//! Speed depends on shapes, and a little on values: products of zeros draw less power and so run faster on a GPU. Weights
//! therefore are noise of a usual size. It repeats, with a period that no row's length divides, since drawing billions of
//! numbers takes longer than what is measured with them.

use std::borrow::Cow;
use std::path::Path;

use entropo_train::checkpoint::{CONFIG, WEIGHTS};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::{Dtype, View, serialize_to_file};

use super::shape::Shape;
use crate::failure::Failure;

/// Numbers until the noise repeats: a prime.
const PERIOD: usize = 524_287;
/// Weights are uniform within this: a standard deviation of 0.02.
const REACH: f32 = 0.034_641;

/// One tensor of bf16 values.
struct Part<'a> {
    shape: Vec<usize>,
    bytes: &'a [u8],
}

impl View for Part<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::BF16
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

/// Writes `config.json` and `model.safetensors` in bf16.
pub(super) fn write(shape: &Shape, directory: &Path) -> Result<(), Failure> {
    let config = directory.join(CONFIG);
    std::fs::write(&config, shape.json().to_string()).map_err(|source| Failure::File { path: config, source })?;
    let tensors = shape.tensors();
    let numbers = |shape: &[usize]| shape.iter().product::<usize>();
    let largest = tensors.iter().map(|(_, shape)| numbers(shape)).max().unwrap_or(0);
    let noise = noise(largest + tensors.len());
    let ones: Vec<u8> = bf16(1.0).repeat(shape.hidden as usize);
    let parts = tensors.into_iter().enumerate().map(|(index, (name, shape))| {
        let bytes = 2 * numbers(&shape);
        let source =
            if name.ends_with("norm.weight") { ones.as_slice() } else { noise.get(2 * index..).unwrap_or(&[]) };
        (name, Part { shape, bytes: source.get(..bytes).unwrap_or(&[]) })
    });
    Ok(serialize_to_file(parts, None, &directory.join(WEIGHTS))?)
}

/// So many numbers as bytes.
fn noise(numbers: usize) -> Vec<u8> {
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let period: Vec<u8> = (0..PERIOD).flat_map(|_| bf16(random.random_range(-REACH..REACH))).collect();
    let mut bytes = Vec::with_capacity(2 * numbers);
    while bytes.len() < 2 * numbers {
        let rest = (2 * numbers - bytes.len()).min(period.len());
        bytes.extend_from_slice(period.get(..rest).unwrap_or(&[]));
    }
    bytes
}

/// The upper half of an f32.
fn bf16(value: f32) -> [u8; 2] {
    ((value.to_bits() >> 16) as u16).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use entropo_train::burn::tensor::Device;
    use entropo_train::checkpoint::load;

    use super::super::shape::ShapeName;
    use super::*;

    #[test]
    fn the_library_reads_it() {
        let directory = tempfile::tempdir().unwrap();
        for shape in [ShapeName::Tiny.shape(), Shape { tied: false, ..ShapeName::Tiny.shape() }] {
            write(&shape, directory.path()).unwrap();
            let decoder = load(directory.path(), &Device::default()).unwrap();
            assert_eq!(decoder.config().vocab_size as u64, shape.vocabulary);
        }
    }

    #[test]
    fn it_is_noise_of_the_usual_size() {
        let bytes = noise(PERIOD + 10);
        assert_eq!(bytes.len(), 2 * (PERIOD + 10));
        let value = |pair: &[u8]| f32::from_bits(u32::from(u16::from_le_bytes([pair[0], pair[1]])) << 16);
        let values: Vec<f64> = bytes.chunks(2).map(|pair| value(pair).into()).collect();
        assert_eq!(values[..10], values[PERIOD..]);
        let deviation = (values.iter().map(|value| value * value).sum::<f64>() / values.len() as f64).sqrt();
        assert!((deviation - 0.02).abs() < 2e-4, "{deviation}");
    }
}
