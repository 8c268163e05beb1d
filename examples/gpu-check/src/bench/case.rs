//! One case of the bench.

use std::fmt::{Display, Formatter};
use std::time::Instant;

use entropo_train::adapter::{Adapter, LoraConfig};
use entropo_train::burn::module::Module;
use entropo_train::burn::tensor::FloatDType;
use entropo_train::checkpoint::{LoadOptions, load_with};
use entropo_train::objective::EntropoDpo;
use entropo_train::trainer::{Learner, OptimizerConfig};
use serde::{Deserialize, Serialize};

use super::{ShapeName, flops, noise};
use crate::arguments::{Arguments, Precision};
use crate::device::Opened;
use crate::failure::Failure;
use crate::memory::{Memory, peak_resident};
use crate::pairs::{Pairs, random};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Case {
    pub(crate) shape: ShapeName,
    /// Of each of the pair's two sequences. They have nothing in common, so that no engine can compute a part once.
    pub(crate) tokens: u32,
    pub(crate) dtype: Precision,
}

/// What came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    case: Case,
    parameters: u64,
    /// `all weights` or `adapter of rank 16`.
    trained: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// Of the first step, which compiles and tries kernels.
    first_step_seconds: Option<f64>,
    /// Of each of the others.
    step_seconds: Vec<f64>,
    /// Of both sequences, by the median step.
    pub(crate) tokens_per_second: Option<f64>,
    /// Of the median step, counted as the module `flops` says.
    model_tflops: Option<f64>,
    /// That, of the device's peak.
    pub(crate) utilisation: Option<f64>,
    /// After the last step.
    memory: Memory,
    peak_resident: Option<u64>,
    /// Of the last step: a measurement of nonsense is none.
    loss: Option<f64>,
}

impl Display for Case {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let Self { shape, tokens, dtype } = self;
        write!(f, "EntroPO step, {shape:?} in {dtype:?}, one pair of 2 x {tokens} tokens")
    }
}

impl Case {
    /// What is trained.
    fn trained(&self) -> String {
        self.shape.shape().rank.map_or_else(|| "all weights".to_owned(), |rank| format!("adapter of rank {rank}"))
    }

    /// The result of a case that came to nothing.
    pub(crate) fn failed(&self, failure: &Failure) -> Measured {
        Measured { error: Some(failure.to_string()), ..self.measured() }
    }

    fn measured(&self) -> Measured {
        Measured {
            case: *self,
            parameters: self.shape.shape().parameters(),
            trained: self.trained(),
            error: None,
            first_step_seconds: None,
            step_seconds: Vec::new(),
            tokens_per_second: None,
            model_tflops: None,
            utilisation: None,
            memory: Memory::default(),
            peak_resident: None,
            loss: None,
        }
    }

    /// Takes the steps.
    pub(crate) fn run(&self, opened: &Opened, arguments: &Arguments) -> Result<Measured, Failure> {
        let (shape, tokens) = (self.shape.shape(), self.tokens as usize);
        let autodiff = opened.device.clone().autodiff();
        let directory = tempfile::tempdir();
        let directory = directory.map_err(|source| Failure::File { path: std::env::temp_dir(), source })?;
        noise::write(&shape, directory.path())?;
        let dtype = match self.dtype {
            Precision::F32 => FloatDType::F32,
            Precision::Bf16 => FloatDType::BF16,
        };
        let options = LoadOptions { dtype: Some(dtype), ..LoadOptions::default() };
        let base = load_with(directory.path(), &autodiff, &options)?;
        drop(directory); // the weights are on the device

        let vocabulary = shape.vocabulary as usize;
        let sequences = vec![random("chosen", tokens, vocabulary, 1)?, random("rejected", tokens, vocabulary, 2)?];
        let actions = sequences.first().map_or(0, |sequence| sequence.action_tokens()) as u64;
        let pairs = Pairs::new(sequences, &base.valid());
        let start = match shape.rank {
            Some(rank) => {
                let config = LoraConfig { rank, alpha: 2.0 * rank as f64, ..LoraConfig::default() };
                base.with_adapter(&Adapter::new(&config, &base, 0)?)?
            }
            None => base,
        };
        let mut learner = Learner::new(start, &OptimizerConfig::default(), &autodiff, 1);
        let mut step = || -> Result<(f64, f64), Failure> {
            let start = Instant::now();
            let outcome = pairs.step(&mut learner, &EntropoDpo::default(), 1e-6)?;
            opened.device.sync().map_err(|error| Failure::Case(format!("the device: {error:?}")))?;
            Ok((start.elapsed().as_secs_f64(), outcome.loss))
        };
        let (first, mut loss) = step()?;
        let mut seconds = Vec::new();
        for _ in 0..arguments.bench_steps {
            let (taken, now) = step()?;
            seconds.push(taken);
            loss = now;
        }
        let median = median(&seconds);
        let tflops = flops::of_step(&shape, self.tokens.into(), actions) / median / 1e12;
        Ok(Measured {
            first_step_seconds: Some(first),
            step_seconds: seconds,
            tokens_per_second: Some(2.0 * f64::from(self.tokens) / median),
            model_tflops: Some(tflops),
            utilisation: arguments.peak_tflops.map(|peak| tflops / peak),
            memory: Memory::now(&opened.device),
            peak_resident: peak_resident(),
            loss: Some(loss),
            ..self.measured()
        })
    }
}

/// The middle one; of an even number, the slower of the two.
fn median(seconds: &[f64]) -> f64 {
    let mut sorted = seconds.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_goes_to_its_process_and_back() {
        let case = Case { shape: ShapeName::HalfB, tokens: 4096, dtype: Precision::Bf16 };
        let text = serde_json::to_string(&case).unwrap();
        assert_eq!(text, r#"{"shape":"0.5b","tokens":4096,"dtype":"bf16"}"#);
        assert_eq!(serde_json::from_str::<Case>(&text).unwrap(), case);
        let failed = case.failed(&Failure::Case("out of memory".to_owned()));
        let back: Measured = serde_json::from_str(&serde_json::to_string(&failed).unwrap()).unwrap();
        assert_eq!(back.error.as_deref(), Some("out of memory"));
        assert_eq!(back.case, case);
    }

    #[test]
    fn the_median_is_no_mean() {
        assert_eq!(median(&[9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[1.0, 2.0]), 2.0);
        assert!(median(&[]).is_nan());
    }
}
