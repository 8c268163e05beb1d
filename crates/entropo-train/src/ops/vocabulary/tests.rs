//! Against `losses/token_logps.*` of the fixtures: with the identity as matrix, rows are logits.

use std::path::PathBuf;

use burn::tensor::{DType, Device, Tensor, TensorData};
use safetensors::SafeTensors;
use serde_json::Value;

use super::*;

fn root() -> PathBuf {
    let own = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures"));
    std::env::var_os("ENTROPO_FIXTURES").map_or(own, PathBuf::from).join("losses")
}

fn values(tensors: &SafeTensors<'_>, name: &str) -> (Vec<usize>, Vec<f64>) {
    let view = tensors.tensor(name).unwrap();
    let bytes = view.data().to_vec();
    let dtype = match view.dtype() {
        safetensors::Dtype::F32 => DType::F32,
        safetensors::Dtype::F64 => DType::F64,
        safetensors::Dtype::I64 => DType::I64,
        other => panic!("{other:?}"),
    };
    let data = TensorData::from_bytes_vec(bytes, view.shape().to_vec(), dtype);
    (view.shape().to_vec(), data.iter::<f64>().collect())
}

fn identity(size: usize, cap: Option<f64>) -> Vocabulary {
    Vocabulary { weight: Tensor::eye(size, &Device::default()), extra: None, cap }
}

/// Row `t` of each sequence predicts `ids[t + 1]`, unless that is negative.
struct Case {
    logits: Tensor<2>,
    targets: Vec<u32>,
    /// Where the rows are in `[batch * length]`.
    places: Vec<usize>,
}

impl Case {
    fn read(tensors: &SafeTensors<'_>, ids: &str) -> Self {
        let (shape, logits) = values(tensors, "logits");
        let (_, ids) = values(tensors, ids);
        let (length, vocabulary) = (shape[1], shape[2]);
        let predicted: Vec<usize> = (0..ids.len()).filter(|at| at % length > 0 && ids[*at] >= 0.0).collect();
        let places: Vec<usize> = predicted.iter().map(|at| at - 1).collect();
        let rows = places.iter().flat_map(|at| &logits[at * vocabulary..(at + 1) * vocabulary]);
        let rows: Vec<f32> = rows.map(|&logit| logit as f32).collect();
        let logits = Tensor::from_data(TensorData::new(rows, [places.len(), vocabulary]), &Device::default());
        Self { logits, targets: predicted.iter().map(|&at| ids[at] as u32).collect(), places }
    }

    /// Log-probabilities, and the gradient of their sum times `weight`, by both forms of the operation.
    fn evaluate(&self, weight: f32) -> [(Statistics, Vec<f32>); 2] {
        let [rows, size] = self.logits.dims();
        let vocabulary = identity(size, None);
        let weights = vec![weight; rows];
        let (statistics, kept) = vocabulary.statistics(&self.logits, &self.targets, 1.0, true);
        let mut into = Into::default();
        let found = vocabulary.backward(&self.logits, &self.targets, &statistics, kept, &weights, &mut into);
        let (traced, _) = traced::statistics(&vocabulary, self.logits.clone(), &self.targets, 1.0);
        let chosen =
            Chosen { targets: &self.targets, highest: &traced.highest, log_sums: &traced.log_sums, weights: &weights };
        let other = traced::backward(&vocabulary, self.logits.clone(), &chosen, &mut into);
        [(statistics, found), (traced, other)].map(|(s, tensor)| (s, tensor.into_data().iter::<f32>().collect()))
    }

    fn assert_gradient(&self, what: &str, actual: &[f32], expected: &[f64]) {
        let [_, size] = self.logits.dims();
        for (row, place) in self.places.iter().enumerate() {
            for column in 0..size {
                let (actual, expected) = (f64::from(actual[row * size + column]), expected[place * size + column]);
                assert!(
                    (actual - expected).abs() <= 1e-5 * expected.abs() + 1e-7,
                    "{what} {row} {column}: {actual} {expected}"
                );
            }
        }
    }
}

#[test]
fn log_probabilities_and_gradients_agree_with_the_reference() {
    let file = std::fs::read(root().join("token_logps.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&file).unwrap();
    let expected: Value = serde_json::from_slice(&std::fs::read(root().join("token_logps.json")).unwrap()).unwrap();

    let case = Case::read(&tensors, "ids");
    let (_, next_logps) = values(&tensors, "next_logps");
    let (_, entropies) = values(&tensors, "next_entropy");
    // Rows with logits near 1e4 lose digits; torch in float32 was no nearer than this.
    let farthest = expected["float32_max_abs"].as_f64().unwrap();
    for (statistics, gradient) in case.evaluate(1.0) {
        assert_eq!(statistics.logprobs.len(), next_logps.len());
        for (index, (&actual, &expected)) in statistics.logprobs.iter().zip(&next_logps).enumerate() {
            let allowed = (1e-6 * expected.abs()).clamp(1e-5, farthest);
            assert!((f64::from(actual) - expected).abs() <= allowed, "next_logps {index}: {actual} {expected}");
        }
        for (index, (&actual, &expected)) in statistics.entropies.iter().zip(&entropies).enumerate() {
            assert!(
                (f64::from(actual) - expected).abs() <= farthest.max(1e-4),
                "entropies {index}: {actual} {expected}"
            );
        }
        case.assert_gradient("grad_of_sum", &gradient, &values(&tensors, "grad_of_sum").1);
    }

    let case = Case::read(&tensors, "labels");
    assert_eq!(case.targets.len() as u64, expected["nll_tokens"].as_u64().unwrap());
    let count = case.targets.len() as f32;
    for (statistics, gradient) in case.evaluate(-1.0 / count) {
        let loss = -statistics.logprobs.iter().copied().map(f64::from).sum::<f64>() / f64::from(count);
        let nll = expected["nll"].as_f64().unwrap();
        assert!((loss - nll).abs() <= 1e-5 * nll.max(1.0), "{loss} {nll}");
        case.assert_gradient("grad_of_nll", &gradient, &values(&tensors, "grad_of_nll").1);
    }
}

/// Capped logits, extra columns, several tiles: both forms agree, and with finite differences.
#[test]
fn capped_and_widened_rows_have_the_slope_that_is_measured() {
    let device = Device::default();
    let random = |rows, columns, seed: f32| {
        let values: Vec<f32> = (0..rows * columns).map(|at| (at as f32 * 0.7 + seed).sin() * 2.0).collect();
        Tensor::<2>::from_data(TensorData::new(values, [rows, columns]), &device)
    };
    let (rows, width, extra, size) = (5, 6, 3, 700);
    let targets = [0, 699, 256, 255, 512];
    let weights = [1.0, -0.5, 0.25, 2.0, 0.0];
    let vocabulary =
        Vocabulary { weight: random(size, width, 0.1), extra: Some(random(size, extra, 0.2)), cap: Some(3.0) };
    let whole = Vocabulary {
        weight: Tensor::cat(vec![vocabulary.weight.clone(), vocabulary.extra.clone().unwrap()], 1),
        extra: None,
        cap: Some(3.0),
    };
    let x = random(rows, width + extra, 0.3);
    let sum = |x: &Tensor<2>| -> f64 {
        let (statistics, _) = vocabulary.statistics(x, &targets, 1.0, false);
        statistics.logprobs.iter().zip(weights).map(|(logprob, weight)| f64::from(logprob * weight)).sum()
    };
    let host = |tensor: Tensor<2>| -> Vec<f32> { tensor.into_data().iter::<f32>().collect() };
    let backward = |vocabulary: &Vocabulary, keep: bool| {
        let (statistics, kept) = vocabulary.statistics(&x, &targets, 1.0, keep);
        let zeros = |matrix: &Tensor<2>| matrix.zeros_like();
        let mut into = Into { weight: Some(zeros(&vocabulary.weight)), extra: vocabulary.extra.as_ref().map(zeros) };
        let found = vocabulary.backward(&x, &targets, &statistics, kept, &weights, &mut into);
        let of_weight = match into.extra {
            Some(extra) => Tensor::cat(vec![into.weight.unwrap(), extra], 1),
            None => into.weight.unwrap(),
        };
        (host(found), host(of_weight))
    };
    let (of_rows, of_weight) = backward(&vocabulary, false);
    for keep in [true, false] {
        let (other_rows, other_weight) = backward(&whole, keep);
        let near =
            |left: &[f32], right: &[f32]| left.iter().zip(right).all(|(left, right)| (left - right).abs() < 1e-5);
        assert!(near(&of_rows, &other_rows) && near(&of_weight, &other_weight));
    }
    let step = 1e-2;
    for at in 0..rows * (width + extra) {
        let moved = |by: f32| {
            let mut values = host(x.clone());
            values[at] += by;
            sum(&Tensor::from_data(TensorData::new(values, [rows, width + extra]), &device))
        };
        let measured = (moved(step) - moved(-step)) / (2.0 * f64::from(step));
        assert!((measured - f64::from(of_rows[at])).abs() < 2e-3, "{at}: {measured} {}", of_rows[at]);
    }
}
