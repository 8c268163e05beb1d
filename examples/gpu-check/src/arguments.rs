//! What is asked for.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::bench::ShapeName;
use crate::device::Backend;

/// Checks training on a device and measures it. One JSON object goes to standard output, progress to standard error.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub(crate) struct Arguments {
    /// The parts to run, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "fixtures,smoke,soak,bench")]
    pub(crate) only: Vec<Part>,
    /// The folder with the reference data: `models` and `training`.
    #[arg(long, default_value = "fixtures")]
    pub(crate) fixtures: PathBuf,
    /// What to run on. Default: the first of those that this program was built for.
    #[arg(long, value_enum)]
    pub(crate) device: Option<Backend>,
    /// Multiplies the tolerances of the fixtures, for devices that compute f32 products in fewer bits.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) slack: f64,
    /// Training steps of the memory soak.
    #[arg(long, default_value_t = 500)]
    pub(crate) soak_steps: usize,
    /// How much memory may grow, in MiB, after the first fifth of the soak.
    #[arg(long, default_value_t = 64)]
    pub(crate) soak_growth: u64,
    /// Shapes of the bench, separated by commas. Default: tiny on the CPU, else 0.5b and 7b.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) shapes: Vec<ShapeName>,
    /// Tokens of each of a pair's two sequences, separated by commas. Default: 64 and 128 on the CPU, else 4096 and 16384.
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(8..1 << 20))]
    pub(crate) lengths: Vec<u32>,
    /// Steps that are timed, after one that is not.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) bench_steps: u32,
    /// Precision of the bench's weights. Default: bf16 where the device computes in it, f32 on the CPU.
    #[arg(long, value_enum)]
    pub(crate) dtype: Option<Precision>,
    /// What the device can do at most, in TFLOP/s at that precision (an H100 SXM: 989 in bf16); for the utilisation.
    #[arg(long)]
    pub(crate) peak_tflops: Option<f64>,
    /// A case of the bench that takes longer is ended, in seconds.
    #[arg(long, default_value_t = 900)]
    pub(crate) case_seconds: u64,
    /// One case of the bench in this process, as JSON: how the program calls itself.
    #[arg(long, hide = true)]
    pub(crate) case: Option<String>,
}

/// A part of the check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Decoders, training histories and generation against reference data.
    Fixtures,
    /// A decoder that learns something.
    Smoke,
    /// Many steps within a ceiling of memory.
    Soak,
    /// Tokens in a second of DPO steps.
    Bench,
}

/// Bits of a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Precision {
    /// 32 bits.
    F32,
    /// 16 bits, 8 of them exponent.
    Bf16,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_shapes_are_lists() {
        let arguments =
            Arguments::try_parse_from(["x", "--only", "soak,bench", "--shapes", "0.5b,7b", "--lengths=16,9"]);
        let arguments = arguments.unwrap();
        assert_eq!(arguments.only, [Part::Soak, Part::Bench]);
        assert_eq!(arguments.shapes, [ShapeName::HalfB, ShapeName::SevenB]);
        assert_eq!(arguments.lengths, [16, 9]);
        assert_eq!(Arguments::try_parse_from(["x"]).unwrap().only.len(), 4);
        for wrong in [["x", "--only=all"], ["x", "--lengths=0"], ["x", "--bench-steps=0"]] {
            assert!(Arguments::try_parse_from(wrong).is_err());
        }
    }
}
