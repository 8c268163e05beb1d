//! Candidates that changed something.
//!
//! Who changes nothing breaks no test and takes the fewest steps, so stages that look at tests and length alone prefer it.

use entropo_core::Trajectory;
use serde::{Deserialize, Serialize};

use super::agreement::changes;
use super::patch::PatchRules;
use super::{Measured, Rule, Scores, Stage, Verdict, judge};

/// Keeps the candidates whose patch, [normalised](PatchRules::normalise), is not empty, if there are any.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Changed {
    /// What does not count as a change.
    pub patch: PatchRules,
}

impl Stage for Changed {
    fn name(&self) -> String {
        "changed".to_owned()
    }

    fn apply(&self, candidates: &[&Trajectory], _: &Scores) -> Vec<Verdict> {
        let changes = changes(candidates, &self.patch);
        judge(candidates, |candidate| {
            let keep = changes.get(&candidate.id).is_some_and(|change| !change.is_empty());
            let reason = if keep { "it changes something" } else { "it changes nothing that counts" };
            let (value, bound) = (Some(f64::from(keep)), Some(1.0));
            let measured = Measured { what: "changed".to_owned(), value, rule: Rule::AtLeast, bound };
            (keep, reason.to_owned(), Some(measured))
        })
    }
}
