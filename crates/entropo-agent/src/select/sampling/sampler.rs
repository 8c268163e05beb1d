//! Rollouts in waves.

use std::sync::Arc;

use entropo_core::{ExitReason, Task, Trajectory};
use tokio_util::sync::CancellationToken;

use super::{Budget, Settled};
use crate::rollout::{RolloutJob, Rollouts};
use crate::select::scorer::{ScoreFailure, Scorer, score_all};
use crate::select::{Scores, Selection, SelectionError, Selector, Stage};

/// Makes a task's rollouts wave by wave until the answer is settled or the budget used up, and selects one.
pub struct Sampler {
    rollouts: Rollouts,
    budget: Budget,
    selector: Selector,
    scorers: Vec<Arc<dyn Scorer>>,
    scoring: usize,
}

/// What a task was given and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampled {
    /// The rollouts that were made, by number.
    pub trajectories: Vec<Trajectory>,
    /// Their scores: those that they carry, and those of the scorers.
    pub scores: Scores,
    /// The scores that are missing though a scorer was asked.
    pub failures: Vec<ScoreFailure>,
    /// Why sampling ended early; `None` if the budget was used up or somebody cancelled.
    pub settled: Option<Settled>,
    /// How many rollouts of the budget were saved by that.
    pub saved: usize,
    /// How many waves there were.
    pub waves: usize,
    /// The one to submit. After a settled answer, one of the rollouts that gave it.
    pub selection: Selection,
}

impl Sampler {
    /// A sampler without scorers: scores are those that the environment gives.
    pub fn new(rollouts: Rollouts, budget: Budget, selector: Selector) -> Self {
        Self { rollouts, budget, selector, scorers: Vec::new(), scoring: 1 }
    }

    /// Adds a scorer, asked about every rollout of a wave before the rules are.
    #[must_use]
    pub fn scorer(mut self, scorer: Arc<dyn Scorer>) -> Self {
        self.scorers.push(scorer);
        self
    }

    /// Sets how many scores are computed at a time; 0 counts as 1.
    #[must_use]
    pub fn scoring_concurrency(self, scoring: usize) -> Self {
        Self { scoring, ..self }
    }

    /// Makes the rollouts of a task; `on_done` is told of each as [`Rollouts::run`] says.
    ///
    /// Rollouts that were cancelled are not among the trajectories.
    ///
    /// # Errors
    /// None that rollouts numbered here can have; see [`SelectionError`].
    pub async fn run(
        &self,
        task: &Arc<Task>,
        base_seed: u64,
        cancel: &CancellationToken,
        mut on_done: impl FnMut(&Trajectory),
    ) -> Result<Sampled, SelectionError> {
        let budget = self.budget.rollouts.get();
        let (mut trajectories, mut scores, mut failures) = (Vec::new(), Scores::new(), Vec::new());
        let (mut settled, mut waves) = (None, 0);
        let mut next = 0;
        while next < budget && settled.is_none() && !cancel.is_cancelled() {
            let end = next.saturating_add(self.budget.wave.get()).min(budget);
            let jobs = (next..end).map(|number| RolloutJob::new(task, number, base_seed)).collect();
            let made = self.rollouts.run(jobs, cancel, &mut on_done).await;
            let made: Vec<Trajectory> = made.into_iter().filter(|one| one.exit != ExitReason::Cancelled).collect();
            let references: Vec<&Trajectory> = made.iter().collect();
            let scored = score_all(&self.scorers, &references, self.scoring, cancel).await;
            scores.overwrite(&Scores::of(references));
            scores.overwrite(&scored.scores);
            failures.extend(scored.failures);
            trajectories.extend(made);
            (next, waves) = (end, waves + 1);
            if !cancel.is_cancelled() {
                settled = self.budget.settled(&trajectories.iter().collect::<Vec<_>>(), &scores);
            }
        }
        let first = settled.as_ref().map(|settled| settled as &dyn Stage);
        let selection = self.selector.select_after(first, &trajectories.iter().collect::<Vec<_>>(), &scores)?;
        let saved = if settled.is_some() { budget - next } else { 0 };
        Ok(Sampled { trajectories, scores, failures, settled, saved, waves, selection })
    }
}
