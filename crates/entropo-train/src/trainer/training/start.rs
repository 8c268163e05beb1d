//! What is known of a data set under the reference alone, before the first step.

use super::super::loss::{Loss, evaluate};
use super::super::reference::ReferenceCache;
use super::super::survey::Survey;
use crate::objective::{Objective, ObjectiveError, Pair, SequenceLogProbs, StepZero};

/// Examples that are looked at; more of them tell no more.
const MOST: usize = 1 << 16;

/// The objective with coefficients that follow from the data.
pub(super) fn scaled(
    objective: &Objective,
    survey: &Survey,
    cache: Option<&ReferenceCache>,
) -> Result<Objective, ObjectiveError> {
    match (objective, cache) {
        (Objective::EntropoDpo(entropo), Some(cache)) => {
            entropo.scaled(pairs(survey, cache)).map(Objective::EntropoDpo)
        }
        (objective, _) => Ok(*objective),
    }
}

/// What the objective says with the reference as the policy, where that can be known without a forward pass.
pub(super) fn step_zero(loss: &Loss, survey: &Survey, cache: Option<&ReferenceCache>) -> Option<StepZero> {
    if loss.objective.reference_scale() != 1.0 || loss.needs_mismatched() {
        return None;
    }
    let objective = loss.objective.at(0.0);
    let each = survey.extents.len() / survey.labels.len().max(1);
    let stride = survey.labels.len().div_ceil(MOST).max(1);
    let sums: Vec<f64> = cache?.sums().collect();
    let (mut sequences, mut labels) = (Vec::new(), Vec::new());
    let examples = survey.extents.chunks(each.max(1)).zip(sums.chunks(each.max(1))).zip(&survey.labels);
    for ((extents, sums), label) in examples.step_by(stride) {
        sequences.extend(extents.iter().zip(sums).map(|(extent, &sum)| extent.with(sum, sum)));
        labels.push(*label);
    }
    let (judgement, _) = evaluate(&objective, &sequences, &labels, &[], None).ok()?;
    StepZero::new(&objective, labels.len(), judgement.loss, &judgement.metrics)
}

fn pairs<'a>(survey: &'a Survey, cache: &'a ReferenceCache) -> impl Iterator<Item = Pair> + 'a {
    let mut sequences = survey.extents.iter().zip(cache.sums()).map(|(extent, sum)| extent.with(sum, sum));
    let next = move || -> Option<[SequenceLogProbs; 2]> { Some([sequences.next()?, sequences.next()?]) };
    std::iter::from_fn(next).map(|[chosen, rejected]| (chosen, rejected))
}
