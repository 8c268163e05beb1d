//! A file of scores that grows, and says whose they are.
//!
//! Scores stand one a line beside those of other scorers, as selectors read them. Which verifier gave them is in a file
//! beside, `scores.verifier.json` for `scores.jsonl`: what is scored later has to be scored by the same one.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use entropo_agent::select::ScoreRow;
use entropo_agent::verifier::{Scored, VERIFIER};
use entropo_core::stats::Temperature;
use entropo_core::{JsonlStore, RolloutId};
use serde::{Deserialize, Serialize};

use super::error::{JudgeError, write_json};
use super::identity::{Identity, differences};

const FORMAT: &str = "entropo-verifier-scores/1";

/// Whose scores they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct About {
    format: String,
    /// The verifier.
    pub(super) verifier: Identity,
    /// The temperature of the probabilities.
    pub(super) temperature: Temperature,
}

/// Scores of one verifier, those of other scorers beside them.
pub(super) struct ScoresFile {
    store: JsonlStore<ScoreRow>,
    scored: HashSet<RolloutId>,
    temperature: Temperature,
}

impl About {
    pub(super) fn new(verifier: Identity, temperature: Temperature) -> Self {
        Self { format: FORMAT.to_owned(), verifier, temperature }
    }

    /// Whose the scores in a file are, if that is said.
    pub(super) fn of(scores: &Path) -> Result<Option<Self>, JudgeError> {
        let path = beside(scores);
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read_to_string(&path).map_err(JudgeError::file(&path))?;
        let refused = |reason| JudgeError::Unreadable { path: path.clone(), what: "description of a verifier", reason };
        let about: Self = serde_json::from_str(&text).map_err(|error| refused(error.to_string()))?;
        if about.format == FORMAT {
            return Ok(Some(about));
        }
        Err(refused(format!("its format is {:?}, and {FORMAT:?} is read", about.format)))
    }

    fn differences(&self, wanted: &Self) -> String {
        let mut words = differences(&self.verifier, &wanted.verifier);
        if self.temperature != wanted.temperature {
            let comma = if words.is_empty() { "" } else { ", " };
            words += &format!("{comma}temperature is {} there", self.temperature.value());
        }
        words
    }
}

impl ScoresFile {
    /// Opens a file to which a verifier adds scores, or makes it.
    pub(super) fn open(path: &Path, about: &About) -> Result<Self, JudgeError> {
        if path.extension().is_none_or(|extension| extension != "jsonl") {
            return Err(JudgeError::Named { path: path.to_owned() });
        }
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(JudgeError::file(directory))?;
        }
        let store = JsonlStore::<ScoreRow>::open(path)?;
        let own = store.iter().filter(|row| row.name == VERIFIER);
        let scored: HashSet<RolloutId> = own.map(|row| row.rollout.clone()).collect();
        if scored.is_empty() {
            write_json(&beside(path), about)?;
        } else {
            let path = path.to_owned();
            match About::of(&path)? {
                None => return Err(JudgeError::NobodysScores { identity: beside(&path), path }),
                Some(found) if found != *about => {
                    return Err(JudgeError::OtherScores { path, differences: found.differences(about) });
                }
                Some(_) => {}
            }
        }
        Ok(Self { store, scored, temperature: about.temperature })
    }

    /// Whether a rollout has its score.
    pub(super) fn has(&self, rollout: &RolloutId) -> bool {
        self.scored.contains(rollout)
    }

    /// Adds what has a score, and says how many that are.
    pub(super) fn add(&mut self, scored: &[Scored]) -> Result<usize, JudgeError> {
        let row = |scored: &Scored| {
            let value = self.temperature.probability(scored.judgement.as_ref().ok()?.logit());
            Some(ScoreRow { rollout: scored.rollout.clone(), name: VERIFIER.to_owned(), value })
        };
        let rows: Vec<ScoreRow> = scored.iter().filter_map(row).collect();
        self.store.append_all(&rows)?;
        Ok(rows.len())
    }
}

fn beside(scores: &Path) -> PathBuf {
    scores.with_extension("verifier.json")
}

#[cfg(test)]
mod tests {
    use entropo_agent::verifier::{Judgement, MissingScore};

    use super::super::identity::tests::identity;
    use super::*;

    fn scored(number: usize, logit: Option<f64>) -> Scored {
        let judgement = logit.map(Judgement::of_logit).ok_or(MissingScore::Nothing);
        Scored { rollout: RolloutId::new("t", number), judgement }
    }

    #[test]
    fn scores_of_two_verifiers_are_never_mixed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run/scores.jsonl");
        let about = About::new(identity("m"), Temperature::ONE);
        let other = About::new(identity("n"), Temperature::new(2.0).unwrap());
        // Nothing is scored yet: whoever comes may change his mind.
        ScoresFile::open(&path, &other).unwrap();
        let mut file = ScoresFile::open(&path, &about).unwrap();
        assert_eq!(file.add(&[scored(0, Some(0.0)), scored(1, None)]).unwrap(), 1);
        drop(file);
        let file = ScoresFile::open(&path, &about).unwrap();
        assert!(file.has(&RolloutId::new("t", 0)) && !file.has(&RolloutId::new("t", 1)));
        drop(file);
        let error = ScoresFile::open(&path, &other).err().unwrap().to_string();
        assert!(error.contains("model is \"m\" there, temperature is 1 there"), "{error}");
        fs::remove_file(beside(&path)).unwrap();
        assert!(matches!(ScoresFile::open(&path, &about), Err(JudgeError::NobodysScores { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1);
    }

    #[test]
    fn scores_of_others_stay_beside() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("scores.jsonl");
        let row = ScoreRow { rollout: RolloutId::new("t", 0), name: "regression".to_owned(), value: 3.0 };
        JsonlStore::open(&path).unwrap().append(&row).unwrap();
        let mut file = ScoresFile::open(&path, &About::new(identity("m"), Temperature::new(2.0).unwrap())).unwrap();
        assert!(!file.has(&row.rollout));
        file.add(&[scored(0, Some(2.0 * 3_f64.ln()))]).unwrap();
        drop(file);
        let rows = JsonlStore::<ScoreRow>::open(&path).unwrap().into_records();
        assert_eq!(rows[0], row);
        assert!((rows[1].value - 0.75).abs() < 1e-12 && rows[1].name == VERIFIER, "{rows:?}");
    }
}
