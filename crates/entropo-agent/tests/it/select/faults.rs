//! The faults of a published selector, each with a test that it would fail. `docs/selection.md` lists them.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use entropo_agent::select::scorer::{Scorer, score_all};
use entropo_agent::select::{Score, Top};
use entropo_agent::{CancellationToken, Selector, StageConfig};
use entropo_core::{RolloutId, Trajectory};

use super::{candidate, survivors};

/// Says of rollout n what it was given for it, the later the lower n is.
struct Late {
    name: &'static str,
    says: fn(usize) -> Result<Option<f64>, &'static str>,
}

#[async_trait]
impl Scorer for Late {
    fn name(&self) -> &str {
        self.name
    }

    async fn score(
        &self,
        candidate: &Trajectory,
        _: &CancellationToken,
    ) -> Result<Option<f64>, Box<dyn Error + Send + Sync>> {
        let number = candidate.id.rollout;
        tokio::time::sleep(Duration::from_secs(100 - number as u64)).await;
        Ok((self.says)(number)?)
    }
}

async fn scored(scorers: &[Arc<dyn Scorer>], candidates: &[Trajectory]) -> entropo_agent::select::scorer::Scored {
    let candidates: Vec<&Trajectory> = candidates.iter().collect();
    score_all(scorers, &candidates, 8, &CancellationToken::new()).await
}

#[tokio::test(start_paused = true)]
async fn scores_that_come_back_in_another_order_stay_with_their_rollouts() {
    let candidates: Vec<_> = (0..6).map(|number| candidate(number, "a", &[])).collect();
    let scorer = Late { name: "verifier", says: |number| Ok(Some(number as f64)) };
    let found = scored(&[Arc::new(scorer)], &candidates).await;
    for number in 0..6 {
        assert_eq!(found.scores.get(&RolloutId::new("task", number), "verifier"), Some(number as f64));
    }
    let references: Vec<_> = candidates.iter().rev().collect();
    let selection = Selector::new().then(Score::new("verifier")).select_by(&references, &found.scores).unwrap();
    assert_eq!(selection.chosen, Some(RolloutId::new("task", 5)));
}

#[tokio::test(start_paused = true)]
async fn rollouts_of_one_task_keep_scores_of_their_own() {
    // All of one task, one image, and one list of generated tests.
    let candidates: Vec<_> = (0..3).map(|number| candidate(number, "a", &[])).collect();
    let tests: [Arc<dyn Scorer>; 2] = [
        Arc::new(Late { name: "test 1", says: |number| Ok(Some(number as f64)) }),
        Arc::new(Late { name: "test 2", says: |number| Ok(Some(10.0 + number as f64)) }),
    ];
    let found = scored(&tests, &candidates).await;
    let rows: Vec<_> = candidates
        .iter()
        .map(|one| ["test 1", "test 2"].map(|name| found.scores.get(&one.id, name).unwrap()))
        .collect();
    assert_eq!(rows, [[0.0, 10.0], [1.0, 11.0], [2.0, 12.0]]);
    // Two scores under one key are refused rather than overwritten.
    let twice: [Arc<dyn Scorer>; 2] = [
        Arc::new(Late { name: "test", says: |_| Ok(Some(1.0)) }),
        Arc::new(Late { name: "test", says: |_| Ok(Some(0.0)) }),
    ];
    assert_eq!(scored(&twice, &candidates).await.failures.len(), 3);
}

#[test]
fn half_of_one_candidate_is_one() {
    for count in 1..6 {
        let candidates: Vec<_> = (0..count).map(|n| candidate(n, "a", &[("verifier", n as f64)])).collect();
        let kept = survivors(&Selector::new().then(Top::new("verifier", 0.5)), &candidates);
        assert_eq!(kept, (count / 2..count).collect::<Vec<_>>(), "of {count}, rounded up");
        let chosen = survivors(&Selector::from_config(StageConfig::r2e_hybrid()), &candidates);
        assert_eq!(chosen, [count - 1]);
    }
    let nothing = Selector::new().then(Top::new("verifier", 0.0));
    assert_eq!(survivors(&nothing, &[candidate(0, "a", &[("verifier", 0.0)])]), [0]);
}

#[tokio::test(start_paused = true)]
async fn what_failed_or_is_no_number_is_missing_and_not_zero() {
    let candidates: Vec<_> = (0..5).map(|number| candidate(number, "a", &[])).collect();
    let scorer = Late {
        name: "reproduction",
        says: |number| match number {
            0 => Err("no container"),
            1 => Ok(Some(f64::NAN)),
            2 => Ok(None),
            3 => panic!("the log is cut off"),
            _ => Ok(Some(-1.0)),
        },
    };
    let found = scored(&[Arc::new(scorer)], &candidates).await;
    let known: Vec<_> = candidates.iter().map(|one| found.scores.get(&one.id, "reproduction")).collect();
    assert_eq!(known, [None, None, None, None, Some(-1.0)]);
    let told: Vec<_> =
        found.failures.iter().map(|failure| (failure.rollout.rollout, failure.reason.as_str())).collect();
    let nan = "the reproduction score of task#1 is NaN, not a finite number; leave it out instead";
    assert_eq!(told, [(0, "no container"), (1, nan), (3, "the log is cut off")]);
    let references: Vec<_> = candidates.iter().collect();
    let best = Selector::new().then(Score::new("reproduction")).select_by(&references, &found.scores).unwrap();
    assert_eq!(best.chosen, Some(RolloutId::new("task", 4)), "-1 is known, and 0 would have won");
}

#[tokio::test]
async fn scoring_stops_when_cancelled() {
    let cancel = CancellationToken::new();
    cancel.cancel();
    let one = candidate(0, "a", &[]);
    let scorer: Arc<dyn Scorer> = Arc::new(Late { name: "verifier", says: |_| Ok(Some(1.0)) });
    let found = score_all(&[scorer], &[&one], 1, &cancel).await;
    assert_eq!((found.scores.get(&one.id, "verifier"), found.failures.len()), (None, 1));
}
