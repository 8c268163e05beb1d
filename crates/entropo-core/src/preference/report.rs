//! What did not become training data, and why.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a trajectory, or a pair of two good trajectories, was left out. The first that applies counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DropReason {
    /// A trajectory that the agent did not end itself.
    Unfinished,
    /// A trajectory without a reward.
    Unjudged,
    /// A trajectory without a token trace.
    NoTrace,
    /// A trajectory whose model saw more than one context.
    SeveralSegments,
    /// A trajectory without an action token.
    NoActions,
    /// A trajectory of a task that all its rollouts solved, or none.
    NoOpposite,
    /// A trajectory whose opposites all had another prompt.
    OtherPrompt,
    /// A pair whose sides have the same action tokens.
    EqualActions,
    /// A pair that the cap per task left out.
    OverCap,
}

/// How much was left out, by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DropReport {
    counts: BTreeMap<DropReason, usize>,
}

impl DropReason {
    /// Whether pairs are counted under this reason; trajectories otherwise.
    pub fn is_about_pairs(self) -> bool {
        matches!(self, Self::EqualActions | Self::OverCap)
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unfinished => "not finished by the agent",
            Self::Unjudged => "without a reward",
            Self::NoTrace => "without a token trace",
            Self::SeveralSegments => "with several contexts",
            Self::NoActions => "without an action token",
            Self::NoOpposite => "of tasks always or never solved",
            Self::OtherPrompt => "whose opposites had another prompt",
            Self::EqualActions => "with equal actions",
            Self::OverCap => "over the cap per task",
        })
    }
}

impl DropReport {
    /// How many trajectories or pairs were left out for this reason.
    pub fn count(&self, reason: DropReason) -> usize {
        self.counts.get(&reason).copied().unwrap_or(0)
    }

    /// The counts by reason; none is 0.
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, usize)> + '_ {
        self.counts.iter().map(|(reason, count)| (*reason, *count))
    }

    /// Whether nothing was left out.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Counts `count` more; does nothing for 0.
    pub fn add(&mut self, reason: DropReason, count: usize) {
        if count > 0 {
            *self.counts.entry(reason).or_default() += count;
        }
    }
}

impl fmt::Display for DropReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |pairs: bool| {
            let counts = self.iter().filter(|(reason, _)| reason.is_about_pairs() == pairs);
            counts.map(|(reason, count)| format!("{count} {reason}")).collect::<Vec<_>>().join(", ")
        };
        match (list(false).as_str(), list(true).as_str()) {
            ("", "") => f.write_str("nothing dropped"),
            (trajectories, "") => write!(f, "dropped trajectories: {trajectories}"),
            ("", pairs) => write!(f, "dropped pairs: {pairs}"),
            (trajectories, pairs) => write!(f, "dropped trajectories: {trajectories}; dropped pairs: {pairs}"),
        }
    }
}
