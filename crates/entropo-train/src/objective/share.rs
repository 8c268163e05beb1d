//! When a part of a batch can be judged by itself.
//!
//! Most objectives are means of something that each example has alone. The weights of a part are then those that the part
//! would have as a batch, times a factor that counts say beforehand, and a part can be differentiated as soon as its own
//! log-probabilities are known. Where examples influence each other no factor exists.

use super::entropo_dpo::Margin;
use super::reference_point::ReferencePoint;
use super::sft::Reduction;
use super::{EntropoDpo, EntropoKto, Objective, Sft};

/// What is known of a batch, or of a part of it, before anything is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Examples: a pair counts as one.
    pub examples: usize,
    /// Action tokens of all sequences.
    pub tokens: usize,
}

impl Objective {
    /// The factor from the weights of `part` as a batch to its weights within `whole`, or `None` if its weights depend on
    /// the rest of the batch. The losses of all parts times their factors add up to the loss.
    ///
    /// KTO's reference point, where it does not come from the batch, is the same for every part: that of the whole.
    pub fn share(&self, part: Counts, whole: Counts) -> Option<f64> {
        let of_examples = part.examples as f64 / whole.examples as f64;
        let of_tokens = part.tokens as f64 / whole.tokens as f64;
        match self {
            Self::Sft(Sft { reduction: Reduction::TokenMean }) => Some(of_tokens),
            Self::Sft(Sft { reduction: Reduction::Sum }) => Some(1.0),
            Self::Sft(Sft { reduction: Reduction::SequenceMean | Reduction::SequenceSumMean })
            | Self::Kto(_)
            | Self::Verifier(_) => Some(of_examples),
            // The mixed-in token mean has another factor than the mean over pairs.
            Self::Dpo(dpo) => (dpo.sft_weight == 0.0).then_some(of_examples),
            Self::EntropoDpo(EntropoDpo { margin, sft_weight, .. }) => {
                (*margin != Margin::Centred && *sft_weight == 0.0).then_some(of_examples)
            }
            Self::EntropoKto(EntropoKto { z0, .. }) => match z0 {
                ReferencePoint::Ema { .. } | ReferencePoint::BatchMean => None,
                ReferencePoint::Mismatch | ReferencePoint::MismatchClamped | ReferencePoint::Zero => Some(of_examples),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::objective::testing::assert_close;
    use crate::objective::{Dpo, DpoVariant, Kto, SequenceLogProbs, Verifier};

    /// The reference point of the whole batch, which the parts are given too.
    const POINT: f64 = 0.7;

    /// Loss and weights of examples that have one sequence or two.
    fn evaluate(objective: &Objective, sequences: &[SequenceLogProbs]) -> (f64, Vec<f64>) {
        let pairs: Vec<_> = sequences.chunks(2).map(|pair| (pair[0], pair[1])).collect();
        // Which class an example is of goes with the example, wherever it stands.
        let class = |sequence: &SequenceLogProbs| sequence.tokens.is_multiple_of(2);
        let labelled: Vec<_> = sequences.iter().map(|sequence| (*sequence, class(sequence))).collect();
        let answered: Vec<_> = pairs.iter().map(|pair| (*pair, class(&pair.0))).collect();
        let single = match objective {
            Objective::Sft(sft) => sft.evaluate(sequences),
            Objective::Kto(kto) => kto.evaluate(&labelled, POINT),
            Objective::EntropoKto(entropo) => entropo.evaluate(&labelled, POINT),
            Objective::Dpo(_) | Objective::EntropoDpo(_) | Objective::Verifier(_) => {
                let evaluation = match objective {
                    Objective::Dpo(dpo) => dpo.evaluate(&pairs),
                    Objective::EntropoDpo(entropo) => entropo.evaluate(&pairs),
                    Objective::Verifier(verifier) => verifier.evaluate(&answered),
                    other => panic!("{other:?}"),
                };
                let evaluation = evaluation.unwrap();
                return (evaluation.loss, evaluation.weights.into_iter().flat_map(|(w, l)| [w, l]).collect());
            }
        };
        let evaluation = single.unwrap();
        (evaluation.loss, evaluation.weights)
    }

    fn separable() -> Vec<Objective> {
        let sft = |reduction| Objective::Sft(Sft { reduction });
        let dpo = |variant| Objective::Dpo(Dpo { variant, ..Dpo::default() });
        let entropo = |margin| Objective::EntropoDpo(EntropoDpo { margin, ..EntropoDpo::default() });
        let entropo_kto = |z0| Objective::EntropoKto(EntropoKto { z0, ..EntropoKto::default() });
        vec![
            sft(Reduction::TokenMean),
            sft(Reduction::Sum),
            sft(Reduction::SequenceMean),
            sft(Reduction::SequenceSumMean),
            dpo(DpoVariant::Sigmoid),
            dpo(DpoVariant::Conservative { label_smoothing: 0.1 }),
            dpo(DpoVariant::Robust { label_smoothing: 0.1 }),
            dpo(DpoVariant::Hinge),
            dpo(DpoVariant::Ipo),
            dpo(DpoVariant::IpoSum),
            dpo(DpoVariant::SigmoidNorm),
            dpo(DpoVariant::SigmoidPerTurn),
            entropo(Margin::Sum),
            entropo(Margin::Clipped { limit: 0.5 }),
            entropo(Margin::PerToken),
            entropo(Margin::PerTurn),
            Objective::Kto(Kto { desirable_weight: 2.0, ..Kto::default() }),
            entropo_kto(ReferencePoint::Zero),
            entropo_kto(ReferencePoint::Mismatch),
            entropo_kto(ReferencePoint::MismatchClamped),
            Objective::Verifier(Verifier { positive: Some(1), positive_weight: 2.0, negative_weight: 1.0 }),
        ]
    }

    fn counts(objective: &Objective, sequences: &[SequenceLogProbs]) -> Counts {
        let pairs = matches!(objective, Objective::Dpo(_) | Objective::EntropoDpo(_) | Objective::Verifier(_));
        let examples = if pairs { sequences.len() / 2 } else { sequences.len() };
        Counts { examples, tokens: sequences.iter().map(|sequence| sequence.tokens).sum() }
    }

    fn sequence() -> impl Strategy<Value = SequenceLogProbs> {
        (-40.0..0.0_f64, -40.0..0.0_f64, 1..30_usize).prop_map(|(policy, reference, tokens)| SequenceLogProbs {
            policy,
            reference,
            tokens,
            turns: tokens.min(3),
        })
    }

    proptest! {
        #[test]
        fn parts_by_their_shares_are_the_whole(
            sequences in prop::collection::vec(sequence(), 12), cut in 1..6_usize,
        ) {
            for objective in separable() {
                let whole = counts(&objective, &sequences);
                let (loss, weights) = evaluate(&objective, &sequences);
                let mut found = (0.0, Vec::new());
                for part in [&sequences[..2 * cut], &sequences[2 * cut..]] {
                    let share = objective.share(counts(&objective, part), whole).unwrap();
                    let (loss, weights) = evaluate(&objective, part);
                    found.0 += share * loss;
                    found.1.extend(weights.into_iter().map(|weight| share * weight));
                }
                assert_close(found.0, loss, 1e-12 * loss.abs().max(1.0));
                for (found, expected) in found.1.iter().zip(&weights) {
                    assert_close(*found, *expected, 1e-14 + 1e-12 * expected.abs());
                }
            }
        }
    }

    #[test]
    fn what_depends_on_the_batch_has_no_share() {
        let counts = Counts { examples: 2, tokens: 9 };
        let entropo = EntropoDpo::default();
        for objective in [
            Objective::EntropoDpo(EntropoDpo { margin: Margin::Centred, ..entropo }),
            Objective::EntropoDpo(EntropoDpo { sft_weight: 0.1, ..entropo }),
            Objective::Dpo(Dpo { sft_weight: 0.1, ..Dpo::default() }),
            Objective::EntropoKto(EntropoKto { z0: ReferencePoint::BatchMean, ..EntropoKto::default() }),
            Objective::EntropoKto(EntropoKto { z0: ReferencePoint::Ema { decay: 0.5 }, ..EntropoKto::default() }),
        ] {
            assert_eq!(objective.share(counts, counts), None, "{objective:?}");
        }
    }
}
