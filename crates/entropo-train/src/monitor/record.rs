//! What is known of one step.

use std::collections::BTreeMap;

use crate::trainer::StepRecord;

/// One step, or one evaluation, of a run: numbers by name, and words.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// The step, counted from 0. Several records may be of one step, such as an evaluation after it.
    pub step: usize,
    /// Steps of the whole run; 0 if that is not known.
    pub steps: usize,
    /// Seconds that the run has taken, earlier processes included; see [`Monitor::wall_s`](super::Monitor::wall_s).
    pub wall_s: f64,
    /// Numbers by name, such as `loss`, `rewards/margins` or `eval/loss`. They need not be finite.
    pub scalars: BTreeMap<String, f64>,
    /// Warnings, one sentence each.
    pub notes: Vec<String>,
}

impl Record {
    /// An evaluation after `step`; the names in `scalars` get the prefix `eval/` if they lack it.
    pub fn evaluation<'a>(
        step: usize,
        steps: usize,
        wall_s: f64,
        scalars: impl IntoIterator<Item = (&'a str, f64)>,
    ) -> Self {
        let named = |(name, value): (&str, f64)| match name.starts_with(EVALUATION) {
            true => (name.to_owned(), value),
            false => (format!("{EVALUATION}{name}"), value),
        };
        Self { step, steps, wall_s, scalars: scalars.into_iter().map(named).collect(), notes: Vec::new() }
    }

    /// The trainer's record of a step that was over after `wall_s` seconds.
    pub fn of(record: &StepRecord, wall_s: f64) -> Self {
        let own = [
            ("loss", record.loss),
            ("grad_norm", record.grad_norm),
            ("learning_rate", record.learning_rate),
            ("tokens", record.tokens as f64),
            ("action_tokens", record.action_tokens as f64),
        ];
        let metrics = record.metrics.iter().map(|(name, value)| (name.clone(), *value));
        let scalars = metrics.chain(own.map(|(name, value)| (name.to_owned(), value))).collect();
        Self { step: record.step, steps: record.steps, wall_s, scalars, notes: record.notes.clone() }
    }
}

/// What the names of an evaluation's numbers begin with.
pub(super) const EVALUATION: &str = "eval/";
/// The name under which throughput is kept.
pub(super) const THROUGHPUT: &str = "tokens_per_second";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_keeps_its_numbers_under_their_names() {
        let step = StepRecord {
            step: 3,
            steps: 9,
            loss: 0.5,
            grad_norm: 2.0,
            learning_rate: 1e-5,
            tokens: 100,
            action_tokens: 20,
            metrics: BTreeMap::from([("rewards/margins".to_owned(), 0.25)]),
            notes: vec!["pairs start saturated".to_owned()],
            ..StepRecord::default()
        };
        let record = Record::of(&step, 1.5);
        assert_eq!((record.step, record.steps, record.wall_s), (3, 9, 1.5));
        assert_eq!(record.notes, step.notes);
        let scalars: Vec<_> = record.scalars.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        assert_eq!(
            scalars,
            [
                ("action_tokens", 20.0),
                ("grad_norm", 2.0),
                ("learning_rate", 1e-5),
                ("loss", 0.5),
                ("rewards/margins", 0.25),
                ("tokens", 100.0)
            ]
        );
    }

    #[test]
    fn an_evaluation_is_told_from_a_step() {
        let record = Record::evaluation(3, 9, 1.5, [("loss", 0.5), ("eval/nll", 1.0)]);
        assert_eq!(record.scalars, BTreeMap::from([("eval/loss".to_owned(), 0.5), ("eval/nll".to_owned(), 1.0)]));
    }
}
