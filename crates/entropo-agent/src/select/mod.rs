//! Choosing one of many rollouts of a task.
//!
//! A [`Selector`] is a list of [`Stage`]s, each of which keeps or drops candidates and says why. Three rules hold for
//! all of them, and are kept here:
//!
//! * Verdicts and scores belong to a rollout's id, never to a position: the order of the candidates changes nothing.
//! * A stage that would keep nobody is passed over. One candidate is therefore always chosen.
//! * The hidden judgement, [`Outcome::reward`](entropo_core::Outcome::reward), is no score and is never looked at.
//!
//! Candidates that no stage could tell apart are tied. [`Selector::select`] takes the one with the lowest number, and
//! records that it did; an unbiased estimate of how good a selector is averages over [`Selector::survivors`].

mod finished;
mod score;
mod steps;
mod threshold;

use std::collections::BTreeSet;

use entropo_core::{RolloutId, Trajectory};
use serde::{Deserialize, Serialize};

pub use finished::Finished;
pub use score::Score;
pub use steps::{Prefer, Steps};
pub use threshold::Threshold;

/// One rule of a selector.
pub trait Stage: Send + Sync {
    /// The name in decisions.
    fn name(&self) -> String;

    /// Judges the candidates that are left, all of one task. A candidate without a verdict is kept.
    fn apply(&self, candidates: &[&Trajectory]) -> Vec<Verdict>;
}

/// What a stage thinks of a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The candidate.
    pub rollout: RolloutId,
    /// Whether it stays.
    pub keep: bool,
    /// Why.
    pub reason: String,
}

/// The stages that come with this crate, as configuration: `{ stage = "score", name = "regression" }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
#[non_exhaustive]
pub enum StageConfig {
    /// See [`Finished`].
    Finished(Finished),
    /// See [`Score`].
    Score(Score),
    /// See [`Threshold`].
    Threshold(Threshold),
    /// See [`Steps`].
    Steps(Steps),
}

impl StageConfig {
    /// Finished, then best `regression`, then best `reproduction`, then `verifier` above 0.01, then fewest steps: the
    /// order in which EntroPO's text puts them.
    pub fn hybrid() -> Vec<Self> {
        Self::execution_and_verifier(Prefer::Fewest)
    }

    /// EntroPO's published script for SWE-bench Verified: as [`hybrid`](Self::hybrid), but most steps at the end.
    pub fn entropo_verified() -> Vec<Self> {
        Self::execution_and_verifier(Prefer::Most)
    }

    /// EntroPO's published script for SWE-bench Lite: finished, `verifier` above 0.01, fewest steps.
    pub fn entropo_lite() -> Vec<Self> {
        let mut stages = Self::hybrid();
        stages.retain(|stage| !matches!(stage, Self::Score(_)));
        stages
    }

    fn execution_and_verifier(prefer: Prefer) -> Vec<Self> {
        vec![
            Self::Finished(Finished {}),
            Self::Score(Score { name: "regression".to_owned() }),
            Self::Score(Score { name: "reproduction".to_owned() }),
            Self::Threshold(Threshold { name: "verifier".to_owned(), above: 0.01 }),
            Self::Steps(Steps { prefer }),
        ]
    }

    fn build(self) -> Box<dyn Stage> {
        match self {
            Self::Finished(stage) => Box::new(stage),
            Self::Score(stage) => Box::new(stage),
            Self::Threshold(stage) => Box::new(stage),
            Self::Steps(stage) => Box::new(stage),
        }
    }
}

/// An ordered list of stages.
#[derive(Default)]
pub struct Selector {
    stages: Vec<Box<dyn Stage>>,
}

/// What was chosen, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// The one; `None` if there was no candidate.
    pub chosen: Option<RolloutId>,
    /// Every verdict, stage by stage.
    pub decisions: Vec<Decision>,
    /// How many candidates the stages left; more than 1 means that the lowest number decided.
    pub tied: usize,
}

/// One verdict as it was carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The candidate.
    pub rollout: RolloutId,
    /// The stage.
    pub stage: String,
    /// Whether the candidate stayed.
    pub kept: bool,
    /// Why.
    pub reason: String,
}

/// Why candidates cannot be compared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectionError {
    /// Two trajectories of one id: their scores could not be told apart.
    #[error("{0} is among the candidates twice; give every rollout its own number")]
    Duplicate(RolloutId),
    /// Trajectories of different tasks.
    #[error("{0} and {1} are rollouts of different tasks; select for one task at a time")]
    Tasks(RolloutId, RolloutId),
}

impl Selector {
    /// A selector without stages: every candidate survives.
    pub fn new() -> Self {
        Self::default()
    }

    /// The selector of [`StageConfig::hybrid`].
    pub fn hybrid() -> Self {
        Self::from_config(StageConfig::hybrid())
    }

    /// The selector that a configuration describes.
    pub fn from_config(stages: impl IntoIterator<Item = StageConfig>) -> Self {
        Self { stages: stages.into_iter().map(StageConfig::build).collect() }
    }

    /// Adds a stage at the end.
    #[must_use]
    pub fn then(mut self, stage: impl Stage + 'static) -> Self {
        self.stages.push(Box::new(stage));
        self
    }

    /// Chooses one of a task's rollouts.
    pub fn select(&self, candidates: &[&Trajectory]) -> Result<Selection, SelectionError> {
        let (survivors, mut decisions) = self.filter(candidates)?;
        let chosen = survivors.iter().map(|survivor| &survivor.id).min().cloned();
        if survivors.len() > 1 {
            decisions.extend(survivors.iter().map(|survivor| Decision {
                rollout: survivor.id.clone(),
                stage: "lowest number".to_owned(),
                kept: Some(&survivor.id) == chosen.as_ref(),
                reason: format!("one of {} that no stage could tell apart", survivors.len()),
            }));
        }
        Ok(Selection { chosen, decisions, tied: survivors.len() })
    }

    /// The candidates that the stages leave, by number.
    pub fn survivors(&self, candidates: &[&Trajectory]) -> Result<Vec<RolloutId>, SelectionError> {
        Ok(self.filter(candidates)?.0.into_iter().map(|survivor| survivor.id.clone()).collect())
    }

    fn filter<'a>(
        &self,
        candidates: &[&'a Trajectory],
    ) -> Result<(Vec<&'a Trajectory>, Vec<Decision>), SelectionError> {
        let mut left = candidates.to_vec();
        left.sort_by(|a, b| a.id.cmp(&b.id));
        for (a, b) in left.iter().zip(left.iter().skip(1)) {
            if a.id == b.id {
                return Err(SelectionError::Duplicate(a.id.clone()));
            }
            if a.id.task != b.id.task {
                return Err(SelectionError::Tasks(a.id.clone(), b.id.clone()));
            }
        }
        let mut decisions = Vec::new();
        for stage in &self.stages {
            let verdicts = stage.apply(&left);
            let dropped: BTreeSet<_> =
                verdicts.iter().filter(|verdict| !verdict.keep).map(|verdict| &verdict.rollout).collect();
            let passed_over = left.iter().all(|candidate| dropped.contains(&candidate.id));
            if !passed_over {
                left.retain(|candidate| !dropped.contains(&candidate.id));
            }
            decisions.extend(verdicts.into_iter().map(|Verdict { rollout, keep, reason }| Decision {
                rollout,
                stage: stage.name(),
                kept: keep || passed_over,
                reason: if passed_over { format!("{reason}, but the stage would keep nobody") } else { reason },
            }));
        }
        Ok((left, decisions))
    }
}

/// A verdict on each candidate.
fn judge(candidates: &[&Trajectory], verdict: impl Fn(&Trajectory) -> (bool, String)) -> Vec<Verdict> {
    let judged = candidates.iter().map(|candidate| {
        let (keep, reason) = verdict(candidate);
        Verdict { rollout: candidate.id.clone(), keep, reason }
    });
    judged.collect()
}

/// A candidate's score. One that was never given, or that is no number, is missing: it is not 0.
fn score(candidate: &Trajectory, name: &str) -> Option<f64> {
    candidate.outcome.scores.get(name).copied().filter(|score| !score.is_nan())
}
