//! The selectors that are held against each other.

use entropo::agent::select::Prefer;
use entropo::agent::select::learned::{Learned, LogisticModel};
use entropo::agent::select::{Finished, Majority, Preset, Score, Steps, Threshold, WeightedVote};
use entropo::agent::verifier::VERIFIER;
use entropo::agent::{Selector, StageConfig};

/// A selector with its place in the table.
pub(super) struct Named {
    /// Its kind.
    pub(super) group: &'static str,
    /// Its name.
    pub(super) name: String,
    /// The selector itself.
    pub(super) selector: Selector,
}

/// The group whose selectors are each the one before and a stage more.
pub(super) const CUMULATIVE: &str = "cumulative";
/// The group of what others are held against.
pub(super) const REFERENCE: &str = "reference";
/// The name of the choice by lot.
pub(super) const RANDOM: &str = "random";

fn score(name: &str) -> StageConfig {
    StageConfig::Score(Score::new(name))
}

fn steps(prefer: Prefer) -> StageConfig {
    StageConfig::Steps(Steps { prefer })
}

fn tests() -> Vec<StageConfig> {
    vec![StageConfig::Finished(Finished {}), score("regression"), score("reproduction")]
}

/// What submits after tests and a verifier.
pub(super) fn tests_and_verifier() -> Selector {
    Selector::from_config(tests().into_iter().chain([score(VERIFIER)]))
}

/// What submits the most frequent change of those that were finished.
pub(super) fn finished_majority() -> Selector {
    Selector::from_config([StageConfig::Finished(Finished {}), StageConfig::Majority(Majority::default())])
}

/// All of them, in the order in which they are read.
pub(super) fn all(learned: Option<&LogisticModel>) -> Vec<Named> {
    let mut all = Vec::new();
    let mut add = |group, name: &str, stages: Vec<StageConfig>| {
        all.push(Named { group, name: name.to_owned(), selector: Selector::from_config(stages) });
    };
    // No stage tells any apart: what remains is the lot.
    add(REFERENCE, RANDOM, Vec::new());
    let vote = || StageConfig::WeightedVote(WeightedVote::new(VERIFIER));
    let majority = || StageConfig::Majority(Majority::default());
    let learned = learned.map(|model| StageConfig::Learned(Learned { model: model.clone() }));
    let alone = [
        ("finished", StageConfig::Finished(Finished {})),
        ("best regression", score("regression")),
        ("best reproduction", score("reproduction")),
        ("verifier above 0.01", StageConfig::Threshold(Threshold::new(VERIFIER, 0.01))),
        ("best verifier", score(VERIFIER)),
        ("best verifier, head", score("head")),
        ("best verifier, trained", score("trained")),
        ("fewest steps", steps(Prefer::Fewest)),
        ("most steps", steps(Prefer::Most)),
        ("majority", majority()),
        ("vote by verifier", vote()),
    ];
    for (name, stage) in alone.into_iter().chain(learned.clone().map(|stage| ("learned combination", stage))) {
        add("alone", name, vec![stage]);
    }
    let mut so_far = Vec::new();
    let chain = [
        ("finished", StageConfig::Finished(Finished {})),
        ("+ best regression", score("regression")),
        ("+ best reproduction", score("reproduction")),
        ("+ best verifier", score(VERIFIER)),
        ("+ fewest steps", steps(Prefer::Fewest)),
    ];
    for (name, stage) in chain {
        so_far.push(stage);
        add(CUMULATIVE, name, so_far.clone());
    }
    let last = [("majority", majority()), ("vote by verifier", vote())];
    for (name, stage) in last.into_iter().chain(learned.map(|stage| ("learned combination", stage))) {
        add("after tests", name, tests().into_iter().chain([stage]).collect());
    }
    let presets = [
        ("paper_verified", Preset::PaperVerified),
        ("paper_lite", Preset::PaperLite),
        ("hybrid", Preset::Hybrid),
        ("r2e_hybrid", Preset::R2eHybrid),
    ];
    for (name, preset) in presets {
        add("preset", name, preset.stages());
    }
    all
}
