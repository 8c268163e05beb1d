//! Confidence intervals by resampling tasks.
//!
//! The percentile bootstrap (Efron and Tibshirani 1993, *An Introduction to the Bootstrap*, ch. 13): draw as many tasks
//! as there are, with replacement; take the mean; repeat; the interval lies between the (1-level)/2 and (1+level)/2
//! quantiles of these means. With few tasks (under about 20) such intervals are too narrow.

use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{StatsError, check_values};

/// How intervals are computed. The same settings give the same interval for the same values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Bootstrap {
    /// How many times the tasks are drawn anew; 10,000 by default.
    pub resamples: usize,
    /// The confidence level, between 0 and 1; 0.95 by default.
    pub level: f64,
    /// Seed of the draws, 0 by default.
    pub seed: u64,
}

/// A mean over tasks and its confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The mean of the values themselves, or the statistic of the tasks themselves.
    pub mean: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { resamples: 10_000, level: 0.95, seed: 0 }
    }
}

impl Bootstrap {
    /// Sets how many times the tasks are drawn anew.
    pub fn with_resamples(mut self, resamples: usize) -> Self {
        self.resamples = resamples;
        self
    }

    /// Sets the confidence level.
    pub fn with_level(mut self, level: f64) -> Self {
        self.level = level;
        self
    }

    /// Sets the seed of the draws.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The mean of one value for each task, with its interval.
    ///
    /// # Errors
    /// [`StatsError::Nothing`] without values or resamples, [`StatsError::NotFinite`] or [`StatsError::Level`].
    pub fn mean(&self, values: &[f64]) -> Result<Interval, StatsError> {
        check_values("the list of values", values)?;
        self.check()?;
        let count = values.len() as f64;
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let means = (0..self.resamples)
            .map(|_| values.iter().filter_map(|_| values.choose(&mut rng)).sum::<f64>() / count)
            .collect();
        Ok(self.interval(values.iter().sum::<f64>() / count, means))
    }

    /// Any statistic of `count` tasks, with its interval; `statistic` is given the positions of the drawn tasks, first
    /// each once.
    ///
    /// Resamples on which it is undefined, such as AUROC where all labels are equal, are left out.
    ///
    /// # Errors
    /// [`StatsError::Nothing`], [`StatsError::Level`], what the statistic says of the tasks themselves, and
    /// [`StatsError::Undefined`] if no resample has a value.
    ///
    /// ```
    /// use entropo_core::stats::{Bootstrap, auroc};
    ///
    /// let (scores, labels) = ([0.1, 0.4, 0.35, 0.8], [false, false, true, true]);
    /// let interval = Bootstrap::default().statistic(4, |drawn| {
    ///     let scores: Vec<f64> = drawn.iter().map(|&place| scores[place]).collect();
    ///     auroc(&scores, &drawn.iter().map(|&place| labels[place]).collect::<Vec<_>>())
    /// })?;
    /// assert_eq!((interval.mean, interval.high), (0.75, 1.0));
    /// # Ok::<(), entropo_core::stats::StatsError>(())
    /// ```
    pub fn statistic(
        &self,
        count: usize,
        mut statistic: impl FnMut(&[usize]) -> Result<f64, StatsError>,
    ) -> Result<Interval, StatsError> {
        if count == 0 {
            return Err(StatsError::Nothing { what: "the number of tasks" });
        }
        self.check()?;
        let itself = statistic(&(0..count).collect::<Vec<_>>())?;
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let draws = (0..self.resamples).filter_map(|_| {
            let drawn: Vec<usize> = (0..count).map(|_| rng.random_range(0..count)).collect();
            statistic(&drawn).ok().filter(|value| value.is_finite())
        });
        let values: Vec<f64> = draws.collect();
        if values.is_empty() {
            return Err(StatsError::Undefined { resamples: self.resamples });
        }
        Ok(self.interval(itself, values))
    }

    fn check(&self) -> Result<(), StatsError> {
        if self.resamples == 0 {
            return Err(StatsError::Nothing { what: "the number of resamples" });
        }
        if !(self.level > 0.0 && self.level < 1.0) {
            return Err(StatsError::Level { level: self.level });
        }
        Ok(())
    }

    fn interval(&self, mean: f64, mut drawn: Vec<f64>) -> Interval {
        drawn.sort_unstable_by(f64::total_cmp);
        let tail = (1.0 - self.level) / 2.0;
        Interval { mean, low: quantile(&drawn, tail), high: quantile(&drawn, 1.0 - tail) }
    }

    /// The mean of `left - right` over tasks, with its interval; both have one value for each task, in the same order.
    ///
    /// Each resample takes the same tasks for both arms, which is the bootstrap of the differences.
    ///
    /// # Errors
    /// Those of [`mean`](Self::mean), and [`StatsError::Unpaired`] if the lengths differ.
    pub fn difference(&self, left: &[f64], right: &[f64]) -> Result<Interval, StatsError> {
        if left.len() != right.len() {
            return Err(StatsError::Unpaired { left: left.len(), right: right.len() });
        }
        let differences: Vec<f64> = left.iter().zip(right).map(|(left, right)| left - right).collect();
        self.mean(&differences)
    }
}

/// The quantile of ascending values at `share` in `[0, 1]`, linear between neighbours; 0 without values.
fn quantile(ascending: &[f64], share: f64) -> f64 {
    let place = share * ascending.len().saturating_sub(1) as f64;
    let at = |index: f64| ascending.get(index as usize).copied().unwrap_or_default();
    let (below, above) = (at(place.floor()), at(place.ceil()));
    below + (above - below) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_neighbours() {
        let values = [1.0, 2.0, 4.0];
        assert_eq!([0.0, 0.25, 0.5, 0.75, 1.0].map(|share| quantile(&values, share)), [1.0, 1.5, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn the_interval_of_a_coin_has_the_normal_width() {
        let values: Vec<f64> = (0..400).map(|index| f64::from(index % 2)).collect();
        let Interval { mean, low, high } = Bootstrap::default().mean(&values).unwrap();
        assert_eq!(mean, 0.5);
        // 1.96 * 0.5 / sqrt(400) = 0.049
        assert!((low - 0.451).abs() < 0.004 && (high - 0.549).abs() < 0.004, "{low} {high}");
    }

    #[test]
    fn a_constant_gain_is_certain_when_paired() {
        let right: Vec<f64> = (0..16).map(f64::from).collect();
        let left: Vec<f64> = right.iter().map(|value| value + 0.5).collect();
        let gain = Bootstrap::default().with_resamples(200).difference(&left, &right).unwrap();
        assert_eq!(gain, Interval { mean: 0.5, low: 0.5, high: 0.5 });
    }

    #[test]
    fn what_has_no_interval_is_refused() {
        let bootstrap = Bootstrap::default();
        assert!(matches!(bootstrap.mean(&[]), Err(StatsError::Nothing { .. })));
        assert!(matches!(bootstrap.mean(&[0.0, f64::NAN]), Err(StatsError::NotFinite { index: 1, .. })));
        assert!(matches!(bootstrap.difference(&[1.0], &[]), Err(StatsError::Unpaired { left: 1, right: 0 })));
        assert!(matches!(bootstrap.with_level(f64::NAN).mean(&[1.0]), Err(StatsError::Level { .. })));
        assert!(matches!(bootstrap.with_resamples(0).mean(&[1.0]), Err(StatsError::Nothing { .. })));
    }
}
