//! A linear head in the place of the two words.
//!
//! The words of a judgement are two of 150,000 tokens, and their logits are bound to what the model says elsewhere. A head
//! reads the last hidden state at the place of the answer and has nothing else to do: one number, whose sigmoid is the
//! probability that the attempt is right. It is fitted by logistic loss to the hidden states of a decoder that stays as it
//! is, with the adapter that it has; so fitting takes seconds once the states are there, and logistic loss makes what it
//! says calibrated on attempts like those that it was fitted to.

use serde::{Deserialize, Serialize};

use super::minimise::{Minimum, minimise};
use crate::objective::{negative_log_sigmoid, sigmoid};

/// `weight . state + bias`.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// `[hidden]`
    weight: Vec<f32>,
    bias: f32,
}

/// How a head is fitted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HeadFit {
    /// Half of this times the squared weights, for states of unit variance, is added to the mean loss; above 0, for states
    /// that can be told apart by a plane would make weights infinite otherwise. Default 0.01.
    pub penalty: f64,
    /// Steps after which the search ends in any case. Default 1,000.
    pub steps: usize,
    /// It ends when no component of the gradient is larger. Default 1e-7.
    pub tolerance: f64,
}

/// How well a head fits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadReport {
    /// Mean logistic loss on the attempts that it was fitted to, with the penalty.
    pub loss: f64,
    /// Steps that it took.
    pub steps: usize,
    /// The largest component of the gradient at the end; more than the tolerance if the steps did not suffice.
    pub slope: f64,
}

/// Why there is no head, or no score of one.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HeadError {
    /// Not one label a state.
    #[error("there are {states} hidden states and {labels} labels; give one label for each state")]
    Labels {
        /// States.
        states: usize,
        /// Labels.
        labels: usize,
    },
    /// Labels of one kind, from which nothing can be told apart.
    #[error("{solved} of {all} attempts are solved; a head needs attempts of both kinds")]
    OneKind {
        /// Solved attempts.
        solved: usize,
        /// All.
        all: usize,
    },
    /// A state of another size.
    #[error("hidden state {index} has {found} numbers, expected {expected}")]
    Size {
        /// Which state.
        index: usize,
        /// Its size.
        found: usize,
        /// The size expected.
        expected: usize,
    },
    /// A state that holds NaN or infinity.
    #[error("hidden state {index} holds a number that is not finite")]
    NotFinite {
        /// Which state.
        index: usize,
    },
    /// A setting out of range.
    #[error("penalty is {0}, and has to be above 0 and finite")]
    Penalty(f64),
}

impl Default for HeadFit {
    fn default() -> Self {
        Self { penalty: 0.01, steps: 1000, tolerance: 1e-7 }
    }
}

impl Head {
    /// A head of these numbers.
    pub fn new(weight: Vec<f32>, bias: f32) -> Self {
        Self { weight, bias }
    }

    /// Fits a head to hidden states of attempts of which it is known whether they are right. The same states in the same
    /// order give the same head.
    pub fn fit(states: &[Vec<f32>], solved: &[bool], fit: HeadFit) -> Result<(Self, HeadReport), HeadError> {
        if !(fit.penalty > 0.0 && fit.penalty.is_finite()) {
            return Err(HeadError::Penalty(fit.penalty));
        }
        if states.len() != solved.len() {
            return Err(HeadError::Labels { states: states.len(), labels: solved.len() });
        }
        let right = solved.iter().filter(|solved| **solved).count();
        if right == 0 || right == solved.len() {
            return Err(HeadError::OneKind { solved: right, all: solved.len() });
        }
        let size = states.first().map_or(0, Vec::len);
        for (index, state) in states.iter().enumerate() {
            check(index, state, size)?;
        }
        let scales = Scales::of(states, size);
        let scaled: Vec<Vec<f64>> = states.iter().map(|state| scales.apply(state)).collect();
        let minimum = minimise(size + 1, fit.steps, fit.tolerance, |at, gradient| {
            loss(&scaled, solved, fit.penalty, at, gradient)
        });
        let Minimum { value, steps, slope, ref at } = minimum;
        Ok((scales.head(at), HeadReport { loss: value, steps, slope }))
    }

    /// What the head says of a hidden state: above 0 that the attempt is right.
    pub fn logit(&self, state: &[f32]) -> Result<f64, HeadError> {
        check(0, state, self.weight.len())?;
        let products = self.weight.iter().zip(state).map(|(weight, state)| f64::from(*weight) * f64::from(*state));
        Ok(products.sum::<f64>() + f64::from(self.bias))
    }

    /// `[hidden]`
    pub fn weight(&self) -> &[f32] {
        &self.weight
    }

    /// What is added.
    pub fn bias(&self) -> f32 {
        self.bias
    }
}

fn check(index: usize, state: &[f32], expected: usize) -> Result<(), HeadError> {
    if state.len() != expected {
        return Err(HeadError::Size { index, found: state.len(), expected });
    }
    if state.iter().any(|value| !value.is_finite()) {
        return Err(HeadError::NotFinite { index });
    }
    Ok(())
}

/// Mean logistic loss with the penalty; `at` holds the weights and, last, the bias.
fn loss(states: &[Vec<f64>], solved: &[bool], penalty: f64, at: &[f64], gradient: &mut [f64]) -> f64 {
    let (Some((bias, weights)), count) = (at.split_last(), states.len() as f64) else { return 0.0 };
    let Some((of_bias, of_weights)) = gradient.split_last_mut() else { return 0.0 };
    let mut sum = 0.0;
    *of_bias = 0.0;
    of_weights.iter_mut().zip(weights).for_each(|(slope, weight)| *slope = penalty * weight);
    for (state, solved) in states.iter().zip(solved) {
        let logit = bias + state.iter().zip(weights).map(|(state, weight)| state * weight).sum::<f64>();
        sum += negative_log_sigmoid(if *solved { logit } else { -logit });
        let slope = (sigmoid(logit) - f64::from(*solved)) / count;
        *of_bias += slope;
        of_weights.iter_mut().zip(state).for_each(|(of_weight, state)| *of_weight += slope * state);
    }
    sum / count + 0.5 * penalty * weights.iter().map(|weight| weight * weight).sum::<f64>()
}

/// Means and deviations of every number of the states, so that the penalty means the same for all of them.
struct Scales {
    means: Vec<f64>,
    deviations: Vec<f64>,
}

impl Scales {
    fn of(states: &[Vec<f32>], size: usize) -> Self {
        let count = states.len().max(1) as f64;
        let mut means = vec![0.0; size];
        for state in states {
            means.iter_mut().zip(state).for_each(|(mean, value)| *mean += f64::from(*value) / count);
        }
        let mut variances = vec![0.0; size];
        for state in states {
            let away = state.iter().zip(&means).map(|(value, mean)| (f64::from(*value) - mean).powi(2) / count);
            variances.iter_mut().zip(away).for_each(|(variance, away)| *variance += away);
        }
        // What never changes says nothing, and its mean is off by what rounding adds up to.
        let deviation = |(variance, mean): (f64, &f64)| {
            let deviation = variance.sqrt();
            if deviation > 1e-9 * mean.abs() { deviation } else { 0.0 }
        };
        let deviations = variances.into_iter().zip(&means).map(deviation).collect();
        Self { means, deviations }
    }

    fn apply(&self, state: &[f32]) -> Vec<f64> {
        let scales = self.means.iter().zip(&self.deviations);
        state.iter().zip(scales).map(|(value, (mean, deviation))| ratio(f64::from(*value) - mean, *deviation)).collect()
    }

    /// The head for states as they are of weights for scaled ones.
    fn head(&self, at: &[f64]) -> Head {
        let (bias, weights) = at.split_last().unwrap_or((&0.0, &[]));
        let weights: Vec<f64> =
            weights.iter().zip(&self.deviations).map(|(weight, deviation)| ratio(*weight, *deviation)).collect();
        let shift: f64 = weights.iter().zip(&self.means).map(|(weight, mean)| weight * mean).sum();
        Head { weight: weights.into_iter().map(|weight| weight as f32).collect(), bias: (bias - shift) as f32 }
    }
}

/// A ratio, or 0 where the deviation is too small to be one.
fn ratio(value: f64, deviation: f64) -> f64 {
    if deviation > 1e-12 { value / deviation } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// States of which the first number tells, the second is noise, and the third never changes.
    fn states(count: usize) -> (Vec<Vec<f32>>, Vec<bool>) {
        let noise = |index: usize, factor: usize| ((index * factor) % 101) as f32 / 101.0 - 0.5;
        let solved = |index: usize| index.is_multiple_of(3);
        let state = |index: usize| {
            let told = if solved(index) { 1.0 } else { -1.0 };
            vec![told + 3.0 * noise(index, 37), 50.0 * noise(index, 59), 7000.3]
        };
        ((0..count).map(state).collect(), (0..count).map(solved).collect())
    }

    #[test]
    fn one_state_of_each_kind_has_a_solution_in_closed_form() {
        let (head, report) =
            Head::fit(&[vec![1.0], vec![-1.0]], &[true, false], HeadFit { penalty: 0.1, ..HeadFit::default() })
                .unwrap();
        // The weight solves `penalty w = 1 - sigmoid(w)`; by symmetry there is no bias.
        let weight = f64::from(head.weight()[0]);
        assert!((0.1 * weight - (1.0 - sigmoid(weight))).abs() < 1e-6, "{head:?}");
        assert!(head.bias().abs() < 1e-6 && report.slope < 1e-7);
    }

    #[test]
    fn probabilities_are_calibrated_on_what_was_fitted_and_repeat() {
        let (states, solved) = states(300);
        let (head, report) = Head::fit(&states, &solved, HeadFit { penalty: 1e-4, ..HeadFit::default() }).unwrap();
        assert!(report.slope < 1e-7 && report.steps < 100, "{report:?}");
        let probabilities = states.iter().map(|state| sigmoid(head.logit(state).unwrap()));
        let mean = probabilities.sum::<f64>() / 300.0;
        assert!(
            (mean - 100.0 / 300.0).abs() < 1e-3,
            "the mean of probabilities is the share of solved ones, not {mean}"
        );
        assert_eq!(Head::fit(&states, &solved, HeadFit { penalty: 1e-4, ..HeadFit::default() }).unwrap().0, head);
        assert_eq!(head.weight()[2], 0.0, "what never changes says nothing");
    }

    #[test]
    fn what_cannot_be_fitted_is_refused() {
        let refused = |states: &[Vec<f32>], solved: &[bool], penalty| {
            Head::fit(states, solved, HeadFit { penalty, ..HeadFit::default() }).unwrap_err()
        };
        let two = [vec![1.0], vec![2.0]];
        assert_eq!(refused(&two, &[true], 0.1), HeadError::Labels { states: 2, labels: 1 });
        assert_eq!(refused(&two, &[true, true], 0.1), HeadError::OneKind { solved: 2, all: 2 });
        assert_eq!(refused(&two, &[true, false], 0.0), HeadError::Penalty(0.0));
        let odd = [vec![1.0], vec![2.0, 3.0]];
        assert_eq!(refused(&odd, &[true, false], 0.1), HeadError::Size { index: 1, found: 2, expected: 1 });
        assert_eq!(refused(&[vec![1.0], vec![f32::NAN]], &[true, false], 0.1), HeadError::NotFinite { index: 1 });
        assert!(Head::new(vec![1.0], 0.0).logit(&[1.0, 2.0]).is_err());
    }
}
