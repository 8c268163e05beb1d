//! Which experts a token goes to.

use super::config::{ExpertsConfig, Router};

impl Router {
    /// Added to the sum of the chosen experts' weights before dividing by it.
    pub(crate) fn least_sum(self) -> f64 {
        match self {
            Self::Softmax => 0.0,
            Self::Sigmoid { .. } => 1e-20,
        }
    }
}

/// The chosen experts of one token, the best first, equals by their number. `scores` is `[expert]`; `correction` is
/// `[expert]` or empty.
pub(crate) fn choose(scores: &[f32], correction: &[f32], config: &ExpertsConfig) -> Vec<usize> {
    let corrections = correction.iter().copied().chain(std::iter::repeat(0.0));
    let mut candidates: Vec<(usize, f32)> = scores.iter().zip(corrections).map(|(s, c)| s + c).enumerate().collect();
    if let Router::Sigmoid { groups, chosen_groups } = config.router
        && chosen_groups < groups
    {
        let size = (scores.len() / groups.max(1)).max(1);
        let mut ranked: Vec<(usize, f32)> = candidates.chunks(size).map(two_best).enumerate().collect();
        best_first(&mut ranked);
        ranked.truncate(chosen_groups);
        candidates.retain(|(expert, _)| ranked.iter().any(|(group, _)| *group == expert / size));
    }
    best_first(&mut candidates);
    candidates.into_iter().take(config.chosen).map(|(expert, _)| expert).collect()
}

/// Sum of a group's two best scores.
fn two_best(group: &[(usize, f32)]) -> f32 {
    let mut group = group.to_vec();
    best_first(&mut group);
    group.iter().take(2).map(|(_, score)| score).sum()
}

/// The sort is stable, so that equals stay in order.
fn best_first(scored: &mut [(usize, f32)]) {
    scored.sort_by(|a, b| b.1.total_cmp(&a.1));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(router: Router) -> ExpertsConfig {
        ExpertsConfig {
            experts: 6,
            chosen: 2,
            intermediate_size: 1,
            shared_size: None,
            router,
            normalise: true,
            scale: 1.0,
        }
    }

    #[test]
    fn the_best_are_chosen_and_equals_keep_their_order() {
        let config = config(Router::Softmax);
        assert_eq!(choose(&[0.1, 0.3, 0.1, 0.3, 0.1, 0.1], &[], &config), [1, 3]);
        assert_eq!(choose(&[0.2, 0.2, 0.2, 0.2, 0.1, 0.1], &[], &config), [0, 1]);
    }

    #[test]
    fn a_correction_changes_the_choice() {
        let config = config(Router::Sigmoid { groups: 1, chosen_groups: 1 });
        assert_eq!(choose(&[0.9, 0.8, 0.1, 0.1, 0.1, 0.1], &[0.0, 0.0, 0.0, 0.0, 0.0, 1.0], &config), [5, 0]);
    }

    #[test]
    fn only_the_best_groups_are_eligible() {
        let config = config(Router::Sigmoid { groups: 3, chosen_groups: 1 });
        // The best single expert is 0, but the pair (2, 3) is the best group.
        assert_eq!(choose(&[0.9, 0.0, 0.6, 0.7, 0.1, 0.1], &[], &config), [3, 2]);
    }
}
