//! What a selector loses against an all-knowing one.
//!
//! Of each subset of k samples the all-knowing selector submits the one with the highest reward. Regret is the
//! difference of the two best@k over the same subsets; where rewards are 0 and 1 it is pass@k - best@k.

use serde::{Deserialize, Serialize};

use super::{StatsError, Subsets, best_at_k};

/// A selector against the all-knowing one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SelectorRegret {
    /// best@k of the all-knowing selector.
    pub oracle: f64,
    /// best@k of the selector.
    pub selected: f64,
    /// What it loses: `oracle - selected`. Negative only if rewards are and it submitted nothing.
    pub regret: f64,
    /// Whether every subset was visited.
    pub exact: bool,
}

/// The regret of a selector on one task; arguments and errors as for [`best_at_k`].
///
/// # Errors
/// Those of [`best_at_k`].
pub fn selector_regret(
    rewards: &[f64],
    k: usize,
    subsets: Subsets,
    select: impl FnMut(&[usize]) -> Option<usize>,
) -> Result<SelectorRegret, StatsError> {
    let reward = |index: usize| rewards.get(index).copied().unwrap_or(f64::NEG_INFINITY);
    let best = |subset: &[usize]| subset.iter().copied().max_by(|&a, &b| reward(a).total_cmp(&reward(b)));
    let oracle = best_at_k(rewards, k, subsets, best)?.mean;
    let selected = best_at_k(rewards, k, subsets, select)?;
    Ok(SelectorRegret { oracle, selected: selected.mean, regret: oracle - selected.mean, exact: selected.exact })
}

/// best@k of a selector that submits the sample with the highest score, exactly and whatever n and k are; of equal
/// scores each is submitted equally often.
///
/// With the samples in ascending order, the highest of a random subset lies among the tied samples a..b with
/// probability (C(b, k) - C(a, k)) / C(n, k), and its mean reward is theirs.
///
/// # Errors
/// [`StatsError::Nothing`], [`StatsError::NotFinite`], [`StatsError::MoreThanSamples`], and [`StatsError::Unpaired`] if
/// there are not as many scores as rewards.
pub fn best_by_score_at_k(scores: &[f64], rewards: &[f64], k: usize) -> Result<f64, StatsError> {
    super::check_values("the list of scores", scores)?;
    super::check_values("the list of rewards", rewards)?;
    let samples = scores.len();
    if rewards.len() != samples {
        return Err(StatsError::Unpaired { left: samples, right: rewards.len() });
    }
    if k == 0 {
        return Err(StatsError::Nothing { what: "k" });
    }
    if k > samples {
        return Err(StatsError::MoreThanSamples { what: "k", value: k, samples });
    }
    let mut ascending: Vec<(f64, f64)> = scores.iter().copied().zip(rewards.iter().copied()).collect();
    ascending.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    // C(b, k) / C(n, k): the chance that a subset lies within the lowest b.
    let within = |count: usize| -> f64 {
        (0..k).map(|taken| count.saturating_sub(taken) as f64 / (samples - taken) as f64).product()
    };
    let (mut before, mut mean) = (0, 0.0);
    for tied in ascending.chunk_by(|a, b| a.0 == b.0) {
        let after = before + tied.len();
        let reward = tied.iter().map(|(_, reward)| reward).sum::<f64>() / tied.len() as f64;
        mean += (within(after) - within(before)) * reward;
        before = after;
    }
    Ok(mean)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::pass_at_k;

    #[test]
    fn an_all_knowing_selector_loses_nothing_and_a_blind_one_what_k_brings() {
        let rewards = [1.0, 0.0, 0.0, 1.0, 0.0];
        let blind = selector_regret(&rewards, 3, Subsets::default(), |subset| subset.get(1).copied()).unwrap();
        assert!(blind.exact && (blind.oracle - pass_at_k(5, 2, 3).unwrap()).abs() < 1e-12);
        // Of the 10 subsets, by hand: the middle one is sample 3 in {1,3,4}, {2,3,4}, {0,3,4}.
        assert!((blind.selected - 0.3).abs() < 1e-12 && (blind.regret - 0.6).abs() < 1e-12, "{blind:?}");
        let scored = best_by_score_at_k(&rewards, &rewards, 3).unwrap();
        assert!((scored - blind.oracle).abs() < 1e-12);
    }

    #[test]
    fn scores_that_say_nothing_select_at_random() {
        let rewards = [1.0, 0.0, 0.0, 1.0, 0.0];
        for k in 1..=5 {
            assert!((best_by_score_at_k(&[0.5; 5], &rewards, k).unwrap() - 0.4).abs() < 1e-12);
        }
        // Reversed scores: the lowest reward of each subset; all of {0, 3} only in 1 of 10 pairs.
        let reversed = rewards.map(|reward| -reward);
        assert!((best_by_score_at_k(&reversed, &rewards, 2).unwrap() - 0.1).abs() < 1e-12);
        assert!(best_by_score_at_k(&reversed, &rewards, 6).is_err());
        assert!(best_by_score_at_k(&reversed, &rewards[1..], 2).is_err());
        assert!(best_by_score_at_k(&reversed, &rewards, 0).is_err());
    }
}
