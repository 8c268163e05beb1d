//! When an answer is settled.

use std::collections::BTreeMap;

use entropo_core::{RolloutId, Trajectory};
use serde::{Deserialize, Deserializer, Serialize};

use super::sequential::is_mode;
use crate::select::agreement::changes;
use crate::select::patch::PatchRules;
use crate::select::{Measured, Rule, Scores, Stage, Verdict, judge, numbers};

/// A reason to stop. Only rollouts that the agent finished, with a patch that changes something, are answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum StopRule {
    /// The most frequent patch cannot be reached any more, even if all rollouts that are left make the second one. A
    /// vote over the whole budget, of finished rollouts with a patch that changes something by the same rules, would end
    /// the same: the error is 0.
    Majority {
        /// When two patches are the same.
        #[serde(default)]
        patch: PatchRules,
    },
    /// The most frequent patch is the one that the policy makes most often, up to an error; see [`super::evidence`].
    Sequential {
        /// The chance of saying so of another patch, above 0 and below 1; with another number it never says so.
        #[serde(deserialize_with = "numbers::error")]
        error: f64,
        /// When two patches are the same.
        #[serde(default)]
        patch: PatchRules,
    },
    /// A rollout passes every check and the verifier is sure enough.
    ///
    /// If the verifier is calibrated given that the checks pass, what is accepted is wrong with a chance of at most
    /// 1 - `verifier.at_least`. If it is not, nothing is promised: fit a temperature first.
    Accept {
        /// Scores that must be there and high enough.
        #[serde(default)]
        checks: Vec<Check>,
        /// The probability that must be, from 0 to 1.
        #[serde(deserialize_with = "probable")]
        verifier: Check,
    },
}

/// A score that must be there and high enough.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// The score's name.
    pub name: String,
    /// The lowest value that passes; a finite number.
    #[serde(deserialize_with = "numbers::finite")]
    pub at_least: f64,
}

/// A check of a probability.
fn probable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Check, D::Error> {
    let check = Check::deserialize(deserializer)?;
    let holds = (0.0..=1.0).contains(&check.at_least);
    numbers::checked(check.at_least, holds, "a probability from 0 to 1, as at_least of the verifier")?;
    Ok(check)
}

/// An answer that is settled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settled {
    /// The rule that said so.
    pub rule: String,
    /// Why.
    pub reason: String,
    /// The chance of being wrong, in the rule's sense.
    pub error: f64,
    /// The rollouts that gave the answer, by number.
    pub rollouts: Vec<RolloutId>,
}

impl Check {
    /// The score `name` must be at least `at_least`.
    pub fn new(name: impl Into<String>, at_least: f64) -> Self {
        Self { name: name.into(), at_least }
    }

    /// Whether the score is there and high enough.
    pub fn passes(&self, candidate: &Trajectory, scores: &Scores) -> bool {
        scores.get(&candidate.id, &self.name).is_some_and(|score| score >= self.at_least)
    }
}

/// The votes for one patch.
struct Votes {
    /// Who voted, by number.
    voters: Vec<RolloutId>,
    /// As which patch it came up, from 1.
    appeared: usize,
}

impl StopRule {
    /// The answer, if it is settled by the rollouts that were drawn, in the order of their numbers, from a budget.
    pub(super) fn settled(&self, drawn: &[&Trajectory], scores: &Scores, budget: usize) -> Option<Settled> {
        match self {
            Self::Majority { patch } => {
                let left = budget.saturating_sub(drawn.len());
                let (leader, second) = leader(drawn, patch)?;
                let reason = format!("{} votes against {second} with {left} rollouts left", leader.voters.len());
                (leader.voters.len() > second + left).then(|| settled("majority", reason, 0.0, leader.voters))
            }
            Self::Sequential { error, patch } => {
                let (leader, second) = leader(drawn, patch)?;
                let reason =
                    format!("{} votes against {second} are enough for an error of {error}", leader.voters.len());
                is_mode(leader.appeared, leader.voters.len(), second, *error)
                    .then(|| settled("sequential", reason, *error, leader.voters))
            }
            Self::Accept { checks, verifier } => {
                let patch = PatchRules::default();
                let passes = |candidate: &&&Trajectory| {
                    let mut all = checks.iter().chain([verifier]);
                    candidate.exit.is_finished()
                        && all.all(|check| check.passes(candidate, scores))
                        && !patch.normalise(&candidate.outcome.patch).is_empty()
                };
                let accepted: Vec<RolloutId> =
                    drawn.iter().filter(passes).map(|candidate| candidate.id.clone()).collect();
                let reason = format!("{} of {} pass every check", accepted.len(), drawn.len());
                let error = (1.0 - verifier.at_least).clamp(0.0, 1.0);
                (!accepted.is_empty()).then(|| settled("accept", reason, error, accepted))
            }
        }
    }
}

fn settled(rule: &str, reason: String, error: f64, rollouts: Vec<RolloutId>) -> Settled {
    Settled { rule: rule.to_owned(), reason, error, rollouts }
}

/// The most frequent patch and how many votes the next one has; of equal ones the first to appear.
fn leader(drawn: &[&Trajectory], patch: &PatchRules) -> Option<(Votes, usize)> {
    let finished: Vec<&Trajectory> = drawn.iter().copied().filter(|candidate| candidate.exit.is_finished()).collect();
    let changes = changes(&finished, patch);
    let mut votes = BTreeMap::<&str, Votes>::new();
    for candidate in &finished {
        let Some(change) = changes.get(&candidate.id).filter(|change| !change.is_empty()) else { continue };
        let appeared = votes.len() + 1;
        let vote = votes.entry(change).or_insert_with(|| Votes { voters: Vec::new(), appeared });
        vote.voters.push(candidate.id.clone());
    }
    let mut ranked: Vec<Votes> = votes.into_values().collect();
    ranked.sort_by_key(|votes| (std::cmp::Reverse(votes.voters.len()), votes.appeared));
    let mut ranked = ranked.into_iter();
    let leader = ranked.next()?;
    Some((leader, ranked.next().map_or(0, |second| second.voters.len())))
}

/// As the first stage of a selection: who did not give the settled answer is dropped.
impl Stage for Settled {
    fn name(&self) -> String {
        format!("settled by {}", self.rule)
    }

    fn apply(&self, candidates: &[&Trajectory], _: &Scores) -> Vec<Verdict> {
        judge(candidates, |candidate| {
            let keep = self.rollouts.contains(&candidate.id);
            let words = if keep { "it gave the settled answer" } else { "it gave another answer" };
            let measured = Measured {
                what: "settled".to_owned(),
                value: Some(f64::from(keep)),
                rule: Rule::AtLeast,
                bound: Some(1.0),
            };
            (keep, format!("{words}: {}", self.reason), Some(measured))
        })
    }
}
