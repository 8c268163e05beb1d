//! Scores weighed by what solved tasks before.
//!
//! A logistic regression over the scores: with standardised values x,
//!
//! p(solved) = sigma(b + sum over features (w x if there is a value, otherwise m))
//!
//! A missing value has a weight m of its own, learned like the others, rather than a made-up value. The model is fitted
//! by [`LogisticModel::fit`], which needs solved and unsolved rollouts, is the same on every machine up to rounding in
//! the last digits, and saved as JSON; a file says what it was fitted on.

mod features;
mod fit;
mod solve;

use entropo_core::Trajectory;
use serde::{Deserialize, Serialize};

pub use features::{Example, Feature, FeatureValues};
pub use fit::{FitError, FitSettings};

use super::{Measured, Rule, Scores, Stage, Verdict, judge, shown};

/// The format of a model's file.
pub const LOGISTIC_FORMAT: &str = "entropo-logistic/1";

/// A fitted model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ModelFile", into = "ModelFile")]
pub struct LogisticModel {
    /// What is added for everybody.
    pub intercept: f64,
    /// What is weighed.
    pub features: Vec<WeighedFeature>,
    /// How many rollouts it was fitted on.
    pub examples: usize,
    /// How many of them had solved their task.
    pub solved: usize,
    /// The penalty it was fitted with.
    pub penalty: f64,
}

/// One feature of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeighedFeature {
    /// What is looked at.
    pub feature: Feature,
    /// The mean of the values it was fitted on.
    pub mean: f64,
    /// Their standard deviation, or 1 if they were all the same.
    pub scale: f64,
    /// The weight of a standardised value.
    pub weight: f64,
    /// What is added where there is no value.
    pub missing: f64,
}

/// Why a file is no model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// Another format.
    #[error("the model is of the format {0:?}, this version reads {LOGISTIC_FORMAT:?}; fit it anew")]
    Format(String),
    /// A number that is NaN or infinite, or a scale that is not above 0.
    #[error("the model's {0} is no usable number; fit it anew")]
    Number(String),
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelFile {
    format: String,
    intercept: f64,
    features: Vec<WeighedFeature>,
    examples: usize,
    solved: usize,
    penalty: f64,
}

impl From<LogisticModel> for ModelFile {
    fn from(model: LogisticModel) -> Self {
        let LogisticModel { intercept, features, examples, solved, penalty } = model;
        Self { format: LOGISTIC_FORMAT.to_owned(), intercept, features, examples, solved, penalty }
    }
}

impl TryFrom<ModelFile> for LogisticModel {
    type Error = ModelError;

    fn try_from(file: ModelFile) -> Result<Self, ModelError> {
        let ModelFile { format, intercept, features, examples, solved, penalty } = file;
        if format != LOGISTIC_FORMAT {
            return Err(ModelError::Format(format));
        }
        if !intercept.is_finite() {
            return Err(ModelError::Number("intercept".to_owned()));
        }
        for WeighedFeature { feature, mean, scale, weight, missing } in &features {
            if ![mean, scale, weight, missing].into_iter().all(|number| number.is_finite()) || *scale <= 0.0 {
                return Err(ModelError::Number(format!("feature {feature}")));
            }
        }
        Ok(Self { intercept, features, examples, solved, penalty })
    }
}

impl LogisticModel {
    /// The probability of having solved the task for the values of the model's features, in their order.
    pub fn probability(&self, values: &[Option<f64>]) -> f64 {
        let terms = self.features.iter().zip(values.iter().copied().chain(std::iter::repeat(None)));
        let sum: f64 = terms.map(|(feature, value)| feature.term(value)).sum();
        entropo_core::stats::sigmoid(self.intercept + sum)
    }

    /// The features that it weighs.
    pub fn feature_list(&self) -> Vec<Feature> {
        self.features.iter().map(|feature| feature.feature.clone()).collect()
    }
}

impl WeighedFeature {
    fn term(&self, value: Option<f64>) -> f64 {
        value.map_or(self.missing, |value| self.weight * (value - self.mean) / self.scale)
    }
}

/// Keeps the candidates that a model thinks likeliest to have solved the task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Learned {
    /// The model.
    pub model: LogisticModel,
}

impl Stage for Learned {
    fn name(&self) -> String {
        "learned".to_owned()
    }

    fn apply(&self, candidates: &[&Trajectory], scores: &Scores) -> Vec<Verdict> {
        let values = FeatureValues::of(&self.model.feature_list(), candidates, scores);
        let probability = |candidate: &Trajectory| self.model.probability(values.get(&candidate.id));
        let best = candidates.iter().map(|candidate| probability(candidate)).max_by(f64::total_cmp);
        judge(candidates, |candidate| {
            let own = probability(candidate);
            let measured = Measured { what: "learned".to_owned(), value: Some(own), rule: Rule::AtLeast, bound: best };
            let reason = format!("p(solved) is {}, the best {}", shown(own), best.map_or(0.0, shown));
            (best.is_some_and(|best| own >= best), reason, Some(measured))
        })
    }
}

#[cfg(test)]
mod tests;
