//! Scores from whatever computes them.
//!
//! A [`Scorer`] runs tests, asks a model, or anything else that takes a while, so [`score_all`] has many of them at
//! work at once. Each answer comes back with the id that it belongs to: in which order they come says nothing. A scorer
//! that fails, panics, or answers with what is no number leaves its score missing, and is reported; it never makes a 0
//! of it.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_trait::async_trait;
use entropo_core::{RolloutId, Trajectory};
use futures::{FutureExt, StreamExt};
use tokio_util::sync::CancellationToken;

use super::Scores;
use crate::unwind;

/// Computes one score.
#[async_trait]
pub trait Scorer: Send + Sync {
    /// The score's name.
    fn name(&self) -> &str;

    /// The score of one rollout; `None` if it has none.
    ///
    /// # Errors
    /// Whatever went wrong: it is reported and the score is missing.
    async fn score(
        &self,
        candidate: &Trajectory,
        cancel: &CancellationToken,
    ) -> Result<Option<f64>, Box<dyn std::error::Error + Send + Sync>>;
}

/// Scores, and those that there should be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scored {
    /// What was computed.
    pub scores: Scores,
    /// What was not, by rollout and name.
    pub failures: Vec<ScoreFailure>,
}

/// A score that could not be computed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScoreFailure {
    /// Whose.
    pub rollout: RolloutId,
    /// Which.
    pub name: String,
    /// What went wrong.
    pub reason: String,
}

/// Has every scorer score every candidate, `concurrency` at a time; 0 counts as 1. On cancellation what is under way is
/// given up and reported.
pub async fn score_all(
    scorers: &[Arc<dyn Scorer>],
    candidates: &[&Trajectory],
    concurrency: usize,
    cancel: &CancellationToken,
) -> Scored {
    let pairs = candidates.iter().flat_map(|candidate| scorers.iter().map(move |scorer| (scorer, *candidate)));
    // Collected, so that no iterator of closures is held across an await.
    let work: Vec<_> = pairs.map(|(scorer, candidate)| one(scorer, candidate, cancel)).collect();
    let answers: Vec<_> = futures::stream::iter(work).buffer_unordered(concurrency.max(1)).collect().await;
    let mut by_key = BTreeMap::<(RolloutId, String), Vec<_>>::new();
    for (rollout, name, answer) in answers {
        by_key.entry((rollout, name)).or_default().push(answer);
    }
    let mut scored = Scored::default();
    for ((rollout, name), mut answers) in by_key {
        let kept = match (answers.pop(), answers.len()) {
            (_, 1..) => Err("several scorers have this name; none of their answers is taken".to_owned()),
            (None | Some(Ok(None)), _) => Ok(()),
            (Some(Err(reason)), _) => Err(reason),
            (Some(Ok(Some(value))), _) => {
                scored.scores.insert(rollout.clone(), name.as_str(), value).map_err(|error| error.to_string())
            }
        };
        if let Err(reason) = kept {
            scored.failures.push(ScoreFailure { rollout, name, reason });
        }
    }
    scored
}

async fn one(
    scorer: &Arc<dyn Scorer>,
    candidate: &Trajectory,
    cancel: &CancellationToken,
) -> (RolloutId, String, Result<Option<f64>, String>) {
    let asked = AssertUnwindSafe(async { scorer.score(candidate, cancel).await }).catch_unwind();
    let answer = tokio::select! {
        biased;
        () = cancel.cancelled() => Err("cancelled".to_owned()),
        answer = asked => match answer {
            Ok(answer) => answer.map_err(|error| error.to_string()),
            Err(panic) => Err(unwind::message(panic.as_ref()).to_owned()),
        },
    };
    (candidate.id.clone(), scorer.name().to_owned(), answer)
}
