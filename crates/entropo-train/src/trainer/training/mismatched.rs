//! Prompts with other prompts' completions, from which KTO can estimate its reference point.

use super::super::learner::Learner;
use super::super::loss::Extent;
use super::super::sums::{Asked, sums};
use crate::data::Sequence;
use crate::decoder::Decoder;
use crate::objective::SequenceLogProbs;

/// How they are judged.
pub(super) struct Mismatched<'a> {
    pub(super) reference: &'a Decoder,
    /// How the reference is asked.
    pub(super) asked: Asked,
}

impl Mismatched<'_> {
    /// Each prompt with the next sequence's completion, under policy and reference; those that do not fit the context are
    /// left out.
    pub(super) fn of(&self, learner: &Learner, sequences: &[&Sequence]) -> Vec<SequenceLogProbs> {
        let others = sequences.iter().cycle().skip(1);
        let context = learner.decoder().config().max_position_embeddings;
        let mixed: Vec<Sequence> = sequences
            .iter()
            .zip(others)
            .filter_map(|(prompt, other)| prompt.with_completion_of(other))
            .filter(|sequence| sequence.ids().len() <= context)
            .collect();
        let mixed: Vec<&Sequence> = mixed.iter().collect();
        let policy = learner.log_probs(&mixed);
        let reference = sums(self.reference, &mixed, self.asked);
        let sums = policy.into_iter().zip(reference);
        let scale = self.asked.scale;
        mixed.iter().zip(sums).map(|(mixed, (policy, sum))| Extent::of(mixed).with(policy, sum / scale)).collect()
    }
}
