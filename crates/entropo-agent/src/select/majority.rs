//! The change that most candidates make.

use std::collections::BTreeMap;

use entropo_core::Trajectory;
use serde::{Deserialize, Serialize};

use super::agreement::changes;
use super::patch::PatchRules;
use super::{Measured, Rule, Scores, Stage, Verdict, judge};

/// Keeps the candidates whose patch, [normalised](PatchRules::normalise), is the most frequent one; of several that are
/// equally frequent, all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Majority {
    /// When two patches are the same.
    pub patch: PatchRules,
    /// What candidates do that changed nothing.
    pub empty: EmptyPatch,
}

/// What a candidate without a change does in a vote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EmptyPatch {
    /// It has no vote, and goes unless nobody has one.
    #[default]
    Abstains,
    /// It votes for changing nothing.
    Votes,
}

impl Stage for Majority {
    fn name(&self) -> String {
        "majority".to_owned()
    }

    fn apply(&self, candidates: &[&Trajectory], _: &Scores) -> Vec<Verdict> {
        let changes = changes(candidates, &self.patch);
        let mut votes = BTreeMap::<&str, usize>::new();
        for change in changes.values().filter(|change| !change.is_empty() || self.empty == EmptyPatch::Votes) {
            *votes.entry(change).or_default() += 1;
        }
        let (most, all) = (votes.values().max().copied(), votes.values().sum::<usize>());
        judge(candidates, |candidate| {
            let own = changes.get(&candidate.id).and_then(|change| votes.get(change.as_str())).copied();
            let reason = match (own, most) {
                (Some(own), Some(most)) => format!("its patch has {own} of {all} votes, the leading one {most}"),
                _ => "it changes nothing and has no vote".to_owned(),
            };
            let (value, bound) = (own.map(|own| own as f64), most.map(|most| most as f64));
            (own == most, reason, Some(Measured { what: "votes".to_owned(), value, rule: Rule::AtLeast, bound }))
        })
    }
}
