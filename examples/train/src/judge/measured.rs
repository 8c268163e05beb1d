//! A verifier's figures.

use std::fmt;

use entropo_agent::rollout_seed;
use entropo_core::RolloutId;
use entropo_core::stats::{Bins, Bootstrap, Calibration, Interval, Prediction, Predictions, StatsError, Temperature};
use serde::{Deserialize, Serialize};

use super::identity::Identity;

/// Bins of the reliability curve and of the calibration error.
const BINS: Bins = Bins::EqualMass(10);
/// Resamples of a statistic that looks at every attempt again.
const RESAMPLES: usize = 1000;

/// How far a verifier can be trusted. Intervals are 95 %, over tasks.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Measured {
    /// The verifier, if the scores say which.
    pub verifier: Option<Identity>,
    /// Judged attempts.
    pub judged: usize,
    /// Those of them that have a score.
    pub scored: Part,
    /// Tasks among them with solved and failed attempts.
    pub mixed: usize,
    /// AUROC over attempts of all tasks; none if all are solved or all failed.
    pub auroc: Option<Interval>,
    /// AUROC within tasks, the mean over those with solved and failed attempts: what selection is about.
    pub within: Option<Interval>,
    /// How true the probabilities are.
    pub held_out: HeldOut,
}

/// How true probabilities are on one half of the tasks, with a temperature from the other half.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct HeldOut {
    /// What the temperature was fitted on.
    pub fitted_on: Part,
    /// What everything else here was measured on.
    pub measured_on: Part,
    /// The temperature of the scores in the file.
    pub written: Temperature,
    /// The one that was fitted, in the place of that.
    pub temperature: Option<Temperature>,
    /// Why there is none.
    pub without_temperature: Option<String>,
    /// With the scores as they are.
    pub before: Calibration,
    /// With the temperature.
    pub after: Option<Calibration>,
}

/// A part of the attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Tasks that it is of.
    pub tasks: usize,
    /// Attempts.
    pub attempts: usize,
}

impl Measured {
    /// Measures predictions, given with the names of their tasks. `written` is the temperature of the scores that they
    /// were read from; `seed` governs in which half a task is.
    pub(super) fn new(
        mut tasks: Vec<(String, Vec<Prediction>)>,
        judged: usize,
        written: Temperature,
        verifier: Option<Identity>,
        seed: u64,
    ) -> Result<Self, StatsError> {
        // Neither the order of files nor of lines changes anything.
        tasks.sort_by_cached_key(|(task, _)| (rollout_seed(seed, &RolloutId::new(task.clone(), 0)), task.clone()));
        let predictions =
            |tasks: &[(String, Vec<Prediction>)]| Predictions::new(tasks.iter().map(|(_, of)| of.clone()));
        let (fit, measure) = tasks.split_at(tasks.len() / 2);
        let [all, fit, measure] = [tasks.as_slice(), fit, measure].map(predictions);
        let few = Bootstrap::default().with_resamples(RESAMPLES);
        let temperature = fit.temperature();
        let calibration = |temperature| measure.calibration(temperature, BINS, &few);
        let is_mixed =
            |task: &&Vec<Prediction>| task.iter().any(|one| one.solved) && !task.iter().all(|one| one.solved);
        Ok(Self {
            verifier,
            judged,
            scored: Part::of(&all),
            mixed: all.tasks().iter().filter(is_mixed).count(),
            auroc: all.auroc(&few).ok(),
            within: all.auroc_within(&Bootstrap::default()).ok(),
            held_out: HeldOut {
                fitted_on: Part::of(&fit),
                measured_on: Part::of(&measure),
                written,
                temperature: temperature.as_ref().ok().copied(),
                without_temperature: temperature.as_ref().err().map(ToString::to_string),
                before: calibration(written)?,
                after: temperature.ok().map(calibration).transpose()?,
            },
        })
    }
}

impl Part {
    fn of(predictions: &Predictions) -> Self {
        Self { tasks: predictions.tasks().len(), attempts: predictions.len() }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} attempts at {} tasks", self.attempts, self.tasks)
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = |interval: &Interval| format!("{:.3} [{:.3}, {:.3}]", interval.mean, interval.low, interval.high);
        let or_none = |interval: &Option<Interval>, why: &str| interval.as_ref().map_or_else(|| why.to_owned(), words);
        let Self { judged, scored, mixed, held_out, .. } = self;
        writeln!(f, "scored: {scored}, {mixed} of them with solved and failed attempts; {judged} attempts are judged")?;
        writeln!(f, "AUROC, all attempts: {}", or_none(&self.auroc, "none, all are solved or all failed"))?;
        writeln!(f, "AUROC within tasks: {}", or_none(&self.within, "none, no task has solved and failed attempts"))?;
        match (held_out.temperature, &held_out.without_temperature) {
            (Some(fitted), _) => writeln!(f, "temperature: {:.3}, fitted on {}", fitted.value(), held_out.fitted_on)?,
            (None, why) => writeln!(f, "temperature: none: {}", why.as_deref().unwrap_or_default())?,
        }
        writeln!(f, "on the other {}:", held_out.measured_on)?;
        let after = |of: fn(&Calibration) -> &Interval| held_out.after.as_ref().map(of).copied();
        let mut row = |name: &str, before: &Interval, after: Option<Interval>| {
            writeln!(f, "{name:<18} {:<22} {}", words(before), or_none(&after, "none"))
        };
        row("calibration error", &held_out.before.error, after(|one| &one.error))?;
        row("Brier score", &held_out.before.brier, after(|one| &one.brier))?;
        write!(f, "(with the scores as they are, of temperature {}, and with the fitted one)", held_out.written.value())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tasks with attempts that are right in three of four cases and said to be so with a logit.
    fn tasks(count: usize, logit: f64) -> Vec<(String, Vec<Prediction>)> {
        let of = |task: usize| {
            let attempt = |number: usize| {
                let (likely, right) = (number.is_multiple_of(2), !(number / 2 + task).is_multiple_of(4));
                Prediction { logit: if likely { logit } else { -logit }, solved: likely == right }
            };
            (format!("task {task}"), (0..8).map(attempt).collect())
        };
        (0..count).map(of).collect()
    }

    #[test]
    fn a_temperature_from_half_of_the_tasks_mends_the_other_half() {
        let measured = Measured::new(tasks(16, 4.0), 140, Temperature::ONE, None, 0).unwrap();
        let held_out = &measured.held_out;
        assert_eq!((measured.scored, measured.mixed), (Part { tasks: 16, attempts: 128 }, 16));
        assert_eq!(held_out.fitted_on, Part { tasks: 8, attempts: 64 });
        assert_eq!(held_out.measured_on, Part { tasks: 8, attempts: 64 });
        let fitted = held_out.temperature.unwrap().value();
        assert!((fitted - 4.0 / 3_f64.ln()).abs() < 1e-6, "{fitted}");
        let after = held_out.after.as_ref().unwrap();
        assert!(held_out.before.error.mean > 0.2 && after.error.mean < 1e-6, "{measured}");
        assert!(after.brier.mean < held_out.before.brier.mean);
        assert!((measured.auroc.unwrap().mean - 0.75).abs() < 1e-12, "{measured}");
        let mut turned = tasks(16, 4.0);
        turned.reverse();
        assert_eq!(Measured::new(turned, 140, Temperature::ONE, None, 0).unwrap(), measured);
        let words = measured.to_string();
        assert!(words.contains("64 attempts at 8 tasks") && words.contains("calibration error"), "{words}");
    }

    /// The logits are those before any temperature; what was written with one is measured with it.
    #[test]
    fn what_was_written_with_a_temperature_is_measured_so() {
        let right = Temperature::new(4.0 / 3_f64.ln()).unwrap();
        let measured = Measured::new(tasks(16, 4.0), 128, right, None, 0).unwrap();
        assert!(measured.held_out.before.error.mean < 1e-9, "{measured}");
        assert!((measured.held_out.temperature.unwrap().value() - right.value()).abs() < 1e-6);
    }

    #[test]
    fn one_task_has_no_temperature_and_says_so() {
        let measured = Measured::new(tasks(1, 4.0), 8, Temperature::ONE, None, 0).unwrap();
        assert!(
            measured.held_out.after.is_none() && measured.to_string().contains("temperature: none: "),
            "{measured}"
        );
        assert!(Measured::new(Vec::new(), 0, Temperature::ONE, None, 0).is_err());
    }
}
