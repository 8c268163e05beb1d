//! One step of learning: what it may depend on and what it must not.

use burn::module::Module;
use burn::tensor::Device;
use entropo_train::checkpoint::decoder_to_bytes;
use entropo_train::data::Sequence;
use entropo_train::objective::{Dpo, SequenceLogProbs, Sft};
use entropo_train::trainer::{AdamWConfig, Judgement, Learner, OptimizerConfig, StepOutcome, TrainError};

use crate::support::{Named, assert_all_within, assert_within, decoder, sequence, sequences, weights};

fn learner(optimizer: &OptimizerConfig, micro_batch: usize) -> Learner {
    let device = Device::default().autodiff();
    Learner::new(decoder(1).to_device(&device).train(), optimizer, &device, micro_batch)
}

fn join(sequences: &[&Sequence], policy: &[f64]) -> Vec<SequenceLogProbs> {
    let sums = sequences.iter().zip(policy);
    sums.map(|(sequence, &policy)| SequenceLogProbs {
        policy,
        reference: -40.0,
        tokens: sequence.action_tokens(),
        turns: 1,
    })
    .collect()
}

fn sft(sequences: &[&Sequence], policy: &[f64]) -> Result<Judgement, TrainError> {
    let evaluation = Sft::default().evaluate(&join(sequences, policy)).unwrap();
    Ok(Judgement { loss: evaluation.loss, weights: evaluation.weights, metrics: evaluation.metrics })
}

fn dpo(sequences: &[&Sequence], policy: &[f64]) -> Result<Judgement, TrainError> {
    let pairs: Vec<_> = join(sequences, policy).chunks(2).map(|pair| (pair[0], pair[1])).collect();
    let evaluation = Dpo::default().evaluate(&pairs).unwrap();
    let weights = evaluation.weights.into_iter().flat_map(|(chosen, rejected)| [chosen, rejected]).collect();
    Ok(Judgement { loss: evaluation.loss, weights, metrics: evaluation.metrics })
}

type Judge = fn(&[&Sequence], &[f64]) -> Result<Judgement, TrainError>;

fn step(learner: &mut Learner, sequences: &[Sequence], rate: f64, judge: Judge) -> Result<StepOutcome, TrainError> {
    let sequences: Vec<&Sequence> = sequences.iter().collect();
    learner.step(&sequences, rate, |policy: &[f64]| judge(&sequences, policy))
}

/// With an epsilon far above every gradient, AdamW's step at a rate of as much is the gradient itself.
const EPSILON: f32 = 1e6;

fn steep() -> OptimizerConfig {
    AdamWConfig { epsilon: EPSILON, ..AdamWConfig::default() }.into()
}

fn gradient(sequences: &[Sequence], micro_batch: usize, judge: Judge) -> (StepOutcome, Named) {
    let mut learner = learner(&steep(), micro_batch).with_max_grad_norm(None);
    let before = weights(learner.decoder());
    let outcome = step(&mut learner, sequences, EPSILON.into(), judge).unwrap();
    let mut gradient = weights(learner.decoder());
    for (name, values) in &mut gradient {
        values.iter_mut().zip(&before[name]).for_each(|(after, before)| *after = before - *after);
    }
    (outcome, gradient)
}

#[test]
fn parts_give_the_gradient_of_the_whole() {
    let sequences = sequences(8);
    for judge in [sft as Judge, dpo] {
        let (whole, expected) = gradient(&sequences, 8, judge);
        assert!(whole.grad_norm > 1e-3, "{}", whole.grad_norm);
        for micro_batch in [1, 3] {
            let (outcome, actual) = gradient(&sequences, micro_batch, judge);
            assert_within("loss", outcome.loss, whole.loss, 1e-5);
            assert_within("norm", outcome.grad_norm, whole.grad_norm, 1e-5 * whole.grad_norm.max(1.0));
            for (name, expected) in &expected {
                assert_all_within(name, &actual[name], expected, 1e-5);
            }
        }
    }
}

#[test]
fn the_step_is_downhill() {
    let sequences = sequences(4);
    for judge in [sft as Judge, dpo] {
        let mut learner = learner(&OptimizerConfig::default(), 4);
        let first = step(&mut learner, &sequences, 1e-3, judge).unwrap().loss;
        let second = step(&mut learner, &sequences, 1e-3, judge).unwrap().loss;
        assert!(second < first, "{first} then {second}");
    }
}

/// Tokens after the last action, and padding, may be anything: loss, gradient and update stay the same to the last bit.
#[test]
fn what_follows_the_last_action_has_no_effect() {
    let with_tail = |tail: &[u32]| {
        let ids: Vec<u32> = [1, 2, 3, 4, 5, 6].iter().chain(tail).copied().collect();
        let actions = (0..ids.len()).map(|position| [2, 3, 5].contains(&position)).collect();
        [Sequence::new("changed", ids, actions).unwrap(), sequence("other", 12, 7)]
    };
    let outcome = |tail: &[u32]| {
        let mut learner = learner(&OptimizerConfig::default(), 2);
        let outcome = step(&mut learner, &with_tail(tail), 1e-2, sft).unwrap();
        (outcome.loss.to_bits(), outcome.grad_norm.to_bits(), decoder_to_bytes(learner.decoder()).unwrap())
    };
    // As padding in a batch of width 12, and as observations that are not predicted.
    let expected = outcome(&[]);
    for tail in [vec![7], vec![0, 0, 0], vec![16, 15, 14], vec![9; 6]] {
        assert!(outcome(&tail) == expected, "{tail:?}");
    }
}

/// What an action is predicted from does count.
#[test]
fn what_precedes_an_action_has_an_effect() {
    let learner = learner(&OptimizerConfig::default(), 2);
    let with = |observation| {
        let actions = [false, true, false, true].to_vec();
        learner.log_probs(&[&Sequence::new("changed", vec![1, 2, observation, 4], actions).unwrap()])
    };
    assert_ne!(with(3), with(5));
}

/// Another width may sum in another order, and no more than that.
#[test]
fn the_width_of_padding_only_rounds() {
    let learner = learner(&OptimizerConfig::default(), 16);
    let short = sequence("short", 8, 1);
    let [alone] = learner.log_probs(&[&short])[..] else { panic!() };
    for width in 9..24 {
        let together = learner.log_probs(&[&short, &sequence("long", width, 2)]);
        assert_within(&format!("width {width}"), together[0], alone, 1e-6 * alone.abs());
    }
}

#[test]
fn a_loss_that_is_not_finite_changes_nothing() {
    let sequences = sequences(3);
    let not_finite = |loss: f64, weight: f64| {
        let mut learner = learner(&OptimizerConfig::default(), 2);
        let before = decoder_to_bytes(learner.decoder()).unwrap();
        let all: Vec<&Sequence> = sequences.iter().collect();
        let judgement = Judgement { loss, weights: vec![weight; 3], ..Judgement::default() };
        let error = learner.step(&all, 1e-2, |_: &[f64]| Ok(judgement.clone())).unwrap_err();
        assert!(decoder_to_bytes(learner.decoder()).unwrap() == before);
        // Nor are the moments touched: the next step is that of a learner that has seen nothing.
        let mut fresh = self::learner(&OptimizerConfig::default(), 2);
        step(&mut learner, &sequences, 1e-2, sft).unwrap();
        step(&mut fresh, &sequences, 1e-2, sft).unwrap();
        assert!(weights(learner.decoder()) == weights(fresh.decoder()));
        error
    };
    for loss in [f64::NAN, f64::INFINITY] {
        let error = not_finite(loss, 1.0);
        assert!(matches!(error, TrainError::NotFinite { what: "loss", .. }), "{error:?}");
    }
    for weight in [f64::NAN, 1e300] {
        let error = not_finite(1.0, weight);
        assert!(matches!(error, TrainError::NotFinite { what: "gradient norm", .. }), "{error:?}");
    }
}

#[test]
fn clipping_is_over_all_parameters() {
    let (sequences, rate) = (sequences(4), EPSILON.into());
    // As in `gradient`: the step is the gradient, so a clipped step is shorter by the ratio of the norms.
    let length = |max_grad_norm| {
        let mut learner = learner(&steep(), 4).with_max_grad_norm(max_grad_norm);
        let before = weights(learner.decoder());
        let norm = step(&mut learner, &sequences, rate, sft).unwrap().grad_norm;
        let after = weights(learner.decoder());
        let moved = before.iter().flat_map(|(name, before)| before.iter().zip(&after[name]).map(|(b, a)| b - a));
        (norm, crate::support::norm(&moved.collect::<Vec<_>>()))
    };
    let (norm, whole) = length(None);
    assert_within("unclipped step", whole, norm, 1e-4 * norm);
    let (same, clipped) = length(Some(norm / 4.0));
    assert_eq!(same.to_bits(), norm.to_bits(), "the norm is told before clipping");
    assert_within("clipped step", clipped, norm / 4.0, 1e-4 * norm);
    assert_within("no clipping below the limit", length(Some(norm * 4.0)).1, whole, 1e-6);
}
