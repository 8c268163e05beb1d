//! What the numbers allow one to say, in sentences.
//!
//! An ordering of two policies is claimed where the interval of their difference lies on one side of 0, and nowhere
//! else. The rest is said to be unresolved, which is not the same as equal.

use serde::Serialize;

use super::number::{Unit, range};
use crate::results::{Difference, Results};

/// The opening paragraph and what follows from it.
#[derive(Debug, Serialize)]
pub(super) struct Findings {
    /// What was done.
    pub(super) summary: String,
    /// What the intervals say of it, in one sentence.
    pub(super) verdict: String,
    /// One sentence for each difference that is resolved.
    pub(super) resolved: Vec<String>,
    /// What the intervals do not cover.
    pub(super) cautions: Vec<String>,
}

/// Whether the interval lies on one side of 0.
pub(super) fn is_resolved(difference: &Difference) -> bool {
    let interval = &difference.interval;
    interval.low.is_finite() && interval.high.is_finite() && (interval.low > 0.0 || interval.high < 0.0)
}

/// A metric's name with the number of rollouts in it: `pass@16` for `pass@N`.
pub(super) fn metric_name(metric: &str, rollouts: usize) -> String {
    match metric.strip_suffix("@N") {
        Some(name) => format!("{name}@{rollouts}"),
        None => metric.replace('_', " "),
    }
}

/// Puts the results into words.
pub(super) fn of(results: &Results) -> Findings {
    let resolved: Vec<&Difference> = results.differences.iter().filter(|difference| is_resolved(difference)).collect();
    Findings {
        summary: summary(results),
        verdict: verdict(results.differences.len(), resolved.len()),
        resolved: resolved.iter().map(|difference| sentence(difference, results.rollouts)).collect(),
        cautions: cautions(results),
    }
}

fn summary(results: &Results) -> String {
    let preferences = &results.preferences;
    let start = results.arms.first().map_or("The starting policy", |arm| arm.name.as_str());
    let trained: Vec<&str> = results.arms.iter().skip(1).map(|arm| arm.name.as_str()).collect();
    let comparison = match trained.as_slice() {
        [] => "No further policy was trained on them; it then".to_owned(),
        [one] => format!("{one} was trained on them. Both policies then"),
        many => format!("{} were each trained on them. All {} policies then", list(many), many.len() + 1),
    };
    format!(
        "{start}, the starting policy, attempted {}, with {} in all; the hidden tests’ judgement of these gave {}. \
         {comparison} attempted the same {} that none was trained on, {} each.",
        count(preferences.tasks, "training task"),
        count(preferences.rollouts, "rollout"),
        count(preferences.pairs, "preference pair"),
        count(results.evaluation_tasks, "task"),
        count(results.rollouts, "time"),
    )
}

fn verdict(differences: usize, resolved: usize) -> String {
    match (differences, resolved) {
        (0, _) => "No difference between policies was computed, so nothing is said about their order.".to_owned(),
        (1, 0) => "The one difference that was computed is not resolved: its 95 % interval contains 0, so this run \
                   does not order the two policies."
            .to_owned(),
        (all, 0) => format!(
            "None of the {all} differences between policies is resolved: every 95 % interval contains 0, so this run \
             does not order the policies. That is no proof that they are equal."
        ),
        (all, some) if all == some => format!(
            "The 95 % interval of {} lies on one side of 0:",
            if all == 1 { "the one difference".to_owned() } else { format!("each of the {all} differences") }
        ),
        (all, some) => format!(
            "Of {all} differences between policies, {} resolved, with a 95 % interval on one side of 0; the other {} \
             not, and there this run says nothing about the order:",
            are(some),
            are(all - some),
        ),
    }
}

fn sentence(difference: &Difference, rollouts: usize) -> String {
    let unit = Unit::of(&difference.metric);
    let direction = if difference.interval.low > 0.0 { "higher" } else { "lower" };
    let (points, metric) = match unit {
        Unit::Share => (" percentage points", metric_name(&difference.metric, rollouts)),
        Unit::Count => ("", format!("number of different {}", difference.metric)),
    };
    format!(
        "{}’s {metric} is {direction} than {}’s by {}{points} (interval of the difference {}).",
        difference.arm,
        difference.control,
        unit.plain(difference.interval.mean.abs()),
        range(&difference.interval, |value| unit.signed(value)),
    )
}

fn cautions(results: &Results) -> Vec<String> {
    let mut cautions = vec![
        "Intervals are over tasks. Each policy was trained once, from one seed; how much another training seed would \
         change is not in them."
            .to_owned(),
    ];
    if results.differences.len() > 1 {
        cautions.push(format!(
            "The {} intervals are not corrected for their number: of many differences that are truly 0, about one in \
             twenty looks resolved.",
            results.differences.len()
        ));
    }
    cautions
}

fn are(number: usize) -> String {
    format!("{number} {}", if number == 1 { "is" } else { "are" })
}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

fn list(names: &[&str]) -> String {
    match names {
        [all @ .., last] if !all.is_empty() => format!("{} and {last}", all.join(", ")),
        names => names.concat(),
    }
}

#[cfg(test)]
mod tests {
    use entropo::core::stats::Interval;

    use super::super::sample;
    use super::*;

    fn difference(low: f64, high: f64) -> Difference {
        let interval = Interval { mean: (low + high) / 2.0, low, high };
        Difference { arm: "EntroPO".into(), control: "DPO".into(), metric: "pass@N".into(), interval }
    }

    fn findings(differences: Vec<Difference>) -> Findings {
        of(&Results { differences, ..sample::results() })
    }

    #[test]
    fn an_interval_with_zero_in_it_orders_nothing() {
        for (low, high) in [(-0.1, 0.2), (0.0, 0.2), (-0.2, 0.0), (0.0, 0.0), (f64::NAN, 0.5), (0.1, f64::INFINITY)] {
            let findings = findings(vec![difference(low, high)]);
            assert!(findings.resolved.is_empty(), "{low} to {high}: {:?}", findings.resolved);
            assert!(findings.verdict.contains("not resolved"), "{}", findings.verdict);
        }
    }

    #[test]
    fn the_direction_is_that_of_the_interval() {
        let findings = findings(vec![difference(0.01, 0.07), difference(-0.3, -0.1), difference(-0.1, 0.1)]);
        let [up, down] = findings.resolved.as_slice() else { panic!("{:?}", findings.resolved) };
        assert_eq!(
            up,
            "EntroPO’s pass@16 is higher than DPO’s by 4.0 percentage points (interval of the difference +1.0 to +7.0)."
        );
        assert!(down.contains("is lower than DPO’s by 20.0"), "{down}");
        assert!(findings.verdict.contains("2 are resolved"), "{}", findings.verdict);
        assert!(findings.verdict.contains("the other 1 is not"), "{}", findings.verdict);
    }

    #[test]
    fn without_differences_nothing_is_claimed() {
        let findings = findings(Vec::new());
        assert!(findings.verdict.contains("nothing is said"));
        assert_eq!(findings.cautions.len(), 1);
    }

    #[test]
    fn the_summary_counts_policies() {
        let mut results = sample::results();
        assert!(of(&results).summary.contains("DPO, EntroPO and KTO were each trained"));
        results.arms.truncate(2);
        assert!(of(&results).summary.contains("Both policies then attempted the same 60 tasks"));
        results.arms.truncate(1);
        assert!(of(&results).summary.contains("No further policy was trained"));
    }
}
