//! A rollout's tokens and the values that colour them.

use entropo_core::{RolloutId, Segment, Trajectory};
use serde::{Deserialize, Serialize};

use super::{View, ViewError, visible};

/// Values of a segment's action tokens that the trace does not hold, in the order of
/// [`Segment::logprobs`](entropo_core::Segment::logprobs); each is empty if it is not known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measures {
    /// The entropy of the distribution that the token was drawn from, nats.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entropy: Vec<f32>,
    /// The token's log-probability under the policy minus that under the reference policy, nats.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reference_gap: Vec<f32>,
}

/// The measures of one segment, as they are stored: one JSON object a line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MeasuredSegment {
    /// Whose.
    pub rollout: RolloutId,
    /// Which of its segments, from 0.
    pub segment: usize,
    /// Its action tokens' values.
    #[serde(flatten)]
    pub measures: Measures,
}

/// A segment as the page reads it. Values are whole thousandths of a nat, `null` where there is none.
#[derive(Serialize)]
pub(super) struct Tokens<'a> {
    ids: &'a [u32],
    text: Option<Vec<String>>,
    actions: Vec<(usize, usize, usize)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logprobs: Vec<Option<i64>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    entropy: Vec<Option<i64>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    gap: Vec<Option<i64>>,
}

impl<'a> Tokens<'a> {
    pub(super) fn of(view: &View<'_>, rollout: &'a Trajectory) -> Result<Vec<Self>, ViewError> {
        let segments = rollout.trace.segments().iter().enumerate();
        segments.map(|(number, segment)| Self::segment(view, rollout, number, segment)).collect()
    }

    fn segment(view: &View<'_>, rollout: &Trajectory, number: usize, segment: &'a Segment) -> Result<Self, ViewError> {
        let text = match &view.decoder {
            Some(decode) => {
                let texts: Vec<String> = decode(&segment.ids).iter().map(|text| visible(text).into_owned()).collect();
                let (id, tokens, count) = (rollout.id.clone(), segment.ids.len(), texts.len());
                if tokens != count {
                    return Err(ViewError::Texts { rollout: id, segment: number, tokens, texts: count });
                }
                Some(texts)
            }
            None => None,
        };
        let actions: Vec<_> = segment.actions.iter().map(|span| (span.turn, span.start, span.end)).collect();
        let tokens = actions.iter().map(|(_, start, end)| end.saturating_sub(*start)).sum();
        let given = view.measures.get(&(rollout.id.clone(), number)).cloned().unwrap_or_default();
        let checked = |measure, values: &[f32]| match values.len() {
            count if count == 0 || count == tokens => Ok(thousandths(values)),
            count => {
                let id = rollout.id.clone();
                Err(ViewError::Values { rollout: id, segment: number, tokens, values: count, measure })
            }
        };
        Ok(Self {
            ids: &segment.ids,
            text,
            logprobs: checked("log-probability", &segment.logprobs)?,
            entropy: checked("entropy", &given.entropy)?,
            gap: checked("the gap to the reference", &given.reference_gap)?,
            actions,
        })
    }
}

fn thousandths(values: &[f32]) -> Vec<Option<i64>> {
    let rounded = values.iter().map(|value| (f64::from(*value) * 1000.0).round());
    rounded.map(|value| value.is_finite().then_some(value as i64)).collect()
}
