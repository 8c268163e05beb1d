//! Scores by rollout and name.

use std::collections::BTreeMap;

use entropo_core::{RolloutId, Trajectory};
use serde::{Deserialize, Serialize};

/// What is known of each rollout: finite numbers under names such as `regression`.
///
/// There is no position in it, so scores may come in any order and from several places. What is not in it is missing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<ScoreRow>", into = "Vec<ScoreRow>")]
pub struct Scores(BTreeMap<RolloutId, BTreeMap<String, f64>>);

/// One score, as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScoreRow {
    /// Whose.
    pub rollout: RolloutId,
    /// Which.
    pub name: String,
    /// How much.
    pub value: f64,
}

/// Why a score is not taken.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ScoreError {
    /// NaN or infinite.
    #[error("the {name} score of {rollout} is {value}, not a finite number; leave it out instead")]
    NotFinite {
        /// Whose.
        rollout: RolloutId,
        /// Which.
        name: String,
        /// The value.
        value: f64,
    },
    /// There is another one.
    #[error("{rollout} has a {name} score already, {before}, and is given {value}; give every score a name of its own")]
    Conflict {
        /// Whose.
        rollout: RolloutId,
        /// Which.
        name: String,
        /// What is there.
        before: f64,
        /// What came second.
        value: f64,
    },
}

impl Scores {
    /// No scores.
    pub fn new() -> Self {
        Self::default()
    }

    /// The scores that rollouts carry in [`Outcome::scores`](entropo_core::Outcome::scores), without those that are no
    /// finite numbers.
    pub fn of<'a>(candidates: impl IntoIterator<Item = &'a Trajectory>) -> Self {
        let mut scores = Self::new();
        for candidate in candidates {
            let finite = candidate.outcome.scores.iter().filter(|(_, value)| value.is_finite());
            let own = scores.0.entry(candidate.id.clone()).or_default();
            own.extend(finite.map(|(name, value)| (name.clone(), *value)));
        }
        scores
    }

    /// Adds a score that is not there yet; the same one again changes nothing.
    ///
    /// # Errors
    /// [`ScoreError::NotFinite`], and [`ScoreError::Conflict`] if there is a different one.
    pub fn insert(&mut self, rollout: RolloutId, name: impl Into<String>, value: f64) -> Result<(), ScoreError> {
        let name = name.into();
        if !value.is_finite() {
            return Err(ScoreError::NotFinite { rollout, name, value });
        }
        match self.get(&rollout, &name) {
            Some(before) if before != value => Err(ScoreError::Conflict { rollout, name, before, value }),
            _ => {
                self.0.entry(rollout).or_default().insert(name, value);
                Ok(())
            }
        }
    }

    /// A score, unless it is missing.
    pub fn get(&self, rollout: &RolloutId, name: &str) -> Option<f64> {
        self.0.get(rollout)?.get(name).copied()
    }

    /// Takes over the scores of `others`, in the place of its own where both have one.
    pub fn overwrite(&mut self, others: &Self) {
        for (rollout, scores) in &others.0 {
            let own = self.0.entry(rollout.clone()).or_default();
            own.extend(scores.iter().map(|(name, value)| (name.clone(), *value)));
        }
    }
}

impl From<Scores> for Vec<ScoreRow> {
    fn from(scores: Scores) -> Self {
        let rows = scores.0.into_iter().flat_map(|(rollout, scores)| {
            scores.into_iter().map(move |(name, value)| ScoreRow { rollout: rollout.clone(), name, value })
        });
        rows.collect()
    }
}

impl TryFrom<Vec<ScoreRow>> for Scores {
    type Error = ScoreError;

    fn try_from(rows: Vec<ScoreRow>) -> Result<Self, ScoreError> {
        let mut scores = Self::new();
        for ScoreRow { rollout, name, value } in rows {
            scores.insert(rollout, name, value)?;
        }
        Ok(scores)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_is_finite_and_there_is_one() {
        let id = RolloutId::new("task", 3);
        let mut scores = Scores::new();
        assert!(matches!(scores.insert(id.clone(), "verifier", f64::NAN), Err(ScoreError::NotFinite { .. })));
        assert_eq!(scores.get(&id, "verifier"), None, "0/0 is no score");
        assert_eq!(scores.insert(id.clone(), "verifier", 0.5), Ok(()));
        assert_eq!(scores.insert(id.clone(), "verifier", 0.5), Ok(()));
        assert!(matches!(scores.insert(id.clone(), "verifier", 0.6), Err(ScoreError::Conflict { before: 0.5, .. })));
        assert_eq!(scores.get(&id, "verifier"), Some(0.5));
    }

    #[test]
    fn rows_are_whole_scores() {
        let mut scores = Scores::new();
        for number in 0..3 {
            scores.insert(RolloutId::new("task", number), "regression", number as f64).unwrap();
        }
        let text = serde_json::to_string(&scores).unwrap();
        assert_eq!(serde_json::from_str::<Scores>(&text).unwrap(), scores);
        let twice = r#"[{"rollout":{"task":"a","rollout":0},"name":"x","value":1},
            {"rollout":{"task":"a","rollout":0},"name":"x","value":2}]"#;
        assert!(serde_json::from_str::<Scores>(twice).is_err());
    }
}
