//! Judgements that are kept, and what each rests on, so that it is made again where that is not the same.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use entropo_core::format::swe_bench::Instance;
use entropo_core::{JsonlStore, RolloutId};
use serde::{Deserialize, Serialize};

use crate::dataset;
use crate::digest::{self, digest};
use crate::failure::Failure;
use crate::ground::Confinement;
use crate::judge::OwnTests;
use crate::run::files;

/// A judgement on one rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Grade {
    /// Which.
    pub(crate) id: RolloutId,
    /// Whether it solves the task.
    pub(crate) resolved: bool,
    /// Whether there is no report, as the data set has none for a patch that does not apply or whose tests take too long.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) error: bool,
    /// Whether its tests took too long.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) timed_out: bool,
    /// What it rests on; not known of those that older versions kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) basis: Option<Basis>,
}

/// What a judgement rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Basis {
    /// A hash of the row, the patch, and how the tests are run and read.
    hash: String,
    /// How long tests may take.
    test_seconds: u64,
}

impl Basis {
    /// Whether what was judged on this basis would be judged alike on another. More time changes only what had too little.
    pub(crate) fn holds(&self, now: &Self, timed_out: bool) -> bool {
        self.hash == now.hash && (!timed_out || self.test_seconds >= now.test_seconds)
    }
}

impl Grade {
    /// Whether it is one on this basis.
    pub(crate) fn holds(&self, now: &Basis) -> bool {
        self.basis.as_ref().is_none_or(|basis| basis.holds(now, self.timed_out))
    }
}

/// The basis on which patches are judged now.
pub(crate) struct Bases {
    test_seconds: u64,
    /// Of each instance what is the same for all patches.
    instances: BTreeMap<String, String>,
}

impl Bases {
    pub(crate) fn new(
        confinement: &Confinement,
        tests: &OwnTests,
        instances: &[Arc<Instance>],
    ) -> Result<Self, Failure> {
        let tests = serde_json::to_string(tests).map_err(Failure::json(Path::new("the settings")))?;
        let of = |instance: &Arc<Instance>| {
            let (row, place) = (digest::row(instance)?, confinement.basis(instance)?);
            // No other rows have a command that is not their own.
            let tests = match &**instance {
                Instance::SweBench(row) if dataset::is_swe_smith(row) => &tests,
                _ => "",
            };
            Ok((instance.id().to_owned(), digest(&[&row, &place, tests])))
        };
        let instances = instances.iter().map(of).collect::<Result<_, Failure>>()?;
        Ok(Self { test_seconds: confinement.test_seconds, instances })
    }

    /// That of one patch.
    pub(crate) fn of(&self, instance: &Instance, patch: &str) -> Basis {
        let whole = self.instances.get(instance.id()).map_or("", String::as_str);
        Basis { hash: digest(&[whole, patch]), test_seconds: self.test_seconds }
    }
}

/// The judgements of a run's rollouts; of one that was judged again the last.
pub(crate) fn read(run: &Path) -> Result<HashMap<RolloutId, Grade>, Failure> {
    let grades = JsonlStore::<Grade>::open(files::grades(run))?.into_records();
    Ok(grades.into_iter().map(|grade| (grade.id.clone(), grade)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basis(hash: &str, test_seconds: u64) -> Basis {
        Basis { hash: hash.to_owned(), test_seconds }
    }

    #[test]
    fn a_judgement_holds_until_something_could_change_it() {
        let then = basis("a", 60);
        for timed_out in [false, true] {
            assert!(then.holds(&basis("a", 60), timed_out) && then.holds(&basis("a", 30), timed_out));
            assert!(!then.holds(&basis("b", 60), timed_out));
        }
        assert!(then.holds(&basis("a", 90), false) && !then.holds(&basis("a", 90), true));
    }

    #[test]
    fn what_an_older_version_kept_holds() {
        let old: Grade = serde_json::from_str(r#"{"id": {"task": "a", "rollout": 0}, "resolved": true}"#).unwrap();
        assert!(old.resolved && old.holds(&basis("a", 1)));
    }
}
