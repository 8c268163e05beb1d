//! Properties of the statistics about how far scores and selectors can be trusted.

use entropo_core::stats::{
    Bins, Bootstrap, StatsError, Subsets, Temperature, auroc, best_at_k, best_by_score_at_k, brier_score,
    expected_calibration_error, reliability, selector_regret, wilson_interval,
};
use proptest::prelude::*;

/// Scores with many ties, and labels of both kinds.
fn ranked() -> impl Strategy<Value = (Vec<f64>, Vec<bool>)> {
    prop::collection::vec((-4_i32..5, any::<bool>()), 0..20).prop_map(|mut drawn| {
        drawn.extend([(0, true), (1, false)]);
        drawn.into_iter().map(|(score, label)| (f64::from(score), label)).unzip()
    })
}

/// Probabilities, some of them equal, with labels.
fn predicted() -> impl Strategy<Value = (Vec<f64>, Vec<bool>)> {
    prop::collection::vec((0_u32..=40, any::<bool>()), 1..40)
        .prop_map(|drawn| drawn.into_iter().map(|(value, label)| (f64::from(value) / 40.0, label)).unzip())
}

fn shuffled<T: Clone>(values: &[T], order: &[usize]) -> Vec<T> {
    order.iter().map(|&place| values[place].clone()).collect()
}

fn order(seed: usize, count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by_key(|place| place.wrapping_mul(seed | 1).wrapping_mul(0x9e37_79b9) % 1009);
    order
}

proptest! {
    #[test]
    fn auroc_counts_pairs((scores, labels) in ranked(), seed in any::<usize>()) {
        let mut pairs = Vec::new();
        for (score, _) in scores.iter().zip(&labels).filter(|(_, label)| **label) {
            for (other, _) in scores.iter().zip(&labels).filter(|(_, label)| !**label) {
                pairs.push(if score > other { 1.0 } else if score == other { 0.5 } else { 0.0 });
            }
        }
        let area = auroc(&scores, &labels).unwrap();
        prop_assert!((area - pairs.iter().sum::<f64>() / pairs.len() as f64).abs() < 1e-12);
        prop_assert!((0.0..=1.0).contains(&area));
        let order = order(seed, scores.len());
        prop_assert_eq!(auroc(&shuffled(&scores, &order), &shuffled(&labels, &order)), Ok(area));
    }

    #[test]
    fn auroc_depends_on_order_alone((scores, labels) in ranked(), scale in 0.1_f64..9.0) {
        let area = auroc(&scores, &labels).unwrap();
        for transform in [|x: f64, s: f64| (x * s).exp(), |x, s| x * s - 3.0, |x: f64, s: f64| (x * s).tanh(), |x: f64, _: f64| x.powi(3)] {
            let scores: Vec<f64> = scores.iter().map(|&score| transform(score / 8.0, scale)).collect();
            prop_assert_eq!(auroc(&scores, &labels), Ok(area));
        }
        let negated: Vec<f64> = scores.iter().map(|score| -score).collect();
        prop_assert!((auroc(&negated, &labels).unwrap() + area - 1.0).abs() < 1e-12);
    }

    #[test]
    fn calibration_is_a_share_whatever_the_order((values, labels) in predicted(), count in 1_usize..30, seed in any::<usize>()) {
        let order = order(seed, values.len());
        let (moved, moved_labels) = (shuffled(&values, &order), shuffled(&labels, &order));
        for bins in [Bins::EqualWidth(count), Bins::EqualMass(count)] {
            let error = expected_calibration_error(&values, &labels, bins).unwrap();
            prop_assert!((0.0..=1.0 + 1e-12).contains(&error));
            prop_assert_eq!(expected_calibration_error(&moved, &moved_labels, bins), Ok(error));
            let curve = reliability(&values, &labels, bins).unwrap();
            prop_assert!(curve.len() <= count);
            prop_assert_eq!(curve.iter().map(|bin| bin.count).sum::<usize>(), values.len());
            prop_assert!(curve.windows(2).all(|pair| pair[0].predicted < pair[1].predicted));
        }
        // Finer bins cannot hide more: the mean distance of one bin is at most that of its parts.
        let one = expected_calibration_error(&values, &labels, Bins::EqualWidth(1)).unwrap();
        let many = expected_calibration_error(&values, &labels, Bins::EqualWidth(count)).unwrap();
        prop_assert!(one <= many + 1e-12, "{one} {many}");
        let brier = brier_score(&values, &labels).unwrap();
        prop_assert!((0.0..=1.0).contains(&brier));
        let perfect: Vec<f64> = labels.iter().map(|&label| f64::from(label)).collect();
        prop_assert_eq!(brier_score(&perfect, &labels), Ok(0.0));
        prop_assert_eq!(expected_calibration_error(&perfect, &labels, Bins::EqualMass(count)), Ok(0.0));
    }

    #[test]
    fn no_other_temperature_is_likelier(drawn in prop::collection::vec((-8.0_f64..8.0, any::<bool>()), 1..40)) {
        let (logits, labels): (Vec<f64>, Vec<bool>) = drawn.into_iter().unzip();
        let loss = |temperature: f64| -> f64 {
            let signed = logits.iter().zip(&labels).map(|(z, &y)| if y { -z / temperature } else { z / temperature });
            signed.map(|x| x.max(0.0) + (-x.abs()).exp().ln_1p()).sum()
        };
        match Temperature::fit(&logits, &labels) {
            Ok(temperature) => {
                let value = temperature.value();
                prop_assert!(value > 0.0);
                for factor in [0.5, 0.9, 0.999, 1.001, 1.1, 2.0] {
                    prop_assert!(loss(value) <= loss(value * factor) + 1e-9, "{value} {factor}");
                }
                let doubled: Vec<f64> = logits.iter().map(|z| 2.0 * z).collect();
                let twice = Temperature::fit(&doubled, &labels).unwrap().value();
                prop_assert!(!(1e-5..=1e5).contains(&value) || (twice / value - 2.0).abs() < 1e-6, "{value} {twice}");
            }
            Err(error) => prop_assert!(matches!(error, StatsError::NoTemperature { .. }), "{error}"),
        }
    }

    #[test]
    fn wilson_holds_the_share_and_narrows_with_trials((n, c) in (1_usize..200).prop_flat_map(|n| (Just(n), 0..=n))) {
        let interval = wilson_interval(c, n, 0.95).unwrap();
        prop_assert!(0.0 <= interval.low && interval.low <= interval.mean);
        prop_assert!(interval.mean <= interval.high && interval.high <= 1.0);
        let mirrored = wilson_interval(n - c, n, 0.95).unwrap();
        prop_assert!((interval.low + mirrored.high - 1.0).abs() < 1e-12);
        let more = wilson_interval(10 * c, 10 * n, 0.95).unwrap();
        prop_assert!(more.high - more.low < interval.high - interval.low);
        let wider = wilson_interval(c, n, 0.99).unwrap();
        prop_assert!(wider.low <= interval.low && wider.high >= interval.high);
    }

    #[test]
    fn the_formula_for_scores_is_the_mean_over_subsets(
        drawn in prop::collection::vec((0_u8..4, 0.0..1.0_f64), 1..9), k in 1_usize..9,
    ) {
        let k = k.min(drawn.len());
        let scores: Vec<f64> = drawn.iter().map(|one| f64::from(one.0)).collect();
        let rewards: Vec<f64> = drawn.iter().map(|one| one.1).collect();
        let formula = best_by_score_at_k(&scores, &rewards, k).unwrap();
        // Ties broken each way equally often: the mean over the tied, by a reward of its own for each subset.
        let mut sum = 0.0;
        let visited = best_at_k(&rewards, k, Subsets::default(), |subset| {
            let best = subset.iter().map(|&index| scores[index]).fold(f64::MIN, f64::max);
            let tied: Vec<f64> = subset.iter().filter(|&&index| scores[index] == best).map(|&i| rewards[i]).collect();
            sum += tied.iter().sum::<f64>() / tied.len() as f64;
            None
        }).unwrap();
        prop_assert!(visited.exact && (sum / visited.subsets as f64 - formula).abs() < 1e-9, "{sum} {formula}");
    }

    #[test]
    fn nobody_beats_the_all_knowing_selector(
        rewards in prop::collection::vec(0.0..1.0_f64, 1..9), k in 1_usize..9, pick in 0_usize..9,
    ) {
        let k = k.min(rewards.len());
        let chosen = |subset: &[usize]| subset.get(pick % subset.len()).copied();
        let regret = selector_regret(&rewards, k, Subsets::default(), chosen).unwrap();
        prop_assert!(regret.exact && regret.regret >= -1e-12);
        prop_assert!((regret.oracle - regret.selected - regret.regret).abs() < 1e-12);
    }
}

/// Of 400 data sets of 30 flips of a fair coin, the shares in which Wilson's and the bootstrap's interval hold 1/2.
#[test]
fn intervals_hold_the_truth_about_as_often_as_they_say() {
    let (mut wilson, mut resampled) = (0, 0);
    for set in 0..400_u64 {
        let flips: Vec<f64> = (0..30).map(|flip| f64::from(hash(set * 30 + flip).is_multiple_of(2))).collect();
        let heads = flips.iter().sum::<f64>() as usize;
        let holds = |interval: entropo_core::stats::Interval| interval.low <= 0.5 && 0.5 <= interval.high;
        wilson += usize::from(holds(wilson_interval(heads, 30, 0.95).unwrap()));
        let bootstrap = Bootstrap::default().with_resamples(400).with_seed(set);
        let mean = |drawn: &[usize]| Ok(drawn.iter().map(|&place| flips[place]).sum::<f64>() / drawn.len() as f64);
        resampled += usize::from(holds(bootstrap.statistic(30, mean).unwrap()));
    }
    // Standard deviation of a share of 0.95 among 400: 0.011.
    assert!((370..=397).contains(&wilson), "{wilson} of 400");
    assert!((360..=397).contains(&resampled), "{resampled} of 400");
}

#[test]
fn a_statistic_that_is_never_defined_has_no_interval() {
    let bootstrap = Bootstrap::default().with_resamples(50);
    assert_eq!(bootstrap.statistic(3, |_| Err(StatsError::OneClass)), Err(StatsError::OneClass));
    let mut first = true;
    let once = bootstrap.statistic(3, |_| if std::mem::take(&mut first) { Ok(1.0) } else { Err(StatsError::OneClass) });
    assert_eq!(once, Err(StatsError::Undefined { resamples: 50 }));
    assert!(bootstrap.statistic(0, |_| Ok(1.0)).is_err());
}

fn hash(value: u64) -> u64 {
    let mixed = (value ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed ^ (mixed >> 31)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 17
}
