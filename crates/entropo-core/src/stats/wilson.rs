//! Confidence intervals of a share.
//!
//! Wilson's score interval (Wilson 1927, *JASA* 22): the shares p that a normal test of the observed share would not
//! reject. It stays within 0 and 1 and holds its level with few trials, where share +- z sd does not (Brown, Cai and
//! DasGupta 2001).

use super::{Interval, StatsError};

/// The interval of `successes` of `trials` at a confidence level such as 0.95; `mean` is the observed share.
///
/// # Errors
/// [`StatsError::Nothing`] without trials, [`StatsError::MoreThanSamples`], [`StatsError::Level`].
pub fn wilson_interval(successes: usize, trials: usize, level: f64) -> Result<Interval, StatsError> {
    if trials == 0 {
        return Err(StatsError::Nothing { what: "the number of trials" });
    }
    if successes > trials {
        let what = "the number of successes";
        return Err(StatsError::MoreThanSamples { what, value: successes, samples: trials });
    }
    if !(level > 0.0 && level < 1.0) {
        return Err(StatsError::Level { level });
    }
    let (count, share) = (trials as f64, successes as f64 / trials as f64);
    let square = normal_quantile(level).powi(2);
    let scale = 1.0 / (1.0 + square / count);
    let centre = scale * (share + square / (2.0 * count));
    let half = scale * (square * (share * (1.0 - share) / count + square / (4.0 * count * count))).sqrt();
    // At the ends both terms are equal; rounding must not leave the range.
    let low = if successes == 0 { 0.0 } else { (centre - half).max(0.0) };
    let high = if successes == trials { 1.0 } else { (centre + half).min(1.0) };
    Ok(Interval { mean: share, low, high })
}

/// The z for which a standard normal variable lies within -z and z with probability `level`.
fn normal_quantile(level: f64) -> f64 {
    let (mut low, mut high) = (0.0, 40.0);
    loop {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            return middle;
        }
        if libm::erf(middle / std::f64::consts::SQRT_2) < level { low = middle } else { high = middle }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        assert!((normal_quantile(0.95) - 1.959_963_984_540_054).abs() < 1e-12);
        assert!((normal_quantile(0.99) - 2.575_829_303_548_901).abs() < 1e-12);
        // By the formula: z^2 = 3.841459, centre (0.8 + 0.192073) / 1.384146 = 0.716740.
        let Interval { mean, low, high } = wilson_interval(8, 10, 0.95).unwrap();
        assert_eq!(mean, 0.8);
        assert!((low - 0.490_162).abs() < 1e-6 && (high - 0.943_318).abs() < 1e-6, "{low} {high}");
    }

    #[test]
    fn none_and_all_have_intervals_too() {
        // Without a success the upper end is z^2 / (n + z^2).
        let none = wilson_interval(0, 10, 0.95).unwrap();
        assert!(none.low == 0.0 && (none.high - 3.841_459 / 13.841_459).abs() < 1e-6, "{none:?}");
        let all = wilson_interval(10, 10, 0.95).unwrap();
        assert!(all.high == 1.0 && (all.low - (1.0 - none.high)).abs() < 1e-12);
        assert!(wilson_interval(0, 0, 0.95).is_err() && wilson_interval(2, 1, 0.95).is_err());
        assert!(wilson_interval(1, 2, 1.0).is_err() && wilson_interval(1, 2, f64::NAN).is_err());
    }
}
