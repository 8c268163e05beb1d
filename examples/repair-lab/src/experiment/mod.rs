//! The whole loop once: rollouts, preferences, EntroPO and its control from the same start, and a comparison.
//!
//! Everything that takes long is on disk when it is finished, under the names in [`Files`]; run again with the same
//! settings, an interrupted experiment makes only what is missing and ends with the same numbers.

mod arms;
mod files;
mod phases;
mod settings;

use std::sync::Arc;

use entropo::agent::{CancellationToken, Environment, Observer, Selector, rollout_seed};
use entropo::core::{RolloutId, Trajectory};
use entropo::train::burn::tensor::Device;
use entropo::train::objective::Objective;

pub use files::Files;
pub use phases::Screen;
pub(crate) use phases::rollout_note;
pub use settings::{Settings, SettingsError};
pub(crate) use settings::{engine, write_or_compare};

use crate::environment::Lab;
use crate::evaluate::{PerTask, evaluate};
use crate::policy::Policy;
use crate::report::{Phase, Report, ShownTask};
use crate::results::Results;
use crate::rollouts::{RolloutError, agent, roll_out};
use crate::{EVALUATION_TASKS, PREFERENCE_TASKS, draw_tasks, report};

use arms::{PreferenceSet, School, Trained};

/// Why an experiment has no result. What was finished is kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExperimentError {
    /// The output directory holds another experiment.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Tasks cannot be drawn.
    #[error(transparent)]
    Lab(#[from] crate::task::LabError),
    /// Rollouts failed or were interrupted.
    #[error(transparent)]
    Rollout(#[from] RolloutError),
    /// The policy cannot act.
    #[error(transparent)]
    Model(#[from] entropo::train::LocalModelError),
    /// A checkpoint cannot be read or written.
    #[error(transparent)]
    Checkpoint(#[from] entropo::train::checkpoint::CheckpointError),
    /// Training failed.
    #[error(transparent)]
    Train(#[from] entropo::train::trainer::TrainError),
    /// A trajectory that cannot be trained on.
    #[error(transparent)]
    Sequence(#[from] entropo::train::data::SequenceError),
    /// Rollouts cannot be counted.
    #[error(transparent)]
    Evaluate(#[from] entropo::core::stats::StatsError),
    /// The selector cannot choose.
    #[error(transparent)]
    Selection(#[from] entropo::agent::select::SelectionError),
    /// A task cannot be opened.
    #[error(transparent)]
    Environment(#[from] entropo::agent::EnvironmentError),
    /// The page cannot be written.
    #[error(transparent)]
    Report(#[from] report::ReportError),
    /// Too few pairs to train on.
    #[error("{found} preference pairs, at least {needed} are needed; raise --training-tasks or --training-rollouts")]
    TooFewPairs {
        /// Pairs found.
        found: usize,
        /// Pairs needed.
        needed: usize,
    },
}

/// Runs the experiment, or what is left of it, in `files`.
///
/// Needs tokio's multi-threaded runtime, of any number of threads.
pub async fn run(
    policy: &Policy,
    settings: &Settings,
    files: &Files,
    screen: &Screen,
    live: &dyn Observer,
    cancel: &CancellationToken,
) -> Result<Results, ExperimentError> {
    write_or_compare(settings, &policy.digest()?, &files.settings())?;
    let mut experiment = Experiment { settings, files, screen, cancel, phases: Vec::new() };
    experiment.show_one_repair(policy, live).await?;
    let preferences = experiment.preferences(policy).await?;
    let mut contenders = vec![("SFT", "the starting policy".to_owned(), policy.clone())];
    let mut curves = Vec::new();
    for (name, objective) in preferences.objectives(settings) {
        let trained = experiment.train(name, objective, policy, &preferences)?;
        contenders.push((name, preferences.describe(settings, name), trained.policy));
        curves.push(trained.curve);
    }
    let mut arms = Vec::new();
    let mut per_task: Vec<(&str, PerTask)> = Vec::new();
    let mut shown = Vec::new();
    for (name, training, contender) in &contenders {
        let rollouts = experiment.evaluation(name, contender).await?;
        let (arm, values) = evaluate(name, training, &rollouts)?;
        shown.extend(experiment.worth_showing(name, &rollouts)?);
        arms.push(arm);
        per_task.push((name, values));
    }
    let mut differences = Vec::new();
    for (arm, control) in [("EntroPO", "M-DPO"), ("EntroPO", "SFT"), ("M-DPO", "SFT")] {
        let values = |wanted: &str| per_task.iter().find(|(name, _)| *name == wanted).map(|(_, values)| values);
        if let (Some(left), Some(right)) = (values(arm), values(control)) {
            differences.extend(left.minus(right, (arm, control))?);
        }
    }
    let results = Results {
        seed: settings.seed,
        evaluation_tasks: settings.evaluation_tasks,
        rollouts: settings.rollouts,
        preferences: preferences.summary,
        arms,
        differences,
    };
    files.write_results(&results)?;
    let phases = experiment.phases;
    report::write(&Report { results: &results, curves: &curves, tasks: &shown, phases: &phases }, &files.page())?;
    Ok(results)
}

struct Experiment<'a> {
    settings: &'a Settings,
    files: &'a Files,
    screen: &'a Screen,
    cancel: &'a CancellationToken,
    phases: Vec<Phase>,
}

impl Experiment<'_> {
    /// One repair for the eye; nothing depends on it.
    async fn show_one_repair(&mut self, policy: &Policy, live: &dyn Observer) -> Result<(), ExperimentError> {
        let clock = self.screen.begin("one repair, live");
        let tasks = draw_tasks(EVALUATION_TASKS, self.settings.seed, 1, &self.settings.difficulty).await?;
        let lab = Lab::new(&tasks)?;
        let model = Arc::new(policy.serve("SFT", engine())?);
        for task in &tasks {
            let id = RolloutId::new(&task.id, 0);
            let seed = rollout_seed(self.settings.evaluation_seed(), &id);
            let episode = lab.open(&Lab::task(task), &id, seed).await?;
            agent(model.clone()).run(id, seed, episode, self.cancel, live).await;
        }
        self.phases.push(clock.end(String::new()));
        if self.cancel.is_cancelled() { Err(RolloutError::Interrupted.into()) } else { Ok(()) }
    }

    async fn preferences(&mut self, policy: &Policy) -> Result<PreferenceSet, ExperimentError> {
        let settings = self.settings;
        let clock = self.screen.begin("rollouts for preferences");
        let count = settings.training_tasks;
        let tasks = draw_tasks(PREFERENCE_TASKS, settings.seed, count, &settings.difficulty).await?;
        let model = Arc::new(policy.serve("SFT", engine())?);
        let bar = self.screen.bar("rollouts");
        let store = self.files.rollouts("preferences");
        let seed = settings.seed.wrapping_mul(2);
        let made = roll_out(agent(model), &tasks, settings.training_rollouts, seed, &store, &bar, self.cancel).await?;
        bar.finish_and_clear();
        self.phases.push(clock.end(phases::rollout_note(&made)));

        let clock = self.screen.begin("preference pairs");
        let set = PreferenceSet::new(policy, &made.concat(), settings, self.files)?;
        self.phases.push(clock.end(format!("{} pairs", set.summary.pairs)));
        Ok(set)
    }

    fn train(
        &mut self,
        name: &str,
        objective: Objective,
        policy: &Policy,
        preferences: &PreferenceSet,
    ) -> Result<Trained, ExperimentError> {
        let clock = self.screen.begin(&format!("training {name}"));
        let bar = self.screen.bar("updates");
        let school = School { policy, preferences, settings: self.settings, files: self.files };
        // Computes for minutes: the runtime must stay free to notice an interruption, on a single core too.
        let trained = tokio::task::block_in_place(|| school.train(name, objective, &bar, self.cancel))?;
        bar.finish_and_clear();
        self.phases.push(clock.end_with_rate(trained.tokens, "training tokens"));
        Ok(trained)
    }

    async fn evaluation(&mut self, name: &str, policy: &Policy) -> Result<Vec<Vec<Trajectory>>, ExperimentError> {
        let settings = self.settings;
        let clock = self.screen.begin(&format!("evaluating {name}"));
        let count = settings.evaluation_tasks;
        let tasks = draw_tasks(EVALUATION_TASKS, settings.seed, count, &settings.difficulty).await?;
        let model = Arc::new(policy.serve(name, engine())?);
        let bar = self.screen.bar("rollouts");
        let store = self.files.rollouts(name);
        let seed = settings.evaluation_seed();
        let made = roll_out(agent(model), &tasks, settings.rollouts, seed, &store, &bar, self.cancel).await?;
        bar.finish_and_clear();
        self.phases.push(clock.end(phases::rollout_note(&made)));
        Ok(made)
    }

    /// The first tasks of an arm, with the selector's reasons.
    fn worth_showing(&self, arm: &str, tasks: &[Vec<Trajectory>]) -> Result<Vec<ShownTask>, ExperimentError> {
        let selector = Selector::hybrid();
        let shown = tasks.iter().take(self.settings.shown_tasks).map(|task| {
            let selection = selector.select(&task.iter().collect::<Vec<_>>())?;
            let issue = task.first().and_then(|trajectory| trajectory.messages.get(1));
            let issue = issue.map(|message| message.content().to_owned()).unwrap_or_default();
            let trajectories = task.iter().take(self.settings.shown_rollouts).cloned().collect();
            Ok(ShownTask { arm: arm.to_owned(), issue, trajectories, selection })
        });
        shown.collect()
    }
}

/// The CPU; the lab's policy is too small for anything else to be faster.
pub fn device() -> Device {
    Device::default()
}
