//! Which token is sampled: by seed, temperature and filters.

use std::collections::BTreeSet;

use entropo_agent::Sampling;

use super::{alone, decoders, engine, last_logits, likeliest, one, plain, prompt, request};

fn filters() -> [Sampling; 6] {
    let sampling = Sampling { max_tokens: 16, ..Sampling::default() };
    [
        sampling.clone(),
        Sampling { temperature: 1.7, ..sampling.clone() },
        Sampling { top_k: Some(4), ..sampling.clone() },
        Sampling { temperature: 0.8, top_p: 0.6, ..sampling.clone() },
        Sampling { min_p: 0.1, ..sampling.clone() },
        Sampling { repetition_penalty: 1.2, ..sampling },
    ]
}

#[tokio::test]
async fn a_seed_is_a_completion() {
    let decoder = &decoders()[1];
    let prompt = prompt(decoder, 8, 1);
    for sampling in filters() {
        let sample = async |seed| {
            let mut request = request(&prompt, 1.0, 16, seed);
            request.sampling = sampling.clone();
            alone(decoder, request).await
        };
        let mut different = BTreeSet::new();
        for seed in 0..8 {
            let completion = sample(seed).await;
            assert_eq!(completion, sample(seed).await, "{sampling:?}");
            different.insert(completion.completion);
        }
        assert!(different.len() >= 7, "{sampling:?}: {different:?}");
    }
}

#[tokio::test]
async fn narrow_filters_and_low_temperatures_are_greedy() {
    let default = Sampling { max_tokens: 16, ..Sampling::default() };
    let narrow = [
        Sampling { temperature: 0.0, ..default.clone() },
        Sampling { top_k: Some(1), ..default.clone() },
        Sampling { top_p: 1e-6, ..default.clone() },
        Sampling { temperature: 1e-5, ..default },
    ];
    for decoder in decoders() {
        let prompt = prompt(&decoder, 8, 2);
        let expected = likeliest(&decoder, &prompt, 16);
        let engine = engine(&decoder, plain());
        for sampling in &narrow {
            let mut request = request(&prompt, 1.0, 16, 3);
            request.sampling = sampling.clone();
            let answer = engine.generate(request).await;
            assert_eq!(answer.map(|answer| answer.completion), Ok(expected.clone()), "{sampling:?}");
        }
    }
}

#[tokio::test]
async fn top_k_keeps_the_k_likeliest() {
    let decoder = &decoders()[3];
    let engine = engine(decoder, plain());
    let prompt = prompt(decoder, 8, 3);
    let mut sampled = BTreeSet::new();
    for seed in 0..40 {
        let mut request = request(&prompt, 5.0, 1, seed);
        request.sampling.top_k = Some(3);
        sampled.extend(one(&engine, request).await.completion);
    }
    let logits = last_logits(decoder, &prompt);
    let mut ranked: Vec<usize> = (0..logits.len()).collect();
    ranked.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
    assert_eq!(sampled, ranked[..3].iter().map(|&token| token as u32).collect());
}
