//! Pairs to train on, and what DPO or EntroPO says of them.

use entropo_train::data::{Sequence, SequenceError};
use entropo_train::decoder::Decoder;
use entropo_train::objective::{EntropoDpo, Pair, SequenceLogProbs};
use entropo_train::trainer::{Judgement, Learner, StepOutcome, frozen_sums};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::failure::Failure;

/// Chosen and rejected one after the other, with the reference's sums.
pub(crate) struct Pairs {
    sequences: Vec<Sequence>,
    reference: Vec<f64>,
}

impl Pairs {
    /// Lets the decoder as it is be the reference.
    pub(crate) fn new(sequences: Vec<Sequence>, reference: &Decoder) -> Self {
        let sums = frozen_sums(reference, &sequences.iter().collect::<Vec<_>>(), 1);
        Self { sequences, reference: sums }
    }

    /// One update by EntroPO.
    pub(crate) fn step(
        &self,
        learner: &mut Learner,
        objective: &EntropoDpo,
        learning_rate: f64,
    ) -> Result<StepOutcome, Failure> {
        let sequences: Vec<&Sequence> = self.sequences.iter().collect();
        Ok(learner.step(&sequences, learning_rate, |policy: &[f64]| Ok(self.judge(objective, policy)))?)
    }

    fn judge(&self, objective: &EntropoDpo, policy: &[f64]) -> Judgement {
        let sums = self.sequences.iter().zip(policy).zip(&self.reference);
        let sums: Vec<SequenceLogProbs> = sums
            .map(|((sequence, &policy), &reference)| SequenceLogProbs {
                policy,
                reference,
                tokens: sequence.action_tokens(),
                turns: 1,
            })
            .collect();
        let pairs: Vec<Pair> = sums
            .chunks_exact(2)
            .filter_map(|pair| if let [chosen, rejected] = pair { Some((*chosen, *rejected)) } else { None })
            .collect();
        // A loss that is not a number is refused by the learner.
        match objective.evaluate(&pairs) {
            Ok(evaluation) => Judgement {
                loss: evaluation.loss,
                weights: evaluation.weights.into_iter().flat_map(|(chosen, rejected)| [chosen, rejected]).collect(),
                metrics: evaluation.metrics,
            },
            Err(_) => Judgement { loss: f64::NAN, ..Judgement::default() },
        }
    }
}

/// Random tokens, of which the last four of every ten were written by the agent: about what transcripts of agents have.
pub(crate) fn random(id: &str, tokens: usize, vocabulary: usize, seed: u64) -> Result<Sequence, SequenceError> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let ids = (0..tokens).map(|_| random.random_range(0..vocabulary as u32)).collect();
    Sequence::new(id, ids, (0..tokens).map(|position| position % 10 >= 6).collect())
}
