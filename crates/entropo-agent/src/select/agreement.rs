//! Candidates by the change that they make.

use std::collections::BTreeMap;

use entropo_core::{RolloutId, Trajectory};

use super::patch::PatchRules;

/// The normalised patch of each candidate; empty if it changes nothing that counts.
pub(super) fn changes<'a>(candidates: &[&'a Trajectory], rules: &PatchRules) -> BTreeMap<&'a RolloutId, String> {
    candidates.iter().map(|candidate| (&candidate.id, rules.normalise(&candidate.outcome.patch))).collect()
}
