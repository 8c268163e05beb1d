//! Fitting the model.
//!
//! Minimised is the sum over examples of -log p(label) plus `penalty / 2` times the sum of the squared weights, without
//! the intercept. With a penalty above 0 and labels of both kinds this is strictly convex with one minimum, so how it
//! is found does not show. Newton's method finds it in a few steps: solve H d = g, then take d, half of it, and so on
//! until the value falls. Examples are sorted by rollout first, since sums depend on their order in the last digits.

use entropo_core::stats::{negative_log_sigmoid, sigmoid};

use super::solve::solve;
use super::{Example, Feature, LogisticModel, WeighedFeature};
use entropo_core::RolloutId;
use serde::{Deserialize, Serialize};

/// Newton steps after which something is wrong; a fit takes about ten.
const STEPS: usize = 200;

/// How a model is fitted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FitSettings {
    /// The penalty on squared weights of standardised values, above 0; 1 by default. The inverse of scikit-learn's `C`.
    pub penalty: f64,
}

impl Default for FitSettings {
    fn default() -> Self {
        Self { penalty: 1.0 }
    }
}

/// Why there is no model.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FitError {
    /// Labels of one kind only, or none.
    #[error("{solved} of {examples} examples are solved; both solved and unsolved ones are needed")]
    OneClass {
        /// How many examples.
        examples: usize,
        /// How many are solved.
        solved: usize,
    },
    /// An example that does not fit the features.
    #[error("{rollout} has {values} values for {features} features; give each feature a value or None")]
    Values {
        /// Which example.
        rollout: RolloutId,
        /// How many values it has.
        values: usize,
        /// How many features there are.
        features: usize,
    },
    /// A value that is NaN or infinite, or too large to be squared.
    #[error("the values of {0} are no usable numbers; leave out what is not finite")]
    NotFinite(String),
    /// An example twice.
    #[error("{0} is among the examples twice; give every rollout its own number")]
    Duplicate(RolloutId),
    /// A penalty of 0 or less.
    #[error("the penalty is {0}; it must be a finite number above 0, or weights could grow for ever")]
    Penalty(f64),
    /// The minimum was not reached.
    #[error("the fit did not settle in {STEPS} steps; raise the penalty")]
    Unsettled,
}

impl LogisticModel {
    /// Fits a model of `features` to examples, which may come in any order.
    ///
    /// # Errors
    /// [`FitError`] if the examples determine no model.
    pub fn fit(features: &[Feature], examples: &[Example], settings: FitSettings) -> Result<Self, FitError> {
        let examples = checked(features, examples, settings)?;
        let columns: Vec<(f64, f64)> = (0..features.len())
            .map(|place| moments(examples.iter().filter_map(|example| example.values.get(place).copied().flatten())))
            .collect();
        if let Some((_, feature)) = columns.iter().zip(features).find(|((mean, scale), _)| !(mean + scale).is_finite())
        {
            return Err(FitError::NotFinite(feature.to_string()));
        }
        let rows: Vec<(Vec<f64>, f64)> =
            examples.iter().map(|example| (row(&example.values, &columns), f64::from(example.solved))).collect();
        let weights = minimise(&rows, settings.penalty)?;
        let (intercept, rest) = weights.split_first().ok_or(FitError::Unsettled)?;
        let pairs = features.iter().zip(&columns).zip(rest.chunks_exact(2));
        let features = pairs.filter_map(|((feature, &(mean, scale)), pair)| {
            let &[weight, missing] = pair else { return None };
            Some(WeighedFeature { feature: feature.clone(), mean, scale, weight, missing })
        });
        Ok(Self {
            intercept: *intercept,
            features: features.collect(),
            examples: examples.len(),
            solved: examples.iter().filter(|example| example.solved).count(),
            penalty: settings.penalty,
        })
    }
}

/// The examples by rollout, if a model can be fitted to them.
fn checked<'a>(
    features: &[Feature],
    examples: &'a [Example],
    settings: FitSettings,
) -> Result<Vec<&'a Example>, FitError> {
    if !(settings.penalty > 0.0 && settings.penalty.is_finite()) {
        return Err(FitError::Penalty(settings.penalty));
    }
    let mut sorted: Vec<&Example> = examples.iter().collect();
    sorted.sort_by(|a, b| a.rollout.cmp(&b.rollout));
    for example in &sorted {
        if example.values.len() != features.len() {
            let (rollout, values) = (example.rollout.clone(), example.values.len());
            return Err(FitError::Values { rollout, values, features: features.len() });
        }
        let broken = |value: &Option<f64>| value.is_some_and(|value| !value.is_finite());
        if let Some(feature) = features.iter().zip(&example.values).find_map(|(f, v)| broken(v).then_some(f)) {
            return Err(FitError::NotFinite(feature.to_string()));
        }
    }
    if let Some((a, _)) = sorted.iter().zip(sorted.iter().skip(1)).find(|(a, b)| a.rollout == b.rollout) {
        return Err(FitError::Duplicate(a.rollout.clone()));
    }
    let solved = sorted.iter().filter(|example| example.solved).count();
    if solved == 0 || solved == sorted.len() {
        return Err(FitError::OneClass { examples: sorted.len(), solved });
    }
    Ok(sorted)
}

/// Mean and standard deviation; a deviation of 0 counts as 1.
fn moments(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let count = values.clone().count().max(1) as f64;
    let mean = values.clone().sum::<f64>() / count;
    let deviation = (values.map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
    // What rounding leaves of equal values is no deviation.
    let is_constant = deviation <= 1e-12 * mean.abs();
    (mean, if is_constant { 1.0 } else { deviation })
}

/// 1 for the intercept, then for each feature the standardised value and whether it is missing.
fn row(values: &[Option<f64>], columns: &[(f64, f64)]) -> Vec<f64> {
    let pairs = values.iter().zip(columns).flat_map(|(value, (mean, scale))| match value {
        Some(value) => [(value - mean) / scale, 0.0],
        None => [0.0, 1.0],
    });
    std::iter::once(1.0).chain(pairs).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The penalised negative log-likelihood.
fn value(rows: &[(Vec<f64>, f64)], weights: &[f64], penalty: f64) -> f64 {
    let losses = rows.iter().map(|(row, label)| {
        let z = dot(row, weights);
        negative_log_sigmoid(-z) - label * z
    });
    let squares: f64 = weights.iter().skip(1).map(|weight| weight * weight).sum();
    losses.sum::<f64>() + penalty / 2.0 * squares
}

/// Its first and second derivatives.
fn derivatives(rows: &[(Vec<f64>, f64)], weights: &[f64], penalty: f64) -> (Vec<f64>, Vec<Vec<f64>>) {
    let size = weights.len();
    let mut gradient: Vec<f64> =
        weights.iter().enumerate().map(|(i, w)| if i == 0 { 0.0 } else { penalty * w }).collect();
    let mut curvature: Vec<Vec<f64>> =
        (0..size).map(|i| (0..size).map(|j| if i == j && i > 0 { penalty } else { 0.0 }).collect()).collect();
    for (row, label) in rows {
        let p = sigmoid(dot(row, weights));
        for (slot, x) in gradient.iter_mut().zip(row) {
            *slot += (p - label) * x;
        }
        for (line, x) in curvature.iter_mut().zip(row) {
            for (slot, y) in line.iter_mut().zip(row) {
                *slot += p * (1.0 - p) * x * y;
            }
        }
    }
    (gradient, curvature)
}

fn minimise(rows: &[(Vec<f64>, f64)], penalty: f64) -> Result<Vec<f64>, FitError> {
    let mut weights = vec![0.0; rows.first().map_or(0, |(row, _)| row.len())];
    for _ in 0..STEPS {
        let (gradient, curvature) = derivatives(rows, &weights, penalty);
        let step = solve(&curvature, &gradient).ok_or(FitError::Unsettled)?;
        // What a Newton step still gains is half of this.
        let gain = dot(&gradient, &step);
        let now = value(rows, &weights, penalty);
        if gain <= 1e-13 * (1.0 + now.abs()) {
            return Ok(weights.iter().zip(&step).map(|(weight, step)| weight - step).collect());
        }
        let moved = |share: f64| -> Vec<f64> { weights.iter().zip(&step).map(|(w, s)| w - share * s).collect() };
        let shares = std::iter::successors(Some(1.0), |share| Some(share / 2.0)).take(60);
        let lower = shares.map(moved).find(|moved| value(rows, moved, penalty) < now);
        weights = match lower {
            Some(lower) => lower,
            // What is left to gain drowns in the rounding of the sum.
            None if gain <= 1e-9 * (1.0 + now.abs()) => return Ok(weights),
            None => return Err(FitError::Unsettled),
        };
    }
    Err(FitError::Unsettled)
}
