//! What an objective says before anything is learned, and whether that bodes ill.
//!
//! At the start the policy is the reference. A pair's margin is then its offset alone, the loss should be near `log 2`, as
//! many pairs should lie to one side as to the other, and every pair should pull with half of its strength. Where the
//! offset is large instead, pairs are silent from the first step on, and no learning rate makes up for it (method §1.3).

use super::entropo_dpo::Margin;
use super::metrics::{Metrics, collect};
use super::tempering::{Reference, Tempering};
use super::{EntropoDpo, EntropoKto, Objective};

/// Share of examples beyond the saturated margin from which on there is a warning.
const TOO_MANY: f64 = 0.1;
/// Share of its full strength below which the mean example pulls too weakly: half of what it should be for pairs.
const TOO_WEAK: f64 = 0.25;

/// An evaluation with the policy as it was at the start.
#[derive(Clone, Debug, PartialEq)]
pub struct StepZero {
    objective: Objective,
    tempering: Tempering,
    /// How many examples were looked at.
    pub examples: usize,
    /// Their mean loss.
    pub loss: f64,
    /// Share of the pairs whose margin is above 0; none for single sequences.
    pub accuracy: Option<f64>,
    /// Share of the examples whose margin is beyond 5 either way.
    pub saturated: f64,
    /// Mean share of its full strength that an example pulls with.
    pub pull: f64,
    /// Mean and standard deviation of the offset, in nats; none with a local reference.
    pub offset: Option<(f64, f64)>,
}

impl StepZero {
    /// From an evaluation of `examples` examples under the starting policy. `None` for objectives without an offset.
    pub fn new(objective: &Objective, examples: usize, loss: f64, metrics: &Metrics) -> Option<Self> {
        let tempering = match objective {
            Objective::EntropoDpo(entropo) => entropo.tempering(),
            Objective::EntropoKto(entropo) => entropo.tempering(),
            _ => return None,
        };
        let metric = |name: &str| metrics.get(name).copied();
        Some(Self {
            objective: *objective,
            tempering,
            examples,
            loss,
            accuracy: metric("rewards/accuracies"),
            saturated: metric("saturated_fraction")?,
            pull: metric("mean_pull")?,
            offset: metric("offset/mean").zip(metric("offset/sd")),
        })
    }

    /// To be logged with the first step: `step_zero/loss`, `step_zero/accuracy`, `step_zero/saturated_fraction`,
    /// `step_zero/mean_pull`, `step_zero/offset_mean`, `step_zero/offset_sd`.
    pub fn metrics(&self) -> Metrics {
        collect([
            ("step_zero/accuracy", self.accuracy),
            ("step_zero/loss", Some(self.loss)),
            ("step_zero/mean_pull", Some(self.pull)),
            ("step_zero/offset_mean", self.offset.map(|(mean, _)| mean)),
            ("step_zero/offset_sd", self.offset.map(|(_, deviation)| deviation)),
            ("step_zero/saturated_fraction", Some(self.saturated)),
        ])
    }

    /// What is wrong and which setting mends it, in words; `None` if nothing is.
    pub fn warning(&self) -> Option<String> {
        if self.saturated < TOO_MANY && self.pull >= TOO_WEAK {
            return None;
        }
        let examples = match self.objective {
            Objective::EntropoDpo(_) => "pairs",
            _ => "sequences",
        };
        let offset = self.offset.map_or(String::new(), |(mean, deviation)| {
            format!(" Their offset has mean {mean:.2} and standard deviation {deviation:.2}.")
        });
        let accuracy = self.accuracy.map_or(String::new(), |accuracy| format!(", accuracy {accuracy:.2}"));
        Some(format!(
            "before the first step {:.1} % of {} {examples} are saturated (margins beyond 5 either way) and the mean one \
             pulls with {:.3} of its strength (loss {:.3}{accuracy}), so there is little to learn from.{offset} {}",
            100.0 * self.saturated,
            self.examples,
            self.pull,
            self.loss,
            self.remedies(),
        ))
    }

    /// The settings that help and are not in use.
    fn remedies(&self) -> String {
        let Tempering { alpha, beta, reference, .. } = self.tempering;
        let mut remedies = Vec::new();
        if let Some((mean, deviation)) = self.offset.filter(|_| alpha != beta) {
            let nearer = beta + (alpha - beta) / mean.hypot(deviation).max(1.0);
            remedies
                .push(format!("bring `alpha` from {alpha} nearer to `beta` = {beta} ({nearer:.4} gives offsets of 1)"));
        }
        match self.objective {
            Objective::EntropoDpo(EntropoDpo { margin: Margin::Sum, .. }) => {
                remedies.push("set `margin` to \"clipped\" with a limit of 2, or to \"per_token\"".to_owned());
            }
            Objective::EntropoKto(EntropoKto { .. }) => remedies.push("choose another `z0`".to_owned()),
            _ => {}
        }
        if reference == Reference::Sequence {
            remedies.push("set `reference` to \"local\"".to_owned());
        } else {
            remedies.push(format!("lower `alpha`, now {alpha}, and `beta` with it"));
        }
        format!("Remedies: {}.", remedies.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::testing::assert_close;
    use crate::objective::{Dpo, Pair, SequenceLogProbs};

    /// Pairs whose rejected sides are rarer under the reference by 100 to 400 nats.
    fn pairs() -> Vec<Pair> {
        let side = |reference: f64| SequenceLogProbs { policy: reference, reference, tokens: 100, turns: 5 };
        (1..5).map(|hundred| (side(-50.0), side(-50.0 - 100.0 * f64::from(hundred)))).collect()
    }

    fn start(entropo: EntropoDpo) -> StepZero {
        let evaluation = entropo.evaluate(&pairs()).unwrap();
        StepZero::new(&Objective::EntropoDpo(entropo), 4, evaluation.loss, &evaluation.metrics).unwrap()
    }

    #[test]
    fn saturated_pairs_are_warned_of_with_the_numbers_and_the_knobs() {
        let start = start(EntropoDpo { alpha: 0.13, ..EntropoDpo::default() }); // offsets 3, 6, 9, 12
        assert_eq!((start.accuracy, start.saturated), (Some(1.0), 0.75));
        let (mean, deviation) = start.offset.unwrap();
        assert_close(mean, 7.5, 1e-9);
        let warning = start.warning().unwrap();
        for part in ["75.0 % of 4 pairs", "mean 7.50", "standard deviation 3.35", "`alpha` from 0.13", "accuracy 1.00"]
        {
            assert!(warning.contains(part), "{part} in: {warning}");
        }
        let nearer = 0.1 + 0.03 / mean.hypot(deviation);
        for part in [&format!("{nearer:.4}"), "\"clipped\"", "\"per_token\"", "\"local\""] {
            assert!(warning.contains(part), "{part} in: {warning}");
        }
    }

    #[test]
    fn a_good_start_needs_no_words() {
        for entropo in [
            EntropoDpo { alpha: 0.101, ..EntropoDpo::default() },
            EntropoDpo { alpha: 0.3, margin: Margin::PerToken, ..EntropoDpo::default() },
            EntropoDpo { alpha: 0.1, ..EntropoDpo::default() },
        ] {
            let start = start(entropo);
            assert_eq!(start.warning(), None, "{start:?}");
            assert_close(start.metrics()["step_zero/loss"], std::f64::consts::LN_2, 0.25);
        }
    }

    #[test]
    fn weak_pulls_alone_are_enough() {
        let start = start(EntropoDpo { alpha: 0.2, margin: Margin::Clipped { limit: 3.0 }, ..EntropoDpo::default() });
        assert_eq!(start.saturated, 0.0);
        let warning = start.warning().unwrap();
        assert!(
            warning.contains("0.0 %") && warning.contains("0.047") && !warning.contains("\"clipped\""),
            "{warning}"
        );
    }

    #[test]
    fn single_sequences_have_an_offset_too() {
        let far = SequenceLogProbs { policy: -900.0, reference: -900.0, tokens: 90, turns: 1 };
        let entropo = EntropoKto::default();
        let evaluation = entropo.evaluate(&[(far, true)], 0.0).unwrap();
        let start = StepZero::new(&Objective::EntropoKto(entropo), 1, evaluation.loss, &evaluation.metrics).unwrap();
        let warning = start.warning().unwrap();
        assert!(warning.contains("100.0 % of 1 sequences") && warning.contains("`z0`"), "{warning}");
    }

    #[test]
    fn without_an_offset_there_is_nothing_to_say() {
        let evaluation = Dpo::default().evaluate(&pairs()).unwrap();
        let start = StepZero::new(&Objective::Dpo(Dpo::default()), 4, evaluation.loss, &evaluation.metrics);
        assert_eq!(start, None);
    }
}
