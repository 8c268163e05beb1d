//! The chance that at least one of k attempts succeeds.
//!
//! Of n samples of a task, c succeeded. A random subset of k samples misses them all with probability
//! C(n-c, k) / C(n, k), so
//!
//! pass@k = 1 - C(n-c, k) / C(n, k)
//!
//! is an unbiased estimate of the chance that k fresh attempts contain a success, unlike the biased 1 - (1 - c/n)^k
//! (Chen et al. 2021, *Evaluating Large Language Models Trained on Code*, arXiv 2107.03374, §2.1).
//!
//! The ratio is the product of 1 - k/i over i in n-c+1..=n; the sum of its logarithms keeps small chances precise where
//! binomial coefficients would overflow.

use super::StatsError;

/// The samples of one task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Samples {
    /// How many were drawn, n.
    pub drawn: usize,
    /// How many of them solved the task, c.
    pub solved: usize,
}

/// The unbiased estimate of pass@k from `samples` attempts of which `solved` succeeded, in `[0, 1]`; pass@0 is 0.
///
/// # Errors
/// [`StatsError::MoreThanSamples`] if `solved` or `k` exceeds `samples`.
pub fn pass_at_k(samples: usize, solved: usize, k: usize) -> Result<f64, StatsError> {
    for (what, value) in [("the number of solved samples", solved), ("k", k)] {
        if value > samples {
            return Err(StatsError::MoreThanSamples { what, value, samples });
        }
    }
    let failed = samples - solved;
    if k > failed {
        return Ok(1.0);
    }
    let log_all_fail: f64 = (failed + 1..=samples).map(|i| (-(k as f64) / i as f64).ln_1p()).sum();
    Ok(-log_all_fail.exp_m1())
}

/// The mean of [`pass_at_k`] over tasks, which may have different numbers of samples.
///
/// # Errors
/// Those of [`pass_at_k`], and [`StatsError::Nothing`] without tasks.
pub fn mean_pass_at_k(tasks: &[Samples], k: usize) -> Result<f64, StatsError> {
    if tasks.is_empty() {
        return Err(StatsError::Nothing { what: "the list of tasks" });
    }
    let sum: f64 = tasks.iter().map(|task| pass_at_k(task.drawn, task.solved, k)).sum::<Result<_, _>>()?;
    Ok(sum / tasks.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        assert!((pass_at_k(4, 1, 2).unwrap() - 0.5).abs() < 1e-15);
        assert!((pass_at_k(200, 3, 1).unwrap() - 0.015).abs() < 1e-15);
        assert_eq!(pass_at_k(10, 0, 10).unwrap(), 0.0);
        assert_eq!(pass_at_k(10, 1, 10).unwrap(), 1.0);
        assert_eq!(pass_at_k(10, 5, 0).unwrap(), 0.0);
        let rare = pass_at_k(1_000_000_000, 1, 1).unwrap(); // 1 - (1 - 1e-9) has only 7 digits
        assert!((rare / 1e-9 - 1.0).abs() < 1e-14, "{rare}");
    }

    #[test]
    fn more_than_there_is_is_refused() {
        assert!(matches!(pass_at_k(4, 5, 1), Err(StatsError::MoreThanSamples { value: 5, samples: 4, .. })));
        assert!(matches!(pass_at_k(4, 1, 5), Err(StatsError::MoreThanSamples { what: "k", .. })));
    }

    #[test]
    fn the_mean_is_over_tasks() {
        let tasks = [Samples { drawn: 4, solved: 1 }, Samples { drawn: 2, solved: 2 }];
        assert!((mean_pass_at_k(&tasks, 2).unwrap() - 0.75).abs() < 1e-15);
        assert!(mean_pass_at_k(&tasks, 3).is_err());
        assert!(mean_pass_at_k(&[], 1).is_err());
    }
}
