//! What holds of every selector.

use entropo_agent::select::patch::PatchRules;
use entropo_agent::select::{
    EmptyPatch, Majority, Missing, Prefer, Random, Score, Steps, Threshold, TieBreak, Top, WeightedVote, Within,
};
use entropo_agent::{Selector, SelectorConfig, StageConfig};
use entropo_core::{ExitReason, Message, Trajectory};
use proptest::prelude::*;

use super::candidate;

const NAMES: [&str; 3] = ["regression", "reproduction", "verifier"];

fn any_candidates() -> impl Strategy<Value = Vec<Trajectory>> {
    let scores = prop::array::uniform3(prop::option::of(0_u8..4));
    prop::collection::vec((any::<bool>(), 0_usize..4, scores, 0_u8..4), 1..9).prop_map(|drawn| {
        let candidates = drawn.into_iter().enumerate().map(|(number, (finished, steps, scores, line))| {
            let line = if line == 0 { String::new() } else { line.to_string() };
            let scores: Vec<_> = NAMES
                .into_iter()
                .zip(scores)
                .filter_map(|(name, score)| Some((name, f64::from(score?) / 100.0)))
                .collect();
            let mut one = candidate(number, &line, &scores);
            one.messages = vec![Message::assistant("x"); steps];
            one.exit = if finished { ExitReason::Agent } else { ExitReason::StepLimit };
            one
        });
        candidates.collect()
    })
}

fn any_stage() -> impl Strategy<Value = StageConfig> {
    let name = || prop::sample::select(NAMES.to_vec());
    let missing = || prop_oneof![Just(Missing::Drop), Just(Missing::Keep)];
    prop_oneof![
        Just(StageConfig::Finished(entropo_agent::select::Finished {})),
        Just(StageConfig::Changed(entropo_agent::select::Changed::default())),
        (0_usize..4).prop_map(|steps| StageConfig::Within(Within { steps: Some(steps), ..Within::default() })),
        (name(), missing()).prop_map(|(name, missing)| StageConfig::Score(Score { missing, ..Score::new(name) })),
        (name(), 0_u8..4, missing()).prop_map(|(name, above, missing)| {
            StageConfig::Threshold(Threshold { missing, ..Threshold::new(name, f64::from(above) / 100.0) })
        }),
        (name(), 0.01..=1.0_f64, missing())
            .prop_map(|(name, share, missing)| StageConfig::Top(Top { missing, ..Top::new(name, share) })),
        prop_oneof![Just(Prefer::Fewest), Just(Prefer::Most)].prop_map(|prefer| StageConfig::Steps(Steps { prefer })),
        any::<bool>().prop_map(|votes| {
            let empty = if votes { EmptyPatch::Votes } else { EmptyPatch::Abstains };
            StageConfig::Majority(Majority { empty, patch: PatchRules::default() })
        }),
        (name(), prop::option::of(0.0..1.0_f64))
            .prop_map(|(name, missing)| StageConfig::WeightedVote(WeightedVote { missing, ..WeightedVote::new(name) })),
        (0_u64..1000).prop_map(|seed| StageConfig::Random(Random { seed })),
    ]
}

fn any_config() -> impl Strategy<Value = SelectorConfig> {
    let ties = prop_oneof![Just(TieBreak::LowestNumber), (0_u64..1000).prop_map(|seed| TieBreak::Lot { seed })];
    (prop::collection::vec(any_stage(), 0..5), ties).prop_map(|(stages, ties)| SelectorConfig {
        preset: None,
        ties,
        stages,
    })
}

/// A candidate that is in nothing better than another one and worse in every score it has, with a higher number.
fn dominated(by: &Trajectory, number: usize, prefer: Prefer) -> Trajectory {
    let mut worse = by.clone();
    worse.id.rollout = number;
    for score in worse.outcome.scores.values_mut() {
        *score -= 0.005;
    }
    match prefer {
        Prefer::Fewest => worse.messages.push(Message::assistant("x")),
        Prefer::Most => drop(worse.messages.pop()),
    }
    worse
}

proptest! {
    #[test]
    fn neither_order_nor_the_hidden_judgement_changes_a_selection(
        config in any_config(),
        (candidates, shuffled) in any_candidates().prop_flat_map(|one| (Just(one.clone()), Just(one).prop_shuffle())),
        reward in any::<bool>(),
    ) {
        let judged: Vec<_> = shuffled.into_iter().map(|mut one| {
            one.outcome.reward = Some(f64::from(reward == (one.id.rollout % 2 == 0)));
            one
        }).collect();
        let selector = Selector::from(config);
        let selection = selector.select(&candidates.iter().collect::<Vec<_>>()).unwrap();
        prop_assert!(selection.chosen.is_some());
        prop_assert_eq!(selector.select(&judged.iter().collect::<Vec<_>>()).unwrap(), selection);
    }

    #[test]
    fn the_chosen_one_was_never_dropped_and_everybody_else_was(config in any_config(), candidates in any_candidates()) {
        let selection = Selector::from(config).select(&candidates.iter().collect::<Vec<_>>()).unwrap();
        for one in &candidates {
            let dropped = selection.decisions.iter().filter(|decision| decision.rollout == one.id && !decision.kept).count();
            prop_assert_eq!(dropped, usize::from(Some(&one.id) != selection.chosen.as_ref()), "{}", selection.explain());
        }
        let measured = selection.decisions.iter().filter_map(|decision| decision.measured.as_ref());
        for number in measured.flat_map(|measured| [measured.value, measured.bound]).flatten() {
            prop_assert!(number.is_finite());
        }
        let text = serde_json::to_string(&selection).unwrap();
        prop_assert_eq!(serde_json::from_str::<entropo_agent::Selection>(&text).unwrap(), selection);
    }

    #[test]
    fn a_dominated_candidate_changes_nothing(candidates in any_candidates(), place in any::<prop::sample::Index>()) {
        let presets = [
            (StageConfig::hybrid(), Prefer::Fewest),
            (StageConfig::paper_verified(), Prefer::Most),
            (StageConfig::paper_lite(), Prefer::Fewest),
        ];
        for (stages, prefer) in presets {
            let selector = Selector::from_config(stages);
            let before = selector.select(&candidates.iter().collect::<Vec<_>>()).unwrap().chosen;
            let worse = dominated(place.get(&candidates), candidates.len(), prefer);
            let more: Vec<_> = candidates.iter().chain([&worse]).collect();
            prop_assert_eq!(selector.select(&more).unwrap().chosen, before);
        }
    }

    #[test]
    fn configuration_survives_being_written(config in any_config()) {
        prop_assert_eq!(toml::from_str::<SelectorConfig>(&toml::to_string(&config).unwrap()).unwrap(), config.clone());
        prop_assert_eq!(serde_json::from_str::<SelectorConfig>(&serde_json::to_string(&config).unwrap()).unwrap(), config);
    }
}
