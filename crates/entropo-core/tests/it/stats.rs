//! Properties of the statistics.

use entropo_core::stats::{Bootstrap, Subsets, best_at_k, count_patches, effective_number, normalise_patch, pass_at_k};
use proptest::prelude::*;

/// The share of subsets of size `k` of `n` samples, the first `c` solved, that hold a solved one.
fn enumerated_pass_at_k(n: usize, c: usize, k: usize) -> f64 {
    let subsets: Vec<u32> = (0..1_u32 << n).filter(|subset| subset.count_ones() as usize == k).collect();
    let solved = (1_u32 << c) - 1;
    subsets.iter().filter(|&subset| subset & solved != 0).count() as f64 / subsets.len() as f64
}

#[test]
fn pass_at_k_is_the_share_of_subsets_with_a_success() {
    for n in 1..=8 {
        for c in 0..=n {
            for k in 0..=n {
                let estimate = pass_at_k(n, c, k).unwrap();
                assert!((estimate - enumerated_pass_at_k(n, c, k)).abs() < 1e-12, "n={n} c={c} k={k}: {estimate}");
            }
        }
    }
}

proptest! {
    #[test]
    fn pass_at_k_grows_with_k_within_0_and_1((n, c) in (1_usize..2000).prop_flat_map(|n| (Just(n), 0..=n))) {
        let mut before = 0.0;
        for k in 0..=n.min(300) {
            let now = pass_at_k(n, c, k).unwrap();
            prop_assert!((0.0..=1.0).contains(&now) && now >= before - 1e-12, "k={k}: {before} then {now}");
            before = now;
        }
    }

    #[test]
    fn best_at_k_lies_between_a_random_and_the_best_choice(
        rewards in prop::collection::vec(0.0..1.0_f64, 1..9), k in 1_usize..9, seed in any::<u64>(),
    ) {
        let k = k.min(rewards.len());
        let subsets = Subsets { at_most: 100, seed };
        let mean = rewards.iter().sum::<f64>() / rewards.len() as f64;
        let first = best_at_k(&rewards, k, Subsets::default(), |subset| subset.first().copied()).unwrap();
        let highest = |subset: &[usize]| subset.iter().copied().max_by(|&a, &b| rewards[a].total_cmp(&rewards[b]));
        let best = best_at_k(&rewards, k, subsets, highest).unwrap();
        prop_assert!(best.exact && best.mean >= first.mean - 1e-12 && best.mean >= mean - 1e-12);
        prop_assert!(best.mean <= rewards.iter().copied().fold(0.0, f64::max) + 1e-12);
    }

    #[test]
    fn an_interval_holds_the_mean_and_depends_on_the_seed_alone(
        values in prop::collection::vec(-10.0..10.0_f64, 1..40), seed in any::<u64>(),
    ) {
        let bootstrap = Bootstrap::default().with_resamples(1_000).with_seed(seed);
        let interval = bootstrap.mean(&values).unwrap();
        prop_assert!(interval.low <= interval.mean + 1e-12 && interval.mean <= interval.high + 1e-12, "{interval:?}");
        prop_assert_eq!(interval, bootstrap.mean(&values).unwrap());
        let wider = bootstrap.with_level(0.99).mean(&values).unwrap();
        prop_assert!(wider.low <= interval.low && wider.high >= interval.high);
    }

    #[test]
    fn a_paired_difference_is_antisymmetric_and_blind_to_what_both_share(
        arms in prop::collection::vec((0_i32..100, 0_i32..100, 0_i32..100), 1..30),
    ) {
        // integers, so that sums are exact
        let arm = |pick: fn(&(i32, i32, i32)) -> i32| arms.iter().map(|arm| f64::from(pick(arm))).collect::<Vec<f64>>();
        let bootstrap = Bootstrap::default().with_resamples(500);
        let there = bootstrap.difference(&arm(|arm| arm.0), &arm(|arm| arm.1)).unwrap();
        let back = bootstrap.difference(&arm(|arm| arm.1), &arm(|arm| arm.0)).unwrap();
        prop_assert!((there.mean + back.mean).abs() < 1e-9);
        prop_assert!((there.low + back.high).abs() < 1e-9 && (there.high + back.low).abs() < 1e-9);
        let shared = bootstrap.difference(&arm(|arm| arm.0 + arm.2), &arm(|arm| arm.1 + arm.2)).unwrap();
        prop_assert_eq!(shared, there);
    }

    #[test]
    fn the_effective_number_lies_between_1_and_the_kinds(counts in prop::collection::vec(0_usize..1000, 1..30)) {
        let kinds = counts.iter().filter(|&&count| count > 0).count();
        let number = effective_number(counts.iter().copied());
        let range = kinds.min(1) as f64..=kinds as f64;
        prop_assert!(range.contains(&number), "{number} of {kinds}");
        let doubled = effective_number(counts.iter().map(|count| 2 * count));
        prop_assert!((doubled - number).abs() < 1e-9, "only shares matter");
        let mut split = counts.clone();
        split.push(1000);
        prop_assert!(kinds == 0 || effective_number(split) > 1.0);
    }

    #[test]
    fn normalising_a_patch_twice_changes_nothing_more(
        lines in prop::collection::vec("(index [0-9a-f]{2}|@@ -[0-9] \\+[0-9] @@ x|[ +-][a-z@ \t]{0,6}|\\PC{0,8})\r?", 0..12),
    ) {
        let patch = lines.join("\n");
        let once = normalise_patch(&patch);
        prop_assert_eq!(normalise_patch(&once), once.clone());
        prop_assert_eq!(count_patches([patch.as_str(), once.as_str()]).len(), 1);
    }
}
