//! Examples that are never trained on, and what they say of the policy.

use std::collections::{BTreeMap, BTreeSet};

use super::super::config::TrainConfig;
use super::super::error::TrainError;
use super::super::examples::Examples;
use super::super::judge::Judgement;
use super::super::learner::Learner;
use super::super::loss::{Loss, evaluate, evaluate_at};
use super::super::reference::ReferenceCache;
use super::super::survey::Survey;
use super::mismatched::Mismatched;
use crate::data::Sequence;
use crate::objective::{ObjectiveError, SequenceLogProbs};

/// What is evaluated on.
pub(super) struct HeldOut<'a> {
    pub(super) examples: Examples<'a>,
    pub(super) survey: Survey,
    pub(super) cache: Option<ReferenceCache>,
}

impl HeldOut<'_> {
    /// The objective's opinion of all examples as one batch, so that it does not depend on how they are cut: its metrics
    /// and `loss`. `None` if the policy's log-probabilities are not finite.
    pub(super) fn evaluate(
        &self,
        learner: &Learner,
        loss: &Loss,
        mismatched: Option<&Mismatched<'_>>,
        config: &TrainConfig,
        step: usize,
    ) -> Result<Option<BTreeMap<String, f64>>, TrainError> {
        let source = self.examples.source();
        let (mut policy, mut others) = (Vec::new(), Vec::new());
        let indices: Vec<usize> = (0..source.len()).collect();
        for indices in indices.chunks(config.batch_size.max(config.micro_batch)) {
            let examples = indices.iter().map(|&index| source.get(index)).collect::<Result<Vec<_>, _>>()?;
            let sequences: Vec<&Sequence> = examples.iter().flat_map(|example| example.sequences()).collect();
            policy.extend(learner.log_probs(&sequences));
            others.extend(mismatched.iter().flat_map(|mismatched| mismatched.of(learner, &sequences)));
        }
        let scale = loss.objective.reference_scale();
        let sequences = self.sequences(policy.into_iter(), scale);
        match evaluate_at(&loss.objective, &sequences, &self.survey.labels, &others, loss.z0) {
            Ok(judgement) => Ok(Some(named(judgement))),
            Err(ObjectiveError::NotFinite { model: "policy", .. }) => Ok(None),
            Err(source) => {
                Err(TrainError::Objective { step, source, sequences: "those that are evaluated on".to_owned() })
            }
        }
    }

    /// The names of the numbers that [`evaluate`](Self::evaluate) will give.
    pub(super) fn metrics(&self, loss: &Loss) -> BTreeSet<String> {
        let policy = self.survey.extents.iter().map(|_| -1.0);
        let sequences = self.sequences(policy, 1.0);
        let judgement = evaluate(&loss.objective, &sequences, &self.survey.labels, &sequences, None);
        judgement.map(|(judgement, _)| named(judgement).into_keys().collect()).unwrap_or_default()
    }

    fn sequences(&self, policy: impl Iterator<Item = f64>, scale: f64) -> Vec<SequenceLogProbs> {
        let extents = self.survey.extents.iter().zip(policy);
        match &self.cache {
            Some(cache) => extents.zip(cache.sums()).map(|((e, policy), sum)| e.with(policy, sum / scale)).collect(),
            None => extents.map(|(extent, policy)| extent.with(policy, 0.0)).collect(),
        }
    }
}

fn named(judgement: Judgement) -> BTreeMap<String, f64> {
    let metrics = judgement.metrics.into_iter().chain([("loss", judgement.loss)]);
    metrics.map(|(name, value)| (name.to_owned(), value)).collect()
}
