//! From trajectories to pairs and labels.

use std::collections::BTreeMap;

use entropo_core::preference::{build_dialogue_pairs, build_pairs, label};
use entropo_core::{Condensation, DropReason, ExitReason, Message, PreferenceData, PreferenceRules, Trajectory};
use proptest::prelude::*;
use serde_json::json;

use crate::make::rollout;

fn rules(pairs_per_task: usize) -> PreferenceRules {
    PreferenceRules::default().with_pairs_per_task(pairs_per_task)
}

fn names(data: &PreferenceData<'_>) -> Vec<(String, String)> {
    data.pairs.iter().map(|pair| (pair.chosen.id.to_string(), pair.rejected.id.to_string())).collect()
}

/// One task with `solved` successes, then `failed` failures, all different.
fn task(name: &str, solved: usize, failed: usize) -> Vec<Trajectory> {
    let reward = |number| if number < solved { 1.0 } else { 0.0 };
    (0..solved + failed).map(|number| rollout(name, number, &[1, 2], &[number as u32], reward(number))).collect()
}

#[test]
fn every_trajectory_that_is_left_out_is_counted_by_its_first_reason() {
    let mut stored = task("a", 1, 1);
    let mut unfinished = rollout("a", 2, &[1, 2], &[9], 1.0);
    unfinished.exit = ExitReason::StepLimit;
    unfinished.outcome.reward = None;
    let mut unjudged = rollout("a", 3, &[1, 2], &[9], 1.0);
    unjudged.outcome.reward = None;
    let mut without_trace = rollout("a", 4, &[1, 2], &[9], 1.0);
    without_trace.trace = Default::default();
    let mut two_contexts = rollout("a", 5, &[1, 2], &[9], 1.0);
    two_contexts.trace.record(1, &[7], &[8], &[-1.0], 4).unwrap();
    let mut without_action = rollout("a", 6, &[1, 2], &[9], 1.0);
    without_action.trace = entropo_core::TokenTrace::from_segment(Default::default()).unwrap();
    stored.extend([unfinished, unjudged, without_trace, two_contexts, without_action]);
    stored.push(rollout("a", 7, &[1, 3], &[9], 1.0)); // another prompt
    stored.extend(task("b", 2, 0));

    let data = build_pairs(&stored, &rules(9));
    assert_eq!(names(&data), [("a#0".to_owned(), "a#1".to_owned())]);
    let counts: Vec<_> = data.dropped.iter().collect();
    use DropReason::*;
    let single = [(Unfinished, 1), (Unjudged, 1), (NoTrace, 1), (SeveralSegments, 1), (NoActions, 1)];
    assert_eq!(counts, [&single[..], &[(NoOpposite, 2), (OtherPrompt, 1)]].concat());

    let labels = label(&stored);
    assert_eq!(labels.dropped.iter().collect::<Vec<_>>(), single);
    let desirable: Vec<_> = labels.examples.iter().map(|one| (one.trajectory.id.to_string(), one.desirable)).collect();
    let expected = [("a#0", true), ("a#1", false), ("a#7", true), ("b#0", true), ("b#1", true)];
    assert_eq!(desirable, expected.map(|(id, desirable)| (id.to_owned(), desirable)));
}

#[test]
fn trajectories_without_tokens_are_paired_by_their_words() {
    let said = |number, prompt: &str, words: &str, reward| {
        let mut rollout = rollout("a", number, &[1], &[2], reward);
        rollout.trace = Default::default();
        rollout.messages = vec![Message::user(prompt), Message::assistant(words)];
        rollout
    };
    let mut stored = vec![said(0, "Fix.", "yes", 1.0), said(1, "Fix.", "no", 0.0), said(2, "Fix.", "yes", 0.0)];
    stored.push(said(3, "Mend.", "no", 0.0));
    let mut silent = said(4, "Fix.", "no", 0.0);
    silent.messages.truncate(1);
    let mut condensed = said(5, "Fix.", "no", 0.0);
    condensed.condensations = vec![Condensation { turn: 0, replacements: Vec::new() }];
    let mut unfinished = said(6, "Fix.", "no", 0.0);
    unfinished.exit = ExitReason::StepLimit;
    stored.extend([silent, condensed, unfinished]);
    // What a model wrote before it was parsed is in no row, and ids of calls are drawn by whoever serves it.
    for (number, rollout) in stored.iter_mut().take(3).enumerate() {
        if let Some(Message::Assistant(said)) = rollout.messages.last_mut() {
            let call = json!({"id": format!("call_{number}"), "name": "finish", "arguments": {}});
            said.tool_calls = vec![serde_json::from_value(call).unwrap()];
        }
    }
    if let Some(Message::Assistant(said)) = stored[2].messages.last_mut() {
        said.raw = Some("yes ".to_owned());
    }
    let data = build_dialogue_pairs(&stored, &rules(9));
    assert_eq!(names(&data), [("a#0".to_owned(), "a#1".to_owned())]);
    use DropReason::*;
    let expected = [(Unfinished, 1), (SeveralSegments, 1), (NoActions, 1), (OtherPrompt, 1), (EqualActions, 1)];
    assert_eq!(data.dropped.iter().collect::<Vec<_>>(), expected);
    assert!(build_pairs(&stored, &rules(9)).pairs.is_empty());
}

#[test]
fn the_report_reads_well_and_survives_json() {
    let mut stored = task("a", 2, 2);
    stored[0].exit = ExitReason::Context;
    stored.extend(task("b", 3, 0));
    let data = build_pairs(&stored, &rules(1));
    assert_eq!(
        data.dropped.to_string(),
        "dropped trajectories: 1 not finished by the agent, 3 of tasks always or never solved; \
         dropped pairs: 1 over the cap per task"
    );
    let json = serde_json::to_string(&data.dropped).unwrap();
    assert_eq!(json, r#"{"unfinished":1,"no_opposite":3,"over_cap":1}"#);
    assert_eq!(serde_json::from_str::<entropo_core::DropReport>(&json).unwrap(), data.dropped);
}

#[test]
fn equal_actions_make_no_pair() {
    let mut stored = task("a", 1, 1);
    stored.push(rollout("a", 2, &[1, 2], &[0], 0.0)); // acts as a#0 did and failed: a flaky judge
    let data = build_pairs(&stored, &rules(9));
    assert_eq!(names(&data), [("a#0".to_owned(), "a#1".to_owned())]);
    assert_eq!(data.dropped.count(DropReason::EqualActions), 1);
}

#[test]
fn observations_are_not_actions() {
    let with_observation = |number, observation, reward| {
        let mut trajectory = rollout("a", number, &[1, 2], &[5], reward);
        trajectory.trace.record(1, &[1, 2, 5, observation], &[6], &[-1.0], 4).unwrap();
        trajectory
    };
    let stored = [with_observation(0, 70, 1.0), with_observation(1, 71, 0.0)];
    let data = build_pairs(&stored, &rules(9));
    assert_eq!((data.pairs.len(), data.dropped.count(DropReason::EqualActions)), (0, 1));
}

#[test]
fn another_seed_draws_other_pairs() {
    let stored = task("a", 8, 8);
    let drawn = |seed| names(&build_pairs(&stored, &rules(3).with_seed(seed)));
    assert_eq!(drawn(1), drawn(1));
    assert_ne!(drawn(1), drawn(2));
}

#[test]
fn rules_are_read_with_defaults_and_without_unknown_fields() {
    let read = |text| serde_json::from_str::<PreferenceRules>(text);
    assert_eq!(read(r#"{"seed":4}"#).unwrap(), PreferenceRules::default().with_seed(4));
    assert!(read(r#"{"sed":4}"#).is_err());
}

proptest! {
    #[test]
    fn pairs_obey_the_rules(
        (solved, failed, cap, seed) in (0_usize..7, 0_usize..7, 0_usize..12, any::<u64>()),
        others in (0_usize..4, 0_usize..4),
        order in any::<u64>(),
    ) {
        let mut stored = task("one", solved, failed);
        let alone = names(&build_pairs(&stored, &rules(cap).with_seed(seed)));
        prop_assert_eq!(alone.len(), cap.min(solved * failed));

        // every trajectory at most once while unused ones are left, and never uses that differ by more than needed
        let mut uses = BTreeMap::<&String, usize>::new();
        for name in alone.iter().flat_map(|(chosen, rejected)| [chosen, rejected]) {
            *uses.entry(name).or_default() += 1;
        }
        let distinct = alone.len().min(solved.min(failed));
        prop_assert!(uses.len() >= 2 * distinct);
        if alone.len() <= solved.min(failed) {
            prop_assert!(uses.values().all(|&uses| uses == 1));
        }
        if alone.len() >= solved.max(failed) {
            prop_assert_eq!(uses.len(), solved + failed, "all are used before pairs run out");
        }
        prop_assert_eq!(alone.iter().collect::<std::collections::BTreeSet<_>>().len(), alone.len());

        // neither the order of the file nor other tasks change the draw
        stored.extend(task("another", others.0, others.1));
        use rand::{SeedableRng, seq::SliceRandom};
        stored.shuffle(&mut rand_chacha::ChaCha8Rng::seed_from_u64(order));
        let data = build_pairs(&stored, &rules(cap).with_seed(seed));
        let here: Vec<_> = names(&data).into_iter().filter(|(chosen, _)| chosen.starts_with("one#")).collect();
        prop_assert_eq!(here, alone);
        prop_assert!(data.pairs.iter().all(|pair| pair.chosen.is_solved() && !pair.rejected.is_solved()));
        let possible = solved * failed + others.0 * others.1;
        prop_assert_eq!(data.pairs.len() + data.dropped.count(DropReason::OverCap), possible);
    }
}
