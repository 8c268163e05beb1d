//! Which of many rollouts to submit: every kind of score and selector of entropo on the same rollouts.
//!
//! The embedded policy makes `rollouts` of each unseen task. Three kinds of score speak about them, none of which sees the
//! hidden tests: `regression`, the visible tests that passed before; `reproduction`, the issue's own example as a test, all
//! that one can write from the text; and `verifier`, a judge fitted to judged rollouts of other tasks.
//! From these come best@N of every selector, what each stage contributes, and how many rollouts early stopping saves.
//!
//! Tasks that anything is fitted on are of a range of their own ([`JUDGEMENT_TASKS`]), in two parts: from the larger one
//! judges learn, on the rest temperatures and the learned combination are fitted and the judge is chosen. Long steps are on
//! disk when they are done; the same command goes on where it was and ends with the same numbers.

mod best;
mod calibration;
mod error;
mod judges;
mod page;
mod plots;
pub mod results;
mod selectors;
mod settings;
mod stopping;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use entropo::agent::CancellationToken;
use entropo::agent::select::Scores;
use entropo::agent::select::learned::{Feature, FeatureValues, FitSettings, LogisticModel};
use entropo::agent::verifier::VERIFIER;
use entropo::core::Trajectory;
use entropo::core::stats::Bootstrap;
use entropo::train::checkpoint::write_file;

use crate::experiment::{Screen, engine, rollout_note, write_or_compare};
use crate::policy::Policy;
use crate::rollouts::{RolloutError, agent, roll_out_at_once};
use crate::{EVALUATION_TASKS, JUDGEMENT_TASKS, draw_tasks};

pub use error::StudyError;
pub use settings::Settings;

use judges::Judge;
use results::{StudyResults, Weight};

/// Runs the study, or what is left of it, in `directory`, `at_once` rollouts at a time.
///
/// Needs tokio's multi-threaded runtime, of any number of threads.
pub async fn run(
    policy: &Policy,
    settings: &Settings,
    directory: &Path,
    at_once: usize,
    screen: &Screen,
    cancel: &CancellationToken,
) -> Result<StudyResults, StudyError> {
    write_or_compare(settings, &policy.digest()?, &directory.join("settings.json"))?;
    let study = Study { policy, settings, directory, at_once, screen, cancel };
    let known = study.rollouts("known", JUDGEMENT_TASKS, [settings.known_tasks, settings.known_rollouts]).await?;
    let mut unseen = study.rollouts("unseen", EVALUATION_TASKS, [settings.tasks, settings.rollouts]).await?;
    tokio::task::block_in_place(|| study.conclude(known, &mut unseen))
}

struct Study<'a> {
    policy: &'a Policy,
    settings: &'a Settings,
    directory: &'a Path,
    at_once: usize,
    screen: &'a Screen,
    cancel: &'a CancellationToken,
}

/// Rollouts by task.
type Tasks = Vec<Vec<Trajectory>>;

impl Study<'_> {
    async fn rollouts(&self, name: &str, range: u64, [tasks, count]: [usize; 2]) -> Result<Tasks, StudyError> {
        let clock = self.screen.begin(&format!("{name} rollouts"));
        let seed = self.settings.seed;
        let tasks = draw_tasks(range, seed, tasks, &self.settings.difficulty).await?;
        let model = Arc::new(self.policy.serve("policy", engine())?);
        let (bar, store) = (self.screen.bar("rollouts"), self.directory.join(format!("{name}.jsonl")));
        let wanted = [count as u64, seed];
        let made = roll_out_at_once(self.at_once, agent(model), &tasks, wanted, &store, &bar, self.cancel).await?;
        bar.finish_and_clear();
        clock.end(rollout_note(&made));
        Ok(made)
    }

    /// Everything after the rollouts.
    fn conclude(&self, mut known: Tasks, unseen: &mut Tasks) -> Result<StudyResults, StudyError> {
        let mut held_out = known.split_off(self.settings.learned_from());
        let mut judged = Vec::new();
        for judge in self.judges(&known)? {
            let clock = self.screen.begin(&format!("judging, {}", judge.name));
            let said = [judge.judge(&held_out), judge.judge(unseen)];
            self.check()?;
            let [of_held_out, of_unseen] = &said;
            let temperature = of_held_out.calibrate(&held_out);
            of_held_out.record(judge.name, temperature.used, &mut held_out);
            of_unseen.record(judge.name, temperature.used, unseen);
            judged.push(calibration::of(&judge, &temperature, [(of_held_out, &held_out), (of_unseen, unseen)])?);
            clock.end(String::new());
        }
        let best = judged.iter().max_by(|one, other| one.held_out_auroc.total_cmp(&other.held_out_auroc));
        let chosen = best.map(|verifier| verifier.name.clone()).unwrap_or_default();
        for trajectory in held_out.iter_mut().chain(unseen.iter_mut()).flatten() {
            let scores = &mut trajectory.outcome.scores;
            if let Some(score) = scores.get(&chosen).copied() {
                scores.insert(VERIFIER.to_owned(), score);
            }
        }
        let learned = combination(&held_out)?;
        let clock = self.screen.begin("selection");
        let bar = self.screen.bar("selectors");
        let selected = best::of_all(&selectors::all(learned.as_ref()), unseen, self.settings, &bar)?;
        bar.finish_and_clear();
        let solved: Vec<f64> = unseen.iter().map(|task| share(task, Trajectory::is_solved)).collect();
        let results = StudyResults {
            settings: self.settings.clone(),
            solved: Bootstrap::default().mean(&solved)?,
            verifiers: judged,
            chosen,
            weights: learned.as_ref().map(weights).unwrap_or_default(),
            contributions: best::contributions(&selected, &self.settings.counts())?,
            selectors: selected.into_iter().map(|selected| selected.result).collect(),
            stopping: stopping::of_all(unseen, self.settings)?,
        };
        clock.end(format!("{} selectors", results.selectors.len()));
        let text = serde_json::to_string_pretty(&results).unwrap_or_default() + "\n";
        write_file(&self.directory.join("results.json"), text.as_bytes())?;
        page::write(&results, self.directory)?;
        Ok(results)
    }

    fn judges(&self, known: &[Vec<Trajectory>]) -> Result<Vec<Judge>, StudyError> {
        let clock = self.screen.begin("fitting the judges");
        let bar = self.screen.bar("updates");
        let directory = self.directory.join("judge");
        let place = judges::Place { directory: &directory, bar: &bar, cancel: self.cancel };
        let judges = judges::all(self.policy, self.settings, &known.concat(), &place)?;
        bar.finish_and_clear();
        self.check()?;
        clock.end(String::new());
        Ok(judges)
    }

    fn check(&self) -> Result<(), StudyError> {
        if self.cancel.is_cancelled() { Err(RolloutError::Interrupted.into()) } else { Ok(()) }
    }
}

/// Where the page, the plots and the numbers are.
pub fn page(directory: &Path) -> PathBuf {
    directory.join("study.md")
}

/// The learned combination of all scores; none if the rollouts are all solved or all not.
fn combination(tasks: &[Vec<Trajectory>]) -> Result<Option<LogisticModel>, StudyError> {
    let scores = ["regression", "reproduction", VERIFIER].map(|name| Feature::Score(name.to_owned()));
    let others = [Feature::Finished, Feature::Steps, Feature::Agreement, Feature::Changed];
    let features: Vec<Feature> = scores.into_iter().chain(others).collect();
    let mut examples = Vec::new();
    for task in tasks {
        let candidates: Vec<&Trajectory> = task.iter().collect();
        examples.extend(FeatureValues::examples(&features, &candidates, &Scores::of(candidates.iter().copied())));
    }
    let solved = examples.iter().filter(|example| example.solved).count();
    if solved == 0 || solved == examples.len() {
        return Ok(None);
    }
    Ok(Some(LogisticModel::fit(&features, &examples, FitSettings::default())?))
}

fn weights(model: &LogisticModel) -> Vec<Weight> {
    let weight = |feature: &entropo::agent::select::learned::WeighedFeature| Weight {
        feature: feature.feature.to_string(),
        weight: feature.weight,
        missing: feature.missing,
    };
    model.features.iter().map(weight).collect()
}

/// The share of a task's rollouts of which something holds.
fn share(task: &[Trajectory], holds: impl Fn(&Trajectory) -> bool) -> f64 {
    task.iter().filter(|trajectory| holds(trajectory)).count() as f64 / task.len().max(1) as f64
}

#[cfg(test)]
mod tests;
