//! From examples and an objective to the derivatives that a [`Learner`](super::Learner) wants.

use super::config::needs_mismatched;
use super::error::TrainError;
use super::judge::{Judge, Judgement};
use crate::data::{Example, Sequence};
use crate::objective::{
    Answered, Counts, Evaluation, Kto, Labelled, Objective, ObjectiveError, Pair, ReferencePoint, SequenceLogProbs,
    Verifier, turns,
};

/// What is known of a sequence without any model: action tokens and turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    tokens: u32,
    turns: u32,
}

/// What is known of examples before the policy has seen them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Known {
    /// `[sequence]`: everything but the policy's sums.
    pub(super) sequences: Vec<SequenceLogProbs>,
    /// `[example]`: whether a labelled one is desirable, or whether the right one of two answers is affirmative.
    pub(super) labels: Vec<bool>,
}

/// An objective with what it remembers between batches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loss {
    /// As of the end of the run.
    pub(super) objective: Objective,
    /// The last reference point, for moving averages.
    pub(super) z0: Option<f64>,
}

impl Extent {
    pub(super) fn of(sequence: &Sequence) -> Self {
        let [tokens, turns] = [sequence.action_tokens(), turns(sequence.actions())];
        let narrow = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Self { tokens: narrow(tokens), turns: narrow(turns.min(tokens)) }
    }

    /// With sums of log-probabilities.
    pub(super) fn with(self, policy: f64, reference: f64) -> SequenceLogProbs {
        SequenceLogProbs { policy, reference, tokens: self.tokens as usize, turns: self.turns as usize }
    }
}

/// Refuses an example of a kind that the objective does not take, or that cannot teach it anything.
pub(super) fn check(objective: &Objective, example: &Example) -> Result<(), TrainError> {
    let wanted = match (objective, example) {
        (Objective::Sft(_), Example::Demonstration(_)) | (Objective::Kto(_), Example::Labelled { .. }) => return Ok(()),
        (Objective::EntropoKto(_), Example::Labelled { .. }) => return Ok(()),
        (
            Objective::Dpo(_) | Objective::EntropoDpo(_) | Objective::Verifier(_),
            Example::Preference { chosen, rejected },
        ) => {
            if chosen.ids() == rejected.ids() && chosen.actions() == rejected.actions() {
                let [chosen, rejected] = [chosen, rejected].map(|side| side.id().to_owned());
                return Err(TrainError::EqualSides { chosen, rejected });
            }
            return label(objective, example).map(drop);
        }
        (Objective::Sft(_), _) => "demonstrations",
        (Objective::Dpo(_) | Objective::EntropoDpo(_), _) => "preference pairs",
        (Objective::Verifier(_), _) => "pairs of a right and a wrong answer",
        (Objective::Kto(_) | Objective::EntropoKto(_), _) => "labelled sequences",
    };
    let id = example.sequences().map(|sequence| sequence.id().to_owned()).next().unwrap_or_default();
    Err(TrainError::Kind { id, objective: objective.name(), wanted })
}

/// The entry of [`Known::labels`].
pub(super) fn label(objective: &Objective, example: &Example) -> Result<bool, TrainError> {
    match (objective, example) {
        (_, Example::Labelled { desirable, .. }) => Ok(*desirable),
        (Objective::Verifier(Verifier { positive: Some(positive), .. }), Example::Preference { chosen, rejected }) => {
            let mut answers = chosen.ids().iter().zip(rejected.ids());
            match answers.find(|(right, wrong)| right != wrong) {
                Some((right, _)) if right == positive => Ok(true),
                Some((_, wrong)) if wrong == positive => Ok(false),
                _ => Err(TrainError::Answer { id: chosen.id().to_owned(), positive: *positive }),
            }
        }
        _ => Ok(true),
    }
}

/// How many sequences an objective's examples have.
pub(super) fn sequences_each(objective: &Objective) -> usize {
    match objective {
        Objective::Dpo(_) | Objective::EntropoDpo(_) | Objective::Verifier(_) => 2,
        _ => 1,
    }
}

/// What an objective says of examples. KTO's reference point is found from `mismatched` or the batch itself, and from the
/// `previous` one; the one that was used is returned too.
pub(super) fn evaluate(
    objective: &Objective,
    sequences: &[SequenceLogProbs],
    labels: &[bool],
    mismatched: &[SequenceLogProbs],
    previous: Option<f64>,
) -> Result<(Judgement, Option<f64>), ObjectiveError> {
    let pairs =
        || -> Vec<Pair> { sequences.as_chunks::<2>().0.iter().map(|&[chosen, rejected]| (chosen, rejected)).collect() };
    let labelled = || -> Vec<Labelled> { sequences.iter().copied().zip(labels.iter().copied()).collect() };
    let judgement = match objective {
        Objective::Sft(sft) => of_sequences(sft.evaluate(sequences)?),
        Objective::Dpo(dpo) => of_pairs(dpo.evaluate(&pairs())?),
        Objective::EntropoDpo(entropo) => of_pairs(entropo.evaluate(&pairs())?),
        Objective::Verifier(verifier) => {
            let answered: Vec<Answered> = pairs().into_iter().zip(labels.iter().copied()).collect();
            of_pairs(verifier.evaluate(&answered)?)
        }
        Objective::Kto(kto) => of_sequences(kto.evaluate(&labelled(), Kto::kl_estimate(mismatched)?)?),
        Objective::EntropoKto(entropo) => {
            let labelled = labelled();
            let z0 = entropo.reference_point(&labelled, mismatched, previous)?;
            return Ok((of_sequences(entropo.evaluate(&labelled, z0)?), Some(z0)));
        }
    };
    Ok((judgement, None))
}

/// The same of examples that are not trained on: a moving average stays where training has left it.
pub(super) fn evaluate_at(
    objective: &Objective,
    sequences: &[SequenceLogProbs],
    labels: &[bool],
    mismatched: &[SequenceLogProbs],
    z0: Option<f64>,
) -> Result<Judgement, ObjectiveError> {
    match (objective, z0) {
        (Objective::EntropoKto(entropo), Some(z0)) if matches!(entropo.z0, ReferencePoint::Ema { .. }) => {
            let labelled: Vec<Labelled> = sequences.iter().copied().zip(labels.iter().copied()).collect();
            Ok(of_sequences(entropo.evaluate(&labelled, z0)?))
        }
        _ => evaluate(objective, sequences, labels, mismatched, z0).map(|(judgement, _)| judgement),
    }
}

/// The loss of one batch in one step.
pub(super) struct BatchLoss<'a> {
    pub(super) loss: &'a mut Loss,
    /// As of this step.
    pub(super) objective: Objective,
    pub(super) known: Known,
    pub(super) mismatched: Vec<SequenceLogProbs>,
    pub(super) step: usize,
    /// `[sequence]`
    pub(super) sequences: &'a [&'a Sequence],
}

impl BatchLoss<'_> {
    /// The opinion of the sequences from the `first` on, as if they were a batch.
    fn of(&self, first: usize, policy: &[f64]) -> Result<(Judgement, Option<f64>), TrainError> {
        let range = first..first + policy.len();
        let known = self.known.sequences.get(range.clone()).unwrap_or_default();
        let sequences: Vec<SequenceLogProbs> =
            known.iter().zip(policy).map(|(known, &policy)| SequenceLogProbs { policy, ..*known }).collect();
        let each = sequences_each(&self.objective);
        let labels = self.known.labels.get(range.start / each..range.end / each).unwrap_or_default();
        evaluate(&self.objective, &sequences, labels, &self.mismatched, self.loss.z0).map_err(|source| {
            let names = self.sequences.get(range).unwrap_or_default().iter().map(|sequence| sequence.id());
            let sequences = names.collect::<Vec<_>>().join(", ");
            TrainError::Objective { step: self.step, source, sequences }
        })
    }

    fn counts(&self, first: usize, count: usize) -> Counts {
        let sequences = self.known.sequences.get(first..first + count).unwrap_or_default();
        let tokens = sequences.iter().map(|sequence| sequence.tokens).sum();
        Counts { examples: count / sequences_each(&self.objective), tokens }
    }
}

impl Judge for BatchLoss<'_> {
    fn together(&self) -> usize {
        sequences_each(&self.objective)
    }

    fn weights(&mut self, first: usize, sums: &[f64]) -> Option<Result<Vec<f64>, TrainError>> {
        let whole = self.counts(0, self.known.sequences.len());
        let share = self.objective.share(self.counts(first, sums.len()), whole)?;
        let judged = self.of(first, sums);
        Some(judged.map(|(judgement, _)| judgement.weights.into_iter().map(|weight| share * weight).collect()))
    }

    fn judge(&mut self, sums: &[f64]) -> Result<Judgement, TrainError> {
        let (judgement, z0) = self.of(0, sums)?;
        self.loss.z0 = z0.or(self.loss.z0);
        Ok(judgement)
    }
}

impl Loss {
    /// Whether log-probabilities of mismatched sequences are read.
    pub(super) fn needs_mismatched(&self) -> bool {
        needs_mismatched(&self.objective)
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
