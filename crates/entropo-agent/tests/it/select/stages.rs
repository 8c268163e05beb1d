//! What each stage keeps, and how it says so.

use entropo_agent::select::learned::{Example, Feature, FeatureValues, FitSettings, Learned, LogisticModel};
use entropo_agent::select::patch::PatchRules;
use entropo_agent::select::{
    EmptyPatch, Majority, Measured, Missing, Preset, Random, Rule, Score, Scores, Selection, Steps, Threshold,
    TieBreak, WeightedVote, Within,
};
use entropo_agent::{Selector, SelectorConfig, StageConfig};
use entropo_core::{ExitReason, RolloutId, Trajectory};

use super::{candidate, patch, survivors};

fn only(stage: impl entropo_agent::select::Stage + 'static) -> Selector {
    Selector::new().then(stage)
}

#[test]
fn the_most_frequent_change_wins_whatever_else_is_in_the_patch() {
    let mut candidates: Vec<_> =
        ["a", "b", "b", "", "", "", "a "].iter().enumerate().map(|(n, line)| candidate(n, line, &[])).collect();
    assert_eq!(survivors(&only(Majority::default()), &candidates), [0, 1, 2, 6], "a tie keeps both");
    candidates[0].outcome.patch.insert_str(0, &patch("tests/test_x.py", "check"));
    candidates.push(candidate(7, "a\t", &[]));
    assert_eq!(survivors(&only(Majority::default()), &candidates), [0, 6, 7]);
    let every_file = Majority { patch: PatchRules::every_file(), ..Majority::default() };
    assert_eq!(survivors(&only(every_file), &candidates), [1, 2, 6, 7]);
    let empty = Majority { empty: EmptyPatch::Votes, ..Majority::default() };
    assert_eq!(survivors(&only(empty), &candidates), [0, 3, 4, 5, 6, 7]);
    assert_eq!(survivors(&only(Majority::default()), &candidates[3..6]), [3, 4, 5], "nobody has a vote");
}

#[test]
fn a_vote_can_be_weighed() {
    let votes = [("a", Some(0.9)), ("b", Some(0.5)), ("b", Some(0.5)), ("c", None), ("c", Some(-7.0))];
    let candidates: Vec<_> = votes
        .iter()
        .enumerate()
        .map(|(n, (line, weight))| {
            candidate(n, line, &weight.map(|weight| ("verifier", weight)).into_iter().collect::<Vec<_>>())
        })
        .collect();
    assert_eq!(survivors(&only(WeightedVote::new("verifier")), &candidates), [1, 2]);
    let bold = WeightedVote { missing: Some(1.5), ..WeightedVote::new("verifier") };
    assert_eq!(survivors(&only(bold), &candidates), [3, 4], "less than nothing weighs nothing");
    assert_eq!(survivors(&only(WeightedVote::new("other")), &candidates), [0, 1, 2, 3, 4]);
    let thirds: Vec<_> = [("a", 0.1), ("a", 0.2), ("b", 0.3)]
        .iter()
        .enumerate()
        .map(|(n, (line, weight))| candidate(n, line, &[("verifier", *weight)]))
        .collect();
    assert_eq!(survivors(&only(WeightedVote::new("verifier")), &thirds), [0, 1, 2], "rounding decides nothing");
}

#[test]
fn limits_name_what_they_limit() {
    let mut candidates: Vec<_> = (0..4).map(|number| candidate(number, "a", &[])).collect();
    candidates[1].usage.bad_calls = 3;
    candidates[2].usage.cost_nano_usd = Some(11);
    candidates[3].usage.cost_nano_usd = Some(10);
    let limits = Within { bad_calls: Some(2), cost_nano_usd: Some(10), ..Within::default() };
    assert_eq!(survivors(&only(limits.clone()), &candidates), [0, 3], "an unknown cost is not known to be too high");
    let strict = Within { missing_cost: Some(Missing::Drop), ..limits };
    assert_eq!(survivors(&only(strict.clone()), &candidates), [3]);
    let references: Vec<_> = candidates.iter().collect();
    assert_eq!(
        only(strict).select(&references).unwrap().explain(),
        "within limits: drops task#0, nobody knows its nano-dollars, 10 allowed\n\
         within limits: drops task#1, 3 bad calls, 2 allowed\n\
         within limits: drops task#2, 11 nano-dollars, 10 allowed\n\
         chosen: task#3\n"
    );
    assert_eq!(survivors(&only(Within::default()), &candidates), [0, 1, 2, 3]);
}

#[test]
fn each_stage_says_what_it_makes_of_a_missing_score() {
    let candidates = [candidate(0, "a", &[("x", 1.0)]), candidate(1, "a", &[("x", 3.0)]), candidate(2, "a", &[])];
    assert_eq!(survivors(&only(Score::new("x")), &candidates), [1]);
    assert_eq!(survivors(&only(Score { missing: Missing::Keep, ..Score::new("x") }), &candidates), [1, 2]);
    assert_eq!(survivors(&only(Threshold::new("x", 2.0)), &candidates), [1, 2]);
    assert_eq!(survivors(&only(Threshold { missing: Missing::Drop, ..Threshold::new("x", 2.0) }), &candidates), [1]);
    assert_eq!(
        survivors(&only(Threshold { missing: Missing::Drop, ..Threshold::new("y", 2.0) }), &candidates),
        [0, 1, 2]
    );
}

#[test]
fn a_decision_is_words_and_data() {
    let candidates = [
        candidate(0, "a", &[("regression", 4.0)]),
        candidate(1, "a", &[("regression", 5.0), ("verifier", 0.001)]),
        candidate(2, "a", &[("regression", 5.0), ("verifier", 0.9)]),
        candidate(3, "a", &[("regression", 5.0)]),
        candidate(4, "a", &[]),
    ];
    let references: Vec<_> = candidates.iter().collect();
    let selection = Selector::from_config(StageConfig::paper_verified()).select(&references).unwrap();
    assert_eq!(
        selection.explain(),
        "finished: keeps all 5\n\
         best regression: drops task#0, 4 of at most 5\n\
         best regression: drops task#4, it has no regression score\n\
         best reproduction: keeps all 3\n\
         verifier above 0.01: drops task#1, its verifier score is 0.001\n\
         most steps: keeps all 2\n\
         lowest number: drops task#3, one of 2 that no stage could tell apart\n\
         chosen: task#2\n"
    );
    let dropped = selection.decisions.iter().find(|one| one.rollout.rollout == 1 && !one.kept).unwrap();
    let measured = Measured { what: "verifier".into(), value: Some(0.001), rule: Rule::Above, bound: Some(0.01) };
    assert_eq!(dropped.measured, Some(measured));
    let tie = selection.tie.clone().unwrap();
    assert_eq!((tie.between.len(), tie.broken), (2, TieBreak::LowestNumber));
    let text = serde_json::to_string(&selection).unwrap();
    assert_eq!(serde_json::from_str::<Selection>(&text).unwrap(), selection);
    // What was stored before decisions were data too.
    let stored = r#"{"chosen":null,"decisions":[{"rollout":{"task":"a","rollout":0},"stage":"s","kept":true,"reason":"r"}],"tied":0}"#;
    assert_eq!(serde_json::from_str::<Selection>(stored).unwrap().decisions[0].measured, None);
}

#[test]
fn a_stage_that_was_passed_over_says_so() {
    let mut only_one = candidate(0, "a", &[]);
    only_one.exit = ExitReason::TokenLimit;
    let selection = Selector::from_config(StageConfig::paper_lite()).select(&[&only_one]).unwrap();
    assert!(selection.decisions[0].passed_over && selection.decisions[0].kept);
    assert!(
        selection.explain().starts_with("finished: passed over, it would keep nobody\n"),
        "{}",
        selection.explain()
    );
}

#[test]
fn a_lot_is_drawn_by_name() {
    let candidates: Vec<_> = (0..8).map(|number| candidate(number, "a", &[])).collect();
    let drawn = |seed, candidates: &[Trajectory]| survivors(&only(Random { seed }), candidates)[0];
    let all: std::collections::BTreeSet<_> = (0..64).map(|seed| drawn(seed, &candidates)).collect();
    assert!(all.len() >= 7, "{all:?}");
    for seed in 0..64 {
        let first = drawn(seed, &candidates);
        let without: Vec<_> = candidates.iter().filter(|one| (one.id.rollout + 1) % 8 != first).cloned().collect();
        assert_eq!(drawn(seed, &without), first, "who loses may be absent");
        let references: Vec<_> = candidates.iter().collect();
        let tie = Selector::new().ties(TieBreak::Lot { seed }).select(&references).unwrap();
        assert_eq!(tie.chosen, Some(RolloutId::new("task", first)));
    }
}

#[test]
fn what_solved_tasks_before_decides() {
    let features =
        [Feature::Score("regression".into()), Feature::Agreement, Feature::Steps, Feature::Finished, Feature::Changed];
    let mut examples: Vec<Example> = Vec::new();
    for task in 0..20_usize {
        let candidates: Vec<_> = (0..4)
            .map(|number| {
                let solved = number < 1 + task % 3;
                let line = if solved { "right".to_owned() } else { format!("wrong {number}") };
                let noisy = f64::from(solved) + ((task * 7 + number * 3) % 5) as f64 / 4.0;
                let mut one = candidate(number, &line, &[("regression", noisy)]);
                one.id.task = format!("task {task}");
                one.outcome.reward = Some(f64::from(solved));
                one
            })
            .collect();
        let references: Vec<_> = candidates.iter().collect();
        examples.extend(FeatureValues::examples(&features, &references, &Scores::of(references.iter().copied())));
    }
    let model = LogisticModel::fit(&features, &examples, FitSettings::default()).unwrap();
    assert!(model.features[0].weight > 0.0 && model.features[1].weight > 0.0, "{model:?}");
    let fresh =
        [candidate(0, "x", &[("regression", 0.2)]), candidate(1, "y", &[("regression", 2.0)]), candidate(2, "z", &[])];
    assert_eq!(survivors(&only(Learned { model: model.clone() }), &fresh), [1]);
    let config = StageConfig::Learned(Learned { model });
    let text = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<StageConfig>(&text).unwrap(), config);
    let config = SelectorConfig { stages: vec![config], ..SelectorConfig::default() };
    assert_eq!(toml::from_str::<SelectorConfig>(&toml::to_string(&config).unwrap()).unwrap(), config);
}

#[test]
fn every_stage_is_configuration() {
    let text = r#"
        preset = "paper_lite"
        ties = { by = "lot", seed = 7 }
        [[stages]]
        stage = "within"
        steps = 100
        [[stages]]
        stage = "top"
        name = "verifier"
        share = 0.5
        [[stages]]
        stage = "threshold"
        name = "verifier"
        above = 0.5
        missing = "drop"
        [[stages]]
        stage = "weighted_vote"
        weight = "verifier"
        [[stages]]
        stage = "majority"
        patch = { leave_out = ["docs/**"] }
        [[stages]]
        stage = "random"
        seed = 3
    "#;
    let config: SelectorConfig = toml::from_str(text).unwrap();
    assert_eq!((config.preset, config.stages.len()), (Some(Preset::PaperLite), 6));
    assert_eq!(toml::from_str::<SelectorConfig>(&toml::to_string(&config).unwrap()).unwrap(), config);
    assert_eq!(survivors(&Selector::from(config), &[candidate(0, "a", &[])]), [0]);
    for wrong in [
        text.replace("paper_lite", "paper_large"),
        text.replace("steps", "step"),
        text.replace("docs/**", "docs/["),
        text.replace("\"lot\"", "\"luck\""),
        text.replace("seed = 3", "seed = 3\nseeds = 4"),
    ] {
        assert!(toml::from_str::<SelectorConfig>(&wrong).is_err(), "{wrong}");
    }
}

#[test]
fn numbers_out_of_range_are_refused_where_they_are_read() {
    let stage = |text: String| toml::from_str::<SelectorConfig>(&format!("stages = [{{ {text} }}]"));
    let refused = |text: String| stage(text).unwrap_err().to_string();
    for wrong in ["0", "-0.5", "1.01", "50", "nan", "inf"] {
        let error = refused(format!(r#"stage = "top", name = "verifier", share = {wrong}"#));
        assert!(error.contains("a share above 0 and at most 1"), "{error}");
    }
    for wrong in ["nan", "inf", "-inf"] {
        for start in [r#"stage = "threshold", name = "a", above"#, r#"stage = "weighted_vote", weight = "a", missing"#]
        {
            let error = refused(format!("{start} = {wrong}"));
            assert!(error.contains("a finite number"), "{error}");
        }
    }
    for right in ["0.5", "1", "1e-9"] {
        assert!(stage(format!(r#"stage = "top", name = "a", share = {right}"#)).is_ok(), "{right}");
    }
    assert!(stage(r#"stage = "threshold", name = "regression", above = -12"#.to_owned()).is_ok());
}

#[test]
fn presets_are_the_published_orders() {
    let spelled = |preset: Preset| {
        let spelled = |stage: &StageConfig| match stage {
            StageConfig::Finished(_) => "finished".to_owned(),
            StageConfig::Changed(_) => "changed".to_owned(),
            StageConfig::Score(score) => format!("best {}", score.name),
            StageConfig::Threshold(threshold) => format!("{} > {}", threshold.name, threshold.above),
            StageConfig::Steps(Steps { prefer }) => format!("{prefer:?}"),
            StageConfig::Top(top) => format!("the top {} by {}", top.share, top.name),
            other => format!("{other:?}"),
        };
        preset.stages().iter().map(spelled).collect::<Vec<_>>().join(", ")
    };
    let verified = "finished, best regression, best reproduction, verifier > 0.01, Most";
    assert_eq!(spelled(Preset::PaperVerified), verified);
    assert_eq!(spelled(Preset::PaperLite), "finished, verifier > 0.01, Fewest");
    assert_eq!(spelled(Preset::Hybrid), verified.replace("Most", "Fewest").replace("finished", "finished, changed"));
    let r2e = "the top 0.5 by verifier, best regression, best reproduction, best verifier";
    assert_eq!(spelled(Preset::R2eHybrid), r2e);
}
