//! From examples and an objective to a [`Judgement`].

use super::error::TrainError;
use super::learner::Judgement;
use crate::data::Example;
use crate::objective::{Evaluation, Kto, Labelled, Objective, ObjectiveError, Pair, SequenceLogProbs};

/// An objective with what it remembers between batches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judge {
    objective: Objective,
    /// The last reference point, for moving averages.
    pub(super) z0: Option<f64>,
}

impl Judge {
    pub(super) fn new(objective: Objective) -> Self {
        Self { objective, z0: None }
    }

    /// Whether [`judge`](Self::judge) reads log-probabilities of mismatched sequences.
    pub(super) fn needs_mismatched(&self) -> bool {
        match &self.objective {
            Objective::Kto(_) => true,
            Objective::EntropoKto(entropo) => entropo.z0.needs_mismatched(),
            _ => false,
        }
    }

    /// Whether the frozen reference's log-probabilities are read.
    pub(super) fn needs_reference(&self) -> bool {
        !matches!(self.objective, Objective::Sft(_))
    }

    /// Refuses examples of a kind that the objective does not take.
    pub(super) fn check(&self, example: &Example) -> Result<(), TrainError> {
        let (objective, wanted) = match (&self.objective, example) {
            (Objective::Sft(_), Example::Demonstration(_))
            | (Objective::Dpo(_) | Objective::EntropoDpo(_), Example::Preference { .. })
            | (Objective::Kto(_) | Objective::EntropoKto(_), Example::Labelled { .. }) => return Ok(()),
            (Objective::Sft(_), _) => ("sft", "demonstrations"),
            (Objective::Dpo(_), _) => ("dpo", "preference pairs"),
            (Objective::EntropoDpo(_), _) => ("entropo_dpo", "preference pairs"),
            (Objective::Kto(_), _) => ("kto", "labelled sequences"),
            (Objective::EntropoKto(_), _) => ("entropo_kto", "labelled sequences"),
        };
        let id = example.sequences().map(|sequence| sequence.id().to_owned()).next().unwrap_or_default();
        Err(TrainError::Kind { id, objective, wanted })
    }

    /// `sequences` are those of `examples`, in order.
    pub(super) fn judge(
        &mut self,
        examples: &[&Example],
        sequences: &[SequenceLogProbs],
        mismatched: &[SequenceLogProbs],
    ) -> Result<Judgement, ObjectiveError> {
        let pairs = || -> Vec<Pair> {
            sequences.as_chunks::<2>().0.iter().map(|&[chosen, rejected]| (chosen, rejected)).collect()
        };
        let labelled = || -> Vec<Labelled> {
            let label = |example: &&Example| matches!(example, Example::Labelled { desirable: true, .. });
            sequences.iter().copied().zip(examples.iter().map(label)).collect()
        };
        match &self.objective {
            Objective::Sft(sft) => sft.evaluate(sequences).map(of_sequences),
            Objective::Dpo(dpo) => dpo.evaluate(&pairs()).map(of_pairs),
            Objective::EntropoDpo(entropo) => entropo.evaluate(&pairs()).map(of_pairs),
            Objective::Kto(kto) => kto.evaluate(&labelled(), Kto::kl_estimate(mismatched)?).map(of_sequences),
            Objective::EntropoKto(entropo) => {
                let z0 = entropo.reference_point(&labelled(), mismatched, self.z0)?;
                self.z0 = Some(z0);
                entropo.evaluate(&labelled(), z0).map(of_sequences)
            }
        }
    }
}

fn of_sequences(evaluation: Evaluation<f64>) -> Judgement {
    let Evaluation { loss, weights, metrics } = evaluation;
    Judgement { loss, weights, metrics }
}

fn of_pairs(evaluation: Evaluation<(f64, f64)>) -> Judgement {
    let weights = evaluation.weights.into_iter().flat_map(|(chosen, rejected)| [chosen, rejected]).collect();
    Judgement { loss: evaluation.loss, weights, metrics: evaluation.metrics }
}
