//! The sampler against transformers, and against plain loops over the whole vocabulary.

use proptest::prelude::*;

use super::*;

fn sampler(sampling: Sampling, seed: u64) -> Sampler {
    Sampler::new(&GenerateRequest { sampling, seed, ..GenerateRequest::default() })
}

/// What the sampler leaves of a row: tokens and their probabilities.
fn left(sampler: &Sampler, logits: &[f32]) -> Vec<(u32, f64)> {
    let logits = sampler.penalise(logits);
    let candidates = sampler.filter(&logits).unwrap();
    let temperature = f64::from(sampler.sampling.temperature);
    let all =
        || (0..).zip(logits.iter()).map(|(token, &logit)| (token, (f64::from(logit) / temperature).exp())).collect();
    let weights: Vec<(u32, f64)> = match candidates {
        Some(candidates) => candidates.iter().map(|candidate| (candidate.token, candidate.weight)).collect(),
        None => all(),
    };
    let total: f64 = weights.iter().map(|(_, weight)| weight).sum();
    weights.into_iter().map(|(token, weight)| (token, weight / total)).collect()
}

/// `golden.json` was written by `golden.py`, both beside this file.
#[test]
fn what_is_left_is_what_transformers_leaves() {
    let cases: Vec<serde_json::Value> = serde_json::from_str(include_str!("golden.json")).unwrap();
    for (index, mut case) in cases.into_iter().enumerate() {
        let mut part = |name: &str| case.as_object_mut().unwrap().remove(name).unwrap();
        let golden = [part("seen"), part("logits"), part("probabilities"), part("entropy")];
        let [seen, logits, probabilities, entropy] = golden;
        let prompt: Vec<u32> = serde_json::from_value(seen).unwrap();
        let logits: Vec<f32> = serde_json::from_value(logits).unwrap();
        let expected: Vec<(u32, f64)> = serde_json::from_value(probabilities).unwrap();
        let sampling: Sampling = serde_json::from_value(case).unwrap();
        let mut sampler = Sampler::new(&GenerateRequest { prompt, sampling, ..GenerateRequest::default() });
        let left = left(&sampler, &logits);
        let tokens = |of: &[(u32, f64)]| of.iter().map(|&(token, _)| token).collect::<Vec<_>>();
        assert_eq!(tokens(&left), tokens(&expected), "case {index}");
        for ((token, left), (_, expected)) in left.into_iter().zip(expected) {
            assert!((left - expected).abs() < 2e-6, "case {index}, token {token}: {left} instead of {expected}");
        }
        let entropy_found = f64::from(sampler.sample(&logits).unwrap().entropy);
        assert!((entropy_found - entropy.as_f64().unwrap()).abs() < 1e-5, "case {index}: {entropy_found} {entropy}");
    }
}

fn counts(sampling: &Sampling, logits: &[f32]) -> Vec<usize> {
    let mut counts = vec![0; logits.len()];
    for seed in 0..4000 {
        let token = sampler(sampling.clone(), seed).sample(logits).unwrap();
        assert!((f64::from(token.logprob) - log_softmax(logits)[token.id as usize]).abs() < 1e-6);
        counts[token.id as usize] += 1;
    }
    counts
}

#[test]
fn frequencies_follow_the_distribution() {
    for sampling in [Sampling::default(), Sampling { top_k: Some(4), ..Sampling::default() }] {
        let counts = counts(&sampling, &[0.0, 1.0, 2.0, f32::NEG_INFINITY]);
        let expected: Vec<f64> = log_softmax(&[0.0, 1.0, 2.0]).iter().map(|l| l.exp() * 4000.0).collect();
        assert_eq!(counts[3], 0);
        counts.iter().zip(expected).for_each(|(&count, expected)| assert!((count as f64 - expected).abs() < 110.0));
    }
}

#[test]
fn filters_leave_the_likeliest() {
    let logits = [0.0, 3.0, 2.0, 1.0];
    let greedy = [
        Sampling { temperature: 0.0, ..Sampling::default() },
        Sampling { temperature: 1e-45, ..Sampling::default() },
        Sampling { top_k: Some(1), ..Sampling::default() },
        Sampling { top_p: 0.5, ..Sampling::default() },
        Sampling { min_p: 1.0, ..Sampling::default() },
    ];
    for sampling in greedy {
        assert_eq!(counts(&sampling, &logits), [0, 4000, 0, 0], "{sampling:?}");
    }
    let top_k = counts(&Sampling { top_k: Some(2), ..Sampling::default() }, &logits);
    assert!(top_k[0] == 0 && top_k[3] == 0 && top_k[2] > 500);
}

#[test]
fn repetition_is_penalised_in_the_reply_too() {
    let sampling = Sampling { temperature: 0.0, repetition_penalty: 2.0, ..Sampling::default() };
    let mut sampler = sampler(sampling, 0);
    let logits = [1.0, 3.0, 2.0, -1.0];
    let sampled: Vec<u32> = (0..4).map(|_| sampler.sample(&logits).unwrap().id).collect();
    assert_eq!(sampled, [1, 2, 1, 1]); // 3, then 2, then 1.5 before 1, 1 and -1
}

#[test]
fn what_is_not_a_number_is_not_sampled() {
    for broken in [f32::NAN, f32::INFINITY] {
        for at in [0, 15, 16, 39] {
            let mut logits = [0.0; 40];
            logits[at] = broken;
            assert_eq!(sampler(Sampling::default(), 0).sample(&logits), None);
        }
    }
    assert_eq!(sampler(Sampling::default(), 0).sample(&[f32::NEG_INFINITY; 3]), None);
    assert_eq!(sampler(Sampling::default(), 0).sample(&[]), None);
}

/// Rows with ties, over several chunks.
fn rows() -> impl Strategy<Value = Vec<f32>> {
    let logit = prop_oneof![20 => (-40i32..40).prop_map(|x| x as f32 / 4.0), 1 => Just(f32::NEG_INFINITY)];
    (1usize..700, prop::collection::vec(logit, 1..200)).prop_map(|(length, some)| {
        let mut row: Vec<f32> = (0..length).map(|at| some[(at * at + at / 7) % some.len()]).collect();
        row[length / 2] = 2.0;
        row
    })
}

/// The probabilities that the filters leave, as slowly as they are defined.
fn slowly(sampling: &Sampling, logits: &[f32]) -> Vec<u32> {
    let temperature = f64::from(sampling.temperature);
    let weight = |token: usize| (f64::from(logits[token]) / temperature).exp();
    let mut tokens: Vec<usize> = (0..logits.len()).filter(|&token| logits[token] > f32::NEG_INFINITY).collect();
    tokens.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
    if let Some(&last) = sampling.top_k.and_then(|count| tokens.get(count - 1)) {
        tokens.retain(|&token| logits[token] >= logits[last]);
    }
    let total: f64 = tokens.iter().map(|&token| weight(token)).sum();
    let mut reached = 0.0;
    let kept = tokens.iter().take_while(|&&token| {
        let needed = reached < f64::from(sampling.top_p) * total;
        reached += weight(token);
        needed || sampling.top_p >= 1.0
    });
    let mut kept: Vec<usize> = kept.copied().collect();
    let best = weight(kept[0]);
    kept.retain(|&token| weight(token) >= f64::from(sampling.min_p) * best * (1.0 - 1e-9));
    kept.sort_unstable();
    kept.into_iter().map(|token| token as u32).collect()
}

proptest! {
    #[test]
    fn filters_are_what_they_are_defined_as(
        logits in rows(),
        top_k in prop::option::of(1usize..300),
        top_p in prop_oneof![Just(1.0f32), 0.01f32..0.999],
        min_p in prop_oneof![Just(0.0f32), 0.001f32..1.0],
        temperature in 0.3f32..3.0,
    ) {
        let sampling = Sampling { temperature, top_k, top_p, min_p, ..Sampling::default() };
        let expected = slowly(&sampling, &logits);
        let found: Vec<u32> = match sampler(sampling, 0).filter(&logits).unwrap() {
            Some(candidates) => candidates.iter().map(|candidate| candidate.token).collect(),
            None => (0..logits.len()).filter(|&token| logits[token] > f32::NEG_INFINITY).map(|token| token as u32).collect(),
        };
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn every_number_told_is_that_of_the_unchanged_distribution(logits in rows(), seed in 0u64..100) {
        let sampling = Sampling { temperature: 0.5, top_k: Some(9), repetition_penalty: 1.5, ..Sampling::default() };
        let request = GenerateRequest { prompt: vec![0, 3], sampling, seed, top_logprobs: 7, ..GenerateRequest::default() };
        let token = Sampler::new(&request).sample(&logits).unwrap();
        let exact = log_softmax(&logits);
        let entropy: f64 = exact.iter().filter(|l| l.is_finite()).map(|l| -l.exp() * l).sum();
        prop_assert!((f64::from(token.logprob) - exact[token.id as usize]).abs() < 2e-6);
        prop_assert!((f64::from(token.entropy) - entropy).abs() < 1e-5);
        let mut ranked: Vec<usize> = (0..logits.len()).filter(|&token| logits[token] > f32::NEG_INFINITY).collect();
        ranked.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
        prop_assert_eq!(token.top.len(), 7.min(ranked.len()));
        for (&(token, logprob), expected) in token.top.iter().zip(ranked) {
            prop_assert_eq!(token as usize, expected);
            prop_assert!((f64::from(logprob) - exact[expected]).abs() < 2e-6);
        }
    }

    #[test]
    fn a_draw_finds_its_place(logits in rows(), draw in 0.0f64..1.0, inverse in 0.2f32..3.0) {
        let highest = highest(&logits).unwrap();
        let found = Mass::new(&logits, highest, inverse).draw(&logits, draw).unwrap();
        let weights = logits.iter().map(|&logit| (f64::from(logit - highest) * f64::from(inverse)).exp());
        let weights: Vec<f64> = weights.collect();
        let total: f64 = weights.iter().sum();
        let before: f64 = weights[..found].iter().sum();
        prop_assert!(weights[found] > 0.0);
        prop_assert!(before <= draw * total + 1e-4 * total && draw * total <= before + weights[found] + 1e-4 * total);
    }
}
