//! Candidates through stages.

use std::collections::BTreeSet;

use entropo_core::{RolloutId, Trajectory};

use super::{Decision, Scores, Selection, SelectorConfig, Stage, StageConfig, Tie, TieBreak, Verdict};

/// An ordered list of stages.
#[derive(Default)]
pub struct Selector {
    stages: Vec<Box<dyn Stage>>,
    ties: TieBreak,
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

    /// The selector of these stages.
    pub fn from_config(stages: impl IntoIterator<Item = StageConfig>) -> Self {
        Self { stages: stages.into_iter().map(StageConfig::build).collect(), ties: TieBreak::default() }
    }

    /// Adds a stage at the end.
    #[must_use]
    pub fn then(mut self, stage: impl Stage + 'static) -> Self {
        self.stages.push(Box::new(stage));
        self
    }

    /// Sets what decides between candidates that no stage could tell apart.
    #[must_use]
    pub fn ties(self, ties: TieBreak) -> Self {
        Self { ties, ..self }
    }

    /// Chooses one of a task's rollouts by the scores that they carry.
    ///
    /// # Errors
    /// [`SelectionError`] if candidates cannot be told apart or compared.
    pub fn select(&self, candidates: &[&Trajectory]) -> Result<Selection, SelectionError> {
        self.select_by(candidates, &Scores::of(candidates.iter().copied()))
    }

    /// Chooses one of a task's rollouts by `scores` and no others.
    ///
    /// # Errors
    /// [`SelectionError`] if candidates cannot be told apart or compared.
    pub fn select_by(&self, candidates: &[&Trajectory], scores: &Scores) -> Result<Selection, SelectionError> {
        self.select_after(None, candidates, scores)
    }

    /// [`select_by`](Self::select_by) with a stage before all others.
    pub(super) fn select_after(
        &self,
        first: Option<&dyn Stage>,
        candidates: &[&Trajectory],
        scores: &Scores,
    ) -> Result<Selection, SelectionError> {
        let (survivors, mut decisions) = self.filter(first, candidates, scores)?;
        let between: Vec<_> = survivors.iter().map(|survivor| survivor.id.clone()).collect();
        let chosen = self.ties.decide(&between).cloned();
        let tied = between.len();
        if tied > 1 {
            decisions.extend(between.iter().map(|survivor| Decision {
                rollout: survivor.clone(),
                stage: self.ties.to_string(),
                kept: Some(survivor) == chosen.as_ref(),
                reason: format!("one of {tied} that no stage could tell apart"),
                measured: None,
                passed_over: false,
            }));
        }
        let tie = (tied > 1).then_some(Tie { between, broken: self.ties });
        Ok(Selection { chosen, decisions, tied, tie })
    }

    /// The candidates that the stages leave, by number.
    ///
    /// # Errors
    /// [`SelectionError`] if candidates cannot be told apart or compared.
    pub fn survivors(&self, candidates: &[&Trajectory]) -> Result<Vec<RolloutId>, SelectionError> {
        let scores = Scores::of(candidates.iter().copied());
        Ok(self.filter(None, candidates, &scores)?.0.into_iter().map(|survivor| survivor.id.clone()).collect())
    }

    fn filter<'a>(
        &self,
        first: Option<&dyn Stage>,
        candidates: &[&'a Trajectory],
        scores: &Scores,
    ) -> Result<(Vec<&'a Trajectory>, Vec<Decision>), SelectionError> {
        let mut left = by_number(candidates)?;
        let mut decisions = Vec::new();
        for stage in first.into_iter().chain(self.stages.iter().map(AsRef::as_ref)) {
            let verdicts = stage.apply(&left, scores);
            let dropped: BTreeSet<_> =
                verdicts.iter().filter(|verdict| !verdict.keep).map(|verdict| &verdict.rollout).collect();
            let passed_over = !left.is_empty() && left.iter().all(|candidate| dropped.contains(&candidate.id));
            if !passed_over {
                left.retain(|candidate| !dropped.contains(&candidate.id));
            }
            decisions.extend(verdicts.into_iter().map(|Verdict { rollout, keep, reason, measured }| Decision {
                rollout,
                stage: stage.name(),
                kept: keep || passed_over,
                reason: if passed_over { format!("{reason}, but the stage would keep nobody") } else { reason },
                measured,
                passed_over,
            }));
        }
        Ok((left, decisions))
    }
}

impl From<SelectorConfig> for Selector {
    fn from(config: SelectorConfig) -> Self {
        let preset = config.preset.map(super::Preset::stages).unwrap_or_default();
        Self::from_config(preset.into_iter().chain(config.stages)).ties(config.ties)
    }
}

/// The candidates by number, which must be of one task and all different.
fn by_number<'a>(candidates: &[&'a Trajectory]) -> Result<Vec<&'a Trajectory>, SelectionError> {
    let mut sorted = candidates.to_vec();
    sorted.sort_by(|a, b| a.id.cmp(&b.id));
    for (a, b) in sorted.iter().zip(sorted.iter().skip(1)) {
        if a.id == b.id {
            return Err(SelectionError::Duplicate(a.id.clone()));
        }
        if a.id.task != b.id.task {
            return Err(SelectionError::Tasks(a.id.clone(), b.id.clone()));
        }
    }
    Ok(sorted)
}
