//! Choosing one of many. The numbers name the faults of published selectors that must not come back (anchors, 2.10).

use entropo_agent::select::patch::PatchRules;
use entropo_agent::select::{Changed, Finished, Score, Scores, SelectionError, Stage, Steps, Threshold, Verdict};
use entropo_agent::{Selector, StageConfig};
use entropo_core::{ExitReason, Message, RolloutId, Trajectory};
use proptest::prelude::*;

fn candidate(number: usize, exit: ExitReason, steps: usize, scores: &[(&str, f64)]) -> Trajectory {
    let mut trajectory = Trajectory::empty(RolloutId::new("task", number), "model", 0, exit);
    trajectory.messages = vec![Message::assistant("x"); steps];
    trajectory.outcome.patch = "--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n-a\n+b\n".to_owned();
    trajectory.outcome.scores = scores.iter().map(|(name, score)| ((*name).to_owned(), *score)).collect();
    trajectory
}

fn finished(number: usize, steps: usize, scores: &[(&str, f64)]) -> Trajectory {
    candidate(number, ExitReason::Agent, steps, scores)
}

fn survivors(selector: &Selector, candidates: &[Trajectory]) -> Vec<usize> {
    let candidates: Vec<_> = candidates.iter().collect();
    selector.survivors(&candidates).unwrap().into_iter().map(|id| id.rollout).collect()
}

fn only(stage: impl Stage + 'static) -> Selector {
    Selector::new().then(stage)
}

fn regression() -> Selector {
    only(Score::new("regression"))
}

fn verifier() -> Selector {
    only(Threshold::new("verifier", 0.01))
}

#[test]
fn the_hybrid_goes_through_its_stages_in_order() {
    let all = |regression, reproduction, verifier| {
        [("regression", regression), ("reproduction", reproduction), ("verifier", verifier)]
    };
    let candidates = [
        candidate(0, ExitReason::StepLimit, 1, &all(9.0, 9.0, 0.9)),
        finished(1, 1, &all(4.0, 9.0, 0.9)),
        finished(2, 1, &all(5.0, 2.0, 0.9)),
        finished(3, 1, &all(5.0, 3.0, 0.01)),
        finished(4, 7, &all(5.0, 3.0, 0.02)),
        finished(5, 6, &all(5.0, 3.0, 0.02)),
    ];
    let references: Vec<_> = candidates.iter().collect();
    let selection = Selector::hybrid().select(&references).unwrap();
    assert_eq!((selection.chosen, selection.tied), (Some(RolloutId::new("task", 5)), 1));
    let dropped: Vec<_> = selection
        .decisions
        .iter()
        .filter(|decision| !decision.kept)
        .map(|decision| format!("{} {}: {}", decision.rollout.rollout, decision.stage, decision.reason))
        .collect();
    assert_eq!(
        dropped,
        [
            "0 finished: it ended by StepLimit",
            "1 best regression: 4 of at most 5",
            "2 best reproduction: 2 of at most 3",
            "3 verifier above 0.01: its verifier score is 0.01",
            "4 fewest steps: it took 7",
        ]
    );
    assert_eq!(survivors(&Selector::from_config(StageConfig::paper_verified()), &candidates), [4]);
    assert_eq!(survivors(&Selector::from_config(StageConfig::paper_lite()), &candidates), [1, 2]);
}

#[test]
fn the_hybrid_takes_no_empty_patch_while_another_is_left() {
    // Nothing changed is nothing broken: it is best by its tests, and it has the fewest steps.
    let test_only = "diff --git a/tests/x.py b/tests/x.py\n--- a/tests/x.py\n+++ b/tests/x.py\n@@ -1 +1 @@\n-a\n+b\n";
    let mut idle = [finished(0, 1, &[("regression", 9.0)]), finished(1, 1, &[("regression", 9.0)])];
    idle[0].outcome.patch = "\n".to_owned();
    idle[1].outcome.patch = test_only.to_owned();
    let candidates = [idle[0].clone(), idle[1].clone(), finished(2, 30, &[("regression", 8.0)])];
    let selection = Selector::hybrid().select(&candidates.iter().collect::<Vec<_>>()).unwrap();
    assert_eq!(selection.chosen, Some(RolloutId::new("task", 2)), "{}", selection.explain());
    assert!(selection.explain().contains("changed: drops task#0, it changes nothing that counts\n"));
    let selection = Selector::hybrid().select(&idle.iter().collect::<Vec<_>>()).unwrap();
    assert_eq!((selection.chosen.clone(), selection.tied), (Some(RolloutId::new("task", 0)), 2));
    assert!(selection.explain().contains("changed: passed over, it would keep nobody\n"), "{}", selection.explain());
    assert_eq!(survivors(&Selector::from_config(StageConfig::paper_lite()), &candidates), [0, 1], "as published");
    let every_file = only(Changed { patch: PatchRules::every_file() });
    assert_eq!(survivors(&every_file, &candidates), [1, 2]);
}

#[test]
fn a_stage_that_would_keep_nobody_is_passed_over() {
    let candidates = [
        candidate(0, ExitReason::StepLimit, 2, &[("verifier", 0.0)]),
        candidate(1, ExitReason::Panic, 3, &[("verifier", 0.001)]),
    ];
    assert_eq!(survivors(&only(Finished {}), &candidates), [0, 1]);
    assert_eq!(survivors(&verifier(), &candidates), [0, 1]);
    let references: Vec<_> = candidates.iter().collect();
    let decisions = verifier().select(&references).unwrap().decisions;
    assert_eq!(decisions[0].reason, "its verifier score is 0, but the stage would keep nobody");
}

#[test]
fn a_missing_score_is_not_zero() {
    let candidates = [finished(0, 1, &[("regression", -1.0), ("verifier", 0.0)]), finished(1, 1, &[])];
    assert_eq!(survivors(&regression(), &candidates), [0], "unknown is not best, though 0 would be");
    assert_eq!(survivors(&verifier(), &candidates), [1], "unknown is not below the threshold, though 0 would be");
    assert_eq!(survivors(&regression(), &candidates[1..]), [1], "nobody has it");
    // 2.10 item 3: a verifier that saw neither token gives 0/0, which is no score.
    let undefined = [finished(0, 1, &[("regression", f64::NAN)]), finished(1, 1, &[("regression", 0.0)])];
    assert_eq!(survivors(&regression(), &undefined), [1]);
}

#[test]
fn one_candidate_is_always_chosen() {
    // 2.10 item 3: half of one is none.
    let candidate = candidate(3, ExitReason::Panic, 0, &[("verifier", 0.0), ("regression", f64::NAN)]);
    let presets = [StageConfig::hybrid(), StageConfig::paper_verified(), StageConfig::paper_lite()];
    for stages in presets {
        let selection = Selector::from_config(stages).select(&[&candidate]).unwrap();
        assert_eq!((selection.chosen, selection.tied), (Some(candidate.id.clone()), 1));
    }
    let nobody = Selector::hybrid().select(&[]).unwrap();
    assert_eq!((nobody.chosen, nobody.tied), (None, 0));
}

#[test]
fn the_last_tie_is_broken_in_the_open() {
    let candidates = [finished(2, 1, &[]), finished(1, 1, &[])];
    let references: Vec<_> = candidates.iter().collect();
    let selection = Selector::new().select(&references).unwrap();
    assert_eq!((selection.chosen, selection.tied), (Some(RolloutId::new("task", 1)), 2));
    let decided: Vec<_> = selection.decisions.iter().map(|one| (one.rollout.rollout, one.kept)).collect();
    assert_eq!(decided, [(1, true), (2, false)]);
}

#[test]
fn rollouts_that_could_be_mistaken_for_each_other_are_refused() {
    // 2.10 item 2: two rollouts under one key overwrote each other's scores.
    let (one, mut other) = (finished(0, 1, &[]), finished(1, 1, &[]));
    let duplicate = Selector::hybrid().select(&[&one, &other, &one]);
    assert_eq!(duplicate, Err(SelectionError::Duplicate(one.id.clone())));
    other.id.task = "another".to_owned();
    let mixed = Selector::hybrid().select(&[&one, &other]);
    assert_eq!(mixed, Err(SelectionError::Tasks(other.id.clone(), one.id.clone())));
}

/// Gives its verdicts last candidate first.
struct Backwards;

impl Stage for Backwards {
    fn name(&self) -> String {
        "backwards".to_owned()
    }

    fn apply(&self, candidates: &[&Trajectory], scores: &Scores) -> Vec<Verdict> {
        let mut verdicts = Score::new("regression").apply(candidates, scores);
        verdicts.reverse();
        verdicts
    }
}

#[test]
fn verdicts_belong_to_rollouts_in_whatever_order_they_come() {
    // 2.10 item 1: probabilities in order of completion were zipped with runs in order of input.
    let scores = [1.0, 5.0, 2.0];
    let candidates: Vec<_> =
        scores.iter().enumerate().map(|(number, score)| finished(number, 1, &[("regression", *score)])).collect();
    assert_eq!(survivors(&only(Backwards), &candidates), [1]);
}

#[test]
fn configuration_is_readable_and_strict() {
    let text = r#"[{"stage":"finished"},{"stage":"changed"},{"stage":"score","name":"regression"},
        {"stage":"score","name":"reproduction"},{"stage":"threshold","name":"verifier","above":0.01},
        {"stage":"steps","prefer":"fewest"}]"#;
    let stages: Vec<StageConfig> = serde_json::from_str(text).unwrap();
    assert_eq!(stages, StageConfig::hybrid());
    assert_eq!(serde_json::from_value::<Vec<StageConfig>>(serde_json::to_value(&stages).unwrap()).unwrap(), stages);
    for wrong in [r#"{"stage":"finished","x":1}"#, r#"{"stage":"score"}"#, r#"{"stage":"scores","name":"a"}"#] {
        assert!(serde_json::from_str::<StageConfig>(wrong).is_err(), "{wrong}");
    }
}

fn any_candidates() -> impl Strategy<Value = Vec<Trajectory>> {
    let exit = prop_oneof![Just(ExitReason::Agent), Just(ExitReason::StepLimit)];
    let score = || prop::option::of(0_u8..3);
    prop::collection::vec((exit, 0_usize..4, score(), score()), 1..8).prop_map(|drawn| {
        let candidates = drawn.into_iter().enumerate().map(|(number, (exit, steps, regression, verifier))| {
            let scores = [("regression", regression), ("verifier", verifier)];
            let scores: Vec<_> =
                scores.into_iter().filter_map(|(name, score)| Some((name, f64::from(score?) / 100.0))).collect();
            candidate(number, exit, steps, &scores)
        });
        candidates.collect()
    })
}

proptest! {
    #[test]
    fn neither_order_nor_the_hidden_judgement_matters(
        (candidates, shuffled) in any_candidates().prop_flat_map(|one| (Just(one.clone()), Just(one).prop_shuffle())),
        reward in any::<bool>(),
    ) {
        let judged: Vec<_> = shuffled
            .into_iter()
            .map(|mut one| { one.outcome.reward = Some(f64::from(reward == (one.id.rollout % 2 == 0))); one })
            .collect();
        let (candidates, judged): (Vec<_>, Vec<_>) = (candidates.iter().collect(), judged.iter().collect());
        let selection = Selector::hybrid().select(&candidates).unwrap();
        prop_assert!(selection.chosen.is_some());
        prop_assert_eq!(Selector::hybrid().select(&judged).unwrap(), selection);
    }

    #[test]
    fn the_shortest_is_kept(candidates in any_candidates()) {
        let fewest = candidates.iter().map(Trajectory::steps).min();
        let expected: Vec<_> = candidates.iter()
            .filter(|one| Some(one.steps()) == fewest).map(|one| one.id.rollout).collect();
        prop_assert_eq!(survivors(&only(Steps::default()), &candidates), expected);
    }
}
