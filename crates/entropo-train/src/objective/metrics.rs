//! Numbers to log beside a loss, under the names that TRL gives them where it has them.

use std::collections::BTreeMap;

use super::sequence::{Labelled, Pair};

/// Metrics by name, all finite.
pub type Metrics = BTreeMap<&'static str, f64>;

/// Beyond this margin the gradient of a pair is below one percent of its largest.
const SATURATED: f64 = 5.0;

/// The arithmetic mean, or `None` of nothing.
pub(super) fn mean(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.into_iter().fold((0.0, 0_usize), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}

/// `rewards/*` and `logps/*` of pairs; `rewards` are those of chosen and rejected, pair by pair.
pub(super) fn of_pairs(pairs: &[Pair], rewards: &[(f64, f64)]) -> Metrics {
    collect([
        ("logps/chosen", mean(pairs.iter().map(|(chosen, _)| chosen.policy))),
        ("logps/rejected", mean(pairs.iter().map(|(_, rejected)| rejected.policy))),
        ("rewards/accuracies", mean(rewards.iter().map(|(chosen, rejected)| f64::from(chosen > rejected)))),
        ("rewards/chosen", mean(rewards.iter().map(|(chosen, _)| *chosen))),
        ("rewards/margins", mean(rewards.iter().map(|(chosen, rejected)| chosen - rejected))),
        ("rewards/rejected", mean(rewards.iter().map(|(_, rejected)| *rejected))),
    ])
}

/// `rewards/*` and `logps/*` of labelled sequences, where `chosen` are the desirable ones.
pub(super) fn of_labelled(batch: &[Labelled], rewards: &[f64]) -> Metrics {
    let log_prob = |label| mean(batch.iter().filter(|(_, desirable)| *desirable == label).map(|(s, _)| s.policy));
    let reward = |label| {
        let labelled = batch.iter().zip(rewards).filter(|((_, desirable), _)| *desirable == label);
        mean(labelled.map(|(_, reward)| *reward))
    };
    collect([
        ("logps/chosen", log_prob(true)),
        ("logps/rejected", log_prob(false)),
        ("rewards/chosen", reward(true)),
        ("rewards/margins", reward(true).zip(reward(false)).map(|(chosen, rejected)| chosen - rejected)),
        ("rewards/rejected", reward(false)),
    ])
}

/// The `rewards/*` among `metrics`, under the names that tell them from those of a score with an offset.
pub(super) fn as_log_ratio_rewards(metrics: &Metrics) -> Metrics {
    collect([
        ("log_ratio_rewards/accuracies", metrics.get("rewards/accuracies").copied()),
        ("log_ratio_rewards/chosen", metrics.get("rewards/chosen").copied()),
        ("log_ratio_rewards/margins", metrics.get("rewards/margins").copied()),
        ("log_ratio_rewards/rejected", metrics.get("rewards/rejected").copied()),
    ])
}

/// What is to be known of `offsets`, the parts of the margins that the policy cannot change, and of `extra` tokens: those
/// that a rejected sequence has more than its chosen one. Without any for single sequences.
pub(super) fn of_offsets(offsets: &[f64], extra: &[f64]) -> Metrics {
    collect([
        ("offset/length_correlation", correlation(offsets, extra)),
        ("offset/mean", mean(offsets.iter().copied())),
        ("offset/p95", percentile_95(offsets)),
        ("offset/sd", deviation(offsets)),
    ])
}

/// How much of the batch is silenced (method §1.3). `margins` are what the loss sees, and `pulls` how strongly each
/// example pulls, between 0 and 1.
pub(super) fn of_saturation(margins: &[f64], pulls: &[f64]) -> Metrics {
    collect([
        ("effective_count", Some(effective_count(pulls))),
        ("mean_pull", mean(pulls.iter().copied())),
        ("saturated_fraction", mean(margins.iter().map(|margin| f64::from(margin.abs() > SATURATED)))),
    ])
}

/// The standard deviation about the mean, dividing by the count, or `None` of nothing.
pub(super) fn deviation(values: &[f64]) -> Option<f64> {
    let centre = mean(values.iter().copied())?;
    mean(values.iter().map(|value| (value - centre).powi(2))).map(f64::sqrt)
}

/// Pearson's correlation, or `None` where one side does not vary or there is none.
fn correlation(one: &[f64], other: &[f64]) -> Option<f64> {
    let (centre, centre_of_other) = (mean(one.iter().copied())?, mean(other.iter().copied())?);
    let product = |(one, other): (&f64, &f64)| (one - centre) * (other - centre_of_other);
    let scale = deviation(one)? * deviation(other)?;
    (scale > 0.0).then(|| mean(one.iter().zip(other).map(product))).flatten().map(|covariance| covariance / scale)
}

/// `(sum w)^2 / sum w^2`: how many equally weighted examples would carry as much; 0 if every weight is 0.
fn effective_count(weights: &[f64]) -> f64 {
    let largest = weights.iter().copied().fold(0.0, f64::max);
    if largest == 0.0 {
        return 0.0;
    }
    let scaled = || weights.iter().map(|weight| weight / largest); // squares of tiny weights would vanish
    scaled().sum::<f64>().powi(2) / scaled().map(|weight| weight * weight).sum::<f64>()
}

/// The smallest value that at least 95 % of the values do not exceed.
fn percentile_95(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * 95).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

/// Those that are defined.
pub(super) fn collect<const N: usize>(metrics: [(&'static str, Option<f64>); N]) -> Metrics {
    metrics.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effective_count_is_the_number_of_equal_weights() {
        assert_eq!(effective_count(&[0.25; 8]), 8.0);
        assert_eq!(effective_count(&[0.0, 0.7, 0.0]), 1.0);
        assert_eq!(effective_count(&[1e-200; 3]), 3.0);
        assert_eq!(effective_count(&[0.0, 0.0]), 0.0);
    }

    #[test]
    fn percentile_is_a_value_of_the_batch() {
        let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(percentile_95(&values), Some(95.0));
        assert_eq!(percentile_95(&[3.0]), Some(3.0));
        assert_eq!(percentile_95(&[]), None);
    }

    #[test]
    fn offsets_of_a_known_batch() {
        let metrics = of_offsets(&[-1.0, 3.0], &[10.0, 30.0]);
        let expected =
            [("offset/length_correlation", 1.0), ("offset/mean", 1.0), ("offset/p95", 3.0), ("offset/sd", 2.0)];
        assert_eq!(metrics, Metrics::from(expected));
        assert!(!of_offsets(&[-1.0, 3.0], &[]).contains_key("offset/length_correlation"));
    }

    #[test]
    fn saturation_of_a_known_batch() {
        let metrics = of_saturation(&[-5.5, 4.0], &[1.0, 0.5]);
        let expected = [("effective_count", 2.25 / 1.25), ("mean_pull", 0.75), ("saturated_fraction", 0.5)];
        assert_eq!(metrics, Metrics::from(expected));
    }

    #[test]
    fn correlation_needs_variation() {
        assert_eq!(correlation(&[1.0, 2.0, 3.0], &[6.0, 4.0, 2.0]).map(|value| (value * 1e12).round()), Some(-1e12));
        assert_eq!(correlation(&[1.0, 2.0, 3.0], &[1.0, 0.0, 1.0]), Some(0.0));
        assert_eq!(correlation(&[1.0, 2.0], &[1.0, 1.0]), None);
        assert_eq!(correlation(&[], &[]), None);
    }
}
