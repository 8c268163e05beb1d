//! How far a verifier can be trusted, by what it said of attempts that were judged.
//!
//! It is asked two things. Does it rank solved attempts over failed ones (AUROC), and does it so within a task? A selector
//! chooses among attempts at one task, and a verifier that only recognises easy tasks is of no use to it. And are its
//! probabilities true (calibration)? Attempts at a task have much in common, so intervals resample tasks.

use serde::{Deserialize, Serialize};

use super::calibration::ReliabilityBin;
use super::{
    Bins, Bootstrap, Interval, StatsError, Temperature, auroc, brier_score, expected_calibration_error, reliability,
};

/// What was said of an attempt, and what is true.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// The logit of the probability that it solves its task, before any temperature.
    pub logit: f64,
    /// Whether it does.
    pub solved: bool,
}

/// Predictions by task; a task may have none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Predictions(Vec<Vec<Prediction>>);

/// How true the probabilities are that a temperature makes of predictions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Expected calibration error.
    pub error: Interval,
    /// Brier score.
    pub brier: Interval,
    /// The reliability curve.
    pub reliability: Vec<ReliabilityBin>,
}

impl Predictions {
    /// Predictions, those of each task by themselves.
    pub fn new(tasks: impl IntoIterator<Item = Vec<Prediction>>) -> Self {
        Self(tasks.into_iter().collect())
    }

    /// The predictions of each task.
    pub fn tasks(&self) -> &[Vec<Prediction>] {
        &self.0
    }

    /// How many there are, of all tasks.
    pub fn len(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// AUROC over attempts of all tasks, with its interval.
    ///
    /// # Errors
    /// Those of [`auroc`] and of [`Bootstrap::statistic`].
    pub fn auroc(&self, bootstrap: &Bootstrap) -> Result<Interval, StatsError> {
        self.over_tasks(bootstrap, ranked)
    }

    /// AUROC within tasks: the mean over the tasks that have solved and failed attempts.
    ///
    /// # Errors
    /// [`StatsError::Nothing`] if no task has both, and those of [`Bootstrap::mean`].
    pub fn auroc_within(&self, bootstrap: &Bootstrap) -> Result<Interval, StatsError> {
        let values: Vec<f64> = self.0.iter().filter_map(|task| ranked(task).ok()).collect();
        if values.is_empty() {
            return Err(StatsError::Nothing { what: "the list of tasks with solved and failed attempts" });
        }
        bootstrap.mean(&values)
    }

    /// The temperature under which the predictions are likeliest.
    ///
    /// # Errors
    /// Those of [`Temperature::fit`].
    pub fn temperature(&self) -> Result<Temperature, StatsError> {
        let (logits, solved) = parted(self.0.iter().flatten());
        Temperature::fit(&logits, &solved)
    }

    /// How true the probabilities are that a temperature makes.
    ///
    /// # Errors
    /// Those of [`reliability`] and of [`Bootstrap::statistic`].
    pub fn calibration(
        &self,
        temperature: Temperature,
        bins: Bins,
        bootstrap: &Bootstrap,
    ) -> Result<Calibration, StatsError> {
        let probable = |drawn: &[Prediction]| {
            let (logits, solved) = parted(drawn);
            let probabilities: Vec<f64> = logits.into_iter().map(|logit| temperature.probability(logit)).collect();
            (probabilities, solved)
        };
        let all: Vec<Prediction> = self.0.iter().flatten().copied().collect();
        let (probabilities, solved) = probable(&all);
        Ok(Calibration {
            reliability: reliability(&probabilities, &solved, bins)?,
            error: self.over_tasks(bootstrap, |drawn| {
                let (probabilities, solved) = probable(drawn);
                expected_calibration_error(&probabilities, &solved, bins)
            })?,
            brier: self.over_tasks(bootstrap, |drawn| {
                let (probabilities, solved) = probable(drawn);
                brier_score(&probabilities, &solved)
            })?,
        })
    }

    /// A statistic of all predictions of drawn tasks.
    fn over_tasks(
        &self,
        bootstrap: &Bootstrap,
        statistic: impl Fn(&[Prediction]) -> Result<f64, StatsError>,
    ) -> Result<Interval, StatsError> {
        bootstrap.statistic(self.0.len(), |drawn| {
            let tasks = drawn.iter().filter_map(|task| self.0.get(*task));
            statistic(&tasks.flatten().copied().collect::<Vec<_>>())
        })
    }
}

fn ranked(predictions: &[Prediction]) -> Result<f64, StatsError> {
    let (logits, solved) = parted(predictions);
    auroc(&logits, &solved)
}

fn parted<'a>(predictions: impl IntoIterator<Item = &'a Prediction>) -> (Vec<f64>, Vec<bool>) {
    predictions.into_iter().map(|one| (one.logit, one.solved)).unzip()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::logit;

    fn task(predictions: &[(f64, bool)]) -> Vec<Prediction> {
        predictions.iter().map(|&(logit, solved)| Prediction { logit, solved }).collect()
    }

    fn few() -> Bootstrap {
        Bootstrap::default().with_resamples(200)
    }

    /// An easy task and a hard one, told apart without an error; in each, attempts are ranked the wrong way round.
    #[test]
    fn who_knows_tasks_need_not_know_attempts() {
        let easy = task(&[(3.0, false), (2.9, true), (2.8, true), (2.7, true)]);
        let hard = task(&[(-2.7, false), (-2.8, false), (-2.9, false), (-3.0, true)]);
        let predictions = Predictions::new([easy, hard, Vec::new(), task(&[(0.0, true)])]);
        assert_eq!(predictions.len(), 9);
        // Of 5 * 4 pairs, 3 * 3 and the single 1 * 3 are in order.
        assert_eq!(predictions.auroc(&few()).unwrap().mean, 12.0 / 20.0);
        assert_eq!(predictions.auroc_within(&few()).unwrap(), Interval { mean: 0.0, low: 0.0, high: 0.0 });
    }

    #[test]
    fn calibration_is_that_of_all_attempts_and_changes_with_the_temperature() {
        // Said with 0.9, true in three of four cases.
        let sure = logit(0.9);
        let tasks = [[(sure, true), (sure, true)], [(sure, true), (sure, false)]].map(|one| task(&one));
        let predictions = Predictions::new(tasks);
        let of = |temperature| predictions.calibration(temperature, Bins::EqualMass(10), &few()).unwrap();
        let before = of(Temperature::ONE);
        assert!((before.error.mean - 0.15).abs() < 1e-12 && (before.error.low - 0.1).abs() < 1e-12, "{before:?}");
        assert!((before.brier.mean - (3.0 * 0.01 + 0.81) / 4.0).abs() < 1e-12, "{before:?}");
        assert_eq!(before.reliability.iter().map(|bin| (bin.count, bin.observed)).collect::<Vec<_>>(), [(4, 0.75)]);
        let after = of(predictions.temperature().unwrap());
        assert!(after.error.mean < 1e-9 && after.brier.mean < before.brier.mean, "{after:?}");
    }

    #[test]
    fn what_cannot_be_known_is_an_error() {
        let none = Predictions::default();
        assert!(none.is_empty() && none.auroc(&few()).is_err() && none.temperature().is_err());
        assert!(none.calibration(Temperature::ONE, Bins::EqualMass(10), &few()).is_err());
        let one_sided = Predictions::new([task(&[(1.0, true)]), task(&[(0.0, false)])]);
        assert_eq!(one_sided.auroc(&few()).unwrap().mean, 1.0);
        let error = one_sided.auroc_within(&few()).unwrap_err().to_string();
        assert!(error.contains("solved and failed attempts"), "{error}");
    }
}
