//! The reward of the one attempt that a selector submits out of k.
//!
//! Of a task's n samples with rewards r, a selector sees a subset S of k and submits one of it:
//!
//! best@k = mean over all S of r\[select(S)\]
//!
//! With an all-knowing selector and rewards of 0 and 1 this is pass@k; the distance between the two is what the selector
//! loses. The mean is exact where the C(n, k) subsets are few enough to visit; otherwise it is estimated without bias
//! from subsets drawn independently.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::{StatsError, check_values};

/// Which subsets are visited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subsets {
    /// All, if there are at most so many; otherwise so many random ones.
    pub at_most: usize,
    /// Seed of the random ones.
    pub seed: u64,
}

/// An estimate of best@k.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BestAtK {
    /// The mean reward of what was submitted.
    pub mean: f64,
    /// How many subsets were visited.
    pub subsets: usize,
    /// Whether these were all.
    pub exact: bool,
}

impl Default for Subsets {
    /// 10,000 subsets, seed 0.
    fn default() -> Self {
        Self { at_most: 10_000, seed: 0 }
    }
}

/// best@k of one task with the reward of each of its samples, finite numbers.
///
/// `select` is given a subset's indices into `rewards` in ascending order and returns the one to submit; `None` submits
/// nothing, for a reward of 0.
///
/// # Errors
/// [`StatsError::MoreThanSamples`] if `k` exceeds the samples, [`StatsError::Nothing`] if `k` or `subsets.at_most` is 0
/// or there are no samples, [`StatsError::NotFinite`] for a reward, [`StatsError::NotOffered`] if the selector returns
/// an index outside its subset.
pub fn best_at_k(
    rewards: &[f64],
    k: usize,
    subsets: Subsets,
    mut select: impl FnMut(&[usize]) -> Option<usize>,
) -> Result<BestAtK, StatsError> {
    check_values("the list of rewards", rewards)?;
    let samples = rewards.len();
    for (what, value) in [("k", k), ("the number of subsets", subsets.at_most)] {
        if value == 0 {
            return Err(StatsError::Nothing { what });
        }
    }
    if k > samples {
        return Err(StatsError::MoreThanSamples { what: "k", value: k, samples });
    }
    let mut submit = |subset: &[usize]| match select(subset) {
        None => Ok(0.0),
        Some(choice) => match rewards.get(choice).filter(|_| subset.contains(&choice)) {
            Some(reward) => Ok(*reward),
            None => Err(StatsError::NotOffered { choice, subset: subset.to_vec() }),
        },
    };

    let mut sum = 0.0;
    if let Some(count) = binomial_up_to(samples, k, subsets.at_most) {
        let mut subset: Vec<usize> = (0..k).collect();
        loop {
            sum += submit(&subset)?;
            if !advance(&mut subset, samples) {
                return Ok(BestAtK { mean: sum / count as f64, subsets: count, exact: true });
            }
        }
    }
    let mut rng = ChaCha8Rng::seed_from_u64(subsets.seed);
    for _ in 0..subsets.at_most {
        let mut subset = rand::seq::index::sample(&mut rng, samples, k).into_vec();
        subset.sort_unstable();
        sum += submit(&subset)?;
    }
    Ok(BestAtK { mean: sum / subsets.at_most as f64, subsets: subsets.at_most, exact: false })
}

/// C(n, k) if it is at most `limit`, for k <= n.
fn binomial_up_to(n: usize, k: usize, limit: usize) -> Option<usize> {
    let mut value: u128 = 1;
    for i in 0..k.min(n - k) {
        value = value * (n - i) as u128 / (i + 1) as u128;
        if value > limit as u128 {
            return None;
        }
    }
    usize::try_from(value).ok().filter(|&value| value <= limit)
}

/// Moves to the next subset of `0..n` in lexicographic order; false after the last.
fn advance(subset: &mut [usize], n: usize) -> bool {
    let highest = n - subset.len();
    let Some(place) = subset.iter().enumerate().rposition(|(place, &value)| value < highest + place) else {
        return false;
    };
    let first = subset.get(place).map_or(0, |value| value + 1);
    for (value, slot) in (first..).zip(subset.iter_mut().skip(place)) {
        *slot = value;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::pass_at_k;

    fn all_knowing(rewards: &[f64]) -> impl FnMut(&[usize]) -> Option<usize> + '_ {
        |subset| subset.iter().copied().max_by(|&a, &b| rewards[a].total_cmp(&rewards[b]))
    }

    #[test]
    fn every_subset_is_visited_once() {
        let mut seen = std::collections::BTreeSet::new();
        let result = best_at_k(&[0.0; 6], 3, Subsets::default(), |subset| {
            assert!(subset.is_sorted() && seen.insert(subset.to_vec()));
            None
        });
        assert_eq!(result, Ok(BestAtK { mean: 0.0, subsets: 20, exact: true }));
        assert_eq!(seen.len(), 20);
    }

    #[test]
    fn an_all_knowing_selector_reaches_pass_at_k() {
        let rewards = [0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0];
        for k in 1..=7 {
            let best = best_at_k(&rewards, k, Subsets::default(), all_knowing(&rewards)).unwrap();
            assert!((best.mean - pass_at_k(7, 2, k).unwrap()).abs() < 1e-12 && best.exact);
        }
    }

    #[test]
    fn too_many_subsets_are_sampled_near_the_truth() {
        let rewards: Vec<f64> = (0..64).map(|index| f64::from(u8::from(index % 8 == 0))).collect();
        let subsets = Subsets { at_most: 4_000, seed: 3 };
        let best = best_at_k(&rewards, 8, subsets, all_knowing(&rewards)).unwrap();
        assert!(!best.exact && best.subsets == 4_000);
        // standard deviation of the estimate: at most 0.5 / sqrt(4000) = 0.008
        assert!((best.mean - pass_at_k(64, 8, 8).unwrap()).abs() < 0.04, "{best:?}");
        assert_eq!(best, best_at_k(&rewards, 8, subsets, all_knowing(&rewards)).unwrap());
    }

    #[test]
    fn a_selector_must_choose_what_it_was_offered() {
        let refused = best_at_k(&[1.0, 1.0, 1.0], 2, Subsets::default(), |_| Some(0));
        assert_eq!(refused, Err(StatsError::NotOffered { choice: 0, subset: vec![1, 2] }));
        assert!(best_at_k(&[1.0], 2, Subsets::default(), |_| None).is_err());
        assert!(best_at_k(&[1.0], 0, Subsets::default(), |_| None).is_err());
        assert!(best_at_k(&[f64::NAN], 1, Subsets::default(), |_| None).is_err());
    }
}
