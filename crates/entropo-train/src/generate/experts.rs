//! Feed-forward layers: one gated layer, or experts of which each row sees a few.

use super::kernel::{Matrix, Sheet, Workers, gated};
use crate::decoder::config::{Activation, ExpertsConfig, Router};
use crate::decoder::routing::choose;
use crate::ops::math::exp;

/// What follows attention in a block.
#[derive(Debug)]
pub(super) enum FeedForward {
    Dense(Gated),
    Sparse(Experts),
}

/// `down(activation(gate(x)) * up(x))`.
#[derive(Debug)]
pub(super) struct Gated {
    pub(super) gate: Matrix,
    pub(super) up: Matrix,
    pub(super) down: Matrix,
}

/// A mixture of experts.
#[derive(Debug)]
pub(super) struct Experts {
    pub(super) config: ExpertsConfig,
    /// Scores of all experts.
    pub(super) router: Matrix,
    /// Added to the scores by which experts are chosen, `[expert]`.
    pub(super) correction: Vec<f32>,
    pub(super) experts: Vec<Gated>,
    /// Seen by every row.
    pub(super) shared: Option<Gated>,
}

impl FeedForward {
    /// Columns that one piece of work computes of a row.
    pub(super) fn width(&self) -> usize {
        match self {
            Self::Dense(layer) => layer.width(),
            Self::Sparse(experts) => experts.experts.iter().chain(&experts.shared).map(Gated::width).max().unwrap_or(0),
        }
    }

    /// `[row, hidden]` to the same shape.
    pub(super) fn apply(&self, x: &Sheet, activation: Activation, workers: Workers) -> Sheet {
        match self {
            Self::Dense(layer) => layer.apply(x, activation, workers),
            Self::Sparse(experts) => experts.apply(x, activation, workers),
        }
    }
}

impl Gated {
    fn width(&self) -> usize {
        self.gate.outputs() + self.up.outputs()
    }

    fn apply(&self, x: &Sheet, activation: Activation, workers: Workers) -> Sheet {
        let [mut gate, up] = Matrix::apply_all([&self.gate, &self.up], x, workers);
        gated(&mut gate, &up, activation, workers);
        self.down.apply(&gate, workers)
    }
}

impl Experts {
    /// An expert computes all rows that chose it at once; a row's results are added in the order of the experts,
    /// whichever other rows chose them.
    fn apply(&self, x: &Sheet, activation: Activation, workers: Workers) -> Sheet {
        let scores = self.router.apply(x, workers);
        let mut chosen = vec![Vec::new(); self.experts.len()]; // [expert]: rows and their weights
        for row in 0..x.rows() {
            for (expert, weight) in route(&scores.row(row), &self.correction, &self.config) {
                if let Some(rows) = chosen.get_mut(expert) {
                    rows.push((row, weight));
                }
            }
        }
        let mut sum = Sheet::zeros(x.rows(), x.width());
        for (expert, rows) in self.experts.iter().zip(&chosen).filter(|(_, rows)| !rows.is_empty()) {
            let seen: Vec<usize> = rows.iter().map(|(row, _)| *row).collect();
            sum.scatter(rows, &expert.apply(&x.gather(&seen), activation, workers));
        }
        if let Some(shared) = &self.shared {
            let all: Vec<(usize, f32)> = (0..x.rows()).map(|row| (row, 1.0)).collect();
            sum.scatter(&all, &shared.apply(x, activation, workers));
        }
        sum
    }
}

/// The experts that a row sees, by their numbers, and their weights; from what the router says, `[expert]`.
fn route(logits: &[f32], correction: &[f32], config: &ExpertsConfig) -> Vec<(usize, f32)> {
    let scores: Vec<f32> = match config.router {
        Router::Softmax => softmax(logits),
        Router::Sigmoid { .. } => logits.iter().map(|logit| 1.0 / (1.0 + exp(-logit))).collect(),
    };
    let mut chosen = choose(&scores, correction, config);
    chosen.sort_unstable();
    let weights: Vec<f32> = chosen.iter().filter_map(|&expert| scores.get(expert).copied()).collect();
    let sum = weights.iter().sum::<f32>() + config.router.least_sum() as f32;
    let divisor = if config.normalise { sum } else { 1.0 };
    let scale = config.scale as f32;
    chosen.into_iter().zip(weights).map(|(expert, weight)| (expert, weight / divisor * scale)).collect()
}

fn softmax(scores: &[f32]) -> Vec<f32> {
    let highest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weights: Vec<f32> = scores.iter().map(|score| exp(score - highest)).collect();
    let sum: f32 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(router: Router, chosen: usize, normalise: bool, scale: f64) -> ExpertsConfig {
        ExpertsConfig { experts: 6, chosen, intermediate_size: 1, shared_size: None, router, normalise, scale }
    }

    fn assert_chosen(actual: &[(usize, f32)], expected: &[(usize, f64)]) {
        assert_eq!(actual.len(), expected.len(), "{actual:?}");
        for (actual, expected) in actual.iter().zip(expected) {
            assert!(
                actual.0 == expected.0 && (f64::from(actual.1) - expected.1).abs() < 1e-6,
                "{actual:?} {expected:?}"
            );
        }
    }

    #[test]
    fn a_softmax_router_takes_the_most_probable() {
        let scores = [0.0, 2.0, 1.0, -1.0, 2.0, 0.5].map(|x: f64| x.exp());
        let all: f64 = scores.iter().sum();
        let logits = [0.0, 2.0, 1.0, -1.0, 2.0, 0.5];
        let plain = route(&logits, &[], &config(Router::Softmax, 3, false, 1.0));
        assert_chosen(&plain, &[(1, scores[1] / all), (2, scores[2] / all), (4, scores[4] / all)]);
        let normalised = route(&logits, &[], &config(Router::Softmax, 2, true, 3.0));
        assert_chosen(&normalised, &[(1, 1.5), (4, 1.5)]);
    }

    #[test]
    fn a_sigmoid_router_prefers_by_corrected_scores_and_weighs_by_scores() {
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let logits = [0.0, 2.0, 1.0, -1.0, 1.5, 0.5];
        let correction = [0.9, 0.0, 0.0, 0.0, 0.0, 0.0];
        let one_group = Router::Sigmoid { groups: 1, chosen_groups: 1 };
        let chosen = route(&logits, &correction, &config(one_group, 2, true, 2.0));
        let sum = sigmoid(0.0) + sigmoid(2.0);
        assert_chosen(&chosen, &[(0, 2.0 * sigmoid(0.0) / sum), (1, 2.0 * sigmoid(2.0) / sum)]);
        // Groups (0, 1), (2, 3), (4, 5): the second of them has the two worst experts together.
        let groups = Router::Sigmoid { groups: 3, chosen_groups: 2 };
        let chosen = route(&logits, &correction, &config(groups, 3, false, 1.0));
        assert_chosen(&chosen, &[(0, sigmoid(0.0)), (1, sigmoid(2.0)), (4, sigmoid(1.5))]);
    }
}
