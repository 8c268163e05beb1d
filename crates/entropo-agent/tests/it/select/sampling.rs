//! Rollouts in waves, with real rollouts.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use entropo_agent::select::patch::PatchRules;
use entropo_agent::select::sampling::{Budget, Check, Sampled, Sampler, StopRule};
use entropo_agent::select::scorer::Scorer;
use entropo_agent::{
    CancellationToken, Environment, EnvironmentError, Episode, RolloutJob, Rollouts, Selector, Toolbox,
};
use entropo_core::{ExitReason, Message, Outcome, RolloutId, Task, Trajectory};

use super::patch;
use crate::support::{call, scripted, toolbox};

/// Its rollouts' patches follow from their seeds: one of three lines, the first the likeliest.
#[derive(Clone, Default)]
struct Puzzle(Arc<AtomicUsize>);

struct Attempt {
    toolbox: Toolbox,
    seed: u64,
}

#[async_trait]
impl Environment for Puzzle {
    async fn open(&self, _: &Task, _: &RolloutId, seed: u64) -> Result<Box<dyn Episode>, EnvironmentError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(Attempt { toolbox: toolbox(), seed }))
    }
}

#[async_trait]
impl Episode for Attempt {
    fn messages(&self) -> Vec<Message> {
        vec![Message::user("Solve it.")]
    }

    fn toolbox(&self) -> &Toolbox {
        &self.toolbox
    }

    async fn close(self: Box<Self>, _: ExitReason) -> Result<Outcome, EnvironmentError> {
        let line = ["right", "right", "right", "right", "wrong", "worse"][(self.seed >> 7) as usize % 6];
        Ok(Outcome { patch: patch("src/x.py", line), ..Outcome::default() })
    }
}

/// Sure of what is right.
struct Oracle;

#[async_trait]
impl Scorer for Oracle {
    fn name(&self) -> &str {
        "verifier"
    }

    async fn score(
        &self,
        candidate: &Trajectory,
        _: &CancellationToken,
    ) -> Result<Option<f64>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Some(if candidate.outcome.patch.contains("+right") { 0.95 } else { 0.1 }))
    }
}

fn budget(wave: usize, rules: Vec<StopRule>) -> Budget {
    Budget { rollouts: NonZeroUsize::new(16).unwrap(), wave: NonZeroUsize::new(wave).unwrap(), rules }
}

async fn sample(puzzle: &Puzzle, concurrency: usize, budget: Budget, seed: u64) -> Sampled {
    let rollouts = Rollouts::new(scripted(vec![call("finish")]), Arc::new(puzzle.clone())).concurrency(concurrency);
    let sampler = Sampler::new(rollouts, budget, Selector::hybrid()).scorer(Arc::new(Oracle)).scoring_concurrency(4);
    let mut told = 0;
    let sampled =
        sampler.run(&Arc::new(Task::new("task", "")), seed, &CancellationToken::new(), |_| told += 1).await.unwrap();
    assert_eq!(told, sampled.trajectories.len());
    sampled
}

fn line(sampled: &Sampled) -> bool {
    let chosen = sampled.trajectories.iter().find(|one| Some(&one.id) == sampled.selection.chosen.as_ref()).unwrap();
    chosen.outcome.patch.contains("+right")
}

#[tokio::test]
async fn what_is_not_needed_is_not_made() {
    let accept = StopRule::Accept { checks: vec![], verifier: Check::new("verifier", 0.9) };
    let majority = StopRule::Majority { patch: PatchRules::default() };
    for (rule, name) in [(accept, "accept"), (majority, "majority")] {
        let mut saved = 0;
        for seed in 0..12 {
            let puzzle = Puzzle::default();
            let sampled = sample(&puzzle, 3, budget(2, vec![rule.clone()]), seed).await;
            assert_eq!(puzzle.0.load(Ordering::SeqCst), sampled.trajectories.len());
            assert_eq!(sampled.trajectories.len() + sampled.saved, 16);
            assert_eq!(sampled.waves, sampled.trajectories.len().div_ceil(2));
            saved += sampled.saved;
            let Some(settled) = &sampled.settled else { continue };
            assert_eq!(settled.rule, name);
            assert!(settled.rollouts.contains(sampled.selection.chosen.as_ref().unwrap()), "{settled:?}");
            assert!(name != "accept" || line(&sampled));
            // The same rollouts, recorded, say the same.
            let all: Vec<_> = sampled.trajectories.iter().collect();
            assert_eq!(budget(2, vec![rule.clone()]).settled(&all, &sampled.scores).as_ref(), Some(settled));
        }
        println!("{name}: {saved} of {} rollouts saved", 12 * 16);
        assert!(saved > 12, "{name}: {saved}");
    }
}

#[test]
fn a_budget_that_promises_nothing_is_refused_where_it_is_read() {
    let read = |rule: &str| toml::from_str::<Budget>(&format!("rollouts = 16\nwave = 2\nrules = [{{ {rule} }}]"));
    let sequential = |error: &str| format!(r#"rule = "sequential", error = {error}"#);
    for wrong in ["0", "1", "1.5", "5", "-0.1", "nan", "inf"] {
        let error = read(&sequential(wrong)).unwrap_err().to_string();
        assert!(error.contains("a chance of error above 0 and below 1"), "{error}");
    }
    let accept = |verifier: &str, check: &str| {
        let check = format!(r#"checks = [{{ name = "regression", at_least = {check} }}]"#);
        format!(r#"rule = "accept", verifier = {{ name = "verifier", at_least = {verifier} }}, {check}"#)
    };
    for wrong in ["-0.1", "1.1", "90", "nan"] {
        let error = read(&accept(wrong, "1")).unwrap_err().to_string();
        assert!(error.contains("a probability from 0 to 1") || wrong == "nan", "{error}");
    }
    assert!(read(&accept("0.9", "inf")).unwrap_err().to_string().contains("a finite number"));
    for right in [sequential("0.05"), accept("0", "12"), accept("1", "-3")] {
        let budget = read(&right).unwrap();
        assert_eq!(toml::from_str::<Budget>(&toml::to_string(&budget).unwrap()).unwrap(), budget);
    }
}

#[tokio::test]
async fn seeds_alone_decide() {
    let rules = vec![StopRule::Majority { patch: PatchRules::default() }];
    let one = sample(&Puzzle::default(), 1, budget(3, rules.clone()), 5).await;
    let many = sample(&Puzzle::default(), 8, budget(3, rules), 5).await;
    assert_eq!(one, many, "whatever runs at a time");
    let whole = sample(&Puzzle::default(), 4, budget(16, vec![]), 5).await;
    assert_eq!((whole.settled, whole.saved, whole.waves, whole.trajectories.len()), (None, 0, 1, 16));
    assert_eq!(whole.trajectories[..one.trajectories.len()], one.trajectories, "waves draw what one wave would");
    let job = RolloutJob::new(&Arc::new(Task::new("task", "")), 2, 5);
    assert_eq!((whole.trajectories[2].seed, &whole.trajectories[2].id), (job.seed, &job.id));
}

#[tokio::test]
async fn who_cancels_gets_what_there_is() {
    let cancel = CancellationToken::new();
    let rollouts = Rollouts::new(scripted(vec![call("finish")]), Arc::new(Puzzle::default()));
    let sampler = Sampler::new(rollouts, budget(2, vec![]), Selector::hybrid());
    let mut done = 0;
    let on_done = |_: &Trajectory| {
        done += 1;
        if done == 4 {
            cancel.cancel();
        }
    };
    let sampled = sampler.run(&Arc::new(Task::new("task", "")), 1, &cancel, on_done).await.unwrap();
    assert_eq!((sampled.trajectories.len(), sampled.saved, sampled.waves), (4, 0, 2));
    assert!(sampled.selection.chosen.is_some() && sampled.settled.is_none());
}
