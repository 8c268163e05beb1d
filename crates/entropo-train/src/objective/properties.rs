//! Properties that hold for every batch, whatever its values.

use proptest::prelude::*;

use super::testing::assert_close;
use super::*;

fn sequence() -> impl Strategy<Value = SequenceLogProbs> {
    (-80.0..0.0_f64, -80.0..0.0_f64, 1..60_usize, 1..9_usize).prop_map(|(policy, reference, tokens, turns)| {
        SequenceLogProbs { policy, reference, tokens, turns: turns.min(tokens) }
    })
}

fn pairs() -> impl Strategy<Value = Vec<Pair>> {
    prop::collection::vec((sequence(), sequence()), 1..6)
}

fn labelled() -> impl Strategy<Value = Vec<Labelled>> {
    prop::collection::vec((sequence(), any::<bool>()), 1..6)
}

fn variant() -> impl Strategy<Value = DpoVariant> {
    prop_oneof![
        Just(DpoVariant::Sigmoid),
        (0.0..0.45).prop_map(|label_smoothing| DpoVariant::Conservative { label_smoothing }),
        (0.0..0.45).prop_map(|label_smoothing| DpoVariant::Robust { label_smoothing }),
        Just(DpoVariant::Hinge),
        Just(DpoVariant::Ipo),
        Just(DpoVariant::IpoSum),
        Just(DpoVariant::SigmoidNorm),
        Just(DpoVariant::SigmoidPerTurn),
    ]
}

fn dpo() -> impl Strategy<Value = Dpo> {
    (0.02..0.5, variant(), 0.0..1.0).prop_map(|(beta, variant, sft_weight)| Dpo { beta, variant, sft_weight })
}

fn margin() -> impl Strategy<Value = Margin> {
    prop_oneof![
        Just(Margin::Sum),
        (0.1..3.0).prop_map(|limit| Margin::Clipped { limit }),
        Just(Margin::Centred),
        Just(Margin::PerToken),
        Just(Margin::PerTurn),
    ]
}

fn entropo_dpo() -> impl Strategy<Value = EntropoDpo> {
    (0.02..0.5, 0.02..0.5, margin(), 0.0..0.45, 0.0..1.0).prop_map(
        |(alpha, beta, margin, label_smoothing, sft_weight)| EntropoDpo {
            alpha,
            beta,
            margin,
            label_smoothing,
            sft_weight,
            ..EntropoDpo::default()
        },
    )
}

fn kto() -> impl Strategy<Value = Kto> {
    (0.02..0.5, 0.0..2.0, 0.0..2.0).prop_map(|(beta, desirable_weight, undesirable_weight)| Kto {
        beta,
        desirable_weight,
        undesirable_weight,
    })
}

fn entropo_kto() -> impl Strategy<Value = EntropoKto> {
    (0.02..0.5, kto()).prop_map(|(alpha, Kto { beta, desirable_weight, undesirable_weight })| EntropoKto {
        alpha,
        beta,
        desirable_weight,
        undesirable_weight,
        z0: ReferencePoint::Zero,
        ..EntropoKto::default()
    })
}

fn verifier() -> impl Strategy<Value = Verifier> {
    (0.0..3.0, 0.0..3.0).prop_map(|(positive_weight, negative_weight)| Verifier {
        positive: Some(0),
        positive_weight,
        negative_weight,
    })
}

/// Loss and weights of a list of sequences, whatever objective is behind it.
type Flat = (f64, Vec<f64>);

fn flat_pairs(sequences: &[SequenceLogProbs], evaluate: impl Fn(&[Pair]) -> Evaluation<(f64, f64)>) -> Flat {
    let pairs: Vec<Pair> = sequences.chunks(2).map(|pair| (pair[0], pair[1])).collect();
    let evaluation = evaluate(&pairs);
    (evaluation.loss, evaluation.weights.into_iter().flat_map(|(chosen, rejected)| [chosen, rejected]).collect())
}

fn flat_labelled(
    sequences: &[SequenceLogProbs],
    batch: &[Labelled],
    evaluate: impl Fn(&[Labelled]) -> Evaluation<f64>,
) -> Flat {
    let batch: Vec<Labelled> = sequences.iter().zip(batch).map(|(sequence, (_, label))| (*sequence, *label)).collect();
    let evaluation = evaluate(&batch);
    (evaluation.loss, evaluation.weights)
}

/// Compares the weights with central differences of the loss.
#[track_caller]
fn assert_gradient(sequences: &[SequenceLogProbs], evaluate: impl Fn(&[SequenceLogProbs]) -> Flat) {
    const STEP: f64 = 1e-4;
    let (loss, weights) = evaluate(sequences);
    assert_eq!(weights.len(), sequences.len());
    for (index, weight) in weights.into_iter().enumerate() {
        let moved = |by: f64| {
            let mut sequences = sequences.to_vec();
            sequences[index].policy += by;
            evaluate(&sequences).0
        };
        let slope = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
        assert_close(weight, slope, 1e-7 * (1.0 + weight.abs()) + 1e-11 * loss.abs());
    }
}

fn flatten(pairs: &[Pair]) -> Vec<SequenceLogProbs> {
    pairs.iter().flat_map(|(chosen, rejected)| [*chosen, *rejected]).collect()
}

fn near_the_kink(dpo: &Dpo, pairs: &[Pair]) -> bool {
    let x = |(chosen, rejected): &Pair| dpo.beta * (chosen.log_ratio() - rejected.log_ratio());
    dpo.variant == DpoVariant::Hinge && pairs.iter().any(|pair| (1.0 - x(pair)).abs() < 1e-3)
}

/// Per-token values of one side, of which `mask` tells the actions.
fn tokens() -> impl Strategy<Value = (Vec<f32>, Vec<f32>, Vec<bool>, Vec<f32>)> {
    prop::collection::vec((-9.0..0.0_f32, -9.0..0.0_f32, any::<bool>(), prop::num::f32::ANY), 1..20).prop_map(
        |mut rows| {
            rows[0].2 = true;
            let column = |pick: fn(&(f32, f32, bool, f32)) -> f32| rows.iter().map(pick).collect();
            (column(|row| row.0), column(|row| row.1), rows.iter().map(|row| row.2).collect(), column(|row| row.3))
        },
    )
}

proptest! {
    #[test]
    fn weights_of_sft_are_the_gradient(sequences in prop::collection::vec(sequence(), 1..6), choice in 0..4_usize) {
        let all = [Reduction::TokenMean, Reduction::Sum, Reduction::SequenceMean, Reduction::SequenceSumMean];
        let sft = Sft { reduction: all[choice] };
        assert_gradient(&sequences, |sequences| {
            let evaluation = sft.evaluate(sequences).unwrap();
            (evaluation.loss, evaluation.weights)
        });
    }

    #[test]
    fn weights_of_dpo_are_the_gradient(dpo in dpo(), pairs in pairs()) {
        prop_assume!(!near_the_kink(&dpo, &pairs));
        assert_gradient(&flatten(&pairs), |flat| flat_pairs(flat, |pairs| dpo.evaluate(pairs).unwrap()));
    }

    #[test]
    fn weights_of_entropo_dpo_are_the_gradient(entropo in entropo_dpo(), pairs in pairs()) {
        assert_gradient(&flatten(&pairs), |flat| flat_pairs(flat, |pairs| entropo.evaluate(pairs).unwrap()));
    }

    #[test]
    fn weights_of_the_verifier_are_the_gradient(verifier in verifier(), pairs in pairs(), classes: [bool; 6]) {
        let answered = |pairs: &[Pair]| pairs.iter().copied().zip(classes).collect::<Vec<_>>();
        let evaluate = |pairs: &[Pair]| verifier.evaluate(&answered(pairs)).unwrap();
        assert_gradient(&flatten(&pairs), |flat| flat_pairs(flat, evaluate));
    }

    /// The gradient along a run is that of the loss at that moment.
    #[test]
    fn weights_under_a_rising_alpha_are_the_gradient(
        entropo in entropo_dpo(), pairs in pairs(), anneal in 0.1..1.0, progress in 0.0..1.0,
    ) {
        let entropo = EntropoDpo { anneal, ..entropo }.at(progress);
        let (low, high) = (entropo.alpha.min(entropo.beta), entropo.alpha.max(entropo.beta));
        prop_assert!((low..=high).contains(&entropo.alpha));
        assert_gradient(&flatten(&pairs), |flat| flat_pairs(flat, |pairs| entropo.evaluate(pairs).unwrap()));
    }

    #[test]
    fn weights_of_kto_are_the_gradient(kto in kto(), batch in labelled(), kl in -2.0..9.0) {
        let sequences: Vec<_> = batch.iter().map(|(sequence, _)| *sequence).collect();
        let evaluate = |batch: &[Labelled]| kto.evaluate(batch, kl).unwrap();
        assert_gradient(&sequences, |sequences| flat_labelled(sequences, &batch, evaluate));
    }

    #[test]
    fn weights_of_entropo_kto_are_the_gradient(entropo in entropo_kto(), batch in labelled(), z0 in -9.0..9.0) {
        let sequences: Vec<_> = batch.iter().map(|(sequence, _)| *sequence).collect();
        let evaluate = |batch: &[Labelled]| entropo.evaluate(batch, z0).unwrap();
        assert_gradient(&sequences, |sequences| flat_labelled(sequences, &batch, evaluate));
    }

    #[test]
    fn swapping_a_pair_negates_its_margin(entropo in entropo_dpo(), pair in (sequence(), sequence())) {
        let EntropoDpo { alpha, margin, .. } = entropo;
        let entropo = EntropoDpo { label_smoothing: 0.0, sft_weight: 0.0, ..entropo };
        let forth = entropo.evaluate(&[pair]).unwrap();
        let back = entropo.evaluate(&[(pair.1, pair.0)]).unwrap();
        // -log sigmoid(x) + log sigmoid(-x) = -x; in the sum of both derivatives sigmoid(-x) + sigmoid(x) = 1.
        prop_assert_eq!(forth.metrics["rewards/margins"], -back.metrics["rewards/margins"]);
        prop_assert_eq!(forth.metrics["offset/mean"], -back.metrics["offset/mean"]);
        let parts = match margin {
            Margin::PerToken => pair.0.tokens as f64,
            Margin::PerTurn => pair.0.turns as f64,
            _ => 1.0,
        };
        assert_close(forth.weights[0].0 - back.weights[0].1, -alpha / parts, 1e-12);
        if margin == Margin::Sum {
            assert_close(forth.loss - back.loss, -forth.metrics["rewards/margins"], 1e-10);
        }
    }

    #[test]
    fn equal_coefficients_are_dpo(beta in 0.02..2.0, pairs in pairs(), sft_weight in 0.0..1.0, e in 0.0..0.45) {
        let entropo = EntropoDpo { alpha: beta, beta, sft_weight, ..EntropoDpo::default() };
        for (entropo, variant) in [
            (entropo, DpoVariant::Sigmoid),
            (EntropoDpo { label_smoothing: e, ..entropo }, DpoVariant::Conservative { label_smoothing: e }),
            (EntropoDpo { margin: Margin::PerToken, ..entropo }, DpoVariant::SigmoidNorm),
            (EntropoDpo { margin: Margin::PerTurn, ..entropo }, DpoVariant::SigmoidPerTurn),
            (EntropoDpo { margin: Margin::Centred, ..entropo }, DpoVariant::Sigmoid),
            (EntropoDpo { reference: Reference::Local, ..entropo }, DpoVariant::Sigmoid),
            (EntropoDpo { alpha: 2.0 * beta, anneal: 0.5, ..entropo }.at(0.0), DpoVariant::Sigmoid),
        ] {
            let dpo = Dpo { beta, variant, sft_weight };
            let (ours, theirs) = (entropo.evaluate(&pairs).unwrap(), dpo.evaluate(&pairs).unwrap());
            prop_assert_eq!(ours.loss, theirs.loss);
            prop_assert_eq!(ours.weights, theirs.weights);
            prop_assert!(theirs.metrics.iter().all(|(name, value)| ours.metrics[name] == *value));
        }
    }

    #[test]
    fn equal_coefficients_are_kto(kto in kto(), batch in labelled(), kl in -2.0..9.0_f64) {
        let Kto { beta, desirable_weight, undesirable_weight } = kto;
        let z0 = ReferencePoint::Zero;
        let entropo =
            EntropoKto { alpha: beta, beta, desirable_weight, undesirable_weight, z0, ..EntropoKto::default() };
        let (ours, theirs) = (entropo.evaluate(&batch, beta * kl.max(0.0)).unwrap(), kto.evaluate(&batch, kl).unwrap());
        prop_assert_eq!(ours.loss, theirs.loss);
        prop_assert_eq!(ours.weights, theirs.weights);
    }

    #[test]
    fn values_outside_the_mask_never_matter((policy, reference, mask, junk) in tokens(), other in sequence()) {
        let dirty = |values: &[f32]| -> Vec<f32> {
            let cells = values.iter().zip(&junk).zip(&mask);
            cells.map(|((value, junk), action)| if *action { *value } else { *junk }).collect()
        };
        let clean = SequenceLogProbs::from_tokens(&policy, &reference, &mask).unwrap();
        let dirty = SequenceLogProbs::from_tokens(&dirty(&policy), &dirty(&reference), &mask).unwrap();
        let entropo = EntropoDpo::default();
        prop_assert_eq!(entropo.evaluate(&[(clean, other)]), entropo.evaluate(&[(dirty, other)]));
    }

    #[test]
    fn pairs_do_not_influence_each_other(dpo in dpo(), pairs in pairs()) {
        let dpo = Dpo { sft_weight: 0.0, ..dpo };
        let whole = dpo.evaluate(&pairs).unwrap();
        let count = pairs.len() as f64;
        for (pair, weight) in pairs.iter().zip(&whole.weights) {
            let alone = dpo.evaluate(&[*pair]).unwrap();
            prop_assert_eq!((alone.weights[0].0 / count, alone.weights[0].1 / count), *weight);
        }
    }

    #[test]
    fn huge_margins_stay_finite(dpo in dpo(), entropo in entropo_dpo(), kto in kto(), big in 1e4..1e9_f64) {
        let near = SequenceLogProbs { policy: 0.0, reference: 0.0, tokens: 1, turns: 1 };
        let far = SequenceLogProbs { policy: -big, ..near };
        for batch in [[(near, far)], [(far, near)]] {
            for evaluation in [dpo.evaluate(&batch).unwrap(), entropo.evaluate(&batch).unwrap()] {
                prop_assert!(evaluation.loss.is_finite() && evaluation.metrics.values().all(|value| value.is_finite()));
                prop_assert!(evaluation.weights.iter().all(|(w, l)| w.is_finite() && l.is_finite()));
            }
        }
        let evaluation = kto.evaluate(&[(far, true), (far, false)], big).unwrap();
        prop_assert!(evaluation.loss.is_finite() && evaluation.weights.iter().all(|weight| weight.is_finite()));
    }
}
