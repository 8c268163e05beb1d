//! No more rollouts than the answer needs.
//!
//! A [`Budget`] says how many rollouts a task may have, how many are made at once, and by which [`StopRule`]s the
//! answer counts as settled before the budget is used up. [`Budget::replay`] holds it against rollouts that exist
//! already, which is how its savings are measured; [`Sampler`] makes rollouts wave by wave.
//!
//! The rules look only after whole waves and at rollouts in the order of their numbers. What is decided depends on the
//! seeds, not on what finished first.

mod rule;
mod sampler;
mod sequential;

use std::num::NonZeroUsize;

use entropo_core::Trajectory;
use serde::{Deserialize, Serialize};

pub use rule::{Check, Settled, StopRule};
pub use sampler::{Sampled, Sampler};
pub use sequential::{evidence, is_mode};

use super::Scores;

/// How many rollouts a task may have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// At most so many.
    pub rollouts: NonZeroUsize,
    /// So many at once; after each such wave the rules are asked.
    pub wave: NonZeroUsize,
    /// When the answer is settled; the first rule that says so ends the sampling. Several rules together err at most as
    /// often as the sum of their errors.
    #[serde(default)]
    pub rules: Vec<StopRule>,
}

/// How far a budget was used.
#[derive(Clone, Debug, PartialEq)]
pub struct Replayed {
    /// How many rollouts were looked at.
    pub drawn: usize,
    /// How many of the budget were not needed.
    pub saved: usize,
    /// Why it ended early; `None` if it did not.
    pub settled: Option<Settled>,
}

impl Budget {
    /// Asks the rules about all rollouts that there are.
    pub fn settled(&self, drawn: &[&Trajectory], scores: &Scores) -> Option<Settled> {
        let mut sorted = drawn.to_vec();
        sorted.sort_by(|a, b| a.id.cmp(&b.id));
        self.rules.iter().find_map(|rule| rule.settled(&sorted, scores, self.rollouts.get()))
    }

    /// How many of a task's rollouts would have been made. With fewer rollouts than the budget has, these are the
    /// budget.
    pub fn replay(&self, recorded: &[&Trajectory], scores: &Scores) -> Replayed {
        let mut sorted = recorded.to_vec();
        sorted.sort_by(|a, b| a.id.cmp(&b.id));
        sorted.truncate(self.rollouts.get());
        let budget = sorted.len();
        let mut drawn = 0;
        while drawn < budget {
            drawn = (drawn + self.wave.get()).min(budget);
            let so_far = sorted.get(..drawn).unwrap_or_default();
            let settled = self.rules.iter().find_map(|rule| rule.settled(so_far, scores, budget));
            if settled.is_some() {
                return Replayed { drawn, saved: budget - drawn, settled };
            }
        }
        Replayed { drawn, saved: 0, settled: None }
    }
}

#[cfg(test)]
mod tests;
