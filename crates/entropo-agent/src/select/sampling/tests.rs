//! Budgets against simulated policies, whose answers are drawn from known probabilities.

use entropo_core::{ExitReason, RolloutId};

use super::*;
use crate::select::{Finished, Majority, Selector};
use crate::turn_seed;

/// A number in `[0, 1)`.
fn uniform(seed: u64, place: usize) -> f64 {
    (turn_seed(seed, place) >> 11) as f64 / (1_u64 << 53) as f64
}

/// A rollout that gives an answer.
fn answer(number: usize, answer: usize) -> Trajectory {
    let mut trajectory = Trajectory::empty(RolloutId::new("task", number), "simulated", 0, ExitReason::Agent);
    trajectory.outcome.patch = format!("diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-0\n+{answer}\n");
    trajectory
}

/// Rollouts of a policy that gives answer i with probability `shares[i]`.
fn policy(shares: &[f64], count: usize, seed: u64) -> Vec<Trajectory> {
    let draw = |place| {
        let mut left = uniform(seed, place);
        shares
            .iter()
            .position(|share| {
                left -= share;
                left < 0.0
            })
            .unwrap_or(shares.len() - 1)
    };
    (0..count).map(|place| answer(place, draw(place))).collect()
}

fn budget(rollouts: usize, wave: usize, rule: StopRule) -> Budget {
    let count = |count| NonZeroUsize::new(count).unwrap();
    Budget { rollouts: count(rollouts), wave: count(wave), rules: vec![rule] }
}

fn majority() -> StopRule {
    StopRule::Majority { patch: crate::select::patch::PatchRules::every_file() }
}

fn sequential(error: f64) -> StopRule {
    StopRule::Sequential { error, patch: crate::select::patch::PatchRules::every_file() }
}

#[test]
fn a_majority_that_is_settled_is_that_of_the_whole_budget() {
    let selector = Selector::new().then(Finished {}).then(Majority::default());
    let (mut saved, mut early) = (0, 0);
    for seed in 0..300 {
        let shares = [0.5, 0.3, 0.2].map(|share| if seed % 2 == 0 { share } else { 1.0 - share });
        let mut rollouts = policy(&shares, 16, seed);
        for one in rollouts.iter_mut().filter(|one| uniform(seed ^ 0xff, one.id.rollout) < 0.2) {
            one.exit = ExitReason::StepLimit;
        }
        let all: Vec<&Trajectory> = rollouts.iter().collect();
        let replayed = budget(16, 1, majority()).replay(&all, &Scores::new());
        let Some(settled) = &replayed.settled else { continue };
        let chosen = selector.select_after(Some(settled), &all[..replayed.drawn], &Scores::new()).unwrap().chosen;
        assert_eq!(chosen, selector.select(&all).unwrap().chosen, "seed {seed}");
        assert_eq!(replayed.saved, 16 - replayed.drawn);
        saved += replayed.saved;
        early += usize::from(replayed.saved > 0);
    }
    assert!(early > 150 && saved > 300, "{early} stopped early, {saved} saved");
}

/// Of simulated tasks, the shares in which the sequential rule stopped at a wrong answer, and stopped at all, and the
/// mean of rollouts saved.
fn simulate(shares: &[f64], rollouts: usize, wave: usize, error: f64, tasks: u64) -> (f64, f64, f64) {
    let mode = (0..shares.len()).max_by(|&a, &b| shares[a].total_cmp(&shares[b])).unwrap();
    let budget = budget(rollouts, wave, sequential(error));
    let (mut wrong, mut stopped, mut saved) = (0, 0, 0);
    for seed in 0..tasks {
        let rollouts = policy(shares, rollouts, seed);
        let replayed = budget.replay(&rollouts.iter().collect::<Vec<_>>(), &Scores::new());
        let Some(settled) = replayed.settled else { continue };
        let patch = &rollouts[settled.rollouts[0].rollout].outcome.patch;
        wrong += u32::from(*patch != answer(0, mode).outcome.patch);
        stopped += u32::from(replayed.saved > 0);
        saved += replayed.saved;
    }
    let share = |count: u32| f64::from(count) / tasks as f64;
    (share(wrong), share(stopped), saved as f64 / tasks as f64)
}

/// The bound holds, and `docs/selection.md` tells what was found: every run finds the same.
#[test]
fn the_sequential_rule_errs_as_seldom_as_it_says() {
    let many: Vec<f64> = std::iter::once(0.03).chain((0..40).map(|_| 0.97 / 40.0)).collect();
    // Tenths of a percent that stopped at a wrong answer and at any, for an error of 0.3 and of 0.1, wave by wave of one.
    type Told<'a> = (&'a [f64], [(u32, u32); 2]);
    let told: [Told; 4] = [
        (&[0.501, 0.499], [(53, 97), (18, 28)]),
        (&[0.34, 0.33, 0.33], [(10, 15), (3, 3)]),
        (&[0.5, 0.1, 0.1, 0.1, 0.1, 0.1], [(0, 377), (0, 210)]),
        (&many, [(0, 0), (0, 0)]),
    ];
    for (shares, told) in told {
        for (error, told) in [0.3, 0.1].into_iter().zip(told) {
            for wave in [1, 4] {
                let tasks = 600;
                let (wrong, stopped, _) = simulate(shares, 32, wave, error, tasks);
                // Three standard deviations of a share at the bound.
                let slack = 3.0 * (error * (1.0 - error) / tasks as f64).sqrt();
                assert!(wrong <= error + slack, "{shares:?} {error} {wave}: {wrong}");
                let tenths = |share: f64| (share * 1000.0).round() as u32;
                assert!(wave > 1 || (tenths(wrong), tenths(stopped)) == told, "{shares:?} {error}: {wrong} {stopped}");
            }
        }
    }
}

#[test]
fn a_clear_answer_saves_rollouts() {
    let (wrong, stopped, saved) = simulate(&[0.9, 0.05, 0.05], 64, 4, 0.05, 300);
    assert!(wrong == 0.0 && stopped == 1.0 && (saved - 46.9).abs() < 0.05, "{wrong} {stopped} {saved}");
}

#[test]
fn a_rule_without_the_correction_for_looking_often_would_err_more() {
    // The same evidence at a fixed threshold of a single look, 1/2 + z/(2 sqrt n) at 10 %, looked at after every vote:
    // the test above is able to fail.
    let (mut wrong, tasks) = (0, 600);
    for seed in 0..tasks {
        let (mut ours, mut theirs) = (0.0_f64, 0.0_f64);
        for place in 0..64 {
            if uniform(seed, place) < 0.501 {
                ours += 1.0
            } else {
                theirs += 1.0
            }
            if (ours - theirs).abs() > 1.28 * (ours + theirs).sqrt() {
                wrong += u32::from(theirs > ours);
                break;
            }
        }
    }
    assert!(f64::from(wrong) / tasks as f64 > 0.3, "{wrong}");
}

#[test]
fn what_a_calibrated_verifier_accepts_is_right_as_often_as_it_says() {
    let threshold = 0.8;
    let rule =
        StopRule::Accept { checks: vec![Check::new("regression", 1.0)], verifier: Check::new("verifier", threshold) };
    let budget = budget(16, 1, rule);
    let (mut accepted, mut wrong, mut saved) = (0, 0, 0);
    for seed in 0..1500 {
        let (mut scores, mut truth) = (Scores::new(), Vec::new());
        let rollouts: Vec<Trajectory> = (0..16).map(|number| answer(number, number)).collect();
        for (number, rollout) in rollouts.iter().enumerate() {
            let probability = uniform(seed, 3 * number).powi(2);
            truth.push(uniform(seed, 3 * number + 1) < probability);
            scores.insert(rollout.id.clone(), "verifier", probability).unwrap();
            if uniform(seed, 3 * number + 2) < 0.7 {
                scores.insert(rollout.id.clone(), "regression", 1.0).unwrap();
            }
        }
        let replayed = budget.replay(&rollouts.iter().collect::<Vec<_>>(), &scores);
        let Some(settled) = replayed.settled else { continue };
        assert!((settled.error - 0.2).abs() < 1e-12);
        (accepted, saved) = (accepted + 1, saved + replayed.saved);
        wrong += u32::from(!truth[settled.rollouts[0].rollout]);
    }
    let share = f64::from(wrong) / f64::from(accepted);
    let saved = saved as f64 / 1500.0;
    assert!(accepted > 500 && share <= 0.2 + 3.0 * (0.16 / f64::from(accepted)).sqrt(), "{share} of {accepted}");
    assert!(
        (share - 0.102).abs() < 0.001 && (saved - 6.46).abs() < 0.01,
        "as docs/selection.md has it: {share} {saved}"
    );
}

#[test]
fn a_missing_score_accepts_nothing_and_rules_are_configuration() {
    let text = r#"
        rollouts = 16
        wave = 4
        [[rules]]
        rule = "accept"
        checks = [{ name = "regression", at_least = 1.0 }]
        verifier = { name = "verifier", at_least = 0.0 }
        [[rules]]
        rule = "sequential"
        error = 0.05
        [[rules]]
        rule = "majority"
    "#;
    let budget: Budget = toml::from_str(text).unwrap();
    assert_eq!(budget.rules.len(), 3);
    assert_eq!(toml::from_str::<Budget>(&toml::to_string(&budget).unwrap()).unwrap(), budget);
    assert!(toml::from_str::<Budget>(&text.replace("rollouts = 16", "rollouts = 0")).is_err());
    assert!(toml::from_str::<Budget>(&text.replace("majority\"", "majority\"\nerror = 1")).is_err());
    let (one, mut scores) = (answer(0, 0), Scores::new());
    assert_eq!(budget.settled(&[&one], &scores), None);
    scores.insert(one.id.clone(), "regression", 1.0).unwrap();
    assert_eq!(budget.settled(&[&one], &scores), None, "no verifier is not a verifier that says 0");
    scores.insert(one.id.clone(), "verifier", 0.0).unwrap();
    assert_eq!(budget.settled(&[&one], &scores).unwrap().rollouts, std::slice::from_ref(&one.id));
    let mut idle = one.clone();
    idle.outcome.patch = "diff --git a/tests/test_a.py b/tests/test_a.py\n@@ -1 +1 @@\n-a\n+b\n".to_owned();
    assert_eq!(budget.settled(&[&idle], &scores), None, "tests alone are no answer");
    let mut lost = one;
    lost.exit = ExitReason::Panic;
    assert_eq!(budget.settled(&[&lost], &scores), None);
}
