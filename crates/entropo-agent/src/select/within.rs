//! Limits on what a candidate may have used and changed.

use entropo_core::Trajectory;
use serde::{Deserialize, Serialize};

use super::{Measured, Missing, Rule, Scores, Stage, Verdict, judge};

/// Drops the candidates beyond any of its limits; a limit that is not set holds for everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Within {
    /// Assistant turns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
    /// Tokens written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_tokens: Option<usize>,
    /// Tool calls that failed or were invalid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bad_calls: Option<usize>,
    /// Bytes of the patch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch_bytes: Option<usize>,
    /// Cost in billionths of a US dollar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_nano_usd: Option<u64>,
    /// What becomes of a candidate whose cost nobody knows, if cost is limited; by default it stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing_cost: Option<Missing>,
}

impl Within {
    /// The limits that are set: name, what the candidate has, limit.
    fn limits(&self, candidate: &Trajectory) -> impl Iterator<Item = (&'static str, Option<u64>, u64)> {
        let usage = &candidate.usage;
        let counted = [
            ("steps", candidate.steps(), self.steps),
            ("completion tokens", usage.completion_tokens, self.completion_tokens),
            ("bad calls", usage.bad_calls, self.bad_calls),
            ("bytes of patch", candidate.outcome.patch.len(), self.patch_bytes),
        ];
        let counted = counted.map(|(what, value, limit)| (what, Some(value as u64), limit.map(|limit| limit as u64)));
        let all = counted.into_iter().chain([("nano-dollars", usage.cost_nano_usd, self.cost_nano_usd)]);
        all.filter_map(|(what, value, limit)| Some((what, value, limit?)))
    }

    fn holds(&self, value: Option<u64>, limit: u64) -> bool {
        value.map_or(self.missing_cost != Some(Missing::Drop), |value| value <= limit)
    }
}

impl Stage for Within {
    fn name(&self) -> String {
        "within limits".to_owned()
    }

    fn apply(&self, candidates: &[&Trajectory], _: &Scores) -> Vec<Verdict> {
        judge(candidates, |candidate| {
            let broken = self.limits(candidate).find(|(_, value, limit)| !self.holds(*value, *limit));
            let Some((what, value, limit)) = broken else {
                return (true, "within every limit".to_owned(), None);
            };
            let (own, bound) = (value.map(|value| value as f64), Some(limit as f64));
            let reason = match value {
                Some(value) => format!("{value} {what}, {limit} allowed"),
                None => format!("nobody knows its {what}, {limit} allowed"),
            };
            (false, reason, Some(Measured { what: what.to_owned(), value: own, rule: Rule::AtMost, bound }))
        })
    }
}
