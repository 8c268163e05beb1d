//! Judges of attempts, made from the policy and judged rollouts.
//!
//! Two of them. `head` leaves the policy as it is and fits a linear head to its hidden states. `trained` trains a copy of the
//! policy to say the right word, as `entropo_train::verifier` makes examples. Both read the same prompt, and neither the
//! hidden tests nor any score. The policy's tokenizer has no YES and no NO; of its words, `passed` and `failed` are one token
//! each.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use entropo::agent::CancellationToken;
use entropo::agent::verifier::{JudgePrompt, Scored, record};
use entropo::core::Trajectory;
use entropo::core::stats::{StatsError, Temperature};
use entropo::train::decoder::Decoder;
use entropo::train::objective::{Objective, Verifier};
use entropo::train::trainer::{Schedule, TrainConfig, Training, Warmup};
use entropo::train::verifier::{Balance, Head, HeadFit, Judgements, Judging, Learned, LocalVerifier, judgements};
use indicatif::ProgressBar;

use super::{Settings, StudyError, calibration};
use crate::experiment::device;
use crate::policy::Policy;

/// Examples that are differentiated at a time.
const MICRO_BATCH: usize = 16;

/// A judge.
pub(super) struct Judge {
    /// Its name, also that of its score.
    pub(super) name: &'static str,
    /// What it was fitted on, in a few words.
    pub(super) fitted: String,
    /// The judge itself.
    pub(super) verifier: LocalVerifier,
}

/// Where training leaves its state and shows how far it is.
pub(super) struct Place<'a> {
    pub(super) directory: &'a Path,
    pub(super) bar: &'a ProgressBar,
    pub(super) cancel: &'a CancellationToken,
}

/// A temperature, or why there is none.
pub(super) struct Fitted {
    /// The temperature, 1 if there is none.
    pub(super) used: Temperature,
    /// Why there is none.
    pub(super) without: Option<StatsError>,
}

/// What the judges are asked, in words that the policy knows.
fn prompt() -> JudgePrompt {
    JudgePrompt {
        system: String::new(),
        question: "All tests passed or failed".to_owned(),
        affirmative: "passed".to_owned(),
        negative: "failed".to_owned(),
        least_mass: 0.0, // an untrained policy is about to say something else
        ..JudgePrompt::default()
    }
}

/// All judges, fitted to judged attempts.
pub(super) fn all(
    policy: &Policy,
    settings: &Settings,
    known: &[Trajectory],
    place: &Place<'_>,
) -> Result<Vec<Judge>, StudyError> {
    let context = policy.decoder().config().max_position_embeddings;
    let judging = Arc::new(Judging::new(Arc::new(policy.format()?), prompt(), context)?);
    let mut judges = Vec::new();
    judges.extend(by_head(policy, &judging, known)?);
    judges.extend(by_training(policy, &judging, settings, known, place)?);
    Ok(judges)
}

/// None if there are attempts of one kind only.
fn by_head(policy: &Policy, judging: &Arc<Judging>, known: &[Trajectory]) -> Result<Option<Judge>, StudyError> {
    let verifier = LocalVerifier::new(policy.decoder(), judging);
    let (mut states, mut solved) = (Vec::new(), Vec::new());
    for ((_, state), attempt) in verifier.hidden(&known.iter().collect::<Vec<_>>()).into_iter().zip(known) {
        let judged = attempt.outcome.reward.and(state.ok());
        if let Some(state) = judged {
            states.push(state);
            solved.push(attempt.is_solved());
        }
    }
    if solved.iter().all(|solved| *solved) || !solved.iter().any(|solved| *solved) {
        return Ok(None);
    }
    let (head, report) = Head::fit(&states, &solved, HeadFit::default())?;
    let right = solved.iter().filter(|solved| **solved).count();
    let fitted = format!(
        "{} rollouts, {right} of them solved; {} steps to a loss of {:.3}",
        states.len(),
        report.steps,
        report.loss
    );
    Ok(Some(Judge { name: "head", fitted, verifier: verifier.head(head) }))
}

/// None if no task has attempts of both kinds.
fn by_training(
    policy: &Policy,
    judging: &Arc<Judging>,
    settings: &Settings,
    known: &[Trajectory],
    place: &Place<'_>,
) -> Result<Option<Judge>, StudyError> {
    let balance = Balance { seed: settings.seed, ..Balance::default() };
    let made = judgements(judging, &balance, known, Learned::RightOverWrong)?;
    if made.examples.is_empty() {
        return Ok(None);
    }
    let decoder = train(policy, settings, &made, place)?;
    let report = &made.report;
    let fitted = format!(
        "{} rollouts, half of them solved; {} epochs, {} prompt tokens an epoch, {} prompts condensed, {} left out",
        report.attempts,
        settings.epochs,
        report.prompt_tokens,
        report.condensed,
        report.dropped.len()
    );
    Ok(Some(Judge { name: "trained", fitted, verifier: LocalVerifier::new(&decoder, judging) }))
}

fn train(policy: &Policy, settings: &Settings, made: &Judgements, place: &Place<'_>) -> Result<Decoder, StudyError> {
    let config = TrainConfig {
        objective: Objective::Verifier(Verifier::default()),
        epochs: settings.epochs,
        batch_size: settings.batch_size,
        micro_batch: MICRO_BATCH,
        learning_rate: settings.learning_rate,
        schedule: Schedule::cosine(Warmup::Share(0.05)),
        seed: settings.seed,
        save_every: 20,
        checkpointing: false, // the model is small
        ..TrainConfig::default()
    };
    let directory = Some(place.directory.to_owned());
    let training = Training::new(policy.decoder(), &made.examples, config, &device(), directory)?;
    place.bar.set_length(training.steps() as u64);
    place.bar.set_position(training.done() as u64);
    Ok(training.run(|record, _| {
        place.bar.set_message(format!("loss {:.4}", record.loss));
        place.bar.inc(1);
        if place.cancel.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?)
}

/// What a judge says of the attempts of each task, in their order.
pub(super) struct Said(pub(super) Vec<Vec<Scored>>);

impl Judge {
    /// Asks it about all attempts.
    pub(super) fn judge(&self, tasks: &[Vec<Trajectory>]) -> Said {
        Said(tasks.iter().map(|task| self.verifier.score(&task.iter().collect::<Vec<_>>())).collect())
    }
}

impl Said {
    /// The temperature under which it is likeliest.
    pub(super) fn calibrate(&self, tasks: &[Vec<Trajectory>]) -> Fitted {
        match calibration::predictions(self, tasks, |_| true).temperature() {
            Ok(used) => Fitted { used, without: None },
            Err(error) => Fitted { used: Temperature::ONE, without: Some(error) },
        }
    }

    /// Gives the attempts their probabilities, as scores of a name.
    pub(super) fn record(&self, name: &str, temperature: Temperature, tasks: &mut [Vec<Trajectory>]) {
        for (scored, task) in self.0.iter().zip(tasks) {
            record(name, scored, temperature, task);
        }
    }
}
